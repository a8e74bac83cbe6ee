"""Do intervals and tests keep their word? The tools of `largemodels.statistics`, tried where the truth is known.

An interval of 95% should hold the true value in 95% of samples, a test at 5% should find a difference that is not there
in at most 5%, and a calibrated model should have no calibration error. Each is counted here on samples that are drawn
from a known truth, by the functions that chapters use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from largemodels.base.checks import as_distributions
from largemodels.statistics.calibration import BINS, expected_calibration_error
from largemodels.statistics.comparisons import ALPHA, adjusted_p, mcnemar
from largemodels.statistics.intervals import CONFIDENCE, clustered_variance, proportion_of
from largemodels.statistics.spread import bootstrap_interval

Interval = tuple[float, float, float]


def wald_interval(count: int, n: int) -> Interval:
    """The proportion and the ends of the textbook interval, proportion ± z·√(p(1 − p)/n): `(proportion, low, high)`.

    It is here to be compared with: near 0 and 1 it is too short, and has no length at all where all answers are right.

    Raises:
        ValueError: when there is nothing to count, or `count` is not between 0 and `n`.
    """
    proportion = proportion_of(count, n)
    margin = float(special.ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(proportion * (1 - proportion) / n)
    return proportion, proportion - margin, proportion + margin


def bootstrap_of_count(count: int, n: int, *, resamples: int = 1000, seed: int = 0) -> Interval:
    """The proportion and the ends of its percentile interval by bootstrap, where `count` of `n` answers are right.

    With every answer right, or wrong, each resample is like the sample, and both ends are the proportion itself.
    """
    return bootstrap_interval(np.mean, np.arange(n) < count, method="percentile", resamples=resamples, seed=seed)


def coverage_of_proportion(interval: Callable[[int, int], Interval], n: int, proportions: ArrayLike) -> np.ndarray:
    """The share of samples of size `n` whose interval holds the true proportion, for each of `proportions`.

    No sample is drawn: an interval of a proportion depends on the count alone, so the n + 1 counts have an interval
    each, weighted with its binomial chance (Brown, Cai and DasGupta 2001 draw the same curves).

    Args:
        interval: called as `interval(count, n)`; its result is `(proportion, low, high)`.
        n: the size of the samples.
        proportions: `(k,)`, the true ones.
    """
    proportions = np.asarray(proportions, dtype=float)
    ends = np.array([interval(count, n)[1:] for count in range(n + 1)])  # (n + 1, 2)
    holds = (ends[:, :1] <= proportions) & (proportions <= ends[:, 1:])  # (n + 1, k)
    chance = stats.binom.pmf(np.arange(n + 1)[:, None], n, proportions)
    return (chance * holds).sum(0)


def clustered_answers(
    documents: int, mean_size: float, accuracy: float, correlation: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Answers that are right or wrong together: `(right, document)`, both `(n,)`.

    The accuracy in each document is drawn from a beta distribution around `accuracy`, so that two answers of one
    document have this correlation and answers of two documents none. A document has 1 and a geometric number of further
    examples, `mean_size` on average.

    Raises:
        ValueError: for an accuracy that is not between 0 and 1, or a correlation that is not from 0 to below 1.
    """
    if not 0 < accuracy < 1 or not 0 <= correlation < 1:
        raise ValueError(f"accuracy, correlation: {accuracy}, {correlation} are not both shares below 1")
    sizes, accuracies = random.geometric(1 / mean_size, documents), np.full(documents, accuracy)
    if correlation:
        strength = (1 - correlation) / correlation
        accuracies = random.beta(accuracy * strength, (1 - accuracy) * strength, documents)
    document = np.repeat(np.arange(documents), sizes)
    return random.random(len(document)) < accuracies[document], document


def clustered_coverage(
    intervals: Mapping[str, Callable[[np.ndarray, np.ndarray], Interval]],
    *,
    documents: int,
    mean_size: float,
    accuracy: float,
    correlation: float,
    draws: int,
    seed: int = 0,
) -> pd.DataFrame:
    """How often intervals hold the true accuracy where answers come in documents: one row for each kind of interval.

    Columns: `count` of the `draws` test sets whose interval holds the truth, and their mean `length`. Intervals are
    called as `interval(right, document)`, all on the same test sets, which `clustered_answers` draws.
    """
    random = np.random.default_rng(seed)
    held, lengths = dict.fromkeys(intervals, 0), dict.fromkeys(intervals, 0.0)
    for _ in range(draws):
        right, document = clustered_answers(documents, mean_size, accuracy, correlation, random)
        for name, interval in intervals.items():
            _, low, high = interval(right, document)
            held[name] += low <= accuracy <= high
            lengths[name] += (high - low) / draws
    return pd.DataFrame({"count": held, "n": draws, "length": lengths})


def design_effect(values: ArrayLike, clusters: ArrayLike) -> float:
    """How many times the variance of a mean grows because the values come in clusters: 1 where that does not matter.

    The variance is that of `intervals.clustered_mean_interval` over that of independent values (Kish 1965),
    so that n values in clusters are worth n / design effect independent ones.

    Raises:
        ValueError: for fewer than two clusters, or values that are all the same.

    Examples:
        >>> independent = design_effect([0, 1, 1, 0], clusters=["a", "b", "c", "d"])
        >>> alike = design_effect([0, 0, 1, 1], clusters=["a", "a", "b", "b"])
        >>> alike > independent
        True
    """
    values = np.asarray(values, dtype=float).ravel()
    if np.ptp(values) == 0:
        raise ValueError("values: a design effect needs two different values")
    _, clustered = clustered_variance(values, clusters)
    return clustered / (float(values.var(ddof=1)) / len(values))


def mcnemar_rejections(
    n: int, discordant_share: float, difference: float, *, draws: int, seed: int = 0
) -> dict[str, int]:
    """In how many of `draws` test sets McNemar's test finds a difference, by the kind of its p value: "exact", "mid-p".

    With a `difference` of the true accuracies of 0 that is how often it is wrong, its level; otherwise how often it is
    right, its power. Exactly one of the two models gets `discordant_share` of the `n` examples of a test set right.
    """
    only_a, only_b = (discordant_share + difference) / 2, (discordant_share - difference) / 2
    shares = np.clip([only_a, only_b, 1 - discordant_share], 0, 1)
    drawn = np.random.default_rng(seed).multinomial(n, shares / shares.sum(), draws)
    rejected = {"exact": 0, "mid-p": 0}
    for (first, second, rest), times in zip(*np.unique(drawn, axis=0, return_counts=True), strict=True):
        right_a, right_b = (
            np.repeat(answers, [first, second, rest]) for answers in ([True, False, True], [False, True, True])
        )
        test = mcnemar(right_a, right_b)
        rejected["exact"] += int(times) * (test.p <= ALPHA)
        rejected["mid-p"] += int(times) * (test.mid_p <= ALPHA)
    return rejected


def false_discoveries(models: int, *, n: int, accuracy: float, draws: int, seed: int = 0) -> dict[str, int]:
    """In how many of `draws` test sets all pairs of equally good models show a difference that is not there.

    Counted is a test set in which any pair has a p value of McNemar's test (mid-p) of at most 0.05: as it is
    ("uncorrected"), and adjusted for all pairs ("holm", "benjamini-hochberg"). Every model has the same chance on each
    of the `n` examples; some are easier than others for all, with chances spread evenly around `accuracy`.
    """
    random = np.random.default_rng(seed)
    reach = min(accuracy, 1 - accuracy)
    discoveries = {"uncorrected": 0, "holm": 0, "benjamini-hochberg": 0}
    for _ in range(draws):
        chance = random.uniform(accuracy - reach, accuracy + reach, n)
        right = random.random((models, n)) < chance
        p = np.array([mcnemar(right[one], right[other]).mid_p for one, other in combinations(range(models), 2)])
        discoveries["uncorrected"] += bool(p.min() <= ALPHA)
        for method in ("holm", "benjamini-hochberg"):
            discoveries[method] += bool(adjusted_p(p, method).min() <= ALPHA)
    return discoveries


def calibration_errors_of_the_calibrated(
    probabilities: ArrayLike, sizes: Sequence[int], *, bins: int = BINS, draws: int = 50, seed: int = 0
) -> np.ndarray:
    """The calibration errors of perfectly calibrated forecasts, `(sizes, draws)`, in bins of equal width: all bias.

    Each draw takes so many rows of the probabilities, `(n, classes)`, with replacement, and draws the class of each
    example from the row that forecasts it.
    """
    rows = as_distributions(probabilities)
    random = np.random.default_rng(seed)
    errors = np.empty((len(sizes), draws))
    for place, size in enumerate(sizes):
        for draw in range(draws):
            forecast = rows[random.integers(0, len(rows), size)]
            labels = (random.random((size, 1)) > forecast.cumsum(1)[:, :-1]).sum(1)
            errors[place, draw] = expected_calibration_error(forecast, labels, bins=bins)
    return errors
