"""Batches of texts and of pairs hold each with its label, and say which text is which where the model wants to know."""

import numpy as np
import pandas as pd
import pytest
import torch

from largemodels.models.classifiers import classifier_on
from largemodels.models.labelled import LabelledBatches, class_log_probabilities, reads_token_types
from largemodels.pretraining.encoders import build_encoder
from small_corpus import NOUNS, tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

DRAWN = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {"text": [" ".join(DRAWN.choice(NOUNS, DRAWN.integers(2, 9))) for _ in range(30)], "label": [0, 1, 2] * 10}
)
PAIRS = FRAME.assign(text_pair=FRAME["text"].to_numpy()[::-1])


def test_each_text_keeps_its_label_and_long_ones_are_cut():
    frame = FRAME
    batches = LabelledBatches(frame, tokenizer(), max_length=5, batch_tokens=40, seed=3)
    found = [
        (ids[mask == 1].tolist(), int(label))
        for batch in batches
        for ids, mask, label in zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True)
    ]
    encoded = tokenizer()(list(frame["text"]), truncation=True, max_length=5)["input_ids"]
    assert sorted(found) == sorted(zip(encoded, frame["label"], strict=True))
    assert max(len(ids) for ids, _ in found) == 5


def test_of_a_pair_the_longer_text_is_cut_and_the_tokens_of_the_second_are_marked():
    batches = LabelledBatches(PAIRS, tokenizer(), max_length=9, batch_tokens=60, token_types=True)
    for index in range(len(batches)):
        batch, members = batches[index], batches.members(index)
        for row, place in enumerate(members):
            first, second = (
                tokenizer()(PAIRS[name][place], add_special_tokens=False)["input_ids"]
                for name in PAIRS
                if name != "label"
            )
            attended = batch["attention_mask"][row].bool()
            ids, types = batch["input_ids"][row][attended].tolist(), batch["token_type_ids"][row][attended].tolist()
            middle = ids.index(tokenizer().sep_token_id)
            assert types == [0] * (middle + 1) + [1] * (len(ids) - middle - 1)
            kept, kept_pair = ids[1:middle], ids[middle + 1 : -1]
            assert (first[: len(kept)], second[: len(kept_pair)]) == (kept, kept_pair)
            assert len(ids) == min(9, len(first) + len(second) + 3)
            assert min(len(kept), len(kept_pair)) >= min(len(first), len(second), 3)


def test_a_model_gets_what_it_reads():
    bert, modern = (
        build_encoder(name, tokenizer(), hidden_size=16, num_layers=1, num_heads=2, max_length=40)
        for name in ("bert", "modern")
    )
    assert reads_token_types(classifier_on(bert, ("a", "b")))
    assert not reads_token_types(classifier_on(modern, ("a", "b")))
    assert (
        "token_type_ids" not in LabelledBatches(FRAME, tokenizer(), max_length=20, batch_tokens=60, token_types=True)[0]
    )


def test_examples_need_no_labels_and_there_must_be_some():
    options = {"max_length": 20, "batch_tokens": 60}
    assert "labels" not in LabelledBatches(FRAME[["text"]], tokenizer(), **options)[0]
    with pytest.raises(ValueError, match="there are none"):
        LabelledBatches(FRAME[:0], tokenizer(), **options)


def test_the_probabilities_of_pairs_are_those_of_each_pair_alone():
    bert = build_encoder("bert", tokenizer(), hidden_size=16, num_layers=1, num_heads=2, max_length=40)
    model = classifier_on(bert, ("a", "b", "c"))
    batches = LabelledBatches(PAIRS, tokenizer(), max_length=40, batch_tokens=100, token_types=True)
    together = class_log_probabilities(model, batches)
    for place, (text, pair) in enumerate(zip(PAIRS["text"], PAIRS["text_pair"], strict=True)):
        with torch.no_grad():
            alone = model(**tokenizer()(text, pair, return_tensors="pt", return_token_type_ids=True)).logits
        np.testing.assert_allclose(together[place], alone[0].log_softmax(-1), atol=1e-5)
