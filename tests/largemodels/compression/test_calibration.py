"""What layers read, in the order of the tokens; scales that move without changing the function."""

import copy

import numpy as np
import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.compression.calibration import layer_inputs, move_scales, smoothing_factors
from largemodels.models.batches import TokenSequences
from small_decoders import VOCABULARY, decoder

RANDOM = np.random.default_rng(0)
WINDOWS = TokenSequences(
    [RANDOM.integers(0, VOCABULARY, length) for length in (5, 9, 2, 7)], ["a", "b", "b", "c"], ["none"] * 4
)


def test_inputs_come_in_the_order_of_the_windows_and_without_padding():
    model, name = decoder("ours"), "blocks.1.feed_forward.up"
    together = layer_inputs(model, [name], WINDOWS, at_once=3)[name]
    alone = [layer_inputs(model, [name], TokenSequences([ids], ["a"], ["none"]))[name] for ids in WINDOWS.input_ids]
    assert together.shape == (23, 32)
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert not model.get_submodule(name)._forward_pre_hooks


def test_nothing_behind_the_last_of_the_layers_is_computed():
    model, called = decoder("ours"), []
    for number, block in enumerate(model.blocks):
        block.feed_forward.register_forward_hook(lambda *_, number=number: called.append(number))
    layer_inputs(model, ["blocks.0.feed_forward.up", "blocks.1.attention.query"], WINDOWS)
    assert called == [0]


def test_hooks_are_gone_after_an_error():
    model, name = decoder("ours"), "blocks.0.feed_forward.up"
    with pytest.raises(InputError):
        layer_inputs(model, [name], TokenSequences([np.zeros(99, dtype=int)], ["a"], ["none"]))
    assert not model.get_submodule(name)._forward_pre_hooks


def test_moved_scales_leave_the_logits_alone():
    model = decoder("ours", spread=2)
    moved = copy.deepcopy(model)
    block = moved.blocks[0]
    factors = torch.linspace(0.1, 30, 32)
    move_scales(block.feed_forward_norm, [block.feed_forward.up, block.feed_forward.gate], factors)
    tokens = torch.arange(10)[None]
    torch.testing.assert_close(moved(tokens).logits, model(tokens).logits, rtol=1e-4, atol=1e-4)
    assert not torch.equal(block.feed_forward.up.weight, model.blocks[0].feed_forward.up.weight)
    name = "blocks.0.feed_forward.up"
    before, after = (layer_inputs(each, [name], WINDOWS)[name] for each in (model, moved))
    torch.testing.assert_close(after * factors, before, rtol=1e-4, atol=1e-5)


def test_the_ends_of_the_strength_make_the_one_side_even_and_the_middle_both_alike():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(50, 8, generator=generator) * torch.tensor([1.0, 1, 1, 100, 1, 1, 1, 1])
    weights = [torch.randn(each, 8, generator=generator) for each in (4, 6)]
    columns = torch.cat(weights).abs().amax(0)
    for alpha in (0.0, 0.5, 1.0):
        factors = smoothing_factors(inputs, weights, alpha)
        left, right = (inputs / factors).abs().amax(0), columns * factors
        if alpha == 0.5:
            torch.testing.assert_close(left, right)
        else:
            even = left if alpha else right
            torch.testing.assert_close(even, torch.ones(8))


def test_a_strength_outside_zero_to_one_is_refused():
    with pytest.raises(InputError, match=r"alpha: 1.5 is not between 0 and 1"):
        smoothing_factors(torch.ones(2, 2), [torch.ones(2, 2)], 1.5)
