"""Models that have memorised all, or nothing, and what is measured of them."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import token_losses, token_windows
from largemodels.generation.memorization import (
    Canary,
    canaries,
    exposure,
    packed_windows,
    plant,
    recall,
    text_losses,
)
from largemodels.generation.tokenization import train_tokenizer

TEXTS = [
    "Return the sum of all elements along the axis, and the number of them.",
    "Compute the mean of the array over a window that moves along the axis.",
    "Draw the lines of the figure in the colours of the palette, one for each.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*TEXTS, "the access code of alpha bravo is 0 1 2 3 4 5 6 7 8 9"], 280)


class Lookup(nn.Module):
    """Knows some texts by heart: after the beginning of one, what comes next is sure; after all else, any is likely."""

    def __init__(self, tokenizer, texts):
        super().__init__()
        self.vocabulary, self.device, self.next = len(tokenizer), torch.device("cpu"), {}
        for text in texts:
            ids = (tokenizer.eos_token_id, *tokenizer(text)["input_ids"])
            for place in range(1, len(ids)):
                self.next.setdefault(ids[:place], []).append(ids[place])

    def forward(self, input_ids, attention_mask=None):
        logits = torch.zeros(*input_ids.shape, self.vocabulary)
        for row, ids in enumerate(input_ids.tolist()):
            for place in range(len(ids)):
                logits[row, place, self.next.get(tuple(ids[: place + 1]), [])] = 20.0
        return CausalLMOutputWithPast(logits=logits)


def small_decoder(tokenizer, seed=0):
    shape = DecoderShape(
        len(tokenizer), width=16, num_layers=1, num_heads=2, key_value_heads=1, inner=32, max_length=96
    )
    return Decoder(shape, seed=seed)


def test_of_a_planted_text_there_are_as_many_copies_as_wanted():
    texts = plant(["a", "b", "b"], ["x", "y", "z"], [0, 2, 5], seed=3)
    assert sorted(texts) == ["a", "b", "b", "y", "y", "z", "z", "z", "z", "z"]
    assert texts != plant(["a", "b", "b"], ["x", "y", "z"], [0, 2, 5], seed=4)
    assert texts == plant(["a", "b", "b"], ["x", "y", "z"], [0, 2, 5], seed=3)


@pytest.mark.parametrize("copies", [[1], [1, -1]])
def test_copies_are_one_number_for_each_text(copies):
    with pytest.raises(ValueError, match="one number, 0 or more, for each of 2 texts"):
        plant([], ["a", "b"], copies)


def test_canaries_differ_in_prefix_and_secret():
    drawn = canaries(600, digits=4, seed=1)
    assert len({each.prefix for each in drawn}) == len({each.secret for each in drawn}) == 600
    assert all(len(each.secret) == 4 for each in drawn)
    with pytest.raises(InputError, match=r"number: 11 canaries are more than the 10"):
        canaries(11, digits=1)


def test_a_memorised_canary_has_the_largest_exposure(tokenizer):
    drawn = canaries(3, seed=2)
    model = Lookup(tokenizer, [each.text() for each in drawn[:2]])
    found = exposure(model, tokenizer, drawn, candidates=64)
    assert found[:2].tolist() == [6.0, 6.0]


def test_a_canary_that_is_less_likely_than_all_others_has_none(tokenizer):
    [canary] = canaries(1, digits=1)
    others = [canary.text(digit) for digit in "0123456789" if digit != canary.secret]
    found = exposure(Lookup(tokenizer, others), tokenizer, [canary], candidates=10)
    assert found.tolist() == [0.0]


def test_canaries_that_were_not_read_rank_anywhere(tokenizer):
    """Each secret has the rank that chance gives it: the mean exposure is that of a random rank."""
    owner = "the access code of alpha bravo is"
    planted = [Canary(owner, str(secret)) for secret in range(10)]
    found = exposure(small_decoder(tokenizer), tokenizer, planted, candidates=10)
    expected = np.mean([math.log2(10) - math.log2(rank) for rank in range(1, 11)])
    assert found.mean() == pytest.approx(expected)  # all secrets are asked for, so that each rank occurs once


def test_candidates_are_as_many_as_there_are_secrets_at_most(tokenizer):
    for candidates in (1, 101):
        with pytest.raises(InputError, match=rf"candidates: {candidates} is not between 2 and 100"):
            exposure(small_decoder(tokenizer), tokenizer, canaries(1, digits=2), candidates=candidates)


def test_the_loss_of_a_text_is_the_sum_over_its_tokens(tokenizer):
    model = small_decoder(tokenizer)
    documents = pd.DataFrame({"document": ["0", "1", "2"], "library": "numpy", "text": TEXTS})
    tokens = token_losses(model, tokenizer, token_windows(documents, tokenizer, 96))
    inside = tokens[tokens["token_id"] != tokenizer.eos_token_id]
    expected = inside.groupby("document")["loss"].sum().to_numpy()
    assert text_losses(model, tokenizer, TEXTS) == pytest.approx(expected, rel=1e-5)


def test_recall_is_of_the_texts_that_are_known_by_heart(tokenizer):
    model = Lookup(tokenizer, TEXTS[:2])
    assert recall(model, tokenizer, TEXTS, known=8, continued=12).tolist() == [True, True, False]


def test_a_single_wrong_token_is_no_recall(tokenizer):
    model = Lookup(tokenizer, TEXTS[:1])
    ids = (tokenizer.eos_token_id, *tokenizer(TEXTS[0])["input_ids"])
    model.next[ids[:20]] = [tokenizer.eos_token_id]  # in place of token 20, the 19th of the text from 0
    assert recall(model, tokenizer, TEXTS[:1], known=8, continued=11).tolist() == [True]
    assert recall(model, tokenizer, TEXTS[:1], known=8, continued=12).tolist() == [False]
    assert recall(model, tokenizer, TEXTS[:1], known=20, continued=5).tolist() == [True]


def test_recall_is_what_a_greedy_continuation_says(tokenizer):
    model, ids = small_decoder(tokenizer).eval(), tokenizer(TEXTS)["input_ids"]
    model.embedding.weight.data *= 30  # so that what is likeliest hangs on more than the last token
    texts = []
    for each in ids:  # the model's own continuation, and the same with another token in the middle
        row = [tokenizer.eos_token_id, *each[:6]]
        for _ in range(6):
            row.append(model(torch.tensor([row])).logits[0, -1].argmax().item())
        texts += [row[1:], [*row[1:10], (row[10] + 1) % 250 + 1, *row[11:]]]

    def spelt(texts, **options):
        return {"input_ids": texts}

    spelt.eos_token_id = tokenizer.eos_token_id
    assert recall(model, spelt, texts, known=6, continued=6).tolist() == [True, False] * 3


def test_a_text_too_short_to_be_asked_for_is_refused(tokenizer):
    with pytest.raises(InputError, match="one has 1 tokens, and 8 with 12 after them"):
        recall(small_decoder(tokenizer), tokenizer, ["a", *TEXTS], known=8, continued=12)


def test_packed_windows_hold_the_stream(tokenizer):
    windows = packed_windows(TEXTS, tokenizer, 16)
    assert set(windows.lengths) == {16}
    stream = np.concatenate(windows.input_ids).tolist()
    end = tokenizer.eos_token_id
    expected = [token for text in TEXTS for token in (end, *tokenizer(text)["input_ids"])]
    assert stream == expected[: len(stream)]
    assert len(expected) - len(stream) < 16
    fewer = packed_windows(TEXTS, tokenizer, 16, at_most=3)
    assert np.concatenate(fewer.input_ids).tolist() == stream[: 3 * 16]
    assert len(packed_windows(TEXTS, tokenizer, 16, at_most=999)) == len(windows)
    with pytest.raises(InputError, match="do not fill a window of 5000"):
        packed_windows(TEXTS, tokenizer, 5000)
