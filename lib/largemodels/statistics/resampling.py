"""What bootstraps, permutation tests and simulations share: draws in portions, and the interval of their values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from largemodels.statistics.intervals import CONFIDENCE

AT_ONCE = 2_000_000
"""Numbers drawn at a time, so that memory does not grow with the resamples."""


def portion(width: int) -> int:
    """How many resamples of `width` numbers to draw at a time."""
    return max(1, AT_ONCE // max(1, width))


def portions(resamples: int, width: int) -> Iterator[int]:
    """The sizes of the portions, each a `portion` at most, in which so many resamples are drawn."""
    if resamples < 1:
        raise ValueError(f"resamples: {resamples} is not at least 1")
    for start in range(0, resamples, portion(width)):
        yield min(portion(width), resamples - start)


def percentile_interval(values: np.ndarray) -> np.ndarray:
    """The ends between which 95% of the resampled values lie, `(2, ...)`, along the first axis."""
    return np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
