"""Documents in windows, the loss of their tokens, and a training that lowers it."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import (
    CausalBatches,
    joined_documents,
    losses_after,
    token_losses,
    token_windows,
    train_decoder,
)
from largemodels.generation.tokenization import train_tokenizer
from largemodels.models.losses import IGNORED
from largemodels.models.training import Recipe

SENTENCES = pd.DataFrame(
    {
        "sentence": ["Return the rows.", "A row is an array.", "Return the mean.", "The mean of an array is a number."],
        "library": ["one", "one", "two", "two"],
        "document": ["a", "a", "b", "b"],
    }
)


@pytest.fixture(scope="module")
def documents() -> pd.DataFrame:
    return joined_documents(SENTENCES)


@pytest.fixture(scope="module")
def tokenizer(documents):
    return train_tokenizer(documents["text"], 270)


def small(tokenizer, max_length: int = 64) -> Decoder:
    return Decoder(DecoderShape(len(tokenizer), 16, 2, 2, 1, 24, max_length), seed=0)


def test_documents_are_their_sentences(documents):
    assert documents.to_dict("list") == {
        "document": ["a", "b"],
        "library": ["one", "two"],
        "text": ["Return the rows. A row is an array.", "Return the mean. The mean of an array is a number."],
    }


@pytest.mark.parametrize("max_length", [2, 7, 500])
def test_every_token_is_predicted_once_and_within_its_document(documents, tokenizer, max_length):
    windows = token_windows(documents, tokenizer, max_length)
    assert windows.lengths.max() <= max_length
    assert windows.lengths.min() >= 2
    end = tokenizer.eos_token_id
    for document, text in zip(documents["document"], documents["text"], strict=True):
        mine = [ids for ids, name in zip(windows.input_ids, windows.documents, strict=True) if name == document]
        predicted = np.concatenate([ids[1:] for ids in mine])
        assert mine[0][0] == end
        assert predicted.tolist() == [*tokenizer(text)["input_ids"], end]
        assert all(after[0] == before[-1] for before, after in pairwise(mine))


def test_a_document_begins_as_the_tokenizer_begins_texts(documents, tokenizer):
    other = copy.deepcopy(tokenizer)
    other.bos_token = "!"
    windows = token_windows(documents[:1], other, 500)
    assert windows.input_ids[0][[0, -1]].tolist() == [other.bos_token_id, other.eos_token_id]
    other.eos_token = None
    with pytest.raises(InputError, match="tokenizer: has no end-of-text token, which is to stand behind each document"):
        token_windows(documents, other, 500)


def test_padding_is_never_predicted(documents, tokenizer):
    windows = token_windows(documents, tokenizer, 500)
    batch = CausalBatches(windows, tokenizer, batch_tokens=1000, seed=0)[0]
    real = batch["attention_mask"].bool()
    assert not real.all()
    assert torch.equal(batch["labels"][real], batch["input_ids"][real])
    assert (batch["labels"][~real] == IGNORED).all()


def test_the_loss_of_each_token_is_that_of_its_text_alone(documents, tokenizer):
    windows, model = token_windows(documents, tokenizer, 20), small(tokenizer)
    table = token_losses(model, tokenizer, windows, batch_tokens=64)
    expected = []
    with torch.no_grad():
        for ids in windows.input_ids:
            logits = model(torch.tensor(ids)[None]).logits[0, :-1]
            expected += F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-5)
    assert table["token_id"].tolist() == np.concatenate([ids[1:] for ids in windows.input_ids]).tolist()
    assert table.groupby("document", sort=False).size().to_dict() == {
        name: len(tokenizer(text)["input_ids"]) + 1
        for name, text in zip(documents["document"], documents["text"], strict=True)
    }
    assert set(table["library"]) == {"one", "two"}


@pytest.mark.parametrize("known", [2, [1, 3, 4]])
@pytest.mark.parametrize("theirs", [False, True])
def test_the_tokens_behind_the_known_ones_have_rows(tokenizer, known, theirs):
    model = small(tokenizer).to_transformers() if theirs else small(tokenizer)
    texts = [[5, 6, 7, 8, 9], [10, 11, 12], [13, 14, 15, 16]]
    table = losses_after(model, texts, known, batch_tokens=8)
    expected, right = [], []
    for ids, given in zip(texts, np.broadcast_to(known, 3), strict=True):
        logits = model(torch.tensor([ids])).logits[0, given - 1 : -1]
        asked = torch.tensor(ids)[given:]
        expected += F.cross_entropy(logits, asked, reduction="none").tolist()
        right += (logits.argmax(-1) == asked).tolist()
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-4)
    assert table["correct"].tolist() == right
    assert table["token_id"].tolist() == [
        token for ids, given in zip(texts, np.broadcast_to(known, 3), strict=True) for token in ids[given:]
    ]
    assert table["text"].is_monotonic_increasing


def test_texts_that_are_too_long_or_have_nothing_known_are_refused(tokenizer):
    model = small(tokenizer, max_length=8)
    assert len(losses_after(model, [[1] * 8])) == 7
    with pytest.raises(InputError, match="texts: one has 9 tokens, more than the 8 that the model reads; cut it"):
        losses_after(model, [[1], [1] * 9])
    with pytest.raises(ValueError, match="known: the first token of a text is never predicted"):
        losses_after(model, [[1, 2]], 0)
    with pytest.raises(ValueError, match="texts: there are none"):
        losses_after(model, [])


def test_a_training_learns_its_text_by_heart(documents, tokenizer):
    windows, model = token_windows(documents, tokenizer, 64), small(tokenizer)
    before = token_losses(model, tokenizer, windows)["loss"].mean()
    assert before == pytest.approx(np.log(len(tokenizer)), rel=0.05)
    recipe = Recipe(steps=120, batch_tokens=256, learning_rate=2e-2, weight_decay=0.0)
    history = train_decoder(model, tokenizer, windows, recipe, validation=windows, evaluations=2)
    after = token_losses(model, tokenizer, windows)
    assert after["loss"].mean() < 0.3
    assert after["correct"].mean() > 0.9
    assert history["validation_loss"].dropna().iloc[-1] == pytest.approx(after["loss"].mean(), rel=1e-4)


def test_no_documents_and_no_room_are_refused(documents, tokenizer):
    with pytest.raises(InputError, match="documents: there are none"):
        token_windows(documents.iloc[:0], tokenizer, 10)
    with pytest.raises(InputError, match="max_length: 1 is not at least 2"):
        token_windows(documents, tokenizer, 1)
