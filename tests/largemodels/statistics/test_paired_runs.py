"""Runs are compared on the examples of both, each answer with its own counterpart."""

import numpy as np
import pandas as pd
import pytest

from largemodels.statistics.comparisons import adjusted_p, mcnemar, paired_bootstrap
from largemodels.statistics.paired_runs import compare_runs

RANDOM = np.random.default_rng(0)
FIRST = RANDOM.random(200) < 0.8
OTHER = np.where(RANDOM.random(200) < 0.2, RANDOM.random(200) < 0.9, FIRST)


def answers(right, *, model="network", start=0, label="yes", **more):
    examples = [f"{start + place:04d}" for place in range(len(right))]
    right = np.asarray(right, dtype=bool)
    return pd.DataFrame({"model": model, "example": examples, "label": label, "answer": "yes", "right": right} | more)


def only(first, other):
    (pair,) = compare_runs({"test": first}, [{"test": other}])
    return pair


def test_a_pair_has_the_counts_the_interval_and_the_test_of_what_both_answered():
    pair = only(answers(FIRST), answers(OTHER).sample(frac=1, random_state=0))
    test, drawn = mcnemar(OTHER, FIRST), paired_bootstrap(OTHER, FIRST, resamples=2000)
    assert (pair.n, pair.right_first, pair.right) == (200, FIRST.sum(), OTHER.sum())
    assert (pair.only_first, pair.only_other) == (test.only_b, test.only_a)
    assert pair.difference == pytest.approx(OTHER.mean() - FIRST.mean())
    assert (pair.low, pair.high) == (drawn.low, drawn.high)
    assert (pair.p, pair.mid_p, pair.p_holm) == (test.p, test.mid_p, test.p)
    assert (pair.run, pair.file, pair.model, pair.documents) == (1, "test", "network", None)


def test_only_examples_that_both_were_asked_about_with_the_same_label_are_counted():
    pair = only(answers([True, True, False, True]), answers([False, True, True], start=2))
    assert (pair.n, pair.right_first, pair.right) == (2, 1, 1)
    other = answers([False, False, False, False])
    other.loc[:1, "label"] = "no"
    assert only(answers([True, True, False, True]), other).n == 2
    assert compare_runs({"test": answers([True])}, [{"test": answers([True], start=1)}]) == []


def test_a_text_that_stands_twice_is_paired_in_order():
    first = pd.concat([answers([True]), answers([False])], ignore_index=True)
    other = pd.concat([answers([True]), answers([True]), answers([True])], ignore_index=True)
    pair = only(first, other)
    assert (pair.n, pair.right_first, pair.right) == (2, 1, 2)


def test_each_model_meets_its_own_counterpart_in_the_same_file_only():
    first = {
        "shifted": answers([True, False]),
        "test": pd.concat([answers([True, True]), answers([False, False], model="words"), answers([True], model="x")]),
    }
    other = {
        "test": pd.concat([answers([False, True], model="words"), answers([True, False])]),
        "more": answers([True]),
    }
    pairs = compare_runs(first, [{}, other])
    assert [(pair.run, pair.file, pair.model) for pair in pairs] == [(2, "test", "network"), (2, "test", "words")]
    assert [(pair.right_first, pair.right) for pair in pairs] == [(2, 1), (0, 1)]


def test_p_is_adjusted_for_all_pairs_together():
    others = [{"test": answers(np.roll(FIRST, shift) | (np.arange(200) < 40))} for shift in (1, 2, 3)]
    pairs = compare_runs({"test": answers(FIRST)}, others)
    assert [pair.p_holm for pair in pairs] == list(adjusted_p([pair.p for pair in pairs]))
    assert max(pair.p_holm for pair in pairs) > max(pair.p for pair in pairs)


def test_whole_documents_are_drawn_and_an_example_without_one_stands_for_itself():
    first, other = np.repeat([True, False] * 12 + [True], 4), np.repeat([False, True] * 12 + [True], 4)
    alone = only(answers(first), answers(other))
    documents = [f"d{place // 4}" for place in range(100)]
    together = only(answers(first, document=documents), answers(other))
    wanted = paired_bootstrap(other, first, clusters=documents, resamples=2000)
    assert together.documents == 25
    assert (together.low, together.high) == (wanted.low, wanted.high)
    assert together.high - together.low > 1.3 * (alone.high - alone.low)
    assert together.p == alone.p
    for known in (documents, list(range(100))):
        some = only(answers(first, document=[*known[:40], *[None] * 60]), answers(other))
        assert some.documents == len(set(known[:40])) + 60


def test_without_examples_that_tell_the_two_apart_there_is_no_interval():
    same = only(answers([True, False]), answers([True, False]))
    assert (same.difference, same.low, same.high, same.p) == (0, None, None, 1)
    assert only(answers([True]), answers([False])).low is None
    assert only(answers([True, True], document="d"), answers([False, True])).low is None
