"""The scores that are written out are scikit-learn's, and the Brier score is the sum of its parts."""

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from largemodels.evaluation import scores
from largemodels.statistics.calibration import apply_temperature, expected_calibration_error, fit_temperature

CLASSES = 4
answers = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=40)


def forecasts(n, seed=0, classes=CLASSES):
    random = np.random.default_rng(seed)
    rows = special.softmax(2 * random.normal(size=(n, classes)), axis=1)
    return rows, (random.random((n, 1)) > rows.cumsum(1)[:, :-1]).sum(1)


@given(answers)
def test_precision_recall_f1_and_their_means_are_scikit_learns(drawn):
    truth, answered = np.array(drawn).T
    confusion = sklearn.metrics.confusion_matrix(truth, answered, labels=range(CLASSES))
    options = {"labels": range(CLASSES), "zero_division": 0}
    ours = scores.precision_recall_f1(confusion)
    theirs = sklearn.metrics.precision_recall_fscore_support(truth, answered, **options)[:3]
    assert np.allclose(ours, theirs, atol=1e-12)
    for average in ("macro", "weighted"):
        found = [scores.averaged(each, confusion, average) for each in ours]
        expected = sklearn.metrics.precision_recall_fscore_support(truth, answered, average=average, **options)[:3]
        assert found == pytest.approx(expected, abs=1e-12)


@given(answers)
def test_matthews_correlation_is_scikit_learns(drawn):
    truth, answered = np.array(drawn).T
    confusion = sklearn.metrics.confusion_matrix(truth, answered, labels=range(CLASSES))
    expected = 0.0 if len({*truth, *answered}) == 1 else sklearn.metrics.matthews_corrcoef(truth, answered)
    assert scores.matthews(confusion) == pytest.approx(expected, abs=1e-12)


def test_log_loss_brier_score_and_calibration_error_are_the_librarys():
    rows, labels = forecasts(300)
    assert scores.log_loss(rows, labels) == pytest.approx(sklearn.metrics.log_loss(labels, rows), abs=1e-12)
    one_by_one = [sklearn.metrics.brier_score_loss(labels == k, rows[:, k]) for k in range(CLASSES)]
    assert scores.brier_score(rows, labels) == pytest.approx(sum(one_by_one), abs=1e-12)
    for bins in (5, 15):
        expected = expected_calibration_error(rows, labels, bins=bins)
        assert scores.calibration_error(rows, labels, bins) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 100), st.integers(1, 3))
def test_the_brier_score_is_the_sum_of_its_parts(seed, digits):
    rows, labels = forecasts(50, seed, classes=2)
    rows = rows.round(digits)
    reliability, resolution, uncertainty = scores.brier_parts(rows, labels)
    assert reliability - resolution + uncertainty == pytest.approx(scores.brier_score(rows, labels), abs=1e-12)
    assert min(reliability, resolution, uncertainty) >= 0


def test_who_always_forecasts_the_shares_is_reliable_and_tells_nothing():
    labels = np.repeat([0, 1], [30, 10])
    parts = scores.brier_parts(np.tile([0.75, 0.25], (40, 1)), labels)
    assert parts == pytest.approx((0.0, 0.0, 2 * 0.75 * 0.25), abs=1e-15)


def test_the_best_temperature_makes_this_loss_smallest():
    rows, labels = forecasts(200, seed=3)
    logits = np.log(rows)
    best = fit_temperature(logits, labels)
    least = scores.temperature_loss(logits, labels, best)
    assert least == pytest.approx(scores.log_loss(apply_temperature(logits, best), labels), abs=1e-12)
    assert least < min(scores.temperature_loss(logits, labels, best * factor) for factor in (0.9, 1.1))
    assert math.isfinite(scores.temperature_loss(1000 * logits, labels, 1.0))


def test_an_average_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"^average: 'micro' is not 'macro' or 'weighted'"):
        scores.averaged([1.0], [[1]], "micro")
