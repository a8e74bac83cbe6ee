"""Intervals cover what they should, and refuse what has none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from largemodels.statistics.intervals import (
    clustered_mean_interval,
    mean_interval,
    proportion_interval,
    ratio_interval,
)


def test_the_interval_of_a_mean_is_students():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(values) == pytest.approx((3.5, *expected))


def test_about_ninety_five_of_a_hundred_intervals_of_a_mean_hold_the_truth():
    samples = np.random.default_rng(0).normal(size=(2000, 8))
    held = sum(low < 0 < high for _, low, high in map(mean_interval, samples))
    assert held == pytest.approx(1900, abs=40)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_proportion_is_wilsons_and_stays_within_zero_and_one(sample):
    count, n = sample
    proportion, low, high = proportion_interval(count, n)
    expected = stats.binomtest(count, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= proportion <= high <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0]), "values: an interval needs at least 2, not 1"),
        (lambda: proportion_interval(0, 0), "count: 0 of 0 is not a proportion"),
        (lambda: proportion_interval(3, 2), "count: 3 of 2 is not a proportion"),
        (lambda: ratio_interval([1.0], [2.0]), "numerators: an interval needs at least 2, not 1"),
        (lambda: ratio_interval([1.0, 2.0], [2.0]), "denominators: 1 do not pair with 2 numerators"),
        (lambda: ratio_interval([1.0, 2.0], [0.0, 0.0]), "denominators: they are no sizes"),
        (lambda: ratio_interval([1.0, 2.0], [3.0, -1.0]), "denominators: they are no sizes"),
    ],
)
def test_what_has_no_interval_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_clusters_of_one_value_give_the_ordinary_interval():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    assert clustered_mean_interval(values, ["a", "b", "c", "d"]) == pytest.approx(mean_interval(values))


def test_about_ninety_five_of_a_hundred_clustered_intervals_hold_the_truth_where_ordinary_ones_are_too_narrow():
    random, clustered, ordinary = np.random.default_rng(0), 0, 0
    for _ in range(1000):
        sizes = random.integers(1, 12, 60)
        clusters = np.repeat(np.arange(60), sizes)
        values = np.repeat(random.normal(size=60), sizes) + random.normal(size=len(clusters))
        _, low, high = clustered_mean_interval(values, clusters)
        clustered += low < 0 < high
        _, low, high = mean_interval(values)
        ordinary += low < 0 < high
    assert clustered == pytest.approx(945, abs=25)
    assert ordinary < 850


def test_one_cluster_has_no_interval():
    with pytest.raises(ValueError, match="clusters: an interval needs at least 2, not 1"):
        clustered_mean_interval([1.0, 2.0], ["a", "a"])


def test_a_mean_over_clusters_is_the_ratio_of_their_sums_to_their_sizes():
    random = np.random.default_rng(0)
    sizes = random.integers(1, 12, 30)
    clusters = np.repeat(np.arange(30), sizes)
    values = random.normal(size=len(clusters))
    assert ratio_interval(np.bincount(clusters, values), sizes) == pytest.approx(
        clustered_mean_interval(values, clusters)
    )


def test_about_ninety_five_of_a_hundred_intervals_of_a_ratio_hold_the_truth_where_those_of_the_mean_of_ratios_do_not():
    random, held, of_ratios = np.random.default_rng(0), 0, 0
    for _ in range(2000):
        sizes = random.integers(1, 40, 80)
        totals = 1.5 * sizes + 6 + np.sqrt(sizes) * random.normal(size=80)  # small ones have more to say on each
        truth = 1.5 + 6 / 20
        _, low, high = ratio_interval(totals, sizes)
        held += low < truth < high
        _, low, high = mean_interval(totals / sizes)
        of_ratios += low < truth < high
    assert held == pytest.approx(1900, abs=30)
    assert of_ratios < 200
