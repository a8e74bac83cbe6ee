"""Rounding a weight matrix so that the layer's output stays close, not each weight: GPTQ (Frantar et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from largemodels.base.errors import InputError
from largemodels.compression.calibration import layer_inputs
from largemodels.compression.quantization import (
    Quantized,
    QuantizedLinear,
    check_bits,
    check_group,
    grid,
    to_integers,
)
from largemodels.models.batches import TokenSequences


def gptq(weight: Tensor, inputs: Tensor, bits: int, group: int | None = None, *, damping: float = 0.01) -> Quantized:
    """A weight matrix on an affine grid, rounded input by input so that its output on `inputs` changes little.

    After each column is rounded, the columns that are left take up its error, by the inverse of H = XᵀX: U is the upper
    Cholesky factor of H⁻¹, whose rows are what is left of it once the columns before are fixed. The grid of a group is
    that of its weights when its first column is reached.

    Args:
        weight: `(out, in)`.
        inputs: what the layer reads on calibration text, `(tokens, in)`.
        bits: 2 to 8.
        group: inputs of an output that share a scale; None for all.
        damping: of the mean of H's diagonal, added to it, so that it has an inverse.
    """
    check_bits(bits)
    check_group(group or weight.shape[1], weight.shape[1])
    hessian = (inputs.T @ inputs).double()  # (in, in)
    diagonal = hessian.diagonal()
    diagonal += damping * diagonal.mean() + 1e-12
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True).to(weight.dtype)
    left, width = weight.clone(), group or weight.shape[1]
    integers, scales, zero_points = [], [], []
    for j in range(weight.shape[1]):
        if j % width == 0:
            scale, zero_point = grid(left[:, j : j + width], bits, axis=0)  # (out, 1) each
            scales.append(scale), zero_points.append(zero_point)
        column = left[:, j : j + 1]
        rounded = Quantized(to_integers(column, scale, zero_point, bits), scale, zero_point, bits)
        error = (column - rounded.dequantize()) / upper[j, j]  # (out, 1)
        left[:, j + 1 :] -= error * upper[j, j + 1 :]
        integers.append(rounded.integers)
    scale, zero_point = torch.cat(scales, 1), torch.cat(zero_points, 1)  # (out, groups)
    if group is not None:
        scale, zero_point = scale.unsqueeze(-1), zero_point.unsqueeze(-1)
    return Quantized(torch.cat(integers, 1), scale, zero_point, bits)


def squared_errors(weight: Tensor, rounded: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Of each token, ‖(W − Ŵ) x‖² and ‖W x‖², `(tokens,)` each: their totals' ratio is the relative error."""
    return (inputs @ (weight - rounded).T).square().sum(1), (inputs @ weight.T).square().sum(1)


def quantize_blocks(
    model: nn.Module,
    blocks: Sequence[str],
    bits: int,
    group: int | None,
    windows: TokenSequences,
) -> nn.Module:
    """The same model with the linear layers of its blocks rounded one block after the other, by GPTQ.

    Each block is calibrated on what it reads behind the blocks that are rounded already, so that it makes up for some
    of their errors.

    Args:
        blocks: the blocks' names in the model, in the order in which they are computed.
        windows: calibration text.

    Raises:
        InputError: for a name of no block with linear layers, bits outside 2 to 8, or a group that does not divide the
            inputs of a layer.
    """
    for block in blocks:
        layers = {
            f"{block}.{name}": layer
            for name, layer in model.get_submodule(block).named_modules()
            if isinstance(layer, nn.Linear)
        }
        if not layers:
            raise InputError(f"{block}: has no linear layer that could be quantized")
        read = layer_inputs(model, list(layers), windows)
        for name, layer in layers.items():
            parent, _, last = name.rpartition(".")
            weight = gptq(layer.weight.detach(), read[name], bits, group)
            setattr(model.get_submodule(parent), last, QuantizedLinear(weight, layer.bias))
    return model
