"""Quantizers equal those of PyTorch; integers multiply exactly; what is packed, saved and loaded is what it was."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from largemodels.base.errors import InputError
from largemodels.compression.quantization import (
    Quantized,
    QuantizedLinear,
    grid,
    integer_product,
    levels,
    quantize,
    quantize_linear_layers,
)
from largemodels.models.cost import count_saved_bytes
from small_decoders import VOCABULARY, decoder

BITS = range(2, 9)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_tensor_is_rounded_as_by_fake_quantize_per_tensor_affine(bits, symmetric):
    x = numbers(300, 200)
    ours = quantize(x, bits, symmetric=symmetric)
    zero_point = 0 if symmetric else int(ours.zero_point)
    low, high = levels(bits, symmetric=symmetric)
    theirs = torch.fake_quantize_per_tensor_affine(x, float(ours.scale), zero_point, low, high)
    torch.testing.assert_close(ours.dequantize(), theirs)
    assert ours.integers.min() >= low
    assert ours.integers.max() <= high


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_each_channel_is_rounded_as_by_fake_quantize_per_channel_affine(bits, axis, symmetric):
    x = numbers(20, 30)
    ours = quantize(x, bits, symmetric=symmetric, axis=axis)
    zero_point = torch.zeros(x.shape[axis]).int() if symmetric else ours.zero_point.flatten().int()
    low, high = levels(bits, symmetric=symmetric)
    theirs = torch.fake_quantize_per_channel_affine(x, ours.scale.flatten(), zero_point, axis % 2, low, high)
    torch.testing.assert_close(ours.dequantize(), theirs)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_group_is_rounded_as_if_it_were_a_channel(symmetric):
    x = numbers(6, 32)
    ours = quantize(x, 4, symmetric=symmetric, group=8)
    alone = quantize(x.reshape(-1, 8), 4, symmetric=symmetric, axis=0)
    assert ours.scale.shape == (6, 4, 1)
    assert torch.equal(ours.dequantize(), alone.dequantize().reshape(6, 32))


@given(
    st.integers(2, 8),
    st.booleans(),
    st.sampled_from([{}, {"axis": 0}, {"group": 4}]),
    st.floats(1e-6, 1e6),
    st.integers(0, 99),
)
def test_no_number_is_further_from_its_level_than_half_a_step(bits, symmetric, shared, size, seed):
    x = size * numbers(5, 8, seed=seed)
    ours = quantize(x, bits, symmetric=symmetric, **shared)
    steps = ours.scale.expand(5, 2, 4).reshape(5, 8) if "group" in shared else ours.scale
    assert ((ours.dequantize() - x).abs() <= 0.501 * steps).all()


def test_zero_is_a_level_and_nothing_but_zeros_stays_so():
    x = torch.tensor([[0.0, 3.0, 7.3], [-0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for symmetric in (True, False):
        rounded = quantize(x, 3, symmetric=symmetric, axis=0).dequantize()
        assert (rounded[x == 0] == 0).all()


def test_the_mean_squared_error_is_a_twelfth_of_the_squared_step():
    x = torch.rand(200_000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for bits in (4, 8):
        ours = quantize(x, bits)
        error = (ours.dequantize() - x).square().mean()
        assert float(error / (ours.scale**2 / 12)) == pytest.approx(1, abs=0.02)


def test_bytes_count_integers_scales_and_zero_points():
    x = numbers(8, 64)
    assert quantize(x, 8, symmetric=True).bytes == 512 + 4
    assert quantize(x, 4, symmetric=True, axis=0).bytes == 256 + 8 * 4
    assert quantize(x, 3, group=16).bytes == 192 + 32 * 5


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("axis", [None, 0])
def test_the_product_of_integers_is_that_of_whole_numbers(symmetric, axis):
    x, weight = numbers(40, 64) + 1, numbers(24, 64, seed=1) - 0.3
    x, weight = (quantize(each, 8, symmetric=symmetric, axis=axis) for each in (x, weight))

    def whole(each):
        return each.integers.long() - (0 if each.zero_point is None else each.zero_point.long())

    exact = x.scale.double() * weight.scale.double().T * (whole(x) @ whole(weight).T)
    torch.testing.assert_close(integer_product(x, weight).double(), exact, rtol=1e-6, atol=0)
    torch.testing.assert_close(integer_product(x, weight), x.dequantize() @ weight.dequantize().T)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group", [None, 16])
def test_a_quantized_layer_computes_with_the_dequantized_weight_and_passes_its_gradient(bits, symmetric, group):
    layer = nn.Linear(32, 12)
    weight = quantize(layer.weight.detach(), bits, symmetric=symmetric, group=group, axis=0)
    smaller = QuantizedLinear(weight, layer.bias)
    assert torch.equal(smaller.quantized.integers, weight.integers)
    x = numbers(3, 5, 32).requires_grad_()
    expected = nn.functional.linear(x, weight.dequantize(), layer.bias)
    torch.testing.assert_close(smaller(x), expected)
    upstream = numbers(3, 5, 12, seed=2)
    ours, theirs = (torch.autograd.grad(y, x, upstream, retain_graph=True)[0] for y in (smaller(x), expected))
    torch.testing.assert_close(ours, theirs)
    assert not list(smaller.parameters())


def test_no_float_weight_is_kept_for_the_backward_pass():
    layer = nn.Linear(256, 256, bias=False)
    smaller = QuantizedLinear(quantize(layer.weight.detach(), 4, group=64))
    x = numbers(2, 256).requires_grad_()
    assert count_saved_bytes(lambda: smaller(x)) < 0.01 * count_saved_bytes(lambda: layer(x))


def test_a_quantized_decoder_is_saved_as_plain_tensors_and_answers_the_same_when_loaded(tmp_path):
    model = decoder("ours")
    tokens = torch.arange(12).reshape(2, 6) % VOCABULARY
    smaller = quantize_linear_layers(copy.deepcopy(model), 4, 16)
    save_file(smaller.state_dict(), tmp_path / "model.safetensors")
    again = quantize_linear_layers(decoder("ours", seed=2), 4, 16)
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(again(tokens).logits, smaller(tokens).logits)
    assert not torch.equal(smaller(tokens).logits, model(tokens).logits)


def test_eight_bits_change_the_logits_less_than_three():
    model, tokens = decoder("ours", spread=1), torch.arange(12).reshape(2, 6) % VOCABULARY
    changed = {
        bits: (quantize_linear_layers(copy.deepcopy(model), bits)(tokens).logits - model(tokens).logits).norm().item()
        for bits in (3, 8)
    }
    assert 0 < changed[8] < changed[3] / 5


def test_the_head_of_a_model_and_layers_that_are_skipped_stay_as_they_are():
    config = AutoConfig.for_model(
        "llama", vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    model = quantize_linear_layers(AutoModelForCausalLM.from_config(config), 4, skip=["model.layers.0.mlp.up_proj"])
    kinds = {name: type(each) for name, each in model.named_modules() if hasattr(each, "in_features")}
    assert kinds["lm_head"] is kinds["model.layers.0.mlp.up_proj"] is nn.Linear
    assert {kind for name, kind in kinds.items() if name not in ("lm_head", "model.layers.0.mlp.up_proj")} == {
        QuantizedLinear
    }


@pytest.mark.parametrize("bits", [1, 9])
def test_bits_outside_two_to_eight_are_refused(bits):
    with pytest.raises(InputError, match=f"bits: {bits} is not between 2 and 8"):
        quantize(numbers(4, 4), bits)
    with pytest.raises(InputError, match=f"bits: {bits}"):
        quantize_linear_layers(decoder("ours"), bits)


def test_a_group_that_does_not_divide_the_inputs_is_refused():
    with pytest.raises(InputError, match="group: 5 does not divide the 32 inputs"):
        quantize_linear_layers(decoder("ours"), 4, 5)
    with pytest.raises(InputError, match="group: 0"):
        quantize(numbers(4, 4), 4, group=0)


def test_layers_that_cannot_be_quantized_are_named():
    with pytest.raises(InputError, match=r"transformer.h.0.attn.c_attn: a Conv1D cannot be quantized"):
        quantize_linear_layers(decoder("gpt2"), 4)
    with pytest.raises(InputError, match="a QuantizedLinear cannot be quantized"):
        quantize_linear_layers(quantize_linear_layers(decoder("ours"), 4), 4)
    with pytest.raises(InputError, match="has no linear layer"):
        quantize_linear_layers(nn.Sequential(nn.ReLU()), 4)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        grid(torch.tensor([1.0, float("inf")]), 4)
    assert isinstance(quantize(torch.tensor([1.0, 2.0]), 4), Quantized)
