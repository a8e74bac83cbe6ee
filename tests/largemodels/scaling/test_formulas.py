"""The formulas give what the networks have, what the profiler counts, and what papers print."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5EncoderModel,
)

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.models.cost import count_flops
from largemodels.scaling.formulas import (
    TransformerShape,
    forward_flops,
    multiplied_parameters,
    parameter_parts,
    parameters_of,
    shape_of,
    training_flops,
    utilisation,
)
from largemodels.scaling.published import PUBLISHED

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 80}


def llama(**options: object) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(vocab_size=60, max_position_embeddings=16, **SMALL, **options))


def gpt2(**options: object) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=60, n_positions=16, n_embd=32, n_layer=3, n_head=4, **options))


def bert(kind: type = BertModel, **options: object) -> torch.nn.Module:
    return kind(BertConfig(vocab_size=60, max_position_embeddings=16, **SMALL), **options)


MODELS = {
    "decoder": lambda: Decoder(DecoderShape(60, 32, 2, 4, 2, 80, 16)),
    "decoder, one head of keys": lambda: Decoder(DecoderShape(60, 32, 3, 4, 1, 50, 16)),
    "llama, output of its own": lambda: llama(tie_word_embeddings=False),
    "llama, shared heads, tied": lambda: llama(num_key_value_heads=2, tie_word_embeddings=True),
    "llama, wide heads": lambda: llama(head_dim=16),
    "gpt2": gpt2,
    "gpt2, narrow inside": lambda: gpt2(n_inner=48),
    "bert": bert,
    "bert without pooler": lambda: bert(add_pooling_layer=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_parameters_by_formula_are_those_of_the_network(name):
    model = MODELS[name]()
    assert parameters_of(shape_of(model)) == sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("bert")])
def test_the_operations_by_formula_are_those_that_the_profiler_counts(name):
    model, tokens = MODELS[name]().eval(), torch.randint(60, (3, 12))
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel of the CPU is not counted
        forward = count_flops(lambda: model(tokens))
        both = count_flops(lambda: model(tokens, labels=tokens).loss.backward())
    shape = shape_of(model)
    angles = (forward - 36 * forward_flops(shape, 12)) / forward  # a Llama forms its angles by a tiny product
    assert 0 <= angles < 0.001
    assert both == pytest.approx(training_flops(shape, 36, 12), rel=0.001)


def test_an_encoder_without_output_multiplies_its_blocks_alone():
    shape = shape_of(bert())
    parts = parameter_parts(shape)
    assert multiplied_parameters(shape) == parts["attention"] + parts["feed-forward"]


def test_the_head_of_bert_is_left_out_and_its_output_is_the_embedding():
    shape = shape_of(bert(BertForMaskedLM))
    assert shape.output == "tied"
    assert not shape.pooler


def test_a_length_of_zero_leaves_six_operations_for_each_weight_and_token():
    shape = PUBLISHED["GPT-3"].shape
    assert training_flops(shape, 1000) == 6 * multiplied_parameters(shape) * 1000
    assert training_flops(shape, 1000, 2048) - training_flops(shape, 1000) == 12 * 96 * 96 * 128 * 2048 * 1000


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_shapes_have_their_published_size_within_what_they_leave_out(name):
    known = PUBLISHED[name]
    counted = parameters_of(known.shape)
    if not known.embedded:
        counted -= parameter_parts(known.shape)["embedding"]
    assert counted == pytest.approx(known.parameters, rel=0.07 if known.note else 0.0005)


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("BERT-base", 109_482_240),
        ("GPT-2, smallest", 124_439_808),
        ("GPT-2, largest", 1_557_611_200),
        ("Llama 2 7B", 6_738_415_616),
        ("Llama 2 70B", 68_976_648_192),
        ("Llama 3 8B", 8_030_261_248),
    ],
)
def test_shapes_of_open_checkpoints_have_exactly_their_weights(name, exact):
    assert parameters_of(PUBLISHED[name].shape) == exact


@pytest.mark.parametrize("name", [name for name, known in PUBLISHED.items() if known.tokens and known.flops])
def test_published_trainings_take_their_published_operations(name):
    known = PUBLISHED[name]
    assert training_flops(known.shape, known.tokens) == pytest.approx(known.flops, rel=0.002)


def test_the_utilisation_of_palm_is_the_published_one():
    shape = PUBLISHED["PaLM 540B"].shape
    assert round(100 * utilisation(shape, 2048, 238.3e3, 6144 * 275e12), 1) == 46.2
    assert round(100 * utilisation(shape, 0, 238.3e3, 6144 * 275e12), 1) == 45.7


def test_what_cannot_be_is_refused_in_a_sentence():
    with pytest.raises(InputError, match="num_layers: 0 is not at least 1"):
        TransformerShape(10, 8, 0, 2, 16)
    with pytest.raises(InputError, match="width: 10 is not a multiple of num_heads, 4"):
        TransformerShape(10, 10, 1, 4, 16)
    with pytest.raises(InputError, match="key_value_heads: 3 does not divide num_heads, 4"):
        TransformerShape(10, 8, 1, 4, 16, key_value_heads=3)
    shape = TransformerShape(10, 8, 1, 2, 16)
    with pytest.raises(InputError, match="tokens: 0 is not above 0"):
        training_flops(shape, 0)
    with pytest.raises(InputError, match="peak: 0 is not above 0"):
        utilisation(shape, 4, 10, 0)
    with pytest.raises(InputError, match="t5: no formula here"):
        shape_of(T5EncoderModel(T5Config(vocab_size=20, d_model=8, d_ff=8, num_layers=1, num_heads=1, d_kv=8)))
    with pytest.raises(InputError, match="Linear: no formula here"):
        shape_of(torch.nn.Linear(2, 2))
