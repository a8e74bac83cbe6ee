"""What training holds in memory: weights, gradients and moments by the parameter, activations by the token.

Activations are counted as Korthikanti et al. (2022) do: each tensor that a layer of several operations keeps for its
backward pass once, with normalisation, activation and attention as one operation each. Code that writes those out in
smaller steps keeps more.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal, get_args

from torch import nn
from torch.utils.checkpoint import checkpoint

from largemodels.base.errors import InputError
from largemodels.scaling.formulas import TransformerShape

WEIGHT, GRADIENT, OPTIMIZER = 2, 2, 12
"""Bytes a parameter of mixed precision with Adam (Rajbhandari et al. 2020): weight and gradient in 16 bits; a master
weight and two moments in 32."""

Recomputed = Literal["nothing", "attention", "blocks"]
"""What the backward pass computes once more: nothing, the weights of attention, or each block from its input."""


def block_activation_bytes(
    shape: TransformerShape,
    length: int,
    *,
    number_bytes: int = 2,
    dropout: bool = False,
    recomputed: Recomputed = "nothing",
) -> int:
    """The bytes that one block keeps of each token for the backward pass.

    With biases, no gate, an inner width of 4 times the width, 16-bit numbers and dropout these are Korthikanti's
    34 · w + 5 · H · T, where w is the width, H the heads and T the length.

    Args:
        shape: of the model.
        length: tokens of a text, each of which every query meets.
        number_bytes: of a number.
        dropout: whether the outputs of both layers and the weights of attention are thinned; a mask takes a byte for
            each number, and the thinned weights are kept as well.
        recomputed: what is thrown away. Without the weights of attention, the part that grows with the length is
            gone: a fused kernel does that of itself (Dao et al. 2022). Without the blocks, their inputs remain.

    Raises:
        InputError: for another name of what is recomputed.
    """
    if recomputed not in get_args(Recomputed):
        raise InputError(f"recomputed: {recomputed} is not one of {', '.join(get_args(Recomputed))}")
    if recomputed == "blocks":
        return shape.width * number_bytes
    wide, narrow = shape.num_heads * shape.head_width, shape.shared_heads * shape.head_width
    normalised = (1 if shape.parallel else 2) * 2 * shape.width  # the input and the output of each normalisation
    attention = wide + 2 * narrow + wide  # queries, keys and values, and the mix
    feed_forward = (4 if shape.gated else 2) * shape.inner
    kept = (normalised + attention + feed_forward) * number_bytes + (2 * shape.width if dropout else 0)
    if recomputed == "nothing":
        weights = shape.num_heads * length
        kept += weights * number_bytes + (weights * (1 + number_bytes) if dropout else 0)
    return kept


def recompute_blocks(blocks: Iterable[nn.Module]) -> None:
    """Let each block throw its activations away, and compute them again in the backward pass (Chen et al. 2016)."""
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
