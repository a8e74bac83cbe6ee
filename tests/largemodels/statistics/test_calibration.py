"""Calibration is measured as defined, with the bias that it has, and a temperature that was there is found."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.calibration import calibration_curve

from largemodels.base.checks import as_distributions
from largemodels.statistics import calibration, intervals
from largemodels.statistics.calibration import (
    apply_temperature,
    expected_calibration_error,
    expected_ece_of_perfect_calibration,
    fit_temperature,
    reliability_table,
)
from largemodels.statistics.intervals import proportion_interval

seeds = st.integers(0, 2**31)


def sure(*confidences):
    """Two-class probabilities whose answer, always class 0, has these confidences."""
    return np.stack([np.array(confidences), 1 - np.array(confidences)], axis=1)


def calibrated(n, seed, classes=3):
    """Logits, and labels that were drawn from their softmax."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, classes)) * 1.5
    cumulative = special.softmax(logits, axis=1).cumsum(1)
    return logits, np.minimum((random.random((n, 1)) > cumulative).sum(1), classes - 1)


def test_the_calibration_error_of_four_answers_by_hand():
    probabilities, labels = sure(0.95, 0.95, 0.65, 0.55), [0, 1, 0, 0]
    # (0.9, 1] holds two answers of 0.95, one of them right; the other two are right, each in a bin of its own.
    by_hand = (2 * 0.45 + 1 * 0.35 + 1 * 0.45) / 4
    assert expected_calibration_error(probabilities, labels, bins=10) == pytest.approx(by_hand)
    # Bins of equal mass: 0.55 and 0.65, both right, and twice 0.95.
    assert expected_calibration_error(probabilities, labels, bins=2, adaptive=True) == pytest.approx((0.8 + 0.9) / 4)
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(3.1 / 4 - 3 / 4)


def test_a_bin_holds_its_upper_end_but_not_its_lower_one():
    table = reliability_table(sure(0.6, 0.7, 0.7000001, 0.8, 0.9, 1.0), np.zeros(6, dtype=int), bins=10)
    assert table["high"].tolist() == [0.6, 0.7, 0.8, 0.9, 1.0]
    assert table["n"].tolist() == [1, 1, 2, 1, 1]
    for bins in range(2, 60):
        ends = np.arange((bins + 1) // 2, bins + 1) / bins
        table = reliability_table(sure(*ends), np.zeros(len(ends), dtype=int), bins=bins)
        assert (table["n"] == 1).all(), bins
        assert table["high"].tolist() == table["confidence"].tolist()


def test_a_table_has_the_means_and_intervals_of_its_bins():
    table = reliability_table(sure(0.91, 0.95, 0.99, 0.52), [0, 0, 1, 1], bins=10)
    assert table.columns.tolist() == ["low", "high", "n", "confidence", "accuracy", "accuracy_low", "accuracy_high"]
    assert table[["low", "high"]].to_numpy().tolist() == [[0.5, 0.6], [0.9, 1.0]]
    assert table["confidence"].tolist() == pytest.approx([0.52, 0.95])
    assert table.loc[1, ["accuracy", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx(
        proportion_interval(2, 3)
    )
    assert table.loc[0, "accuracy"] == 0


@settings(max_examples=30)
@given(seeds, st.integers(1, 40), st.integers(1, 12))
def test_adaptive_bins_hold_equally_many_answers_give_or_take_one(seed, n, bins):
    logits, labels = calibrated(n, seed)
    table = reliability_table(special.softmax(logits, axis=1), labels, bins=bins, adaptive=True)
    assert len(table) == min(n, bins)
    assert np.ptp(table["n"]) <= 1
    assert (table["low"].to_numpy()[1:] > table["high"].to_numpy()[:-1]).all()


@settings(max_examples=30)
@given(seeds, st.booleans())
def test_the_order_of_the_examples_does_not_matter_even_where_confidences_are_equal(seed, adaptive):
    random = np.random.default_rng(seed)
    probabilities, labels = sure(*random.choice([0.5, 0.75, 1.0], 30)), random.integers(0, 2, 30)
    order = random.permutation(30)
    error, shuffled = (
        expected_calibration_error(probabilities[rows], labels[rows], bins=7, adaptive=adaptive)
        for rows in (np.arange(30), order)
    )
    assert shuffled == pytest.approx(error)


@settings(max_examples=30)
@given(seeds, st.integers(1, 200), st.integers(1, 20), st.booleans())
def test_the_error_is_that_of_the_table(seed, n, bins, adaptive):
    logits, labels = calibrated(n, seed)
    probabilities = special.softmax(2 * logits, axis=1)
    table = reliability_table(probabilities, labels, bins=bins, adaptive=adaptive)
    assert table["n"].sum() == n
    gaps = (table["accuracy"] - table["confidence"]).abs()
    error = expected_calibration_error(probabilities, labels, bins=bins, adaptive=adaptive)
    assert error == pytest.approx((table["n"] * gaps).sum() / n)


def test_the_table_is_scikit_learns_calibration_curve():
    logits, labels = calibrated(500, 0, classes=2)
    probabilities = special.softmax(logits, axis=1)
    right = probabilities.argmax(1) == labels
    table = reliability_table(probabilities, labels, bins=8)
    accuracy, confidence = calibration_curve(right, probabilities.max(1), n_bins=8)
    assert table["accuracy"].tolist() == pytest.approx(accuracy.tolist())
    assert table["confidence"].tolist() == pytest.approx(confidence.tolist())


def test_the_error_of_perfect_calibration_in_one_bin_is_the_mean_deviation_of_a_binomial():
    n, counts = 20, np.arange(21)
    deviation = np.abs(counts / n - 0.8)
    exact = stats.binom.pmf(counts, n, 0.8) @ deviation
    of_a_draw = (stats.binom.pmf(counts, n, 0.8) @ (deviation - exact) ** 2) ** 0.5
    mean, low, high = expected_ece_of_perfect_calibration(sure(*[0.8] * n), draws=4000)
    assert mean == pytest.approx(exact, abs=4 * of_a_draw / 4000**0.5)
    assert (low, high) == pytest.approx((0.0, 0.2))  # of 20 draws, 16 right; at most 20 or at least 12


def test_answers_are_drawn_in_their_own_bins_whatever_their_order():
    # Those that are certain add nothing; those of 0.6 add their deviation, by half their share of the answers.
    alone, low, high = expected_ece_of_perfect_calibration(sure(*[0.6] * 30), draws=2000)
    mixed = expected_ece_of_perfect_calibration(sure(*[1.0, 0.6] * 30), draws=2000)
    assert mixed == pytest.approx((alone / 2, low / 2, high / 2), rel=0.1)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_error_of_perfect_calibration_is_that_of_labels_drawn_one_test_set_at_a_time(adaptive):
    random, errors = np.random.default_rng(1), []
    confidence = random.uniform(0.5, 1, 60)
    for _ in range(3000):
        labels = (random.random(60) > confidence).astype(int)
        errors.append(expected_calibration_error(sure(*confidence), labels, bins=8, adaptive=adaptive))
    found = expected_ece_of_perfect_calibration(sure(*confidence), bins=8, adaptive=adaptive, draws=3000)
    expected = (np.mean(errors), *np.quantile(errors, [0.025, 0.975]))
    # Both are simulated: a 2.5% quantile of 3,000 normal values has an error of 0.05 of their deviation.
    assert found == pytest.approx(expected, abs=3 * 2**0.5 * 0.05 * np.std(errors))


def test_the_bias_grows_with_the_bins_and_shrinks_with_the_examples():
    probabilities = special.softmax(calibrated(4000, 0)[0], axis=1)

    def bias(n, bins):
        return expected_ece_of_perfect_calibration(probabilities[:n], bins=bins, draws=100)[0]

    assert 0 < bias(4000, 15) < bias(400, 15) < bias(100, 15)
    assert bias(400, 5) < bias(400, 15) < bias(400, 100)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_error_of_a_calibrated_model_is_within_what_chance_gives_and_that_of_a_surer_one_is_above(adaptive):
    within = 0
    for seed in range(200):
        logits, labels = calibrated(200, seed)
        probabilities = special.softmax(logits, axis=1)
        _, low, high = expected_ece_of_perfect_calibration(probabilities, adaptive=adaptive, draws=200, seed=seed)
        within += low <= expected_calibration_error(probabilities, labels, adaptive=adaptive) <= high
    assert within / 200 == pytest.approx(0.95, abs=4 * (0.05 * 0.95 / 200) ** 0.5)
    sure_of_itself = special.softmax(3 * logits, axis=1)
    *_, high = expected_ece_of_perfect_calibration(sure_of_itself, adaptive=adaptive, draws=200)
    assert expected_calibration_error(sure_of_itself, labels, adaptive=adaptive) > high


def test_the_simulation_depends_on_its_seed_and_hardly_on_how_many_are_drawn_at_a_time(monkeypatch):
    probabilities = special.softmax(calibrated(50, 0)[0], axis=1)
    whole = expected_ece_of_perfect_calibration(probabilities, draws=300)
    assert expected_ece_of_perfect_calibration(probabilities, draws=300, seed=1) != whole
    monkeypatch.setattr(intervals, "AT_ONCE", 7 * 50)
    assert expected_ece_of_perfect_calibration(probabilities, draws=300) == pytest.approx(whole)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_that_was_there_is_found(temperature):
    logits, labels = calibrated(20_000, 0)
    found = fit_temperature(temperature * logits, labels)
    # The information about log T in one example is the variance of the logits under their own softmax.
    p = special.softmax(logits, axis=1)
    variance = (p * logits**2).sum(1) - (p * logits).sum(1) ** 2
    assert np.log(found / temperature) == pytest.approx(0, abs=4 / np.sqrt(variance.sum()))


@settings(max_examples=30)
@given(seeds, st.floats(0.2, 8))
def test_at_the_best_temperature_the_mean_logit_is_that_of_the_labels(seed, scale):
    """The derivative of the log loss in 1/T is Σ (E_p[z] − z_label), which is 0 there."""
    logits, labels = calibrated(200, seed)
    logits *= scale
    p = apply_temperature(logits, fit_temperature(logits, labels))
    assert (p * logits).sum() / 200 == pytest.approx(logits[np.arange(200), labels].mean(), abs=1e-5 * scale)


@settings(max_examples=30)
@given(seeds)
def test_log_probabilities_and_logits_have_one_temperature_and_one_softmax(seed):
    logits, labels = calibrated(100, seed)
    log_probabilities = special.log_softmax(logits, axis=1)
    assert fit_temperature(log_probabilities, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-5)
    expected = torch.softmax(torch.from_numpy(logits) / 1.7, -1).numpy()
    assert apply_temperature(log_probabilities, 1.7) == pytest.approx(expected)


def test_a_temperature_lowers_the_calibration_error_of_a_model_that_is_too_sure():
    logits, labels = calibrated(4000, 0)
    raw, scaled = (
        3 * logits[2000:],
        apply_temperature(3 * logits[2000:], fit_temperature(3 * logits[:2000], labels[:2000])),
    )
    before = expected_calibration_error(apply_temperature(raw, 1), labels[2000:])
    assert expected_calibration_error(scaled, labels[2000:]) < before / 4
    assert (scaled.argmax(1) == raw.argmax(1)).all()


def test_where_no_temperature_is_best_an_end_is_returned():
    logits, _ = calibrated(50, 0)
    assert fit_temperature(logits, logits.argmax(1)) == calibration.TEMPERATURES[0]
    assert fit_temperature(logits, logits.argmin(1)) == pytest.approx(calibration.TEMPERATURES[1], rel=1e-4)


def test_what_float32_rounds_is_a_distribution_still():
    logits = torch.randn(50, 30_000, generator=torch.Generator().manual_seed(0)) * 3
    assert as_distributions(logits.softmax(-1).numpy()).dtype == np.float64
    assert as_distributions([[1 + 5e-7, 0.0]]).max() == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_distributions([]), "probabilities: there are none"),
        (lambda: as_distributions([[0.5, 0.5], [1.0]]), "probabilities: they are not rows of as many numbers each"),
        (lambda: as_distributions([0.5]), r"probabilities: shape \(1,\) is not \(n, classes\) with at least 2 classes"),
        (lambda: as_distributions([[1.0]]), r"probabilities: shape \(1, 1\) is not .*"),
        (lambda: as_distributions([[1, 0], [1.2, -0.2]]), "probabilities: row 1 has 1.2, which is not between 0 and 1"),
        (lambda: as_distributions([[0.7, 0.5, -0.2]]), "probabilities: row 0 has -0.2, which is not between 0 and 1"),
        (lambda: as_distributions([[0, 1], [np.nan, 1]]), "probabilities: row 1 has nan, which is not between 0 and 1"),
        (lambda: as_distributions([[0.5, 0.4]]), "probabilities: row 0 sums to 0.9, not to 1"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [2]), "labels: 2 is not a class from 0 to 1"),
        (lambda: expected_calibration_error([[0.5, 0.5]], [0, 1]), "labels: 2 for 1 rows of probabilities"),
        (lambda: reliability_table([[0.5, 0.5]], [0], bins=0), "bins: 0 is not at least 1"),
        (lambda: expected_ece_of_perfect_calibration([[0.5, 0.5]], draws=0), "draws: 0 is not at least 1"),
        (lambda: fit_temperature([[0.0, -np.inf]], [0]), "log_probabilities: not all are finite"),
        (lambda: fit_temperature([0.0], [0]), r"log_probabilities: shape \(1,\) is not \(n, classes\)"),
        (lambda: fit_temperature([[0.0, 1.0]], [2]), "labels: 2 is not a class from 0 to 1"),
        (lambda: fit_temperature([[0.0, 1.0]], [0, 1]), "labels: 2 for 1 rows of log_probabilities"),
        (lambda: apply_temperature([[0.0, 1.0]], 0.0), "temperature: 0.0 is not above 0"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
