"""Integers of a few bits packed into bytes without gaps, as a rounded weight is kept and saved."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pack(integers: Tensor, bits: int) -> Tensor:
    """Integers from 0 to 2ᵇ − 1 without gaps between their bits: eight of them in `bits` bytes.

    Of `(..., n)` uint8 it makes `(..., bits · ⌈n / 8⌉)` uint8. `unpack` gives them back.
    """
    eights = F.pad(integers, (0, -integers.shape[-1] % 8)).unflatten(-1, (-1, 8)).long()  # (..., n / 8, 8)
    places = torch.arange(8, device=integers.device)
    word = (eights << bits * places).sum(-1, keepdim=True)  # (..., n / 8, 1); the bits are apart, so a sum joins them
    return (word >> 8 * places[:bits] & 255).to(torch.uint8).flatten(-2)


def unpack(packed: Tensor, bits: int, n: int) -> Tensor:
    """The `n` integers of each row that `pack` has packed, `(..., n)` uint8."""
    places = torch.arange(8, device=packed.device)
    word = (packed.unflatten(-1, (-1, bits)).long() << 8 * places[:bits]).sum(-1, keepdim=True)  # (..., n / 8, 1)
    return (word >> bits * places & 2**bits - 1).to(torch.uint8).flatten(-2)[..., :n]
