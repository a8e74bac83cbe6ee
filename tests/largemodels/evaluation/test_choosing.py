"""Smaller networks, what they take in time and space, and which choices no other one beats."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, ModernBertConfig, ModernBertForMaskedLM

from largemodels.evaluation.choosing import first_layers, milliseconds_a_text, on_the_front, stored_bytes

BERT = {"vocab_size": 40, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 3}


def encoders():
    modern = ModernBertConfig(**BERT, pad_token_id=0, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2)
    return BertForMaskedLM(BertConfig(**BERT)), ModernBertForMaskedLM(modern)


@pytest.mark.parametrize("encoder", encoders(), ids=["bert", "modern"])
def test_the_first_layers_are_those_of_the_encoder_which_stays_whole(encoder):
    encoder.eval()
    ids = torch.tensor([[1, 7, 9, 2]])
    with torch.no_grad():
        whole = encoder.base_model(ids, output_hidden_states=True).hidden_states
        smaller = first_layers(encoder, 2)
        states = smaller.base_model(ids, output_hidden_states=True).hidden_states
        same = first_layers(encoder, 3)(ids).logits
    assert torch.equal(states[1], whole[1])
    assert smaller.config.num_hidden_layers == 2
    assert encoder.config.num_hidden_layers == 3
    assert torch.equal(same, encoder(ids).logits)
    assert stored_bytes(smaller) < stored_bytes(encoder)
    for number in (0, 4):
        with pytest.raises(ValueError, match=f"number: {number} is not from 1 to 3"):
            first_layers(encoder, number)


def test_stored_bytes_are_those_of_the_weights_with_tied_ones_once():
    layer = torch.nn.Linear(10, 10, bias=False)
    tied = torch.nn.ModuleList([layer, torch.nn.Linear(10, 10, bias=False)])
    assert stored_bytes(tied) == 800
    tied[1].weight = layer.weight
    assert stored_bytes(tied) == 400
    assert stored_bytes("x" * 1000) > 1000


def test_times_are_of_one_text_and_each_call_has_its_own_batch():
    seen = []

    def slow(texts):
        seen.append(tuple(texts))
        time.sleep(0.02)

    found = milliseconds_a_text({"slow": slow, "fast": len}, ["a", "b", "c", "d", "e"], batch=2, repetitions=3)
    assert seen == [
        ("a", "b"),
        ("c", "d"),
        ("a", "b"),
        ("c", "d"),
    ]  # the first call is not counted
    assert found.loc["slow", "median"] > 9.9  # 20 ms for two texts
    assert found.loc["fast", "median"] < found.loc["slow", "median"]
    assert (found["low"] <= found["median"]).all()
    assert (found["median"] <= found["high"]).all()
    with pytest.raises(ValueError, match="5 do not fill a batch of 6"):
        milliseconds_a_text({"fast": len}, list("abcde"), batch=6, repetitions=1)


def test_a_choice_is_on_the_front_unless_another_beats_it():
    front = on_the_front([1, 2, 3, 3, 1], [0.5, 0.7, 0.6, 0.8, 0.5])
    assert front.tolist() == [True, True, False, True, True]  # equals stay together
    assert on_the_front([[1, 9], [2, 1]], [0.5, 0.4]).all()  # less accurate and slower, but smaller


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_every_choice_off_the_front_is_beaten_by_one_on_it(choices):
    costs, values = np.array(choices).T
    front = on_the_front(costs, values)
    assert front.any()
    for cost, value in np.array(choices)[~front]:
        assert any(c <= cost and v >= value and (c < cost or v > value) for c, v in np.array(choices)[front])
