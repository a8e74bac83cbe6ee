"""Intervals cover what they should, and refuse what has none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from largemodels.intervals import mean_interval, proportion_interval


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
    ],
)
def test_what_has_no_interval_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
