"""Training through rounding: weights are rounded in the forward pass, and the gradient passes as if they were not.

Rounding is a staircase, flat wherever it has a derivative, so the true gradient of a rounded weight is zero and nothing
would be learnt. The straight-through estimator puts the identity in its place (Bengio et al. 2013; Jacob et al. 2018).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from largemodels.compression.quantization import (
    Quantized,
    QuantizedLinear,
    check_bits,
    grid,
    levels,
    quantize,
    refuse_other_layers,
    replace_layers,
    to_integers,
)


def straight_through(x: Tensor, scale: Tensor, zero_point: Tensor | None, bits: int) -> Tensor:
    """Numbers rounded to a given grid, of the shape of `x`, with the straight-through estimator as their gradient.

    The gradient passes unchanged where the grid reaches, and is 0 for the numbers that are cut to its ends.

    Args:
        scale: as `grid` gives it for channels, broadcasting with `x`.
        zero_point: likewise, or None on a symmetric grid.
        bits: 2 to 8.
    """
    return _StraightThrough.apply(x, scale, zero_point, bits)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, x: Tensor, scale: Tensor, zero_point: Tensor | None, bits: int
    ) -> Tensor:
        low, high = levels(bits, symmetric=zero_point is None)
        steps = (x * (1 / scale)).round() + (0 if zero_point is None else zero_point)
        ctx.save_for_backward((steps >= low) & (steps <= high))
        return Quantized(to_integers(x, scale, zero_point, bits), scale, zero_point, bits).dequantize()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None


class FakeQuantizedLinear(nn.Module):
    """A linear layer that computes with its weight rounded, and learns the float weight behind it.

    The symmetric grid, a scale for each output, is made anew from the weight in each call, and counts as a constant in
    the gradient. `quantized()` is the layer that keeps the integers alone, and gives the same.
    """

    def __init__(self, layer: nn.Linear, bits: int, *, straight_through: bool = True) -> None:
        """Go on from a layer's weight and bias, which are trained in place.

        Args:
            bits: 2 to 8.
            straight_through: whether the weight gets the estimator's gradient; otherwise it gets the true one, zero.
        """
        super().__init__()
        check_bits(bits)
        self.layer, self.bits, self.straight_through = layer, bits, straight_through

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, `(..., out)`, for `x`, `(..., in)`."""
        weight = self.layer.weight
        scale, zero_point = grid(weight.detach(), self.bits, symmetric=True, axis=0)
        rounded = straight_through(weight, scale, zero_point, self.bits)
        return F.linear(x, rounded if self.straight_through else rounded.detach(), self.layer.bias)

    def quantized(self) -> QuantizedLinear:
        """The layer with its weight as integers."""
        weight = quantize(self.layer.weight.detach(), self.bits, symmetric=True, axis=0)
        return QuantizedLinear(weight, self.layer.bias)


def train_through_rounding(model: nn.Module, bits: int, *, straight_through: bool = True) -> nn.Module:
    """The same model with a `FakeQuantizedLinear` in the place of each of its linear layers, ready to be trained.

    Raises:
        InputError: for bits outside 2 to 8, or a model with layers that cannot be quantized.
    """
    check_bits(bits)
    refuse_other_layers(model)
    return replace_layers(
        model, nn.Linear, lambda _, layer: FakeQuantizedLinear(layer, bits, straight_through=straight_through)
    )


def round_for_good(model: nn.Module) -> nn.Module:
    """The same model with each `FakeQuantizedLinear` as the integers that it has computed with."""
    return replace_layers(model, FakeQuantizedLinear, lambda _, layer: layer.quantized())
