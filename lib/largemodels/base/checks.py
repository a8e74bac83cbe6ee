"""What functions demand of their arguments, each with a sentence that names what was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from torch import Tensor


_SUM = 1e-4  # how far a row may sum from 1: a float32 softmax over many classes rounds
_ROUNDING = 1e-6  # how far above 1 the exponential of a float32 logarithm may come


def class_ids(values: ArrayLike, name: str, classes: int | None = None) -> np.ndarray:
    """Classes as int64, `(n,)`, after a check that they are whole numbers from 0, below `classes` where it is known.

    Raises:
        ValueError: if there are none, they are not whole numbers, or one is outside the range.
    """
    ids = np.asarray(values)
    if not ids.size:
        raise ValueError(f"{name}: there are none")
    if ids.ndim != 1 or ids.dtype.kind not in "iub":
        raise ValueError(f"{name}: {ids.dtype} of shape {ids.shape} is not whole numbers of shape (n,)")
    outside = ids[(ids < 0) | (ids >= (np.inf if classes is None else classes))]
    if outside.size:
        expected = "at least 0" if classes is None else f"a class from 0 to {classes - 1}"
        raise ValueError(f"{name}: {outside[0]} is not {expected}")
    return ids.astype(np.int64)


def as_distributions(probabilities: ArrayLike, name: str = "probabilities") -> np.ndarray:
    """Probabilities as float64, `(n, classes)`, after a check that each row is a distribution.

    Raises:
        ValueError: if there are none, or a row has not at least two numbers from 0 to 1 that sum to 1.
    """
    try:
        rows = np.asarray(probabilities, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: they are not rows of as many numbers each") from None
    if not rows.size:
        raise ValueError(f"{name}: there are none")
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(f"{name}: shape {rows.shape} is not (n, classes) with at least 2 classes")
    outside = np.argwhere(~((rows >= 0) & (rows <= 1 + _ROUNDING)))
    if len(outside):
        row, column = outside[0]
        raise ValueError(f"{name}: row {row} has {rows[row, column]:g}, which is not between 0 and 1")
    sums = rows.sum(1)
    (wrong,) = np.nonzero(np.abs(sums - 1) > _SUM)
    if len(wrong):
        raise ValueError(f"{name}: row {wrong[0]} sums to {sums[wrong[0]]:g}, not to 1")
    return np.minimum(rows, 1.0)


def described(tensor: Tensor) -> str:
    """The type and shape of a tensor, for a message."""
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
