"""What a number on a test set is worth: exact and bootstrap intervals, and the spread over seeds and test sets.

What does not fit (too few rows, other lengths) is a `ValueError` that names the argument. The other intervals of the
book are in `largemodels.statistics.intervals`, comparisons of two models in `largemodels.statistics.comparisons`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from largemodels.statistics.comparisons import PairedDifference
from largemodels.statistics.intervals import CONFIDENCE, clustered_variance, portion, proportion_of, student_interval


def exact_interval(count: int, n: int) -> tuple[float, float, float]:
    """The proportion `count / n` and the ends of its exact interval: `(proportion, low, high)`.

    It holds the true proportion at least as often as it says, whatever that is and however few examples there are; the
    Wilson interval (`intervals.proportion_interval`) is shorter and right on average (Clopper and Pearson 1934).

    Examples:
        >>> exact_interval(0, 100)
        (0.0, 0.0, 0.03621669264517641)
    """
    proportion, tail = proportion_of(count, n), (1 - CONFIDENCE) / 2
    # SciPy's `proportion_ci` searches for the same ends, a thousand times as long.
    low = float(special.betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(special.betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return proportion, low, high


def bootstrap_interval(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    clusters: ArrayLike | None = None,
    method: Literal["BCa", "percentile"] = "BCa",
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """A statistic and the ends of its bootstrap interval: `(value, low, high)`.

    Rows are drawn with replacement; what stands in one row of the columns stays together. The percentile interval takes
    the quantiles of the resampled statistic; BCa (Efron 1987) corrects them for bias and skew. Where every resample
    gives the same value, as when every answer is right, both ends are that value, which tells nothing of other test
    sets: `exact_interval` does.

    Args:
        statistic: called as `statistic(*columns)` with arrays of as many rows, and gives one number.
        *columns: `(n, ...)` each, such as labels and predictions.
        clusters: `(n,)`, such as the document of each row: whole clusters are drawn, since their rows are not
            independent (Field and Welsh 2007).
        method: "BCa" or "percentile".
        resamples: their number.
        seed: of the draws.

    Raises:
        ValueError: for columns of unequal length, fewer than two rows or clusters, a resample in which the
            statistic is not a number, or one to which BCa does not apply.

    Examples:
        >>> import numpy as np
        >>> right = np.repeat([1, 0], [80, 20])
        >>> accuracy, low, high = bootstrap_interval(np.mean, right, method="percentile", resamples=500)
        >>> low < accuracy < high
        True
    """
    arrays = [np.asarray(column) for column in columns]
    if not arrays or len({len(array) for array in arrays}) > 1:
        raise ValueError(f"columns: lengths {[len(array) for array in arrays]} are not one and the same")
    if method not in ("BCa", "percentile"):
        raise ValueError(f"method: {method!r} is not 'BCa' or 'percentile'")
    units = _units(len(arrays[0]), clusters)

    def of_units(drawn: np.ndarray) -> float:
        rows = np.concatenate([units[unit] for unit in drawn]) if clusters is not None else drawn
        return float(statistic(*(array[rows] for array in arrays)))

    numbers = np.arange(len(units))
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # refused below, in words
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (numbers,),
            of_units,
            vectorized=False,
            method=method,
            n_resamples=resamples,
            batch=portion(len(units)),
            confidence_level=CONFIDENCE,
            rng=np.random.default_rng(seed),
        )
    value, resampled = of_units(numbers), result.bootstrap_distribution
    if undefined := int((~np.isfinite(resampled)).sum()):
        raise ValueError(f"statistic: it is not a finite number in {undefined} of {resamples} resamples")
    if np.ptp(resampled) == 0:
        return value, value, value
    low, high = result.confidence_interval
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("method: BCa does not apply to this statistic on these rows; take 'percentile'")
    return value, float(low), float(high)


def _units(n: int, clusters: ArrayLike | None) -> list[np.ndarray]:
    """The rows that are drawn together: those of each cluster, or each row by itself."""
    if clusters is None:
        if n < 2:
            raise ValueError(f"columns: a bootstrap needs at least 2 rows, not {n}")
        return list(np.arange(n)[:, None])
    _, membership, sizes = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    if len(membership) != n:
        raise ValueError(f"clusters: {len(membership)} for {n} rows")
    if len(sizes) < 2:
        raise ValueError(f"clusters: a bootstrap needs at least 2, not {len(sizes)}")
    return np.split(np.argsort(membership, kind="stable"), np.cumsum(sizes)[:-1])


@dataclass(frozen=True)
class Spread:
    """How far an accuracy moves with the seed, and how far with the test set; see `seed_and_test_spread`."""

    accuracy: float  #: the mean over seeds
    observed_variance: float  #: of the seeds' accuracies on this test set, as they are
    noise_variance: float  #: the part of it that this test set makes: seeds err on different examples of it
    seed_variance: float  #: between seeds, were the test set without end: observed less noise, below 0 where that is
    seed_low: float  #: the lower end of its 95% interval, below 0 too
    seed_high: float  #: the upper end
    test_variance: float  #: of one model's accuracy over test sets of this size


def seed_and_test_spread(right: ArrayLike, clusters: ArrayLike | None = None) -> Spread:
    """The variance of an accuracy between seeds, with an interval, and between test sets, told apart.

    Every seed answers the same examples, so that how hard these are moves all accuracies together and is not in the
    spread between seeds; that seeds err on different examples is, and shrinks with the test set. With
    `right[i, j]` = μ + seed i + example j + rest ij, all independent, the two-way analysis of variance gives

    - the noise that the test set makes in a seed's accuracy, MS_rest / n;
    - the variance between seeds, (MS_seeds − MS_rest) / n, the observed variance less the noise;
    - the variance of one model's accuracy over test sets of n examples, the mean over seeds of each one's own.

    The estimate between seeds is returned as it comes out: a negative one says that the seeds differ by no more than
    noise, and cutting it at 0 would hide that and bias it (Searle, Casella and McCulloch 1992, chapter 4). Its interval
    is that of the observed variance, (seeds − 1) · observed / χ², less the noise: for normal effects of seeds, and a
    noise that is known well, since it is estimated from all seeds and examples. The design is persons × items in
    Brennan 2001; why to tell the two apart: Bouthillier et al. 2021.

    Args:
        right: `(seeds, examples)`, bool, at least two of each: whether the model of a seed gets an example right.
        clusters: `(examples,)`, such as the document of each: noise and test sets are then those of whole clusters.

    Examples:
        >>> import numpy as np
        >>> right = np.random.default_rng(0).random((5, 400)) < 0.8  # five seeds on 400 examples, all equally good
        >>> spread = seed_and_test_spread(right)
        >>> print(f"{spread.accuracy:.2f} ± {spread.test_variance ** 0.5:.2f} over test sets")
        0.79 ± 0.02 over test sets
        >>> spread.seed_low < 0 < spread.seed_high
        True
    """
    right = np.asarray(right)
    if right.dtype != bool or right.ndim != 2 or min(right.shape) < 2:
        raise ValueError(f"right: {right.dtype} of shape {right.shape} is not bool of at least (2 seeds, 2 examples)")
    seeds, examples = right.shape
    of_example = np.arange(examples) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(of_example) != examples:
        raise ValueError(f"clusters: {len(of_example)} for {examples} examples")
    mean, by_seed, by_example = right.mean(), right.mean(1), right.mean(0)
    rest = right - by_seed[:, None] - by_example + mean  # (seeds, examples)
    noise = sum(clustered_variance(row, of_example)[1] for row in rest) / (seeds - 1)  # a row of the rest has mean 0
    observed = float(by_seed.var(ddof=1))  # MS_seeds / n
    low, high = (seeds - 1) * observed / stats.chi2.ppf([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2], seeds - 1)
    return Spread(
        accuracy=float(mean),
        observed_variance=observed,
        noise_variance=noise,
        seed_variance=observed - noise,
        seed_low=float(low) - noise,
        seed_high=float(high) - noise,
        test_variance=sum(clustered_variance(row, of_example)[1] for row in right) / seeds,
    )


def seed_and_test_interval(differences: ArrayLike, clusters: ArrayLike | None = None) -> PairedDifference:
    """The mean difference of two methods over seeds and examples, and how far another draw of both might move it.

    A seed moves all examples together and an example all seeds, so the numbers are dependent in two ways. The variance
    of their mean is that over seeds, plus that over clusters of examples, less that over both at once, which would else
    count twice (Cameron, Gelbach and Miller 2011), and no less than either of the two. Student's t has one degree of
    freedom less than there are seeds, or clusters if these are fewer.

    Args:
        differences: `(seeds, examples)`, at least two of each: first less second, each right (1) or wrong (0), say.
        clusters: `(examples,)`, such as the document of each, at least two; without them each example is its own.
    """
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 2 or min(differences.shape) < 2:
        raise ValueError(f"differences: shape {differences.shape} is not at least (2 seeds, 2 examples)")
    seeds, examples = differences.shape
    of_example = np.arange(examples) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(of_example) != examples:
        raise ValueError(f"clusters: {len(of_example)} for {examples} examples")
    seed, cluster = np.repeat(np.arange(seeds), examples), np.tile(of_example, seeds)
    _, over_seeds = clustered_variance(differences, seed)
    number, over_clusters = clustered_variance(differences, cluster)
    _, over_both = clustered_variance(differences, seed * number + cluster)
    error = math.sqrt(max(over_seeds + over_clusters - over_both, over_seeds, over_clusters))
    freedom = min(seeds, number) - 1
    mean, low, high = student_interval(float(differences.mean()), error, freedom)
    p = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
    return PairedDifference(mean, p, low, high)
