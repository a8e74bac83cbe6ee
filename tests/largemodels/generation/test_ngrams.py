"""Counting n-grams, and Kneser–Ney smoothing against one that is written out with dictionaries."""

import math
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from largemodels.base.errors import InputError
from largemodels.generation.language_model import joined_documents, token_losses, token_windows
from largemodels.generation.ngrams import KneserNey, continuation_counts, count_discounts, count_ngrams
from largemodels.generation.tokenization import train_tokenizer
from largemodels.models.batches import TokenSequences
from small_corpus import corpus

SIZE = 6  # tokens in the vocabulary of the small texts; 0 stands before a document and behind it


def windows_of(documents, length=100):
    """Documents (tokens without the one that ends them) as windows, each of which begins as the one before ends."""
    windows, names = [], []
    for number, document in enumerate(documents):
        whole = np.array([0, *document, 0])
        for start in range(0, len(whole) - 1, length - 1):
            windows.append(whole[start : start + length])
            names.append(f"{number}")
    return TokenSequences(windows, names, names)


def texts(random, documents):
    """Documents of tokens with something to learn: each is drawn from near the one before."""
    return [
        [int(token) for token in 1 + np.cumsum(random.integers(-1, 3, random.integers(0, 30))) % (SIZE - 1)]
        for _ in range(documents)
    ]


def by_dictionaries(documents, order, modified):
    """p(token | context) of an interpolated Kneser–Ney model, as a function that looks n-grams up one by one."""
    raw = [Counter() for _ in range(order + 2)]
    for document in documents:
        whole = (0, *document, 0)
        for length in range(1, order + 2):
            for start in range(len(whole) - length + 1):
                raw[length][whole[start : start + length]] += 1
    raw[1][(0,)] -= len(documents)  # what a document begins with is never predicted
    counts = {}
    for length in range(1, order + 1):
        if length == order:
            counts[length] = dict(raw[length])
            continue
        before = defaultdict(set)
        for ngram in raw[length + 1]:
            before[ngram[1:]].add(ngram[0])
        counts[length] = {ngram: len(before[ngram]) or raw[length][ngram] for ngram in raw[length]}

    def recursive(token, context, length):
        if length == 0:
            return 1 / SIZE
        context = context[len(context) - (length - 1) :] if length > 1 else ()
        values = list(counts[length].values())
        discounts = count_discounts(np.array(values), modified=modified)
        following = [count for ngram, count in counts[length].items() if ngram[:-1] == context and count]
        lower = recursive(token, context[1:], length - 1)
        if not following:
            return lower
        taken = sum(discounts[min(count, 3)] for count in following)
        own = counts[length].get((*context, token), 0)
        return (max(own - discounts[min(own, 3)], 0) + taken * lower) / sum(following)

    return lambda token, context: recursive(token, tuple(context), min(order, len(context) + 1))


@pytest.mark.parametrize("modified", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_losses_are_those_of_an_implementation_by_dictionaries(order, modified):
    random = np.random.default_rng(order)
    learning, held_out = texts(random, 25), texts(random, 10)
    model = KneserNey(count_ngrams(windows_of(learning), order, SIZE), order, modified=modified)
    found = model.token_losses(windows_of(held_out))
    p = by_dictionaries(learning, order, modified)
    expected = []
    for document in held_out:
        whole = (0, *document, 0)
        expected += [
            -math.log(p(whole[place], whole[max(0, place - order + 1) : place])) for place in range(1, len(whole))
        ]
    assert found["loss"].to_numpy() == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.booleans(), st.lists(st.integers(0, SIZE - 1), max_size=6))
def test_probabilities_of_any_context_are_above_zero_and_sum_to_one(seed, order, modified, context):
    learning = texts(np.random.default_rng(seed), 8)
    model = KneserNey(count_ngrams(windows_of(learning), 5, SIZE), order, modified=modified)
    probabilities = model.probabilities([0, *context])
    assert probabilities.min() > 0
    assert probabilities.sum() == pytest.approx(1)


def test_probabilities_are_those_that_the_losses_come_from():
    random = np.random.default_rng(0)
    learning, (document,) = texts(random, 20), texts(random, 1)
    model = KneserNey(count_ngrams(windows_of(learning), 4, SIZE), 4)
    whole = [0, *document, 0]
    p = [model.probabilities(whole[:place])[whole[place]] for place in range(1, len(whole))]
    assert model.token_losses(windows_of([document]))["loss"].to_numpy() == pytest.approx(-np.log(p))


def test_a_model_of_a_lower_order_does_not_depend_on_how_long_the_counted_ngrams_are():
    random = np.random.default_rng(0)
    learning, held_out = windows_of(texts(random, 20)), windows_of(texts(random, 5))
    short, long = (KneserNey(count_ngrams(learning, order, SIZE), 2).token_losses(held_out) for order in (2, 5))
    pd.testing.assert_frame_equal(short, long)


@pytest.mark.parametrize("length", [2, 3, 7])
def test_the_length_of_windows_changes_no_loss(length):
    random = np.random.default_rng(0)
    learning, held_out = texts(random, 20), texts(random, 5)
    whole = KneserNey(count_ngrams(windows_of(learning), 4, SIZE), 4).token_losses(windows_of(held_out))
    cut = KneserNey(count_ngrams(windows_of(learning, length), 4, SIZE), 4).token_losses(windows_of(held_out, length))
    pd.testing.assert_frame_equal(whole, cut)


def test_no_ngram_crosses_documents():
    ngrams = count_ngrams(windows_of([[1, 2], [3]]), 3, SIZE)
    text = {(0, 1, 2), (1, 2, 0), (0, 3, 0)}
    assert {(key // SIZE, key % SIZE) for key in ngrams[1].keys.tolist()} == {(0, 1), (1, 2), (2, 0), (0, 3), (3, 0)}
    assert len(ngrams[2].keys) == len(text)


def test_losses_of_a_document_do_not_depend_on_the_one_before_it():
    def bare(documents):
        names = [f"{number}" for number in range(len(documents))]
        return TokenSequences([np.array(document) for document in documents], names, names)

    random = np.random.default_rng(0)
    learning, held_out = ([text for text in texts(random, 30) if len(text) > 3] for _ in range(2))
    model = KneserNey(count_ngrams(bare(learning), 4, SIZE), 4)  # no end-of-text stands between these documents
    together = model.token_losses(bare(held_out))["loss"].tolist()
    assert together == [loss for text in held_out for loss in model.token_losses(bare([text]))["loss"]]


def test_order_zero_is_uniform_and_order_one_knows_frequencies_only():
    learning = windows_of([[1, 1, 1, 2], [1, 2]])
    uniform, single = (KneserNey(count_ngrams(learning, 2, SIZE), order) for order in (0, 1))
    losses = uniform.token_losses(windows_of([[3, 4]]))
    assert losses["loss"].to_numpy() == pytest.approx(math.log(SIZE))
    assert single.probabilities([0]).tolist() == single.probabilities([0, 1, 2]).tolist()
    assert single.probabilities([0]).argsort()[::-1][:3].tolist() in ([1, 2, 0], [1, 0, 2])


def test_a_frequent_word_that_follows_one_word_alone_is_unlikely_after_others():
    the, san, francisco, city, new, old = 1, 2, 3, 4, 5, 6
    text = [[the, san, francisco]] * 6 + [[the, city], [new, city], [old, city]]
    model = KneserNey(count_ngrams(windows_of(text), 2, 7), 2)
    single, double = count_ngrams(windows_of(text), 2, 7)
    assert single.counts[francisco] > single.counts[city]
    counts = continuation_counts(single, double)
    assert (counts[francisco], counts[city]) == (1, 3)
    after_unknown = model.probabilities([0, francisco])  # "Francisco" ended every text in which it stood
    assert after_unknown[city] > after_unknown[francisco]
    assert model.probabilities([0, the, san])[francisco] > 0.5


def test_an_unmodified_model_of_two_tokens_is_as_worked_out_by_hand():
    # Bigrams 0 1 (2), 1 1 (1) and 1 0 (2), so n1 = 1 and n2 = 2: Y = 1/5.
    # Before 1 stand 0 and 1, before 0 stands 1, so n1 = n2 = 1: Y = 1/3.
    model = KneserNey(count_ngrams(windows_of([[1], [1, 1]]), 2, 2), 2, modified=False)
    zero, one = (1 - 1 / 3) / 3 + 2 / 9 * 1 / 2, (2 - 1 / 3) / 3 + 2 / 9 * 1 / 2
    assert model.probabilities([0]) == pytest.approx([0.1 * zero, 0.9 + 0.1 * one])
    assert model.probabilities([0, 1]) == pytest.approx([0.6 + 2 / 15 * zero, 4 / 15 + 2 / 15 * one])


def test_three_discounts_are_chen_and_goodmans():
    counts = np.repeat([1, 2, 3, 4], [40, 20, 12, 10])
    y = 40 / (40 + 2 * 20)
    expected = [0, 1 - 2 * y * 20 / 40, 2 - 3 * y * 12 / 20, 3 - 4 * y * 10 / 12]
    assert count_discounts(counts) == pytest.approx(expected)
    assert count_discounts(counts, modified=False) == pytest.approx([0, y, y, y])


def test_rows_are_those_of_a_decoders_losses():
    from largemodels.generation.decoder import Decoder, DecoderShape

    documents = joined_documents(corpus(20))
    tokenizer = train_tokenizer(documents["text"], 300)
    windows = token_windows(documents, tokenizer, 16)
    shape = DecoderShape(300, width=8, num_layers=1, num_heads=2, key_value_heads=1, inner=8, max_length=16)
    expected = token_losses(Decoder(shape), tokenizer, windows)
    found = KneserNey(count_ngrams(windows, 3, 300), 3).token_losses(windows)
    columns = ["document", "library", "token_id"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_dtype=False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: count_ngrams(windows_of([[1]]), 0, SIZE), InputError, "order: 0 is not at least 1"),
        (lambda: KneserNey(count_ngrams(windows_of([[1]]), 2, SIZE), 3), InputError, "order: 3 is not between 0 and 2"),
        (
            lambda: KneserNey(count_ngrams(windows_of([[1]]), 2, SIZE), -1),
            InputError,
            "order: -1 is not between 0 and 2",
        ),
        (lambda: count_ngrams(windows_of([[7]]), 2, SIZE), ValueError, "windows: tokens from 0 to 7 are not below 6"),
        (lambda: count_ngrams(windows_of([]), 2, SIZE), ValueError, "windows: there are none"),
    ],
)
def test_what_cannot_be_counted_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
