"""The decoder against a Llama of transformers, and its cache against no cache."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from largemodels.base.errors import InputError
from largemodels.generation.cache import ROOM, KeyValueCache, cache_bytes
from largemodels.generation.decoder import Decoder, DecoderShape

WIDTH, HEADS, VOCABULARY, LONGEST = 32, 4, 60, 160


def llama(key_value_heads: int = 2, **changes) -> LlamaForCausalLM:
    options = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": HEADS,
        "num_key_value_heads": key_value_heads,
        "intermediate_size": 48,
        "max_position_embeddings": LONGEST,
        "tie_word_embeddings": True,
    }
    model = LlamaForCausalLM(LlamaConfig(**options | changes)).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += torch.randn(parameter.shape, generator=generator) / 5
    return model


def shape(**changes) -> DecoderShape:
    options = {"key_value_heads": 2, "inner": 48, "max_length": LONGEST}
    return DecoderShape(VOCABULARY, WIDTH, 3, HEADS, **options | changes)


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_a_decoder_with_a_llamas_weights_is_that_llama(key_value_heads):
    theirs, text = llama(key_value_heads), tokens(3, 11)
    ours = Decoder.from_transformers(theirs)
    expected, found = theirs(text, labels=text), ours(text, labels=text)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.loss, expected.loss)
    torch.testing.assert_close(ours.to_transformers()(text).logits, expected.logits, atol=0, rtol=0)


def test_a_decoder_that_was_saved_as_a_llama_comes_back(tmp_path):
    ours, text = Decoder(shape(), seed=3).eval(), tokens(1, 9)
    ours.to_transformers(pad_token_id=0).save_pretrained(tmp_path)
    again = Decoder.from_transformers(LlamaForCausalLM.from_pretrained(tmp_path))
    assert again.shape == ours.shape
    torch.testing.assert_close(again(text).logits, ours(text).logits, atol=0, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": False},
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"head_dim": 16},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}},
    ],
)
def test_a_llama_with_other_options_has_no_equal(changes):
    with pytest.raises(InputError, match="no equal here"):
        Decoder.from_transformers(LlamaForCausalLM(llama().config.__class__(**{**llama().config.to_dict(), **changes})))


def test_its_attention_weights_are_those_that_the_fused_kernel_never_forms():
    model, text = Decoder(shape(), seed=0).eval(), tokens(2, 7)
    formed = model(text, output_attentions=True)
    torch.testing.assert_close(formed.logits, model(text).logits, atol=1e-5, rtol=1e-4)
    assert [weights.shape for weights in formed.attentions] == [(2, HEADS, 7, 7)] * 3
    for weights in formed.attentions:
        assert torch.equal(weights, weights.tril())
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, HEADS, 7))


def test_no_token_knows_what_comes_after_it():
    model, text = Decoder(shape(), seed=0).eval(), tokens(1, 8)
    changed = text.clone()
    changed[0, 5:] = (changed[0, 5:] + 1) % VOCABULARY
    assert torch.equal(model(text).logits[:, :5], model(changed).logits[:, :5])
    assert not torch.equal(model(text).logits[:, 5:], model(changed).logits[:, 5:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_cache_changes_no_logit(dtype):
    model, text = Decoder(shape(), seed=0).eval().to(dtype), tokens(2, ROOM + 20)  # more than the first room
    whole = model(text).logits
    output = model(text[:, :5], use_cache=True)
    cache, steps = output.past_key_values, [output.logits]
    for place in range(5, text.shape[1]):
        steps.append(model(text[:, place : place + 1], past_key_values=cache).logits)
    exact = 1e-5 if dtype is torch.float32 else 1e-13
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, atol=exact, rtol=exact)
    assert cache.get_seq_length() == text.shape[1]
    each = 4 if dtype is torch.float32 else 8
    assert cache.bytes == cache_bytes(text.shape[1], 3, 2, WIDTH // HEADS, batch=2, number_bytes=each)


def test_a_cropped_cache_has_forgotten_the_rest():
    model, text, other = Decoder(shape(), seed=0).eval(), tokens(1, 9), tokens(1, 9).flip(1)
    cache = model(text, use_cache=True).past_key_values
    cache.crop(4)
    found = model(other[:, 4:], past_key_values=cache).logits
    expected = model(torch.cat([text[:, :4], other[:, 4:]], dim=1)).logits[:, 4:]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_cache_follows_the_rows_that_are_kept():
    model, text = Decoder(shape(), seed=0).eval(), tokens(3, 6)
    cache = model(text, use_cache=True).past_key_values
    rows = torch.tensor([2, 2, 0])
    cache.batch_select_indices(rows)
    found = model(text[:, :1], past_key_values=cache).logits
    expected = model(torch.cat([text[rows], text[:, :1]], dim=1)).logits[:, -1:]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_padding_on_the_left_changes_no_logit():
    model, text = Decoder(shape(), seed=0).eval(), tokens(1, 6)
    padded = torch.cat([tokens(1, 3), text], dim=1)
    mask = torch.tensor([[0] * 3 + [1] * 6])
    found = model(padded, attention_mask=mask).logits[:, 3:]
    torch.testing.assert_close(found, model(text).logits, atol=1e-5, rtol=1e-4)


def test_more_tokens_than_positions_are_refused():
    model = Decoder(shape(max_length=8))
    with pytest.raises(InputError, match="9 tokens are more than the 8 that the decoder reads"):
        model(tokens(1, 9))
    cache = model(tokens(1, 8), use_cache=True).past_key_values
    with pytest.raises(InputError, match="9 tokens"):
        model(tokens(1, 1), past_key_values=cache)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"key_value_heads": 3}, "key_value_heads: 3 does not divide num_heads, 4"),
        ({"inner": 0}, "inner: 0 is not above 0"),
        ({"num_heads": 32}, "width: 32 is not a multiple of 64"),
    ],
)
def test_shapes_that_make_no_decoder_are_refused(changes, sentence):
    options = {"vocabulary_size": 9, "width": 32, "num_layers": 1, "num_heads": 4, "key_value_heads": 2, "inner": 8}
    with pytest.raises(InputError, match=sentence):
        DecoderShape(**options | {"max_length": 8} | changes)


def test_the_same_seed_draws_the_same_weights_and_no_others():
    before = torch.random.get_rng_state()
    first, second, other = (Decoder(shape(), seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])


def test_an_empty_cache_takes_no_bytes():
    assert KeyValueCache(2).bytes == 0
