"""Inputs of attention that do not fit together, refused in a sentence before PyTorch would speak of its kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from largemodels.base.checks import described


def check_inputs(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Refuse inputs of `layers.attention` that do not fit together.

    Raises:
        ValueError: a sentence that names the first of them.
    """
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.ndim < 2 or not tensor.is_floating_point():
            raise ValueError(f"{name}: {described(tensor)} is not floating point of shape (..., length, dim)")
    if not query.dtype == key.dtype == value.dtype:
        raise ValueError(f"query, key and value are {query.dtype}, {key.dtype} and {value.dtype}: give them one type")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(f"key: width {key.shape[-1]} is not that of the query, {query.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"value: {value.shape[-2]} rows for {key.shape[-2]} keys")
    leading = [tuple(tensor.shape[:-2]) for tensor in (query, key, value)]
    if (batch := _broadcast(*leading)) is None:
        raise ValueError(f"batch shapes of query, key and value do not broadcast: {', '.join(map(str, leading))}")
    if mask is None:
        return
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise ValueError(f"mask: {described(mask)} is neither boolean (True = may attend) nor floating (is added)")
    scores = (*batch, query.shape[-2], key.shape[-2])
    if _broadcast(mask.shape, scores) != scores:
        raise ValueError(f"mask: shape {tuple(mask.shape)} does not broadcast to the scores, {scores}")


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that these shapes broadcast to, or None."""
    try:
        return tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        return None


def is_whole(tensor: Tensor) -> bool:
    """Whether a tensor is of whole numbers; booleans are none."""
    return not tensor.is_floating_point() and tensor.dtype != torch.bool
