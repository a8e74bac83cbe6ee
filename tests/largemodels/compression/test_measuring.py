"""What is counted is what is there, and comparisons are paired."""

import copy

import numpy as np
import pytest
import torch

from largemodels.compression.backends import int8
from largemodels.compression.measuring import (
    answers,
    costs,
    file_bytes,
    judge,
    peak_bytes,
    request_batches,
    undominated,
)
from largemodels.compression.saving import stored_tensors
from largemodels.compression.structured import keep_layers
from small_classifiers import classifier
from small_corpus import examples, tokenizer


def test_peak_memory_counts_what_lives_at_the_same_time():
    def chain():
        x = torch.ones(1000)
        for _ in range(5):
            x = x + 1  # the old one goes when the new one is there
        return x

    def kept():
        return [torch.ones(1000) for _ in range(5)]

    def layer():
        with torch.no_grad():
            return linear(torch.randn(1, 1000))

    linear = torch.nn.Linear(1000, 10)
    assert peak_bytes(layer) == 4000 + 40, "the weights were there before"
    assert peak_bytes(chain) == 8000
    assert peak_bytes(kept) == 20_000


def test_bytes_of_a_file_are_those_of_its_tensors_each_once():
    model = classifier()
    tied = torch.nn.ModuleDict({"one": torch.nn.Linear(10, 10, bias=False), "two": torch.nn.Linear(10, 10, bias=False)})
    untied = file_bytes(tied)
    tied["two"].weight = tied["one"].weight
    assert untied - file_bytes(tied) >= 400
    numbers = sum(weight.numel() for weight in model.parameters())
    assert 4 * numbers < file_bytes(model) < 4 * numbers + 8192
    assert file_bytes(int8(model)) < file_bytes(model)
    tensors = stored_tensors(int8(model))[0]
    assert any(tensor.dtype == torch.int8 for tensor in tensors.values())


def test_a_reference_agrees_with_itself():
    logs, _ = answers(classifier(), tokenizer(), examples(40), max_length=32)
    judged = judge(logs, logs, examples(40).label)
    assert judged["gain"] == (0, 0, 0)
    assert judged["agreement"][0] == 1
    right = (logs.argmax(1) == examples(40).label).mean()
    assert judged["accuracy"][0] == pytest.approx(right)


def test_the_gain_is_that_of_the_pairs():
    labels = np.zeros(100, int)
    good, bad = (np.log(np.where(np.arange(100)[:, None] < n, [[0.8, 0.2]], [[0.3, 0.7]])) for n in (90, 70))
    judged = judge(bad, good, labels)
    value, low, high = judged["gain"]
    assert value == pytest.approx(-0.2)
    assert -0.3 < low < -0.12 < -0.1 and low < value < high < 0  # noqa: PT018
    assert judged["agreement"][0] == pytest.approx(0.8)
    whole = judge(bad, good, labels, clusters=np.arange(100) // 50)
    assert whole["gain"][1] < low


def test_a_row_has_every_cost_and_a_smaller_network_has_less():
    model = classifier()
    smaller = keep_layers(copy.deepcopy(model), [0])
    table, seconds = costs(
        {"whole": model, "one layer": smaller, "int8": int8(model)},
        tokenizer(),
        examples(20),
        max_length=32,
        repetitions=3,
    )
    assert list(table.index) == ["whole", "one layer", "int8"]
    wanted = {"bytes", "peak_bytes", "median_ms_1", "p95_ms_1", "median_ms_32", "p95_ms_32"}
    assert wanted == set(table.columns)
    assert table.notna().all(axis=None)
    assert (table.p95_ms_1 >= table.median_ms_1).all()
    assert table.bytes["one layer"] < table.bytes["whole"]
    assert (table.peak_bytes > table.bytes).all()
    assert {len(each) for size in seconds.values() for each in size.values()} == {3}


def test_requests_come_as_they_are_and_are_padded_to_their_own_longest():
    batches = request_batches(tokenizer(), examples(6), 4, number=3, max_length=32)
    lengths = [batch["attention_mask"].sum(1).tolist() for batch in batches]
    assert lengths[0] + lengths[1][:2] == lengths[1][2:] + lengths[2]
    assert all(batch["input_ids"].shape == (4, max(each)) for batch, each in zip(batches, lengths, strict=True))


def test_the_front_has_what_nothing_beats():
    assert undominated([3, 1, 2, 2], [0.9, 0.5, 0.7, 0.6]).tolist() == [True, True, True, False]
    assert undominated([1, 1], [0.5, 0.5]).tolist() == [True, True]
    assert undominated([1, 2], [0.5, 0.5]).tolist() == [True, False]
