"""A text read in pieces, padded or not, has the logits that it has when it is read whole, and a cache no other size."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.generation.cache import ROOM, KeyValueCache, cache_bytes
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.reading import Reader, begun, context_length, encode_prompt, padded_left, token_seconds
from largemodels.generation.tokenization import train_tokenizer
from small_corpus import tokenizer
from small_decoders import CONTEXT, VOCABULARY, decoder

ROWS = [[3, 1, 4, 1, 5, 9, 2, 6, 5, 3], [5, 8, 9, 7, 9, 3]]
ROUNDING = {torch.float32: 2e-4, torch.float64: 1e-12}


@pytest.mark.parametrize("dtype", list(ROUNDING))
def test_logits_with_a_cache_are_those_without_also_after_a_crop_and_beside_padding(model, dtype):
    model = model.to(dtype)
    tokens, mask = padded_left(ROWS)
    with torch.no_grad():
        whole = [model(torch.tensor([row])).logits[0] for row in ROWS]
    assert max(row.abs().max() for row in whole) > 1

    def check(found: torch.Tensor, start: int, stop: int) -> None:
        assert found.dtype == dtype
        for row, expected in zip(found, whole, strict=True):
            first = start - (tokens.shape[1] - len(expected))  # the row's place behind its padding
            torch.testing.assert_close(row, expected[first : first + stop - start], rtol=0, atol=ROUNDING[dtype])

    with_cache, without = Reader(model, mask[:, :6]), Reader(model, mask[:, :6], use_cache=False)
    for reading in (with_cache, without):
        reading.read(tokens[:, :6])
        check(reading.read(tokens[:, 6:7]), 6, 7)
        check(reading.read(tokens[:, 7:10]), 7, 10)
        reading.crop(7)
        reading.read(tokens[:, :2])  # a draft that is taken back
        reading.crop(7)
        check(reading.read(tokens[:, 7:10]), 7, 10)
        assert reading.length == 10
    assert with_cache.cache.get_seq_length() == 10
    assert without.cache is None


def test_rows_are_chosen_with_all_that_was_read_of_them(model):
    tokens, mask = padded_left(ROWS)
    reading = Reader(model, mask[:, :-1])
    reading.read(tokens[:, :-1])
    reading.select(torch.tensor([1, 1, 0]))
    found = reading.read(tokens[[1, 1, 0], -1:])[:, 0]
    with torch.no_grad():
        long, short = (model(torch.tensor([row])).logits[0, -1] for row in ROWS)
    torch.testing.assert_close(found, torch.stack([short, short, long]), rtol=0, atol=2e-4)


@pytest.mark.parametrize("dtype", list(ROUNDING))
@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_a_cache_has_the_bytes_of_the_formula(key_value_heads, dtype):
    shape = DecoderShape(VOCABULARY, 32, 3, 4, key_value_heads, 48, CONTEXT)
    reading = Reader(Decoder(shape, seed=0).to(dtype).eval())
    for length in (5, 1, 60):
        reading.crop(0)
        reading.read(torch.ones(2, length, dtype=torch.long))
        expected = cache_bytes(length, 3, key_value_heads, 8, batch=2, number_bytes=dtype.itemsize)
        assert isinstance(reading.cache, KeyValueCache)
        assert reading.cache.bytes == expected == 2 * 2 * length * 3 * key_value_heads * 8 * dtype.itemsize


def test_the_memory_of_a_cache_is_that_of_its_room():
    model = decoder("ours")
    reading, of_a_token = Reader(model), cache_bytes(1, 2, 2, 8)
    found = []
    for length in (10, 40, 13, 1):
        reading.crop(0)
        reading.read(torch.ones(1, length, dtype=torch.long))
        found.append((reading.cache.bytes / of_a_token, reading.cache.allocated_bytes / of_a_token))
    assert found == [(length, ROOM) for length in (10, 40, 13, 1)]
    cache = KeyValueCache(1)
    numbers = torch.ones(1, 2, ROOM, 8)
    for length, room in ((ROOM, 2 * ROOM), (2 * ROOM, 2 * ROOM), (3 * ROOM, 6 * ROOM)):
        cache.update(numbers, numbers, 0)
        assert (cache.bytes, cache.allocated_bytes) == tuple(cache_bytes(each, 1, 2, 8) for each in (length, room))
    assert KeyValueCache(2).allocated_bytes == 0


def test_a_token_is_timed_with_and_without_a_cache_at_each_length(model):
    table = token_seconds(model, [8, 60], 2)
    assert table.groupby(["length", "cache"]).size().to_dict() == {
        (length, cache): 2 for length in (8, 60) for cache in ("with", "without")
    }
    assert (table["seconds"] > 0).all()


def test_padding_stands_on_the_left_and_repeats_a_token_of_its_row():
    tokens, mask = padded_left([[3, 1, 4], [7]])
    assert tokens.tolist() == [[3, 1, 4], [7, 7, 7]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert Reader(decoder("ours"), mask[:1]).mask is None


def test_the_context_is_what_a_model_states(model):
    assert context_length(model) == CONTEXT


def test_a_length_that_is_not_read_is_not_timed(model):
    with pytest.raises(InputError, match=f"64 tokens and 1 new ones are more than the {CONTEXT} that the model reads"):
        token_seconds(model, [8, CONTEXT + 1], 1)
    with pytest.raises(InputError, match="there is an empty one"):
        token_seconds(model, [1], 1)


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(1, 2, [1, 7, 8]), (0, 2, [0, 7, 8]), (None, 2, [2, 7, 8]), (None, None, [7, 8])]
)
def test_a_text_begins_with_its_first_token_else_with_what_parts_texts(first, last, expected):
    special = SimpleNamespace(bos_token_id=first, eos_token_id=last)
    assert begun(special, (7, 8)) == expected
    assert begun(special, []) == expected[:-2]


def test_a_prompt_begins_as_a_text_does():
    bytes_ = train_tokenizer(["the sum of two arrays"] * 3, 270)
    prompt = encode_prompt(bytes_, "the sum 🙂")
    assert prompt[0] == bytes_.bos_token_id
    assert bytes_.decode(prompt[1:]) == "the sum 🙂"
    words = tokenizer()
    assert words.decode(encode_prompt(words, "the sum of")) == "the sum of"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "prompt: is empty; give at least a word"),
        (" \n", "prompt: is empty; give at least a word"),
        ("sum 🙂", r"prompt: the tokenizer cannot spell 'sum 🙂', some of it would be read as \[UNK\]"),
    ],
)
def test_a_prompt_that_cannot_be_spelt_is_one_sentence(prompt, said):
    with pytest.raises(InputError, match=said) as caught:
        encode_prompt(tokenizer(), prompt)
    assert "\n" not in str(caught.value)
