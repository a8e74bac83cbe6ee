"""The encoders learn from masked positions what `transformers` learns from all, and their matrices are counted."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertForMaskedLM,
)

import small_corpus
from largemodels.base.errors import InputError
from largemodels.models.cost import count_flops
from largemodels.models.losses import IGNORED
from largemodels.pretraining.encoders import OLD_PARTS, OldPartsForMaskedLM, matrix_parameters
from largemodels.pretraining.masked_lm import masked_language_loss
from small_corpus import masked_batch, tokenizer

ARCHITECTURES = ["modern", "bert", *OLD_PARTS]


def encoder(architecture, **options):
    return small_corpus.encoder(architecture, **{"hidden_size": 16, "num_layers": 2} | options).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_of_a_model_is_the_loss_that_the_book_writes_out(architecture):
    model, inputs = encoder(architecture), masked_batch()
    labels = inputs.pop("labels")
    everything = model(**inputs).logits
    assert everything.shape == (*labels.shape, len(tokenizer()))
    sparse = model(**inputs, labels=labels)
    assert sparse.logits.shape == (int((labels != IGNORED).sum()), len(tokenizer()))
    torch.testing.assert_close(sparse.loss, masked_language_loss(everything, labels))
    torch.testing.assert_close(sparse.logits, everything[labels != IGNORED])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_of_a_model_does_not_change_when_padding_is_added(architecture):
    model, inputs = encoder(architecture), masked_batch()
    fillers = {"input_ids": tokenizer().pad_token_id, "attention_mask": 0, "labels": IGNORED}
    padded = {name: torch.nn.functional.pad(inputs[name], (0, 9), value=fillers[name]) for name in inputs}
    torch.testing.assert_close(model(**padded).loss, model(**inputs).loss)


def test_sparse_bert_is_bert():
    ours, inputs = encoder("bert"), masked_batch()
    theirs = BertForMaskedLM(ours.config).eval()
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(**inputs).loss, theirs(**inputs).loss)


BIASES = dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias", "decoder_bias"), True)


def weights_of_bert(bert):
    """The state of `OldPartsForMaskedLM` that has BERT's weights; the type of its one segment goes to the positions."""
    old, new = bert.state_dict(), {}
    embeddings = "bert.embeddings."
    new["model.embeddings.tok_embeddings.weight"] = old[f"{embeddings}word_embeddings.weight"]
    new["model.embeddings.position_embeddings.weight"] = (
        old[f"{embeddings}position_embeddings.weight"] + old[f"{embeddings}token_type_embeddings.weight"][0]
    )
    pairs = [("model.embeddings.norm", f"{embeddings}LayerNorm")]
    for i in range(bert.config.num_hidden_layers):
        ours, theirs = f"model.layers.{i}.", f"bert.encoder.layer.{i}."
        for kind in ("weight", "bias"):
            three = [old[f"{theirs}attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
            new[f"{ours}attn.Wqkv.{kind}"] = torch.cat(three)
        pairs += [
            (f"{ours}attn.Wo", f"{theirs}attention.output.dense"),
            (f"{ours}attn_norm", f"{theirs}attention.output.LayerNorm"),
            (f"{ours}mlp.Wi", f"{theirs}intermediate.dense"),
            (f"{ours}mlp.Wo", f"{theirs}output.dense"),
            (f"{ours}mlp_norm", f"{theirs}output.LayerNorm"),
        ]
    transform = "cls.predictions.transform."
    pairs += [("head.dense", f"{transform}dense"), ("head.norm", f"{transform}LayerNorm")]
    new |= {f"{ours}.{kind}": old[f"{theirs}.{kind}"] for ours, theirs in pairs for kind in ("weight", "bias")}
    decoder = {"decoder.weight": old["cls.predictions.decoder.weight"], "decoder.bias": old["cls.predictions.bias"]}
    return new | decoder


def test_the_modern_encoder_with_all_three_old_parts_computes_what_bert_computes():
    bert = encoder("bert")
    for parameter in bert.parameters():  # biases and normalisations too, which begin as zeros and ones
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    config = encoder("modern").config
    config.update({**BIASES, "norm_eps": bert.config.layer_norm_eps, "intermediate_size": 4 * 16 * 2 // 3 + 1})
    ours = OldPartsForMaskedLM(config, post_norm=True, learnt_positions=True, gated=False).eval()
    ours.load_state_dict(weights_of_bert(bert))
    inputs = masked_batch()
    torch.testing.assert_close(ours(**inputs).logits, bert(**inputs).logits, rtol=1e-4, atol=1e-4)


def test_the_modern_encoder_with_no_old_part_is_modernbert():
    modern = encoder("modern")
    ours = OldPartsForMaskedLM(modern.config).eval()
    ours.load_state_dict(modern.state_dict())
    inputs = masked_batch()
    torch.testing.assert_close(ours(**inputs).logits, modern(**inputs).logits, rtol=0, atol=0)


@pytest.mark.parametrize("variant", OLD_PARTS)
def test_a_variant_has_the_matrices_of_the_modern_encoder(variant):
    assert matrix_parameters(encoder(variant)) == matrix_parameters(encoder("modern"))


def test_each_old_part_changes_the_encoder_and_the_three_together_are_a_fourth():
    inputs = masked_batch()
    losses = {encoder(name)(**inputs).loss.item() for name in ARCHITECTURES}
    assert len(losses) == len(ARCHITECTURES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_weights_and_leaves_other_generators_alone(architecture):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (encoder(architecture, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("bert", {"hidden_size": 15}, "hidden_size: 15 is not a multiple of 2, for 2 heads"),
        ("modern", {"hidden_size": 18}, "hidden_size: 18 is not a multiple of 4, for 2 heads"),
        ("gpt", {}, "architecture: gpt is not one of modern, bert, post-norm, learnt-positions, ungated, all-three"),
    ],
)
def test_what_does_not_fit_is_refused(architecture, options, message):
    with pytest.raises(ValueError, match=message):
        encoder(architecture, **options)


def test_the_body_holds_the_matrices_of_the_layers_and_the_head_the_vocabulary():
    body, head = matrix_parameters(encoder("modern"))
    assert body == 2 * (3 + 1 + 3 + 1.5) * 16**2
    assert head == 16 * 16 + 16 * len(tokenizer())


@pytest.mark.parametrize(
    ("build", "config"),
    [
        (BertForMaskedLM, BertConfig(intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)),
        (ModernBertForMaskedLM, ModernBertConfig(intermediate_size=48, num_hidden_layers=2, num_attention_heads=2)),
        (GPT2LMHeadModel, GPT2Config(n_layer=2, n_head=2)),
    ],
    ids=["bert", "modernbert", "gpt2"],
)
def test_the_matrices_of_every_family_are_those_that_pytorch_multiplies_by(build, config):
    """Every token goes through body and head, and two products of attention come on top."""
    config.hidden_size, config.vocab_size, config.pad_token_id = 32, 100, 0
    config._attn_implementation = "eager"
    model, n = build(config).eval(), 24
    body, head = matrix_parameters(model)
    attention = 2 * 2 * 2 * n**2 * 32  # layers, products, operations
    assert count_flops(lambda: model(torch.arange(n)[None])) == pytest.approx(2 * n * (body + head) + attention, 0.01)
    assert head in (32 * 100, 32 * 100 + 32 * 32)
    assert matrix_parameters(model.base_model) == (body, 0)


def test_a_pooler_reads_one_token_and_does_not_count():
    without = encoder("bert")
    assert matrix_parameters(BertModel(without.config)) == (matrix_parameters(without)[0], 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_that_does_not_fit_is_refused_before_its_weights_are_drawn(architecture):
    with pytest.raises(
        InputError, match=r"hidden_size: 100000 in 100 layers makes .* million parameters, .* give less"
    ):
        encoder(architecture, hidden_size=100_000, num_layers=100)
