"""Perplexity depends on how a text is cut, and bits per byte do not."""

import math

import numpy as np
import pandas as pd
import pytest

from largemodels.generation.units import bits_per_byte, bits_per_byte_difference, perplexity
from largemodels.statistics.intervals import ratio_interval

DOCUMENTS = pd.DataFrame({"document": ["b", "a", "c"], "text": ["four", "≤ 1", "🙂"]})  # 4, 5 and 4 bytes


def losses(**nats):
    """A table of losses: of each document, those of its tokens."""
    return pd.DataFrame(
        [(document, loss) for document, each in nats.items() for loss in each], columns=["document", "loss"]
    )


def test_bits_per_byte_are_all_bits_over_all_utf8_bytes_in_whatever_order_documents_come():
    table = losses(a=[1.0, 2.0], b=[0.5], c=[3.0, 0.5, 1.0])
    expected = ratio_interval(np.array([0.5, 3.0, 4.5]) / math.log(2), [4, 5, 4])
    assert bits_per_byte(table, DOCUMENTS) == pytest.approx(expected)
    assert bits_per_byte(table, DOCUMENTS)[0] == pytest.approx(8 / math.log(2) / 13)
    assert bits_per_byte(table.iloc[::-1], DOCUMENTS) == pytest.approx(expected)


def test_a_uniform_model_over_bytes_needs_eight_bits_for_a_byte():
    table = losses(**{name: [math.log(256)] * len(text.encode()) for name, text in DOCUMENTS.itertuples(index=False)})
    assert bits_per_byte(table, DOCUMENTS) == pytest.approx((8, 8, 8))


def test_tokens_of_two_characters_square_the_perplexity_and_leave_bits_per_byte_alone():
    documents = pd.DataFrame({"document": ["a", "b"], "text": ["0101", "110010"]})  # fair coins
    coins = losses(a=[math.log(2)] * 4, b=[math.log(2)] * 6)
    pairs = losses(a=[math.log(4)] * 2, b=[math.log(4)] * 3)
    assert (perplexity(coins)[0], perplexity(pairs)[0]) == pytest.approx((2, 4))
    assert bits_per_byte(coins, documents)[0] == pytest.approx(bits_per_byte(pairs, documents)[0])


def test_the_interval_of_a_difference_is_narrower_than_those_of_two_models_that_find_the_same_documents_hard():
    random = np.random.default_rng(0)
    documents = pd.DataFrame({"document": [f"{i}" for i in range(40)], "text": ["x" * 20] * 40})
    hard = random.gamma(4, size=40)
    first, second = (
        losses(**{f"{i}": [hard[i] + extra + random.normal(scale=0.1)] for i in range(40)}) for extra in (0.0, 0.2)
    )
    difference, low, high = bits_per_byte_difference(second, first, documents)
    one, other = bits_per_byte(first, documents), bits_per_byte(second, documents)
    assert difference == pytest.approx(other[0] - one[0])
    assert 0 < low < high
    assert other[1] < one[2]  # their own intervals overlap


def test_perplexity_is_e_to_the_mean_loss_of_a_token():
    table = losses(a=[1.0, 2.0], b=[0.5])
    value, low, high = perplexity(table)
    assert value == pytest.approx(math.exp(3.5 / 3))
    assert low < value < high


def test_losses_of_other_documents_are_refused():
    with pytest.raises(ValueError, match="losses: they are of 2 documents, and not of the 3 in the table"):
        bits_per_byte(losses(a=[1.0], b=[1.0]), DOCUMENTS)
