"""Exact match is what a greedy continuation would have, and falls as the continuation grows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import token_losses
from largemodels.generation.tokenization import train_tokenizer
from largemodels.models.batches import TokenSequences
from largemodels.scaling.emergence import continuations


def table(correct: dict[str, list[int]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(name, bool(one)) for name, each in correct.items() for one in each], columns=["document", "correct"]
    )


def test_continuations_stay_within_a_document_and_a_window():
    found = continuations(table({"a": [1, 1, 1, 0, 1, 1, 1], "b": [0, 1, 1]}), length=2, window=5)
    assert found.to_dict("list") == {
        "document": ["a"] * 5 + ["b"] * 2,
        "right": [1.0, 1.0, 0.5, 0.5, 1.0, 0.5, 1.0],
        "whole": [True, True, False, False, True, False, True],
    }


def test_of_one_token_both_are_its_accuracy():
    tokens = table({"a": [1, 0, 1, 1], "b": [0, 0, 1]})
    found = continuations(tokens, length=1, window=3)
    assert found["right"].tolist() == found["whole"].astype(float).tolist() == tokens["correct"].astype(float).tolist()


def test_a_whole_match_is_a_greedy_continuation_that_is_the_text():
    tokenizer = train_tokenizer(["a row of a row of an array"] * 3, 262)
    torch.manual_seed(0)
    model = Decoder(DecoderShape(len(tokenizer), 16, 1, 2, 2, 24, 16), seed=3).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    ids = [int(tokenizer.eos_token_id)]
    with torch.no_grad():
        while len(ids) < 13:  # its own greedy text, with a mistake at one place
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        ids[6] = (ids[6] + 1) % len(tokenizer)

        def greedy(start: int, length: int) -> list[int]:
            text = ids[:start]
            for _ in range(length):
                text = [*text, int(model(torch.tensor([text])).logits[0, -1].argmax())]
            return text[start:]

        windows = TokenSequences([np.array(ids)], ["a"], ["one"])
        found = continuations(token_losses(model, tokenizer, windows), length=3, window=12)
        expected = [greedy(start, 3) == ids[start : start + 3] for start in range(1, 11)]
    assert found["whole"].tolist() == expected
    assert set(expected) == {True, False}


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "length: 0 is not between 1 and 5, the tokens of a window"),
        (6, "length: 6 is not between 1 and 5, the tokens of a window"),
        (5, "length: 5 is more than the tokens of any window"),
    ],
)
def test_a_length_that_no_window_has_is_refused(length, said):
    with pytest.raises(InputError) as refused:
        continuations(table({"a": [1, 1, 0]}), length, window=5)
    assert str(refused.value) == said
