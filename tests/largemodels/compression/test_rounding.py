"""GPTQ's output error is below that of rounding to the nearest level, and equals the published loop's result."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from largemodels.base.errors import InputError
from largemodels.compression.calibration import layer_inputs
from largemodels.compression.quantization import QuantizedLinear, quantize, quantize_linear_layers
from largemodels.compression.rounding import gptq, quantize_blocks, squared_errors
from largemodels.models.batches import TokenSequences
from small_decoders import VOCABULARY, decoder


def correlated(tokens, width, seed=0):
    """Inputs of which each component resembles the others."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator) / width**0.5
    common = torch.randn(tokens, 1, generator=generator)
    return torch.randn(tokens, width, generator=generator) @ mixing + 2 * common


def windows(count=12, length=20):
    random = np.random.default_rng(0)
    ids = [random.integers(0, VOCABULARY, length - each % 3) for each in range(count)]
    return TokenSequences(ids, [f"{each}" for each in range(count)], ["none"] * count)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("group", [None, 16])
def test_the_output_changes_less_than_by_rounding_to_the_nearest_also_on_other_inputs(bits, group):
    weight = torch.randn(24, 48, generator=torch.Generator().manual_seed(1))
    nearest = quantize(weight, bits, axis=0, group=group).dequantize()
    ours = gptq(weight, correlated(400, 48), bits, group)
    for seed in (0, 1):
        inputs = correlated(400, 48) if seed == 0 else correlated(800, 48)[400:]
        error, size = (float(squared_errors(weight, ours.dequantize(), inputs)[each].sum()) for each in (0, 1))
        assert error < 0.8 * float(squared_errors(weight, nearest, inputs)[0].sum())
        assert error < size


def test_each_column_is_rounded_as_optimal_brain_quantization_would():
    """Frantar et al., equations 2 and 3: H⁻¹ loses a row and a column by elimination, where ours has one Cholesky."""
    weight, inputs, bits = torch.randn(6, 10, generator=torch.Generator().manual_seed(2)), correlated(50, 10), 3
    ours = gptq(weight, inputs, bits, damping=0.01)
    hessian = inputs.double().T @ inputs.double()
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(10)
    inverse, left = torch.linalg.inv(hessian), weight.double().clone()
    scale, zero_point = ours.scale.double(), ours.zero_point.double()
    for j in range(10):
        rounded = scale * (((left[:, [j]] / scale).round() + zero_point).clamp(0, 2**bits - 1) - zero_point)
        left[:, j + 1 :] -= (left[:, [j]] - rounded) / inverse[0, 0] * inverse[0, 1:]
        left[:, [j]] = rounded
        inverse = (inverse - torch.outer(inverse[:, 0], inverse[0]) / inverse[0, 0])[1:, 1:]
    torch.testing.assert_close(ours.dequantize().double(), left, rtol=1e-4, atol=1e-5)


def test_independent_inputs_leave_nothing_to_make_up_for():
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(gptq(weight, torch.eye(8), 4).integers, quantize(weight, 4, axis=0).integers)


def test_an_input_that_is_always_zero_breaks_nothing():
    inputs = correlated(50, 8)
    inputs[:, 3] = 0
    weight = torch.randn(5, 8, generator=torch.Generator().manual_seed(3))
    assert torch.isfinite(gptq(weight, inputs, 4).dequantize()).all()
    assert torch.isfinite(gptq(weight, torch.zeros(9, 8), 4).dequantize()).all()


def test_a_decoder_rounded_block_by_block_is_closer_to_itself_than_rounded_to_the_nearest():
    model = decoder("ours", spread=4)
    blocks = [f"blocks.{each}" for each in range(2)]
    ours = quantize_blocks(copy.deepcopy(model), blocks, 3, 16, windows())
    nearest = quantize_linear_layers(copy.deepcopy(model), 3, 16)
    tokens = torch.as_tensor(np.stack([each[:18] for each in windows().input_ids]))
    wanted, by_gptq, by_nearest = (each(tokens).logits for each in (model, ours, nearest))
    assert (by_gptq - wanted).norm() < (by_nearest - wanted).norm()
    assert not any(type(each) is nn.Linear for each in ours.modules())
    assert all(each.bits == 3 for each in ours.modules() if isinstance(each, QuantizedLinear))


def test_the_second_block_is_calibrated_behind_the_rounded_first(monkeypatch):
    seen = []

    def spy(weight, inputs, bits, group):
        seen.append(inputs)
        return gptq(weight, inputs, bits, group)

    monkeypatch.setattr("largemodels.compression.rounding.gptq", spy)
    model = decoder("ours", spread=4)
    quantize_blocks(copy.deepcopy(model), ["blocks.0", "blocks.1"], 2, 16, windows())
    float_inputs = layer_inputs(model, ["blocks.0.attention.query", "blocks.1.attention.query"], windows())
    first, second = float_inputs.values()
    assert torch.equal(seen[0], first)
    assert not torch.allclose(seen[len(seen) // 2], second)


def test_what_cannot_be_rounded_is_refused():
    with pytest.raises(InputError, match="final_norm: has no linear layer"):
        quantize_blocks(decoder("ours"), ["final_norm"], 4, 16, windows())
    with pytest.raises(InputError, match="bits: 1"):
        gptq(torch.ones(2, 2), torch.ones(3, 2), 1)
    with pytest.raises(InputError, match="group: 3 does not divide the 8"):
        gptq(torch.ones(2, 8), torch.ones(3, 8), 4, 3)
