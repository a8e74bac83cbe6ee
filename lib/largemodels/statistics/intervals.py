"""95% intervals for the numbers that chapters show: of a mean, over clusters too, a ratio, a proportion, and resamples.

Fewer than two values or clusters, and a count that is no part of its total, are a `ValueError`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

CONFIDENCE = 0.95
"""The share of intervals that hold the truth, for all intervals of the book."""
AT_ONCE = 2_000_000
"""Numbers drawn at a time, so that memory does not grow with the resamples."""


def mean_interval(values: ArrayLike) -> tuple[float, float, float]:
    """The mean of independent values and the ends of its Student t interval: `(mean, low, high)`.

    Examples:
        >>> mean, low, high = mean_interval([0.71, 0.74, 0.72])
        >>> print(f"{mean:.3f}, from {low:.3f} to {high:.3f}")
        0.723, from 0.685 to 0.761
    """
    values = np.asarray(values, dtype=float).ravel()
    if values.size < 2:
        raise ValueError(f"values: an interval needs at least 2, not {values.size}")
    standard_error = float(values.std(ddof=1)) / math.sqrt(values.size)
    return student_interval(float(values.mean()), standard_error, values.size - 1)


def clustered_mean_interval(values: ArrayLike, clusters: ArrayLike) -> tuple[float, float, float]:
    """The mean of values that come in clusters, and the ends of its interval: `(mean, low, high)`.

    Tokens of one document are not independent, documents are: so the variance is that of the clusters' summed
    deviations from the mean (a linearised ratio estimator: Cochran 1977, chapter 6), with one degree of freedom less
    than there are clusters. Values and clusters are `(n,)`; there are at least two clusters.

    Examples:
        >>> losses, documents = [1.0, 1.2, 3.0, 3.2, 2.0], ["a", "a", "b", "b", "c"]
        >>> mean, low, high = clustered_mean_interval(losses, documents)
        >>> print(f"{mean:.2f}, from {low:.2f} to {high:.2f}")
        2.08, from -0.90 to 5.06
    """
    values = np.asarray(values, dtype=float).ravel()
    number, variance = clustered_variance(values, clusters)
    return student_interval(float(values.mean()), math.sqrt(variance), number - 1)


def ratio_interval(numerators: ArrayLike, denominators: ArrayLike) -> tuple[float, float, float]:
    """The ratio of two totals, and the ends of its interval: `(ratio, low, high)`.

    Such as the bits of all documents over their bytes. The units (the documents) are independent, the two numbers of a
    unit are not: so the variance is that of the numerators' deviations from ratio × denominator (a linearised ratio
    estimator: Cochran 1977, chapter 6), with one degree of freedom less than there are units. A mean over clusters is
    the ratio of their sums to their sizes, and has this interval: `clustered_mean_interval`.

    Args:
        numerators: `(n,)`, at least two.
        denominators: `(n,)`, none below 0, and not all 0.

    Examples:
        >>> bits, size = [12.0, 30.0, 44.0], [10, 20, 40]
        >>> ratio, low, high = ratio_interval(bits, size)
        >>> print(f"{ratio:.2f}, from {low:.2f} to {high:.2f}")
        1.23, from 0.67 to 1.79
    """
    numerators, denominators = (np.asarray(each, dtype=float).ravel() for each in (numerators, denominators))
    if len(numerators) != len(denominators):
        raise ValueError(f"denominators: {len(denominators)} do not pair with {len(numerators)} numerators")
    if len(numerators) < 2:
        raise ValueError(f"numerators: an interval needs at least 2, not {len(numerators)}")
    if (denominators < 0).any() or not denominators.any():
        raise ValueError("denominators: they are no sizes; none may be below 0, and one has to be above it")
    number, total = len(numerators), float(denominators.sum())
    ratio = float(numerators.sum()) / total
    variance = number / (number - 1) * float(((numerators - ratio * denominators) ** 2).sum()) / total**2
    return student_interval(ratio, math.sqrt(variance), number - 1)


def student_interval(mean: float, standard_error: float, freedom: int) -> tuple[float, float, float]:
    """A mean and the ends of its interval by Student's t with so many degrees of freedom: `(mean, low, high)`."""
    margin = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * standard_error
    return mean, mean - margin, mean + margin


def clustered_variance(values: ArrayLike, clusters: ArrayLike) -> tuple[int, float]:
    """The number of clusters, and the variance of the mean of values in clusters; see `clustered_mean_interval`."""
    values = np.asarray(values, dtype=float).ravel()
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    number = int(membership.max(initial=-1)) + 1
    if number < 2:
        raise ValueError(f"clusters: an interval needs at least 2, not {number}")
    deviations = np.bincount(membership, weights=values - values.mean())  # (clusters,)
    return number, number / (number - 1) * float((deviations**2).sum()) / values.size**2


def proportion_interval(count: float, n: float) -> tuple[float, float, float]:
    """The proportion `count / n` and the ends of its Wilson score interval: `(proportion, low, high)`.

    Unlike proportion ± margin it stays within 0 and 1 and keeps its coverage near the ends (Wilson 1927). Counts may be
    fractions, as effective sample sizes are; SciPy's `proportion_ci` takes whole ones only.

    Examples:
        >>> share, low, high = proportion_interval(806, 872)
        >>> print(f"{share:.3f}, from {low:.3f} to {high:.3f}")
        0.924, from 0.905 to 0.940
    """
    proportion, z = proportion_of(count, n), float(special.ndtri((1 + CONFIDENCE) / 2))
    shrink = 1 + z * z / n
    centre = (proportion + z * z / (2 * n)) / shrink
    margin = z * math.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n)) / shrink
    # Rounding can carry an end past the proportion, 0 or 1 by the last digit.
    return proportion, max(0.0, min(centre - margin, proportion)), min(1.0, max(centre + margin, proportion))


def proportion_intervals(counts: Iterable[int], sizes: Iterable[int]) -> np.ndarray:
    """The `proportion_interval` of each count and size, `(rows, 3)`."""
    return np.array([proportion_interval(int(count), int(n)) for count, n in zip(counts, sizes, strict=True)])


def proportion_of(count: float, n: float) -> float:
    """The proportion `count / n`, after a check that it is one."""
    if n < 1 or not 0 <= count <= n:
        raise ValueError(f"count: {count} of {n} is not a proportion")
    return count / n


def portion(width: int) -> int:
    """How many resamples of `width` numbers to draw at a time."""
    return max(1, AT_ONCE // max(1, width))


def portions(resamples: int, width: int) -> Iterator[int]:
    """The sizes of the portions, each a `portion` at most, in which so many resamples are drawn."""
    if resamples < 1:
        raise ValueError(f"resamples: {resamples} is not at least 1")
    for start in range(0, resamples, portion(width)):
        yield min(portion(width), resamples - start)


def covering(value: float, low: float, high: float) -> tuple[float, float, float]:
    """A value and the ends of its interval, `(value, low, high)`, widened where all resamples lie on one side of it.

    Examples:
        >>> covering(0.5, 0.1, 0.4)
        (0.5, 0.1, 0.5)
    """
    return float(value), min(float(low), float(value)), max(float(high), float(value))


def percentile_interval(values: np.ndarray) -> np.ndarray:
    """The ends between which 95% of the resampled values lie, `(2, ...)`, along the first axis."""
    return np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
