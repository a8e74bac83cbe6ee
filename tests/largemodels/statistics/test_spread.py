"""Intervals hold the truth as often as they say, and the spread over seeds is told from that over test sets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from largemodels.statistics.intervals import clustered_mean_interval, mean_interval, proportion_interval
from largemodels.statistics.spread import (
    bootstrap_interval,
    exact_interval,
    seed_and_test_interval,
    seed_and_test_spread,
)

METHODS = ["BCa", "percentile"]


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_is_that_of_clopper_and_pearson(sample):
    count, n = sample
    expected = stats.binomtest(count, n).proportion_ci(method="exact")
    assert exact_interval(count, n) == pytest.approx((count / n, expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [5, 30])
def test_the_exact_interval_never_holds_the_truth_less_often_than_it_says_and_wilsons_does(n):
    truths, counts = np.linspace(0.005, 0.995, 199), np.arange(n + 1)
    chance = stats.binom.pmf(counts[:, None], n, truths)  # (counts, truths): coverage is counted, not simulated

    def coverage(interval):
        ends = np.array([interval(int(count), n)[1:] for count in counts])  # (counts, 2)
        return (chance * ((ends[:, :1] <= truths) & (truths <= ends[:, 1:]))).sum(0)

    assert coverage(exact_interval).min() >= 0.95
    assert coverage(proportion_interval).min() < 0.9
    assert coverage(proportion_interval).mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("method", METHODS)
def test_the_bootstrap_is_scipys(method):
    values = np.random.default_rng(0).exponential(size=30)
    expected = stats.bootstrap(
        (values,), np.std, method=method, n_resamples=1000, vectorized=False, rng=np.random.default_rng(7)
    ).confidence_interval
    found = bootstrap_interval(np.std, values, method=method, resamples=1000, seed=7)
    assert found == pytest.approx((values.std(), expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("method", "coverage"), [("BCa", 0.935), ("percentile", 0.925)])
def test_bootstrap_intervals_of_a_skewed_mean_hold_the_truth_nearly_as_often_as_they_say(method, coverage):
    """What they miss of 95% at 40 rows is known: see Efron and Tibshirani 1993, chapter 14."""
    samples, held = np.random.default_rng(0).exponential(size=(200, 40)), 0
    for seed, sample in enumerate(samples):
        _, low, high = bootstrap_interval(np.mean, sample, method=method, resamples=200, seed=seed)
        held += low < 1 < high
    assert held / 200 == pytest.approx(coverage, abs=4 * math.sqrt(coverage * (1 - coverage) / 200))


def test_what_stands_in_one_row_stays_together():
    labels, doubled = np.arange(20), 2 * np.arange(20)
    seen = []

    def mean(one, other):
        seen.append(np.array_equal(2 * one, other) and len(one) == 20)
        return other.mean() - one.mean()

    assert bootstrap_interval(mean, labels, doubled, method="percentile", resamples=50)[0] == 9.5
    assert len(seen) >= 50
    assert all(seen)


@pytest.mark.parametrize("method", METHODS)
def test_whole_clusters_are_drawn(method):
    means = np.random.default_rng(0).normal(size=25)
    clusters = np.random.default_rng(1).permutation(np.repeat(np.arange(25), 4))
    of_means = bootstrap_interval(np.mean, means, method=method, resamples=400)
    rows = means[clusters]
    assert bootstrap_interval(np.mean, rows, clusters=clusters, method=method, resamples=400) == pytest.approx(of_means)
    _, low, high = bootstrap_interval(np.mean, rows, method=method, resamples=400)
    assert high - low < 0.7 * (of_means[2] - of_means[1])


def test_clusters_of_unequal_size_are_drawn_with_all_their_rows():
    clusters, sizes = np.repeat(["a", "b", "c"], [1, 2, 5]), set()

    def size(rows):
        sizes.add(len(rows))
        return rows.mean()

    bootstrap_interval(size, np.arange(8.0), clusters=clusters, resamples=200, method="percentile")
    assert sizes == {a + 2 * b + 5 * (3 - a - b) for a in range(4) for b in range(4 - a)}


@pytest.mark.parametrize("method", METHODS)
def test_where_every_answer_is_right_the_bootstrap_knows_no_other_value_and_the_exact_interval_does(method):
    assert bootstrap_interval(np.mean, np.ones(30, dtype=bool), method=method, resamples=100) == (1.0, 1.0, 1.0)
    assert exact_interval(30, 30) == pytest.approx((1.0, 0.025 ** (1 / 30), 1.0))


def test_bca_says_where_it_does_not_apply():
    values = [1] * 8 + [2] * 4  # leaving out any one row leaves the median
    with pytest.raises(ValueError, match=r"^method: BCa does not apply to this statistic on these rows"):
        bootstrap_interval(np.median, values, resamples=500)
    assert bootstrap_interval(np.median, values, resamples=500, method="percentile") == (1.0, 1.0, 2.0)


def test_a_statistic_that_some_resamples_do_not_have_is_refused():
    def precision(positive):
        return 1 / (positive.sum() - 2) if positive.sum() != 2 else math.nan

    with pytest.raises(ValueError, match=r"^statistic: it is not a finite number in \d+ of 200 resamples$"):
        bootstrap_interval(precision, np.arange(6) % 3 == 0, resamples=200)


def test_the_analysis_of_variance_by_hand():
    # Means by seed 1 and ¼, by example 1, ½, ½, ½; the rest is −⅜ and three times ⅛ for the first seed, and the
    # negatives for the second: MS_rest = 0.375 / 3. The first seed's answers do not vary, the second's do by ¼.
    found = seed_and_test_spread(np.array([[1, 1, 1, 1], [1, 0, 0, 0]], dtype=bool))
    assert found.accuracy == 0.625
    assert found.observed_variance == pytest.approx(0.75**2 / 2)
    assert found.noise_variance == pytest.approx(0.125 / 4)
    assert found.seed_variance == pytest.approx(0.75**2 / 2 - 0.125 / 4)
    assert found.test_variance == pytest.approx((0 + 0.25) / 4 / 2)
    ends = [0.75**2 / 2 / stats.chi2.ppf(q, 1) - 0.125 / 4 for q in (0.975, 0.025)]
    assert (found.seed_low, found.seed_high) == pytest.approx(ends)


def answers_drawn(random, seeds, n, between_seeds, size=1):
    """Right or wrong, `(seeds, n)`, in documents of `size` that a seed gets alike; some are easy for all seeds."""
    chance = np.repeat(random.uniform(0.4, 0.9, n // size), size) + random.normal(0, between_seeds, (seeds, 1))
    return np.repeat(random.random((seeds, n // size)), size, axis=1) < chance


def test_the_two_variances_are_those_that_the_answers_were_drawn_with():
    random, n, between_seeds, found = np.random.default_rng(0), 400, 0.03, []
    for _ in range(400):
        spread = seed_and_test_spread(answers_drawn(random, 6, n, between_seeds))
        found.append((spread.seed_variance, spread.test_variance, spread.observed_variance))
    columns = np.array(found).T
    seed, test, observed = (stats.t.interval(0.9999, 399, column.mean(), stats.sem(column)) for column in columns)
    # Given its seed, an answer is right with chance 0.65 + shift, whatever the example: a Bernoulli variable.
    of_one_answer = 0.65 * 0.35 - between_seeds**2
    assert seed[0] < between_seeds**2 < seed[1]
    assert test[0] < of_one_answer / n < test[1]
    assert observed[0] > between_seeds**2  # as it is, it holds some of the test set's


@pytest.mark.parametrize("between_seeds", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("size", [1, 4])
def test_the_interval_of_the_seeds_variance_holds_it_as_often_as_it_says(between_seeds, size):
    random, held, estimates, draws = np.random.default_rng(1), 0, [], 400
    clusters = np.arange(400) // size
    for _ in range(draws):
        right = answers_drawn(random, 6, 400, between_seeds, size)
        found = seed_and_test_spread(right, clusters)
        held += found.seed_low <= between_seeds**2 <= found.seed_high
        estimates.append(found.seed_variance)
    assert held / draws == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / draws))
    assert abs(np.mean(estimates) - between_seeds**2) < 4 * stats.sem(estimates)  # without bias, clusters or none
    if not between_seeds:
        assert np.mean(np.array(estimates) < 0) > 0.3  # shown as they come out


def test_ignoring_the_clusters_takes_their_noise_for_the_seeds_own():
    random = np.random.default_rng(2)
    right = [answers_drawn(random, 6, 400, 0.0, size=4) for _ in range(100)]
    ignoring = [seed_and_test_spread(answers).seed_variance for answers in right]
    assert np.mean(ignoring) > 4 * stats.sem(ignoring)


def test_clusters_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"^clusters: 2 for 3 examples"):
        seed_and_test_spread(np.ones((2, 3), bool), clusters=[0, 1])


def test_the_variance_over_seeds_and_examples_by_hand():
    # Deviations from the mean 1 are 1, 0, 0, −1; by seed, and by example, they sum to 1 and −1. G/(G − 1) is 2 for both
    # and 4/3 for the four answers: 2·2/16 + 2·2/16 − (4/3)·2/16 = 1/3.
    found = seed_and_test_interval([[2, 1], [1, 0]])
    margin = stats.t.ppf(0.975, 1) / math.sqrt(3)
    assert (found.difference, found.low, found.high) == pytest.approx((1.0, 1.0 - margin, 1.0 + margin))
    assert found.p == pytest.approx(2 * stats.t.sf(math.sqrt(3), 1))


def test_the_variance_is_no_less_than_that_over_either():
    # By seed the deviations cancel, and the answers' own variance is larger than the rest.
    found = seed_and_test_interval([[1, 0], [0, 1]])
    assert found.low == found.high == 0.5
    found = seed_and_test_interval([[1, 0, 1], [0, 0, 1]])
    over_examples = clustered_mean_interval([1, 0, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2])
    over_seeds = clustered_mean_interval([1, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1])
    assert found.high - found.low >= max(over_examples[2] - over_examples[1], over_seeds[2] - over_seeds[1])


@pytest.mark.parametrize(("seed_sd", "document_sd"), [(0.03, 0.0), (0.0, 0.3), (0.03, 0.2), (0.0, 0.0)])
def test_an_interval_over_seeds_and_test_sets_holds_the_truth_as_often_as_it_says(seed_sd, document_sd):
    random, seeds, documents, held, draws = np.random.default_rng(0), 6, 60, 0, 600
    clusters = np.repeat(np.arange(documents), 3)
    for _ in range(draws):
        moved = random.normal(0.02, seed_sd, (seeds, 1)) + random.normal(0, document_sd, documents)[clusters]
        found = seed_and_test_interval(moved + random.normal(0, 0.4, (seeds, len(clusters))), clusters)
        held += found.low <= 0.02 <= found.high
    low, high = stats.binomtest(held, draws).proportion_ci(0.999, method="wilson")
    assert high > 0.95, "no less often"
    assert low < 0.99, "and not as if it said 99%"


@pytest.mark.parametrize(("seed_sd", "document_sd", "short"), [(0.03, 0.3, "seeds"), (0.15, 0.1, "documents")])
def test_ignoring_either_draw_gives_an_interval_that_is_too_short(seed_sd, document_sd, short):
    random, draws, held = np.random.default_rng(1), 300, {"both": 0, "seeds": 0, "documents": 0}
    clusters = np.repeat(np.arange(60), 3)
    for _ in range(draws):
        moved = random.normal(0, seed_sd, (6, 1)) + random.normal(0, document_sd, 60)[clusters]
        values = moved + random.normal(0, 0.3, (6, len(clusters)))
        found = seed_and_test_interval(values, clusters)
        ends = {"both": (found.low, found.high), "seeds": mean_interval(values.mean(1))[1:]}
        ends["documents"] = clustered_mean_interval(values.mean(0), clusters)[1:]
        for name, (low, high) in ends.items():
            held[name] += low <= 0 <= high
    assert held["both"] > 0.93 * draws
    assert held[short] < 0.8 * draws


def test_seeds_that_answer_alike_have_no_spread_and_their_test_set_has():
    right = np.tile(np.arange(100) % 5 > 0, (4, 1))
    found = seed_and_test_spread(right)
    assert found.seed_variance == found.observed_variance == found.seed_low == found.seed_high == 0
    assert math.sqrt(found.test_variance) == pytest.approx(math.sqrt(0.8 * 0.2 / 99))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_interval(0, 0), "count: 0 of 0 is not a proportion"),
        (lambda: exact_interval(3, 2), "count: 3 of 2 is not a proportion"),
        (lambda: bootstrap_interval(np.mean), r"columns: lengths \[\] are not one and the same"),
        (lambda: bootstrap_interval(np.mean, [1, 2], [1]), r"columns: lengths \[2, 1\] are not one and the same"),
        (lambda: bootstrap_interval(np.mean, [1]), "columns: a bootstrap needs at least 2 rows, not 1"),
        (lambda: bootstrap_interval(np.mean, [1, 2], clusters=[1]), "clusters: 1 for 2 rows"),
        (lambda: bootstrap_interval(np.mean, [1, 2], clusters=[1, 1]), "clusters: a bootstrap needs at least 2, not 1"),
        (lambda: bootstrap_interval(np.mean, [1, 2], method="basic"), "method: 'basic' is not 'BCa' or 'percentile'"),
        (
            lambda: seed_and_test_spread(np.ones((1, 5), dtype=bool)),
            r"right: bool of shape \(1, 5\) is not bool of at least \(2 seeds, 2 examples\)",
        ),
        (lambda: seed_and_test_spread(np.ones((2, 5))), "right: float64 of shape .*"),
        (
            lambda: seed_and_test_interval(np.ones((1, 5))),
            r"differences: shape \(1, 5\) is not at least \(2 seeds, 2 examples\)",
        ),
        (lambda: seed_and_test_interval(np.ones((2, 5)), [1, 2]), "clusters: 2 for 5 examples"),
        (lambda: seed_and_test_interval(np.ones((2, 2)), [1, 1]), "clusters: an interval needs at least 2, not 1"),
    ],
)
def test_what_has_no_interval_or_spread_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
