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
from largemodels.pretraining.encoders import matrix_parameters
from largemodels.pretraining.masked_lm import masked_language_loss
from small_corpus import masked_batch, tokenizer

ARCHITECTURES = ["modern", "bert"]


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
        ("gpt", {}, "architecture: gpt is not one of modern, bert"),
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
