"""Byte-level byte-pair encoding: exact on any text, and equal to that of tokenizers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from largemodels.base.errors import InputError
from largemodels.generation.tokenization import END, SMALLEST, ByteBPE, train_tokenizer
from largemodels.models.loading import load_tokenizer

TEXTS = [
    "The function returns a new array, and the old array is left alone.",
    "Return the number of rows; returns 0 for an empty array.",
    "def rows(array): return len(array)  # 数 größer als naïve 🙂",
] * 3


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS, 320)


@given(st.text())
def test_any_text_comes_back(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert b"".join(ByteBPE.from_tokenizer(tokenizer).split(text)).decode() == text


@given(st.one_of(st.text(), st.lists(st.sampled_from(" ".join(TEXTS).split()), max_size=12).map(" ".join)))
def test_the_pieces_are_those_of_the_library(tokenizer, text):
    bpe = ByteBPE.from_tokenizer(tokenizer)
    backend = tokenizer.backend_tokenizer
    theirs = [backend.decode([place], skip_special_tokens=False) for place in backend.encode(text).ids]
    ours = bpe.split(text)
    assert len(ours) == len(theirs)
    whole = [(mine.decode(), other) for mine, other in zip(ours, theirs, strict=True) if "\ufffd" not in other]
    assert all(mine == other for mine, other in whole)


def pair_counts(texts: list[str], merges: list[tuple[bytes, bytes]]) -> Counter:
    """How often each pair of neighbours stands in the texts after these merges."""
    splitter, counts = ByteBPE(merges), Counter()
    for text in texts:
        for _, (start, stop) in ByteLevel(add_prefix_space=False).pre_tokenize_str(text):
            counts.update(pairwise(splitter.split(text[start:stop])))
    return counts


@pytest.mark.parametrize("learn", ["ours", "the library's"])
def test_each_merge_joins_a_pair_that_is_most_frequent_then(learn):
    texts, number = TEXTS[:2], 25
    tokenizer = train_tokenizer(texts, SMALLEST + number)
    merges = (ByteBPE.learnt(texts, number) if learn == "ours" else ByteBPE.from_tokenizer(tokenizer)).merges
    assert len(merges) == number
    for place, merge in enumerate(merges):
        counts = pair_counts(texts, merges[:place])
        assert counts[merge] == max(counts.values())


def test_learning_stops_where_every_word_is_whole():
    bpe = ByteBPE.learnt(["ab ab"], 10)
    assert bpe.merges == [(b"a", b"b"), (b" ", b"ab")]
    assert bpe.split("ab abc") == [b"ab", b" ab", b"c"]


def test_a_vocabulary_has_the_bytes_and_the_end(tokenizer):
    assert len(train_tokenizer(TEXTS, SMALLEST)) == SMALLEST
    assert tokenizer.eos_token == tokenizer.bos_token == tokenizer.pad_token == END
    assert tokenizer(END)["input_ids"] == [tokenizer.eos_token_id]


@pytest.mark.parametrize(
    ("size", "sentence"),
    [(256, "vocabulary_size: 256 is not at least 257"), (10_000, "more than the text supports; give at most")],
)
def test_sizes_that_do_not_fit_are_refused(size, sentence):
    with pytest.raises(InputError, match=sentence):
        train_tokenizer(TEXTS, size)


def test_a_tokenizer_of_another_kind_has_no_bytes():
    with pytest.raises(InputError, match="no byte-level byte-pair encoding"):
        ByteBPE.from_tokenizer(load_tokenizer("pydocs-small"))
