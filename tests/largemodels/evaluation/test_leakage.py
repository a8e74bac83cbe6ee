"""Planted leaks are as many as asked, half of them reworded, and are found by the search for look-alikes."""

import numpy as np
import pandas as pd
import pytest

from largemodels.data.deduplication import resembling
from largemodels.evaluation.leakage import with_planted

RNG = np.random.default_rng(0)
VOCABULARY = [f"w{i}" for i in range(400)]


def texts(number, length):
    return [" ".join(RNG.choice(VOCABULARY, length, replace=False)) for _ in range(number)]


TRAINING = pd.DataFrame({"text": texts(50, 12), "label": 0})
TEST = pd.DataFrame({"text": texts(30, 12) + texts(5, 4), "label": 1})


def test_half_are_planted_word_for_word_and_all_are_found():
    training, planted = with_planted(TRAINING, TEST, 20, seed=3)
    assert len(training) == 70
    assert planted.sum() == 20
    assert not planted[30:].any()  # too short
    assert training["text"].isin(TEST["text"]).sum() == 10
    assert (training["label"] == 1).sum() == 20
    assert len(resembling(training["text"], TEST["text"])) == 20
    assert len(resembling(training["text"], TEST["text"][~planted])) == 0


def test_the_same_seed_plants_the_same_and_another_does_not():
    one, same, other = (with_planted(TRAINING, TEST, 10, seed=seed)[0] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="number: 31 is more than the 30 test texts"):
        with_planted(TRAINING, TEST, 31)
