"""Planted leaks are as many as asked, half of them reworded, and are found by the search for look-alikes."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from largemodels.data.deduplication import resembling
from largemodels.evaluation.leakage import SST2_IN_REVIEWS, copies, with_planted

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


def test_copies_are_counted_by_three_definitions_that_grow_wider():
    training = ["A fine, fine film .", "one two three four five six", "zwölf Boxkämpfer"]
    test = ["A fine, fine film .", "a fine fine film", "six one two three four five", "ZWÖLF Boxkämpfer!", "other"]
    assert copies(test, training) == {"same": 1, "same_characters": 3, "alike": 4}


def test_the_published_count_of_sst2s_validation_sentences_in_the_film_reviews():
    """The data are public but not the project's."""
    folder = Path(__file__).parents[3].parent / "shared" / "data"
    if not folder.exists():
        pytest.skip("SST-2 and the film reviews are not here")
    reviews = pd.read_csv(folder / "movie_reviews" / "all.tsv", sep="\t", quoting=csv.QUOTE_NONE)["text"]
    sentences = pd.read_csv(folder / "sst2" / "validation.tsv", sep="\t", quoting=csv.QUOTE_NONE)["sentence"]
    assert copies(sentences, reviews) == SST2_IN_REVIEWS
    assert len(sentences) == 872
