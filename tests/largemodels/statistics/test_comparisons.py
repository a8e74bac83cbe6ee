"""Paired tests give the p values of exact enumeration, and the power that simulation finds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from largemodels.statistics import intervals
from largemodels.statistics.comparisons import (
    adjusted_p,
    compared,
    mcnemar,
    paired_bootstrap,
    paired_permutation,
    paired_power,
    smallest_difference,
)

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def answers(both, only_a, only_b, neither):
    right_a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    return right_a, np.repeat([True, False, True, False], [both, only_a, only_b, neither])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(both, only_a, only_b):
    found = mcnemar(*answers(both, only_a, only_b, 1))
    assert (found.n, found.only_a, found.only_b) == (both + only_a + only_b + 1, only_a, only_b)
    discordant = only_a + only_b
    if discordant:
        assert found.p == pytest.approx(stats.binomtest(only_a, discordant).pvalue)
        distance = [abs(2 * count - discordant) for count in range(discordant + 1)]
        chance = stats.binom.pmf(range(discordant + 1), discordant, 0.5)
        farther = sum(c for c, d in zip(chance, distance, strict=True) if d > distance[only_a])
        as_far = sum(c for c, d in zip(chance, distance, strict=True) if d == distance[only_a])
        assert found.mid_p == pytest.approx(farther + as_far / 2)
    assert found.difference == pytest.approx((only_a - only_b) / found.n)
    assert found.discordant_share == pytest.approx(discordant / found.n)


def test_without_a_discordant_pair_nothing_tells_two_classifiers_apart():
    found = mcnemar(*answers(5, 0, 0, 2))
    assert (found.p, found.mid_p, found.difference) == (1.0, 1.0, 0.0)


def as_in_some_of(resampled, observed, shifted_by=0):
    """The exact two-sided p value, from whole numbers, in which nothing rounds."""
    return np.mean([abs(value - shifted_by) >= abs(observed) for value in resampled])


def test_the_sign_flip_test_agrees_with_all_sign_flips_where_sums_are_tied():
    tenths = np.array([1, 2, -3, 4, 5, 6, 0])
    exact = as_in_some_of([np.dot(signs, tenths) for signs in itertools.product((-1, 1), repeat=7)], tenths.sum())
    found = paired_permutation(tenths / 10, np.zeros(7), resamples=20_000)
    assert found.difference == pytest.approx(1.5 / 7)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
    # Most of that p value are ties, which sums of tenths miss by the last digit.
    strictly = np.mean([abs(np.dot(s, tenths)) > 15 for s in itertools.product((-1, 1), repeat=7)])
    assert exact - strictly > 0.05


def test_the_bootstrap_agrees_with_all_resamples_of_four_pairs():
    tenths = np.array([-2, 1, 3, 4])
    sums = [sum(drawn) for drawn in itertools.product(tenths.tolist(), repeat=4)]
    exact = as_in_some_of(sums, tenths.sum(), shifted_by=tenths.sum())
    found = paired_bootstrap(np.full(4, 0.5), 0.5 - tenths / 10, resamples=20_000)
    assert found.difference == pytest.approx(0.15)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))


def test_the_interval_of_the_bootstrap_is_the_percentile_interval():
    scores_a, scores_b = np.random.default_rng(0).exponential(size=(2, 50))
    found = paired_bootstrap(scores_a, scores_b, resamples=20_000)
    other = stats.bootstrap((scores_a - scores_b,), np.mean, method="percentile", n_resamples=20_000, rng=1)
    # Both ends are simulated: a 2.5% quantile of 20,000 normal values has an error of 0.02 of their deviation.
    within = 4 * 2**0.5 * 0.02 * other.standard_error
    assert (found.low, found.high) == pytest.approx(tuple(other.confidence_interval), abs=within)


def test_clusters_of_unequal_size_weigh_as_many_examples_as_they_have():
    differences, clusters = np.array([1, -2, -2, 3, 3, 3, 3]), np.array([0, 1, 1, 2, 2, 2, 2])
    members = [np.flatnonzero(clusters == cluster) for cluster in range(3)]
    drawn = itertools.product(members, repeat=3)
    means = [differences[np.concatenate(rows)].mean() for rows in drawn]
    exact = as_in_some_of(means, 9 / 7, shifted_by=9 / 7)
    found = paired_bootstrap(differences, np.zeros(7), clusters=clusters, resamples=20_000)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
    assert (found.low, found.high) == pytest.approx((min(means), max(means)))  # of 27 each has more than 2.5%


@pytest.mark.parametrize("test", [paired_bootstrap, paired_permutation])
@pytest.mark.parametrize("at_once", [1, 1000, 2_000_000])
def test_a_p_value_is_never_0_and_no_difference_gives_1_however_many_are_drawn_at_a_time(test, at_once, monkeypatch):
    monkeypatch.setattr(intervals, "AT_ONCE", at_once)
    ones = np.ones(40)
    assert test(ones, 0 * ones, resamples=99).p == pytest.approx(1 / 100)
    assert test(ones, ones, resamples=99).p == 1


@pytest.mark.parametrize("test", [paired_bootstrap, paired_permutation])
def test_a_test_depends_on_its_seed_alone(test):
    scores_a, scores_b = np.random.default_rng(0).normal(size=(2, 30))
    assert test(scores_a, scores_b, resamples=500) == test(scores_a, scores_b, resamples=500)
    assert test(scores_a, scores_b, resamples=500) != test(scores_a, scores_b, resamples=500, seed=1)


@pytest.mark.parametrize("test", [paired_bootstrap, paired_permutation])
def test_whole_clusters_are_drawn_and_flipped(test):
    """Ten copies of each pair are no more evidence than the pairs themselves."""
    scores_a, scores_b = np.random.default_rng(0).normal(size=(2, 15))
    once = test(scores_a, scores_b, resamples=999)
    clusters = np.tile(np.arange(15), 10)
    copied = test(np.tile(scores_a, 10), np.tile(scores_b, 10), clusters=clusters, resamples=999)
    assert copied.difference == pytest.approx(once.difference)
    assert copied.p == once.p
    assert test(np.tile(scores_a, 10), np.tile(scores_b, 10), resamples=999).p < once.p / 2
    if test is paired_bootstrap:
        assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("test", [paired_bootstrap, paired_permutation])
def test_equal_models_are_told_apart_in_five_of_a_hundred_test_sets(test):
    random, trials = np.random.default_rng(0), 600
    found = [test(*random.random((2, 60)), resamples=199, seed=trial).p <= 0.05 for trial in range(trials)]
    # The bootstrap of 60 pairs rejects a little too often, as its intervals are a little too narrow.
    expected = 0.05 if test is paired_permutation else 0.056
    assert np.mean(found) == pytest.approx(expected, abs=4 * math.sqrt(0.05 * 0.95 / trials))


def test_adjusted_p_values_by_hand():
    raw = [0.01, 0.04, 0.03, 0.005]
    assert adjusted_p(raw) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted_p(raw, "benjamini-hochberg") == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert all(adjusted_p([], method).shape == (0,) for method in ("holm", "benjamini-hochberg"))


@given(p_values)
def test_the_corrections_are_ordered_and_keep_the_order_of_the_tests(values):
    holm, bh = adjusted_p(values), adjusted_p(values, "benjamini-hochberg")
    bonferroni = np.minimum(1, len(values) * np.array(values))
    assert (bonferroni >= holm - 1e-12).all()
    assert (holm >= bh - 1e-12).all()
    assert (bh >= np.array(values) - 1e-12).all()
    assert (np.diff(holm[np.argsort(values)]) >= 0).all()


def test_holm_makes_a_false_discovery_in_five_of_a_hundred_families_of_tests():
    families = np.random.default_rng(0).random((2000, 20))
    raw = np.mean([(family <= 0.05).any() for family in families])
    corrected = np.mean([(adjusted_p(family) <= 0.05).any() for family in families])
    assert raw > 0.6
    # 1 − (1 − 0.05/20)²⁰ = 0.0488
    assert corrected == pytest.approx(0.0488, abs=4 * math.sqrt(0.05 * 0.95 / 2000))


@pytest.mark.parametrize("mid_p", [True, False])
@pytest.mark.parametrize(("n", "discordant_share", "difference"), [(150, 0.2, 0.09), (60, 0.5, -0.2)])
def test_the_power_is_that_of_simulation(n, discordant_share, difference, mid_p):
    only_a, only_b = (discordant_share + difference) / 2, (discordant_share - difference) / 2
    drawn = np.random.default_rng(0).multinomial(n, [1 - discordant_share, only_a, only_b], size=3000)
    p = {pair: mcnemar(*answers(n - sum(pair), *pair, 0)) for pair in {(int(a), int(b)) for _, a, b in drawn}}
    found = [(p[a, b].mid_p if mid_p else p[a, b].p) <= 0.05 for _, a, b in drawn]
    power = paired_power(n, discordant_share, difference, mid_p=mid_p)
    assert np.mean(found) == pytest.approx(power, abs=4 * math.sqrt(0.25 / 3000))


@settings(max_examples=50)
@given(st.integers(1, 400), st.floats(0.01, 1), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_exact_test_never_exceeds_its_level_and_the_mid_p_test_has_more_power(n, discordant_share, alpha):
    assert paired_power(n, discordant_share, 0.0, alpha, mid_p=False) <= alpha + 1e-9
    difference = discordant_share / 2
    exact, mid = (paired_power(n, discordant_share, difference, alpha, mid_p=choice) for choice in (False, True))
    assert mid >= exact - 1e-12


def test_the_validation_set_of_sst2_resolves_two_points_and_a_tenth():
    smallest = smallest_difference(872, 0.05)
    assert smallest == pytest.approx(0.021, abs=0.0005)
    assert paired_power(872, 0.05, smallest) == pytest.approx(0.8)


def test_the_smallest_difference_is_near_connors_approximation():
    n, share, (alpha_z, power_z) = 2000, 0.08, stats.norm.ppf([0.975, 0.8])
    smallest = smallest_difference(n, share)
    connor = (alpha_z * share**0.5 + power_z * (share - smallest**2) ** 0.5) ** 2 / smallest**2
    assert connor == pytest.approx(n, rel=0.03)


def test_a_power_below_the_level_needs_no_difference():
    assert smallest_difference(872, 0.05, power=0.01) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mcnemar([True], [True, False]), "right_b: 2 do not pair with 1 in right_a"),
        (lambda: mcnemar([1, 0], [True, False]), r"right_a: int64 of shape \(2,\) is not bool of shape \(n,\)"),
        (lambda: mcnemar(np.zeros(0, bool), np.zeros(0, bool)), "right_a: a test needs at least 1, not 0"),
        (lambda: paired_bootstrap([1.0], [0.0]), "scores_a: a test needs at least 2, not 1"),
        (lambda: paired_bootstrap([1.0, 2.0], [0.0, math.nan]), "scores_b: they are not one finite number an example"),
        (lambda: paired_bootstrap([1.0, 2.0], [0.0, 1.0], clusters=[0]), "clusters: 1 for 2 pairs of scores"),
        (lambda: paired_bootstrap([1, 2], [0, 1], clusters=[0, 0]), "clusters: a bootstrap needs at least 2, not 1"),
        (lambda: paired_permutation([], []), "scores_a: a test needs at least 1, not 0"),
        (lambda: paired_permutation([1], [0], resamples=0), "resamples: 0 is not at least 1"),
        (lambda: adjusted_p([0.5, 1.5]), "p_values: they are not a list of numbers between 0 and 1"),
        (lambda: adjusted_p([math.nan]), "p_values: they are not a list of numbers between 0 and 1"),
        (lambda: adjusted_p([0.5], "sidak"), "method: 'sidak' is not 'holm' or 'benjamini-hochberg'"),
        (lambda: paired_power(0, 0.1, 0.0), "n: 0 is not at least 1"),
        (lambda: paired_power(10, 0.0, 0.0), "discordant_share: 0.0 is not above 0 and at most 1"),
        (lambda: paired_power(10, 0.1, 0.2), r"difference: 0.2 is more than discordant_share \(0.1\) allows"),
        (lambda: paired_power(10, 0.1, 0.1, alpha=1.0), "alpha: 1.0 is not between 0 and 1"),
        (lambda: smallest_difference(10, 0.1, power=1.0), "power: 1.0 is not between 0 and 1"),
        (lambda: smallest_difference(10, 0.1), "n: 10 examples, 10.0% of them discordant, never give a power of 0.8"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.05, 0.01, 0.09), "is ahead of words by +0.050 (95% interval +0.010 to +0.090)"),
        ((-0.05, -0.09, -0.01), "is behind words: its gain is -0.050"),
        ((0.05, -0.01, 0.11), "cannot be told apart from words on these examples: its gain is +0.050"),
        ((-0.0, -0.0, -0.0), "cannot be told apart from words on these examples: its gain is +0.000"),
    ],
)
def test_a_gain_is_put_into_words_by_its_interval(gain, said):
    assert compared("words", gain).startswith(said)
