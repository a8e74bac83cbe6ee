"""Attention without its table of weights: the tiles and the online softmax of FlashAttention, written out."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def attention_in_tiles(query: Tensor, key: Tensor, value: Tensor, tile: int) -> Tensor:
    """The output of `attention` for some queries, `(queries, d_v)`, from `tile` keys at a time (Dao et al. 2022).

    No table of weights is ever formed. Each query carries the largest score so far, the sum of the exponentials so far
    (the normaliser) and the weighted sum of values so far; when a later tile has a larger score, what was summed before
    is scaled down. The online softmax is Milakov and Gimelshein's (2018).

    Args:
        query: `(queries, d_k)`.
        key: `(keys, d_k)`.
        value: `(keys, d_v)`.
        tile: how many keys are read at a time.

    Examples:
        >>> import torch
        >>> from largemodels.attention.layers import attention
        >>> q, k, v = torch.randn(3, 7, 4)
        >>> torch.allclose(attention_in_tiles(q, k, v, tile=2), attention(q, k, v)[0], atol=1e-6)
        True
    """
    if tile < 1:
        raise ValueError(f"tile: {tile} is not at least 1")
    largest = torch.full((len(query), 1), -math.inf, dtype=query.dtype)  # (queries, 1)
    normaliser = torch.zeros(len(query), 1, dtype=query.dtype)  # (queries, 1)
    summed = torch.zeros(len(query), value.shape[-1], dtype=value.dtype)  # (queries, d_v)
    for keys, values in zip(key.split(tile), value.split(tile), strict=True):
        scores = query @ keys.T / math.sqrt(query.shape[-1])  # (queries, tile)
        new_largest = torch.maximum(largest, scores.amax(-1, keepdim=True))
        shrink, exponentials = (largest - new_largest).exp(), (scores - new_largest).exp()
        normaliser = shrink * normaliser + exponentials.sum(-1, keepdim=True)
        summed = shrink * summed + exponentials @ values
        largest = new_largest
    return summed / normaliser  # (queries, d_v)
