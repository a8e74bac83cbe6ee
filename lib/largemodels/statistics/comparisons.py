"""Is one model better than another on the same examples? Paired tests, their correction for many, and their power.

Two models that saw the same test set are compared example by example: what both get right, or both get wrong, says
nothing about which is better. What does not fit (no pairs, no probabilities, a share that cannot be) is a `ValueError`
that names the argument. Intervals of a single number are in `largemodels.statistics.intervals` and `.spread`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from largemodels.statistics.intervals import percentile_interval, portions

ALPHA = 0.05
"""The p value at which a test of the book rejects."""
_ROUNDING = 1e-12  # the share of a sum by which another order of adding may change it

Correction = Literal["holm", "benjamini-hochberg"]


@dataclass(frozen=True)
class McNemar:
    """The result of McNemar's test of two classifiers."""

    n: int  #: examples
    only_a: int  #: examples that only the first gets right
    only_b: int  #: examples that only the second gets right
    p: float  #: the exact two-sided p value, never above its nominal level and often far below it
    mid_p: float  #: the same with half the weight on outcomes as extreme as this one, which comes closer to its level

    @property
    def difference(self) -> float:
        """The first one's accuracy less the second one's."""
        return (self.only_a - self.only_b) / self.n

    @property
    def discordant_share(self) -> float:
        """The share of examples that one gets right and the other does not, an argument of `paired_power`."""
        return (self.only_a + self.only_b) / self.n


@dataclass(frozen=True)
class PairedDifference:
    """A difference of two means over the same examples, first less second, and the result of a test."""

    difference: float  #: the mean of the first scores less that of the second
    p: float  #: two-sided, (b + 1) / (m + 1) for b of m resamples at least as extreme: never 0 (Phipson and Smyth 2010)
    low: float | None = None  #: the lower end of the interval, where the test has one
    high: float | None = None  #: the upper end


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> McNemar:
    """The exact McNemar test of whether two classifiers are equally often right on the same examples.

    If they are, then of the d examples that only one gets right, each classifier has a binomial(d, ½) share. With no
    such example nothing tells the two apart, and both p values are 1.

    Follows McNemar 1947; the mid-p value follows Fagerland, Lydersen and Laake 2013, who recommend it.

    Args:
        right_a: `(n,)`, bool: whether the first classifier gets each example right.
        right_b: `(n,)`, bool: the same of the second, in the same order.

    Examples:
        >>> import numpy as np
        >>> first, second = np.ones(20, bool), np.arange(20) >= 8  # the second errs on eight
        >>> test = mcnemar(first, second)
        >>> print(f"{test.difference:.2f}, p = {test.p:.4f}")
        0.40, p = 0.0078
    """
    right_a, right_b = np.asarray(right_a), np.asarray(right_b)
    for name, right in (("right_a", right_a), ("right_b", right_b)):
        if right.dtype != bool or right.ndim != 1:
            raise ValueError(f"{name}: {right.dtype} of shape {right.shape} is not bool of shape (n,)")
    _check_pairs("right_a", right_a, "right_b", right_b, at_least=1)
    only_a, only_b = int((right_a & ~right_b).sum()), int((~right_a & right_b).sum())
    discordant = only_a + only_b
    if not discordant:
        return McNemar(len(right_a), 0, 0, 1.0, 1.0)
    p = float(stats.binomtest(only_a, discordant).pvalue)
    as_extreme = 1 if only_a == only_b else 2  # outcomes at this distance from the middle
    mid_p = p - as_extreme * float(stats.binom.pmf(only_a, discordant, 0.5)) / 2
    return McNemar(len(right_a), only_a, only_b, p, mid_p)


def paired_bootstrap(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """The difference of two means over the same examples, with its percentile interval and p value by bootstrap.

    Examples are drawn with replacement, both scores of an example together. The p value is the share of resamples whose
    difference is at least as far from the observed one as that is from 0: the resamples shifted to the null hypothesis
    (Efron and Tibshirani 1993, chapter 16; for models of language Koehn 2004 and Berg-Kirkpatrick et al. 2012).

    Args:
        scores_a: `(n,)`: the first model's score of each example, such as right (1) or wrong (0), or its loss.
        scores_b: `(n,)`, the second model's, in the same order.
        clusters: `(n,)`, such as the document of each example: whole clusters are drawn.
        resamples: their number; the p value is at least 1 / (resamples + 1).
        seed: of the draws.

    Examples:
        >>> import numpy as np
        >>> first, second = np.ones(20), np.arange(20) >= 8
        >>> result = paired_bootstrap(first, second, resamples=1000)
        >>> result.difference, result.low > 0
        (0.4, True)
    """
    sums, sizes = _differences(scores_a, scores_b, clusters, at_least=2)
    random, means = np.random.default_rng(seed), []
    for size in portions(resamples, len(sums)):
        drawn = random.integers(0, len(sums), (size, len(sums)))
        means.append(sums[drawn].sum(1) / sizes[drawn].sum(1))
    resampled = np.concatenate(means)  # (resamples,)
    difference = float(sums.sum() / sizes.sum())
    slack = _ROUNDING * np.abs(sums).sum() / sizes.sum()
    extreme = int((np.abs(resampled - difference) >= abs(difference) - slack).sum())
    low, high = percentile_interval(resampled)
    return PairedDifference(difference, (extreme + 1) / (resamples + 1), float(low), float(high))


def paired_permutation(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """The difference of two means over the same examples, with the p value of the sign-flip test.

    If the models are interchangeable, so are the two scores of each example: each difference may as well have the other
    sign. The p value is the share of random signs that give a difference at least as far from 0 (Fisher 1935, §21; for
    models of language Yeh 2000, who calls it approximate randomisation).

    Arguments are those of `paired_bootstrap`; with `clusters`, all scores of a cluster change sides together.

    Examples:
        >>> import numpy as np
        >>> first, second = np.ones(20), np.arange(20) >= 8
        >>> paired_permutation(first, second, resamples=1000).p < 0.05
        True
    """
    sums, sizes = _differences(scores_a, scores_b, clusters, at_least=1)
    random, extreme = np.random.default_rng(seed), 0
    free = sums[sums != 0]  # a sign changes nothing about 0
    threshold = abs(sums.sum()) - _ROUNDING * np.abs(sums).sum()
    for size in portions(resamples, len(free)):
        signs = random.choice([-1.0, 1.0], (size, len(free)))
        extreme += int((np.abs(signs @ free) >= threshold).sum())
    return PairedDifference(float(sums.sum() / sizes.sum()), (extreme + 1) / (resamples + 1))


def adjusted_p(p_values: ArrayLike, method: Correction = "holm") -> np.ndarray:
    """The p values of several tests, each adjusted for all, `(tests,)` in their order: compare them with α itself.

    "holm" keeps the chance of any false discovery at α, however the tests depend on each other (Holm 1979).
    "benjamini-hochberg" keeps the expected share of false ones among the discoveries at α, for independent or
    positively dependent tests (Benjamini and Hochberg 1995).

    Examples:
        >>> adjusted_p([0.01, 0.04, 0.03]).round(2)
        array([0.03, 0.06, 0.06])
        >>> adjusted_p([0.01, 0.04, 0.03], "benjamini-hochberg").round(2)
        array([0.03, 0.04, 0.04])
    """
    p_values = np.asarray(p_values, dtype=float)
    if p_values.ndim != 1 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise ValueError("p_values: they are not a list of numbers between 0 and 1")
    tests = len(p_values)
    if method == "holm":
        order = np.argsort(p_values)
        steps = np.maximum.accumulate((tests - np.arange(tests)) * p_values[order])
        adjusted = np.empty(tests)
        adjusted[order] = np.minimum(1.0, steps)
        return adjusted
    if method == "benjamini-hochberg":
        return stats.false_discovery_control(p_values, method="bh") if tests else p_values
    raise ValueError(f"method: {method!r} is not 'holm' or 'benjamini-hochberg'")


def compared(other: str, gain: tuple[float, float, float]) -> str:
    """The words for a gain over another model, `(value, low, high)`: ahead, behind or open, as its interval says."""
    value, low, high = (end + 0.0 for end in gain)  # -0.0 would be shown with its sign
    said = f"{value:+.3f} (95% interval {low:+.3f} to {high:+.3f})"
    if low > 0:
        return f"is ahead of {other} by {said}"
    if high < 0:
        return f"is behind {other}: its gain is {said}"
    return f"cannot be told apart from {other} on these examples: its gain is {said}"


def paired_power(
    n: int, discordant_share: float, difference: float, alpha: float = ALPHA, *, mid_p: bool = True
) -> float:
    """The chance that McNemar's test finds a difference of accuracy that is there.

    It is exact, by enumeration: the number of discordant pairs is binomial(n, discordant_share), and given it, so is
    the number of those that the first model gets right. Connor 1987 approximates the same by a normal distribution.

    Args:
        n: examples.
        discordant_share: the share of examples that exactly one of the two models gets right.
        difference: of the accuracies, as a share: 0.02 is two points.
        alpha: the p value at which the test rejects.
        mid_p: whether the test takes the mid-p value; the exact one has less power.

    Examples:
        >>> round(paired_power(n=1000, discordant_share=0.1, difference=0.03), 2)
        0.86
    """
    if n < 1:
        raise ValueError(f"n: {n} is not at least 1")
    if not 0 < discordant_share <= 1:
        raise ValueError(f"discordant_share: {discordant_share} is not above 0 and at most 1")
    if not abs(difference) <= discordant_share:
        raise ValueError(f"difference: {difference} is more than discordant_share ({discordant_share}) allows")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha} is not between 0 and 1")
    # Counts that come up less than once in 10¹² runs are left out.
    first, last = stats.binom.ppf(1e-12, n, discordant_share), stats.binom.isf(1e-12, n, discordant_share)
    discordant = np.arange(int(first), int(last) + 1)
    # The test rejects when the smaller of the two counts is at most `critical`. That is the α/2 quantile or one less.
    critical = stats.binom.ppf(alpha / 2, discordant, 0.5)
    below = critical - 1 if mid_p else critical
    p_value = stats.binom.cdf(below, discordant, 0.5) + stats.binom.cdf(critical, discordant, 0.5)
    critical = critical - (p_value > alpha)
    better = (1 + difference / discordant_share) / 2  # the share of discordant pairs that the first model gets right
    rejects = stats.binom.cdf(critical, discordant, better)
    rejects += stats.binom.sf(discordant - critical - 1, discordant, better)
    return float(stats.binom.pmf(discordant, n, discordant_share) @ rejects)


def smallest_difference(n: int, discordant_share: float, power: float = 0.8, alpha: float = ALPHA) -> float:
    """The smallest difference of accuracy, as a share, that McNemar's test finds with this chance among `n` examples.

    The power is that of `paired_power` with mid-p values, which has the other arguments.

    Raises:
        ValueError: when so few examples never give that power.

    Examples:
        >>> round(smallest_difference(n=1000, discordant_share=0.1), 3)
        0.028
    """
    if not 0 < power < 1:
        raise ValueError(f"power: {power} is not between 0 and 1")

    def missing(difference: float) -> float:
        return paired_power(n, discordant_share, difference, alpha) - power

    if missing(discordant_share) < 0:
        raise ValueError(f"n: {n} examples, {discordant_share:.1%} of them discordant, never give a power of {power}")
    if missing(0.0) >= 0:  # false alarms alone are as frequent
        return 0.0
    return float(optimize.brentq(missing, 0.0, discordant_share))


def _differences(
    scores_a: ArrayLike, scores_b: ArrayLike, clusters: ArrayLike | None, *, at_least: int
) -> tuple[np.ndarray, np.ndarray]:
    """The summed difference and the number of examples of each cluster, both `(clusters,)`; one each without any."""
    scores_a, scores_b = np.asarray(scores_a, dtype=float), np.asarray(scores_b, dtype=float)
    for name, scores in (("scores_a", scores_a), ("scores_b", scores_b)):
        if scores.ndim != 1 or not np.isfinite(scores).all():
            raise ValueError(f"{name}: they are not one finite number an example")
    _check_pairs("scores_a", scores_a, "scores_b", scores_b, at_least=at_least)
    differences = scores_a - scores_b
    if clusters is None:
        return differences, np.ones(len(differences))
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    if len(membership) != len(differences):
        raise ValueError(f"clusters: {len(membership)} for {len(differences)} pairs of scores")
    sizes = np.bincount(membership).astype(float)
    if len(sizes) < at_least:
        raise ValueError(f"clusters: a bootstrap needs at least {at_least}, not {len(sizes)}")
    return np.bincount(membership, weights=differences), sizes


def _check_pairs(name_a: str, a: np.ndarray, name_b: str, b: np.ndarray, *, at_least: int) -> None:
    if len(a) != len(b):
        raise ValueError(f"{name_b}: {len(b)} do not pair with {len(a)} in {name_a}")
    if len(a) < at_least:
        raise ValueError(f"{name_a}: a test needs at least {at_least}, not {len(a)}")
