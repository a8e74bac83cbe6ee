"""Numbers rounded to a grid of few levels, weights stored as integers, and products of such matrices.

A number x is stored as the integer q = round(x / scale) + zero point, of so many bits, and read as scale · (q − zero
point). What shares a scale is a whole tensor, a channel, or a group of neighbours. This is the ground of the wing:
the other modules choose the integers, or the scales, better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from largemodels.base.errors import InputError
from largemodels.compression.packing import pack, unpack


@dataclass(frozen=True)
class Quantized:
    """A tensor as integers, with the scales that turn them back.

    Attributes:
        integers: int8 from −(2ᵇ⁻¹ − 1) to 2ᵇ⁻¹ − 1 on a symmetric grid, uint8 from 0 to 2ᵇ − 1 on an affine one.
        scale: the distance of two levels; it broadcasts with the integers, or with their last dimension cut into groups
            (`(rows, groups, 1)` for a matrix).
        zero_point: the integer that stands for 0, of the shape of `scale`; None on a symmetric grid, where it is 0.
        bits: of an integer.
    """

    integers: Tensor
    scale: Tensor
    zero_point: Tensor | None
    bits: int

    def dequantize(self) -> Tensor:
        """The numbers that the integers stand for, of the shape of `integers`."""
        integers = _grouped(self.integers, self.scale).to(self.scale.dtype)
        zero_point = 0 if self.zero_point is None else self.zero_point
        return (self.scale * (integers - zero_point)).reshape(self.integers.shape)

    @property
    def bytes(self) -> int:
        """Bytes of the integers, packed without gaps, of the scales, 4 each, and of the zero points, 1 each."""
        zero_points = 0 if self.zero_point is None else self.zero_point.numel()
        return -(-self.integers.numel() * self.bits // 8) + 4 * self.scale.numel() + zero_points


def quantize(
    x: Tensor, bits: int, *, symmetric: bool = False, axis: int | None = None, group: int | None = None
) -> Quantized:
    """A tensor rounded to the nearest levels of a grid that spans its smallest and largest number.

    Args:
        bits: 2 to 8.
        symmetric: levels on both sides of 0 alike, scale · (−m … m) with m = 2ᵇ⁻¹ − 1; otherwise an affine grid, all 2ᵇ
            levels from the smallest number to the largest, moved so that 0 is one of them.
        axis: the dimension of which each index has a scale, as 0 for the outputs of a weight; None for one scale.
        group: so many neighbours along the last dimension have a scale of their own, instead.

    Raises:
        InputError: for bits outside 2 to 8, a group that does not divide the last dimension, or numbers that are not
            finite.
    """
    scale, zero_point = grid(x, bits, symmetric=symmetric, axis=axis, group=group)
    return Quantized(to_integers(x, scale, zero_point, bits), scale, zero_point, bits)


def grid(
    x: Tensor, bits: int, *, symmetric: bool = False, axis: int | None = None, group: int | None = None
) -> tuple[Tensor, Tensor | None]:
    """The scale and the zero point, None on a symmetric grid, that `quantize` takes for a tensor; errors are its."""
    check_bits(bits)
    if not torch.isfinite(x).all():
        raise InputError("x: it holds numbers that are not finite, for which no grid has a level")
    if group is not None:
        check_group(group, x.shape[-1])
        x, shared = x.unflatten(-1, (-1, group)), (-1,)
    else:
        shared = tuple(each for each in range(x.ndim) if axis is None or each != axis % x.ndim)
    low, high = x.amin(shared, keepdim=True).clamp(max=0), x.amax(shared, keepdim=True).clamp(min=0)
    least, most = levels(bits, symmetric=symmetric)
    scale = torch.maximum(-low, high) / most if symmetric else (high - low) / (most - least)
    scale = torch.where(scale > 0, scale, 1.0)  # nothing but zeros
    return scale, None if symmetric else (-low / scale).round().to(torch.uint8)


def to_integers(x: Tensor, scale: Tensor, zero_point: Tensor | None, bits: int) -> Tensor:
    """The integers of the levels nearest to some numbers on a given grid, of the shape of `x`; see `Quantized`."""
    low, high = levels(bits, symmetric=zero_point is None)
    steps = (_grouped(x, scale) * (1 / scale)).round()  # as PyTorch: dividing would break some ties the other way
    integers = steps if zero_point is None else steps + zero_point
    return integers.clamp(low, high).reshape(x.shape).to(torch.int8 if zero_point is None else torch.uint8)


def levels(bits: int, *, symmetric: bool) -> tuple[int, int]:
    """The smallest and the largest integer of a grid."""
    most = 2 ** (bits - 1) - 1
    return (-most, most) if symmetric else (0, 2**bits - 1)


def check_bits(bits: int) -> None:
    """Refuse bits outside 2 to 8."""
    if not 2 <= bits <= 8:
        raise InputError(f"bits: {bits} is not between 2 and 8")


def check_group(group: int, inputs: int) -> None:
    """Refuse a group that does not divide the inputs of a layer."""
    if group < 1 or inputs % group:
        raise InputError(f"group: {group} does not divide the {inputs} inputs of a layer")


def _grouped(x: Tensor, scale: Tensor) -> Tensor:
    """A tensor with its last dimension cut into the groups of a scale, if it has groups."""
    return x.unflatten(-1, (scale.shape[-2], -1)) if scale.ndim > x.ndim else x


def integer_product(x: Quantized, weight: Quantized) -> Tensor:
    """x · weightᵀ of two quantized matrices, `(tokens, out)`, from one product of their integers summed in int32.

    With q − z for each number, the sum over the n inputs falls into four: Σ q_x q_w, less z_x Σ q_w, less z_w Σ q_x,
    plus n z_x z_w. Only the first is a matrix product (Jacob et al. 2018). The result differs from the product of the
    dequantized matrices by floating-point rounding alone.

    Args:
        x: `(tokens, in)`, with a scale for all or for each token.
        weight: `(out, in)`, with a scale for all or for each output.
    """
    (q_x, z_x), (q_w, z_w) = (_signed(each) for each in (x, weight))
    total = q_x.int() @ q_w.int().T  # (tokens, out), exact as long as n < 2¹⁷
    total = total - z_x * q_w.sum(1, dtype=torch.int32) - z_w.T * q_x.sum(1, keepdim=True, dtype=torch.int32)
    total = total + q_x.shape[1] * z_x * z_w.T
    return x.scale * weight.scale.T * total


def _signed(each: Quantized) -> tuple[Tensor, Tensor]:
    """The integers as int8, which is what integer kernels take, and the zero point as int32, moved along with them."""
    if each.zero_point is None:
        return each.integers, torch.zeros_like(each.scale, dtype=torch.int32)
    return (each.integers.int() - 128).to(torch.int8), each.zero_point.int() - 128


class QuantizedLinear(nn.Module):
    """A linear layer that keeps its weight as packed integers, and makes it anew in each call: smaller, not faster.

    What it keeps are plain tensors, `packed`, `scale`, `zero_point` (on an affine grid) and `bias`, so that its
    `state_dict` can be saved as any other. They are buffers: none is trained. Inputs get their gradient.

    Examples:
        >>> layer = nn.Linear(64, 32)
        >>> smaller = QuantizedLinear(quantize(layer.weight.detach(), 8, axis=0), layer.bias)
        >>> bool((smaller.weight - layer.weight).abs().max() < smaller.scale.max())
        True
    """

    def __init__(self, weight: Quantized, bias: Tensor | None = None) -> None:
        """Keep a quantized matrix, `(out, in)`, and a bias, `(out,)`."""
        super().__init__()
        self.out_features, self.in_features = weight.integers.shape
        self.bits = weight.bits
        stored = weight.integers if weight.zero_point is not None else weight.integers.int() + _levels_below(self.bits)
        self.register_buffer("packed", pack(stored.to(torch.uint8), self.bits))
        self.register_buffer("scale", weight.scale)
        self.register_buffer("zero_point", weight.zero_point)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @property
    def quantized(self) -> Quantized:
        """The weight as integers and scales."""
        integers = unpack(self.packed, self.bits, self.in_features)
        if self.zero_point is None:
            integers = (integers.int() - _levels_below(self.bits)).to(torch.int8)
        return Quantized(integers, self.scale, self.zero_point, self.bits)

    @property
    def weight(self) -> Tensor:
        """The matrix that the integers stand for, `(out, in)`, made when it is asked for."""
        return self.quantized.dequantize()

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, `(..., out)`, for `x`, `(..., in)`."""
        product = _WeightMadeTwice.apply(x, self)
        return product if self.bias is None else product + self.bias

    def extra_repr(self) -> str:
        """What `print` shows of the layer."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bits={self.bits}"


class _WeightMadeTwice(torch.autograd.Function):
    """x · Wᵀ with W made from integers, and made again for the gradient of x, so that no float W is kept between."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, layer: QuantizedLinear) -> Tensor:
        ctx.layer = layer
        return x @ layer.weight.T

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient @ ctx.layer.weight, None


def _levels_below(bits: int) -> int:
    """The levels below 0 of a symmetric grid: what is added to its integers so that none is negative."""
    return 2 ** (bits - 1) - 1


def replace_layers(
    model: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...], make: Callable[[str, nn.Module], nn.Module]
) -> nn.Module:
    """The same model with `make(name, layer)` in the place of each layer of some kinds; an output matrix is left.

    That is a layer that shares its weight with an embedding, or the head that `transformers` knows as such.
    """
    kept = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    found = [(name, each) for name, each in model.named_modules() if isinstance(each, kind) and each is not head]
    for name, layer in found:
        if id(getattr(layer, "weight", None)) not in kept:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, make(name, layer))
    return model


def quantize_linear_layers(
    model: nn.Module,
    bits: int,
    group: int | None = None,
    *,
    symmetric: bool = False,
    axis: int | None = 0,
    skip: Sequence[str] = (),
) -> nn.Module:
    """The same model with a `QuantizedLinear` in the place of each of its linear layers; embeddings stay as they are.

    Weights are rounded to the nearest level. A fresh model of the same shape, changed by the same call, takes the saved
    `state_dict` of another.

    Args:
        group: weights of an output that share a scale; None for all of them, or for the whole matrix with `axis` None.
        skip: names of layers that stay as they are.

    Raises:
        InputError: for bits outside 2 to 8, a group that does not divide the inputs, or a model with layers that
            cannot be quantized, or without any that can.
    """
    check_bits(bits)
    refuse_other_layers(model)

    def smaller(name: str, layer: nn.Linear) -> nn.Module:
        if name in skip:
            return layer
        weight = quantize(layer.weight.detach(), bits, symmetric=symmetric, axis=axis, group=group)
        return QuantizedLinear(weight, layer.bias)

    return replace_layers(model, nn.Linear, smaller)


def refuse_other_layers(model: nn.Module) -> None:
    """Refuse a model whose matrices are not those of `nn.Linear`.

    Raises:
        InputError: naming the first layer that cannot be quantized.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, (Conv1D, nn.Conv1d, nn.Conv2d, nn.RNNBase, nn.MultiheadAttention, QuantizedLinear)):
            raise InputError(
                f"{name}: a {type(layer).__name__} cannot be quantized here, only linear layers with float weights; "
                "choose another model, as a Llama, a BERT or a ModernBERT"
            )
    if not any(isinstance(layer, nn.Linear) for layer in model.modules()):
        raise InputError(f"{type(model).__name__}: has no linear layer that could be quantized; choose another model")
