"""Power laws of the loss, fitted as in Hoffmann et al. (2022), and parabolas through models of the same compute.

A law is fitted to the logarithms, with a Huber loss, so that a model that went wrong counts little. Intervals come from
a bootstrap over models and, within each, over its seeds: what is uncertain is which models stood on the ladder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from largemodels.base.errors import InputError
from largemodels.statistics.intervals import covering, percentile_interval

DELTA = 1e-3
"""Where the Huber loss of a logarithm turns from a square to an absolute value (Hoffmann et al. 2022, section 3.3)."""
STEEPEST = 3.0
"""The largest exponent that is tried: points of a resample that hardly fall would else have one without end."""
LEAST = 4
"""Different models under which no power law is fitted: its three numbers would go through any three points."""


@dataclass(frozen=True)
class PowerLaw:
    """The loss E + A / x^α of a model, where x is its size, its tokens or its compute.

    Attributes:
        coefficient: A, in units of the loss.
        exponent: α.
        irreducible: E, the loss that no x goes below; 0 in a law without it.

    Examples:
        >>> law = PowerLaw(coefficient=8.0, exponent=0.5, irreducible=1.0)
        >>> law([4, 16]).tolist()
        [5.0, 3.0]
    """

    coefficient: float
    exponent: float
    irreducible: float = 0.0

    def __call__(self, sizes: ArrayLike) -> np.ndarray:
        """The losses at some sizes, in their shape."""
        return self.irreducible + self.coefficient * np.asarray(sizes, dtype=float) ** -self.exponent


@dataclass(frozen=True)
class FittedLaw:
    """A power law and those of the resamples, from which the interval of whatever follows from it is read."""

    law: PowerLaw
    resampled: tuple[PowerLaw, ...]

    def interval(self, of: Callable[[PowerLaw], float]) -> tuple[float, float, float]:
        """What `of` gives for the law, and the ends of its 95% percentile interval: `(value, low, high)`.

        Where the law itself is at the edge of what a fit may give, resamples may all lie on one side of it; the
        interval then ends at its value.
        """
        resampled = np.array([float(of(law)) for law in self.resampled])
        return covering(float(of(self.law)), *percentile_interval(resampled))


def fit_power_law(sizes: ArrayLike, losses: ArrayLike, *, irreducible: bool = True) -> PowerLaw:
    """The power law nearest to some models: the least sum of Huber losses of log predicted − log measured.

    As in Hoffmann et al. (2022, section 3.3), the search goes over log A, α and log E. It begins at the best of several
    E, each with the line of least squares. α is between 0 and 3, and E not below a thousandth of the least loss.

    Args:
        sizes: above 0, `(n,)`; several runs may have the same.
        losses: above 0, `(n,)`.
        irreducible: whether E is fitted too; without, it is 0, and the law is a line in the logarithms.

    Raises:
        InputError: for fewer than four different sizes, unequal lengths, or numbers that have no logarithm.

    Examples:
        >>> law = fit_power_law([1, 10, 100, 1000], [6.0, 4.5, 3.375, 2.53125], irreducible=False)
        >>> round(10**-law.exponent, 3)
        0.75
    """
    log_sizes, log_losses = _logarithms(sizes, losses)
    centre = log_sizes.mean()
    places = log_sizes - centre  # so that A and α hardly hang together
    lowest = log_losses.min()

    def objective(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        reducible = numbers[0] - numbers[1] * places  # (n,)
        predicted = np.logaddexp(reducible, numbers[2]) if irreducible else reducible
        share = np.exp(reducible - predicted)  # of the loss that the size can reduce
        error = predicted - log_losses
        slope = np.clip(error, -DELTA, DELTA) / DELTA
        gradient = np.array([slope @ share, -slope @ (share * places), slope @ (1 - share)])
        return float(special.huber(DELTA, error).sum()) / DELTA, gradient[: len(numbers)]

    bounds = [(None, None), (0, STEEPEST), (lowest + np.log(1e-3), lowest)][: 3 if irreducible else 2]
    beginnings = []
    for part in (0.01, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99) if irreducible else (0.0,):  # of the least loss, as E
        slope, level = np.polyfit(places, np.log(np.exp(log_losses) - part * np.exp(lowest)), 1)
        beginnings.append(np.array([level, min(max(-slope, 0), STEEPEST), lowest + np.log(part or 1)][: len(bounds)]))
    begun = min(beginnings, key=lambda numbers: objective(numbers)[0])
    level, exponent, *last = optimize.minimize(objective, begun, jac=True, method="L-BFGS-B", bounds=bounds).x
    floor = float(np.exp(last[0])) if irreducible else 0.0
    return PowerLaw(float(np.exp(level + exponent * centre)), float(exponent), floor)


def fit_with_interval(
    sizes: ArrayLike, losses: ArrayLike, *, irreducible: bool = True, resamples: int = 200, seed: int = 0
) -> FittedLaw:
    """The power law of some models with those of the bootstrap; arguments and errors are those of `fit_power_law`."""
    sizes, losses = np.asarray(sizes, dtype=float), np.asarray(losses, dtype=float)
    law = fit_power_law(sizes, losses, irreducible=irreducible)
    drawn = resampled_models(sizes, resamples, seed=seed)
    return FittedLaw(law, tuple(fit_power_law(sizes[rows], losses[rows], irreducible=irreducible) for rows in drawn))


def resampled_models(sizes: ArrayLike, resamples: int, *, seed: int = 0) -> Iterator[np.ndarray]:
    """The rows of each resample: as many sizes as there are, with replacement, and for each as many of its runs.

    A resample with fewer than four different sizes, on which no law can be fitted, is drawn again.

    Raises:
        InputError: for fewer than four different sizes.
    """
    sizes = np.asarray(sizes)
    different = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]
    _check_number(len(different))
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        models = np.zeros(0, dtype=int)
        while len(np.unique(models)) < LEAST:
            models = generator.integers(len(different), size=len(different))
        yield np.concatenate([generator.choice(different[model], len(different[model])) for model in models])


def isoflop_minimum(sizes: ArrayLike, losses: ArrayLike) -> tuple[float, float]:
    """The size of the least loss among models of the same compute, and that loss: `(size, loss)`.

    It is the lowest point, within the sizes that were tried, of the parabola in log size that has the least squares
    (Hoffmann et al. 2022, section 3.2). Where the parabola has no bottom there, it is at the better end.

    Raises:
        InputError: for fewer than four different sizes, unequal lengths, or numbers that have no logarithm.

    Examples:
        >>> size, loss = isoflop_minimum([1, 10, 100, 1000], [5.0, 2.0, 1.0, 2.0])
        >>> print(f"{size:.0f}, {loss:.1f}")
        100, 1.0
    """
    log_sizes, _ = _logarithms(sizes, losses)
    parabola = np.poly1d(np.polyfit(log_sizes, losses, 2))
    candidates = [log_sizes.min(), log_sizes.max()]
    bend, slope, _ = parabola.coeffs if parabola.order == 2 else (0, 0, 0)
    if bend > 0:
        candidates.append(np.clip(-slope / (2 * bend), *candidates))
    best = min(candidates, key=parabola)
    return float(np.exp(best)), float(parabola(best))


def frontier(flops: ArrayLike, losses: ArrayLike) -> np.ndarray:
    """The rows of the models that no other beats with as much compute or less, from the cheapest on.

    Examples:
        >>> frontier([3, 1, 2, 4], [1.0, 2.0, 2.5, 0.5]).tolist()
        [1, 0, 3]
    """
    losses = np.asarray(losses, dtype=float)
    order = np.lexsort((losses, np.asarray(flops)))
    best = np.minimum.accumulate(losses[order])
    return order[np.concatenate([[True], losses[order][1:] < best[:-1]])] if len(order) else order


def _logarithms(sizes: ArrayLike, losses: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of sizes and losses, `(n,)` each, after a check that there are enough."""
    sizes, losses = (np.asarray(each, dtype=float).ravel() for each in (sizes, losses))
    if len(sizes) != len(losses):
        raise InputError(f"losses: {len(losses)} do not pair with {len(sizes)} sizes")
    for name, values in (("sizes", sizes), ("losses", losses)):
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError(f"{name}: every one has to be a number above 0, since its logarithm is taken")
    _check_number(len(np.unique(sizes)))
    return np.log(sizes), np.log(losses)


def _check_number(models: int) -> None:
    if models < LEAST:
        raise InputError(f"sizes: {models} different ones are too few to fit a curve to; give at least {LEAST}")
