"""Layouts need what the papers on them say, and the parts of a divided training add up to the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from largemodels.base.errors import InputError
from largemodels.scaling.formulas import parameters_of
from largemodels.scaling.memory import block_activation_bytes
from largemodels.scaling.parallelism import Layout, bubble, needs, state_bytes
from largemodels.scaling.published import PUBLISHED

GPT3, PALM = PUBLISHED["GPT-3"].shape, PUBLISHED["PaLM 540B"].shape


@pytest.mark.parametrize(("zero", "gigabytes"), [(0, 120), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_the_stages_of_zero_divide_as_in_figure_1_of_their_paper(zero, gigabytes):
    assert state_bytes(7.5e9, 64, zero) / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_a_single_device_holds_everything_and_sends_nothing():
    found = needs(GPT3, 2048, Layout(recomputed="nothing"))
    assert found.states == 16 * parameters_of(GPT3)
    assert found.activations == 2048 * 96 * block_activation_bytes(GPT3, 2048)
    assert (found.data_traffic, found.tensor_traffic, found.pipeline_traffic, found.bubble) == (0, 0, 0, 0)
    assert found.memory == found.states + found.activations


def test_what_is_divided_adds_up_to_the_whole():
    whole = needs(GPT3, 2048, Layout(micro_batches=8))
    divided = needs(GPT3, 2048, Layout(tensor=8, pipeline=8, micro_batches=8))
    assert 64 * divided.states == whole.states
    assert 8 * divided.activations == whole.activations  # the first of eight stages has eight micro-batches in flight


def test_copies_send_twice_the_weights_and_with_zero_3_three_times():
    weights = 2 * parameters_of(GPT3)
    sent = [needs(GPT3, 2048, Layout(data=1000, zero=zero)).data_traffic / weights for zero in range(4)]
    assert sent == pytest.approx([2 * 0.999, 2 * 0.999, 2 * 0.999, 3 * 0.999])


def test_gradients_that_are_divided_are_summed_for_every_micro_batch():
    weights = 2 * parameters_of(GPT3)
    layout = Layout(data=1000, micro_batches=4)
    sent = [needs(GPT3, 2048, replace(layout, zero=zero)).data_traffic / weights for zero in (1, 2, 3)]
    assert sent == pytest.approx([2 * 0.999, 5 * 0.999, 12 * 0.999])


def test_divided_matrices_sum_four_times_a_block_and_in_palm_twice():
    stream = 2048 * 12_288 * 2
    found = needs(GPT3, 2048, Layout(tensor=8)).tensor_traffic
    assert found == pytest.approx(96 * 8 * 2048 * 12_288 * 7 / 8 * 2)  # 8 b s h (t − 1) / t, Narayanan et al. 2021
    assert needs(GPT3, 2048, Layout(tensor=8, recomputed="blocks")).tensor_traffic == pytest.approx(1.5 * found)
    stream = 2048 * 18_432 * 2
    assert needs(PALM, 2048, Layout(tensor=12)).tensor_traffic == pytest.approx(118 * 4 * 11 / 12 * stream)


def test_an_inner_stage_sends_each_micro_batch_on_and_its_gradient_back():
    found = needs(GPT3, 2048, Layout(pipeline=4, micro_batches=6, sequences=2))
    assert found.pipeline_traffic == 6 * 2 * 2 * 2048 * 12_288 * 2


def test_the_bubble_shrinks_with_the_micro_batches():
    assert bubble(1, 1) == 0
    assert bubble(8, 1) == 7 / 8
    assert bubble(8, 32) == 7 / 39


def test_recomputed_blocks_keep_their_inputs_and_one_block():
    found = needs(GPT3, 2048, Layout(recomputed="blocks")).activations
    assert found == 2048 * (96 * 2 * 12_288 + block_activation_bytes(GPT3, 2048))


def test_the_third_stage_holds_a_block_of_collected_weights():
    found = needs(GPT3, 2048, Layout(data=64, zero=3)).states
    assert found == pytest.approx(parameters_of(GPT3) * (16 / 64 + 2 / 96))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": 0}, "data: 0 is not at least 1"),
        ({"zero": 4}, "zero: 4 is not a stage from 0 to 3"),
        ({"recomputed": "all"}, "recomputed: all is not one of nothing, attention, blocks"),
        ({"tensor": 5}, "tensor: 5 does not divide the 96 heads"),
        ({"pipeline": 97}, "pipeline: 97 stages are more than the 96 blocks"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        needs(GPT3, 2048, Layout(**options))
