"""Rungs have the weights and the compute that the formulas say, and read what they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder
from largemodels.generation.language_model import joined_documents, token_windows
from largemodels.generation.tokenization import train_tokenizer
from largemodels.models.cost import count_flops
from largemodels.scaling.ladder import (
    BLOCKS,
    Rung,
    climb,
    flops_a_token,
    initial_decoder,
    part_of,
    peak_rate,
    rung_shape,
    same_compute,
    train_rung,
)

SENTENCES = pd.DataFrame(
    {
        "sentence": [f"Return the {what} of an array along axis {n}." for n in range(12) for what in ("mean", "sum")],
        "library": "one",
        "document": [f"d{n}" for n in range(12) for _ in range(2)],
    }
)


@pytest.fixture(scope="module")
def documents() -> pd.DataFrame:
    return joined_documents(SENTENCES)


@pytest.fixture(scope="module")
def tokenizer(documents):
    return train_tokenizer(documents["text"], 280)


@pytest.fixture(scope="module")
def windows(documents, tokenizer):
    return token_windows(documents, tokenizer, 16)


@pytest.mark.parametrize("width", [16, 64])
def test_the_operations_are_those_that_the_profiler_counts_and_of_attention(width):
    model, ids = Decoder(rung_shape(width, 512, 64)), torch.randint(512, (2, 64))
    counted = count_flops(lambda: model(ids, labels=ids).loss.backward())
    attention = 12 * BLOCKS * 64 * width  # its fused kernel isn't counted
    assert counted / ids.numel() == pytest.approx(flops_a_token(width, 512, 64) - attention, rel=0.02)


def test_rungs_of_the_same_compute_cost_it_and_read_less_the_wider_they_are():
    rungs = same_compute([16, 32, 64], 1e10, 512, 64, seeds=(0, 1))
    assert [(rung.width, rung.seed) for rung in rungs] == [(16, 0), (16, 1), (32, 0), (32, 1), (64, 0), (64, 1)]
    for rung in rungs:
        assert rung.tokens * flops_a_token(rung.width, 512, 64) == pytest.approx(1e10, rel=1e-3)
    assert rungs[0].tokens > rungs[2].tokens > rungs[4].tokens


def test_compute_for_less_than_a_window_is_refused():
    with pytest.raises(InputError, match="less than one window of a model 64 wide"):
        same_compute([64], 1e7, 512, 64)


def test_the_peak_falls_as_the_width_grows():
    assert peak_rate(32, 0.004) == 0.004
    assert peak_rate(128, 0.004) == pytest.approx(0.001)


def test_logits_begin_with_the_same_spread_in_every_width():
    ids = torch.arange(256).reshape(4, 64)
    with torch.no_grad():
        spreads = [float(initial_decoder(rung_shape(width, 512, 64))(ids).logits.std()) for width in (16, 64, 192)]
        bare = [float(Decoder(rung_shape(width, 512, 64))(ids).logits.std()) for width in (16, 192)]
    assert max(spreads) < 1.25 * min(spreads)
    assert bare[1] > 2 * bare[0]


def test_a_part_of_the_text_has_as_many_tokens_as_were_asked_for_and_other_windows_for_another_seed(windows):
    total = int(windows.lengths.sum())
    for seed in (0, 1):
        part = part_of(windows, total // 3, seed=seed)
        assert 0 <= part.lengths.sum() - total // 3 < 16
        assert len(part.documents) == len(part.libraries) == len(part)
    assert part.documents != part_of(windows, total // 3, seed=0).documents
    assert len(part_of(windows, 10 * total)) == len(windows)


def test_a_rung_reads_its_tokens_to_the_nearest_batch_and_again_where_the_text_ends(windows, tokenizer):
    for tokens in (200, 3 * int(windows.lengths.sum())):
        model, read = train_rung(Rung(8, tokens), windows, tokenizer, base_rate=1e-3, batch_tokens=64)
        assert abs(read - tokens) < max(64, 0.05 * tokens)
        assert not model.training


def test_a_ladder_is_the_same_again_and_each_rung_stands_on_it_once(windows, tokenizer, documents):
    rungs = [Rung(8, 400), Rung(16, 400), Rung(8, 400)]
    options = {"base_rate": 1e-2, "batch_tokens": 64}
    first, again = (climb(rungs, windows, tokenizer, windows, documents, **options) for _ in range(2))
    pd.testing.assert_frame_equal(first.runs, again.runs)
    assert list(first.losses) == rungs[:2]
    runs = first.runs
    weights = [sum(each.numel() for each in Decoder(rung_shape(width, 280, 16)).parameters()) for width in (8, 16)]
    assert runs["parameters"].tolist() == weights
    assert ((runs["low"] < runs["bits"]) & (runs["bits"] < runs["high"])).all()
    bits = first.losses[rungs[1]]["loss"].sum() / np.log(2) / sum(len(text.encode()) for text in documents["text"])
    assert runs["bits"][1] == pytest.approx(bits)
    assert runs["passes"].to_numpy() == pytest.approx(runs["tokens"] / windows.lengths.sum())
