"""95% intervals for the numbers that chapters show: of a mean over draws or over clusters, and of a proportion."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

CONFIDENCE = 0.95


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The mean of independent values and the ends of its Student t interval: `(mean, low, high)`.

    Raises:
        ValueError: for fewer than two values, which say nothing about their spread.
    """
    values = np.asarray(values, dtype=float).ravel()
    if values.size < 2:
        raise ValueError(f"values: an interval needs at least 2, not {values.size}")
    mean = float(values.mean())
    standard_error = float(values.std(ddof=1)) / math.sqrt(values.size)
    margin = float(special.stdtrit(values.size - 1, (1 + confidence) / 2)) * standard_error
    return mean, mean - margin, mean + margin


def clustered_mean_interval(
    values: ArrayLike, clusters: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """The mean of values that come in clusters, and the ends of its interval: `(mean, low, high)`.

    Tokens of one document are not independent, documents are: so the variance is that of the clusters' summed
    deviations from the mean (a linearised ratio estimator: Cochran 1977, chapter 6), with one degree of freedom less
    than there are clusters.

    Args:
        values: `(n,)`.
        clusters: `(n,)`, which cluster each value belongs to.
        confidence: the share of such intervals that hold the true mean.

    Raises:
        ValueError: for fewer than two clusters.
    """
    values = np.asarray(values, dtype=float).ravel()
    number, variance = clustered_variance(values, clusters)
    mean, standard_error = float(values.mean()), math.sqrt(variance)
    margin = float(special.stdtrit(number - 1, (1 + confidence) / 2)) * standard_error
    return mean, mean - margin, mean + margin


def clustered_variance(values: ArrayLike, clusters: ArrayLike) -> tuple[int, float]:
    """The number of clusters, and the variance of the mean of values that come in them; see `clustered_mean_interval`.

    Raises:
        ValueError: for fewer than two clusters.
    """
    values = np.asarray(values, dtype=float).ravel()
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    number = int(membership.max(initial=-1)) + 1
    if number < 2:
        raise ValueError(f"clusters: an interval needs at least 2, not {number}")
    deviations = np.bincount(membership, weights=values - values.mean())  # (clusters,)
    return number, number / (number - 1) * float((deviations**2).sum()) / values.size**2


def proportion_interval(count: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The proportion `count / n` and the ends of its Wilson score interval: `(proportion, low, high)`.

    Unlike proportion ± margin it stays within 0 and 1 and keeps its coverage near the ends (Wilson 1927).

    Raises:
        ValueError: when there is nothing to count, or `count` is not between 0 and `n`.
    """
    if n < 1 or not 0 <= count <= n:
        raise ValueError(f"count: {count} of {n} is not a proportion")
    z = float(special.ndtri((1 + confidence) / 2))
    proportion, shrink = count / n, 1 + z * z / n
    centre = (proportion + z * z / (2 * n)) / shrink
    margin = z * math.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n)) / shrink
    # Rounding can carry an end past the proportion, 0 or 1 by the last digit.
    return proportion, max(0.0, min(centre - margin, proportion)), min(1.0, max(centre + margin, proportion))
