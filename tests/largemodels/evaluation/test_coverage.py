"""What is counted about intervals, tests and calibration is what theory or a known case says."""

import numpy as np
import pytest
from scipy import stats

from largemodels.evaluation.coverage import (
    bootstrap_of_count,
    calibration_errors_of_the_calibrated,
    clustered_answers,
    clustered_coverage,
    coverage_of_proportion,
    design_effect,
    false_discoveries,
    mcnemar_rejections,
    wald_interval,
)
from largemodels.statistics.calibration import expected_ece_of_perfect_calibration
from largemodels.statistics.comparisons import paired_power
from largemodels.statistics.intervals import clustered_mean_interval, mean_interval, proportion_interval
from largemodels.statistics.spread import exact_interval


def test_the_textbook_interval_is_the_normal_one_and_has_no_length_where_all_is_right():
    assert wald_interval(40, 100) == pytest.approx((0.4, *stats.norm.interval(0.95, 0.4, np.sqrt(0.4 * 0.6 / 100))))
    assert wald_interval(100, 100) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="5 of 4 is not a proportion"):
        wald_interval(5, 4)


def test_coverage_is_the_chance_of_the_counts_whose_interval_holds_the_truth():
    ends = {0: (0, 0, 0.3), 1: (0.5, 0.2, 0.6), 2: (1, 0.7, 1)}
    found = coverage_of_proportion(lambda count, n: ends[count], 2, [0.25, 0.5, 0.65])
    assert found == pytest.approx([0.75**2 + 2 * 0.25 * 0.75, 0.5, 0])


def test_the_exact_interval_always_covers_and_the_textbook_one_does_not():
    proportions = np.linspace(0.02, 0.98, 97)
    exact, wilson, wald = (
        coverage_of_proportion(interval, 30, proportions)
        for interval in (exact_interval, proportion_interval, wald_interval)
    )
    assert exact.min() >= 0.95
    assert wilson.mean() == pytest.approx(0.95, abs=0.01)
    assert wald.min() < 0.5  # so it is at 0.02, where most samples have no success at all


def test_the_bootstrap_of_a_count_is_that_of_the_binomial():
    _, low, high = bootstrap_of_count(24, 30, resamples=4000)
    assert (low, high) == pytest.approx(stats.binom.ppf([0.025, 0.975], 30, 0.8) / 30, abs=1 / 30 + 1e-9)
    assert bootstrap_of_count(30, 30) == (1.0, 1.0, 1.0)


def test_answers_of_one_document_are_as_correlated_as_asked():
    random = np.random.default_rng(0)
    right, document = clustered_answers(40_000, 3, 0.7, 0.3, random)
    assert right.mean() == pytest.approx(0.7, abs=0.01)
    assert len(right) / 40_000 == pytest.approx(3, rel=0.03)
    first = np.flatnonzero(np.diff(document) == 0)  # neighbours in a document
    assert np.corrcoef(right[first], right[first + 1])[0, 1] == pytest.approx(0.3, abs=0.03)
    alone, _ = clustered_answers(40_000, 1, 0.7, 0.0, random)
    assert alone.mean() == pytest.approx(0.7, abs=0.01)
    with pytest.raises(ValueError, match="not both shares below 1"):
        clustered_answers(5, 3, 0.7, 1.0, random)


def test_ignoring_documents_costs_coverage_and_heeding_them_does_not():
    found = clustered_coverage(
        {
            "ignored": lambda right, document: mean_interval(right),
            "heeded": lambda right, document: clustered_mean_interval(right, document),
        },
        documents=150,
        mean_size=5,
        accuracy=0.7,
        correlation=0.4,
        draws=400,
    )
    share = found["count"] / found["n"]
    assert share["ignored"] < 0.85
    assert share["heeded"] == pytest.approx(0.95, abs=0.04)
    assert found["length"]["heeded"] > 1.3 * found["length"]["ignored"]


def test_the_design_effect_is_the_squared_ratio_of_two_intervals_and_1_without_clusters():
    random = np.random.default_rng(1)
    right, document = clustered_answers(500, 4, 0.7, 0.3, random)
    assert design_effect(right, np.arange(len(right))) == pytest.approx(1)
    assert design_effect(np.repeat(right, 3), np.repeat(np.arange(len(right)), 3)) == pytest.approx(3, rel=0.01)
    _, low, high = clustered_mean_interval(right, document)
    _, plain_low, plain_high = mean_interval(right)
    assert design_effect(right, document) == pytest.approx(((high - low) / (plain_high - plain_low)) ** 2, rel=0.02)
    with pytest.raises(ValueError, match="two different values"):
        design_effect([1, 1], [0, 1])


@pytest.mark.parametrize("difference", [0.0, 0.04])
def test_mcnemar_rejects_as_often_as_the_power_says(difference):
    draws = 4000
    found = mcnemar_rejections(300, 0.1, difference, draws=draws, seed=3)
    for kind, mid_p in (("exact", False), ("mid-p", True)):
        power = paired_power(300, 0.1, difference, mid_p=mid_p)
        assert found[kind] / draws == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / draws))
    assert found["mid-p"] > found["exact"]


def test_a_difference_that_takes_every_discordant_pair_can_be_drawn():
    assert mcnemar_rejections(200, 0.1, 0.1, draws=50)["exact"] == 50


def test_many_comparisons_of_equals_find_something_unless_they_are_corrected():
    found = false_discoveries(5, n=300, accuracy=0.7, draws=200)
    assert found["uncorrected"] > 0.15 * 200  # ten tests, which depend on each other
    assert found["holm"] <= found["benjamini-hochberg"] < 0.1 * 200
    alone = false_discoveries(2, n=300, accuracy=0.7, draws=200)
    assert alone["uncorrected"] == alone["holm"] == alone["benjamini-hochberg"] < 0.1 * 200


def test_the_error_of_calibrated_forecasts_is_the_bias_that_the_library_expects():
    random = np.random.default_rng(2)
    rows = random.dirichlet([1, 1, 3], 400)
    errors = calibration_errors_of_the_calibrated(rows, [400, 6400], draws=100)
    expected, _, _ = expected_ece_of_perfect_calibration(rows)
    assert errors.shape == (2, 100)
    assert errors[0].mean() == pytest.approx(expected, rel=0.08)
    assert errors[1].mean() == pytest.approx(errors[0].mean() / 4, rel=0.15)  # it falls with the root of the size
    more = calibration_errors_of_the_calibrated(rows, [400], bins=100, draws=30)
    assert more.mean() > 1.5 * errors[0].mean()
