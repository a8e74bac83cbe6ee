"""Sequences hold whole sentences of one document, and batches hold every sequence with hardly any padding."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from largemodels.base.errors import InputError
from largemodels.models.batches import LabelledBatches, join_sentences, pad, plan_batches, reads_token_types
from largemodels.models.classifiers import classifier_on
from largemodels.pretraining.masked_lm import MaskedBatches, Masking
from small_corpus import NOUNS, corpus, encoder, tokenizer


@given(st.integers(3, 80), st.integers(0, 50))
def test_a_document_is_its_sequences_in_order_apart_from_what_is_too_long(max_length, seed):
    frame = corpus(documents=6, seed=seed)
    sequences = join_sentences(frame, tokenizer(), max_length)
    assert sequences.lengths.max() <= max_length
    for ids in sequences.input_ids:
        assert (ids[0], ids[-1]) == (tokenizer().cls_token_id, tokenizer().sep_token_id)
    for document, rows in frame.groupby("document"):
        whole = [tokenizer()(s, add_special_tokens=False)["input_ids"][: max_length - 2] for s in rows["sentence"]]
        found = [ids for ids, owner in zip(sequences.input_ids, sequences.documents, strict=True) if owner == document]
        assert [token for ids in found for token in ids[1:-1]] == [token for ids in whole for token in ids]


def test_no_sentences_are_no_sequences():
    with pytest.raises(InputError, match="sentences: there are none; give a larger text"):
        join_sentences(corpus()[:0], tokenizer(), 20)


def test_a_loop_over_the_batches_ends_with_the_last_one():
    sequences = join_sentences(corpus(), tokenizer(), 20)
    batches = MaskedBatches(sequences, tokenizer(), Masking(), batch_tokens=100, seed=0, batches=7)
    assert sum(1 for _ in batches) == 7


def test_sentences_are_joined_while_they_fit():
    frame = corpus(documents=30)
    short, long = (join_sentences(frame, tokenizer(), length) for length in (20, 128))
    assert len(long) == frame["document"].nunique() < len(short)
    assert set(long.libraries) == {"alpha", "beta"}


def test_no_room_between_the_special_tokens_is_refused():
    with pytest.raises(ValueError, match="max_length: 2 is not at least 3"):
        join_sentences(corpus(documents=2), tokenizer(), 2)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(60, 500), st.integers(0, 2**31))
def test_batches_hold_every_sequence_once_and_not_too_many_tokens(lengths, batch_tokens, seed):
    planned = plan_batches(lengths, batch_tokens, np.random.default_rng(seed))
    assert sorted(np.concatenate(planned)) == list(range(len(lengths)))
    for members in planned:
        sizes = np.array(lengths)[members]
        assert sizes.max() * len(members) <= batch_tokens
    again = plan_batches(lengths, batch_tokens, np.random.default_rng(seed + 1))
    assert len(again) == len(planned)  # an epoch has as many batches as any other


def test_hardly_anything_is_padded():
    lengths = np.random.default_rng(0).integers(5, 128, 20_000)
    planned = plan_batches(lengths, 4096, np.random.default_rng(0))
    occupied = sum(lengths[members].max() * len(members) for members in planned)
    assert lengths.sum() / occupied > 0.99


def test_a_sequence_longer_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="batch_tokens: 10 does not hold a sequence of 11 tokens"):
        plan_batches([3, 11], 10, np.random.default_rng(0))


def test_padding_stands_at_the_end_and_is_not_attended_to():
    batch = pad([np.array([2, 9, 3]), np.array([2, 3])], 0)
    assert batch["input_ids"].tolist() == [[2, 9, 3], [2, 3, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["input_ids"].dtype == torch.int64


# Labelled texts, and pairs of texts


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
    assert reads_token_types(classifier_on(encoder("bert"), ("a", "b")))
    assert not reads_token_types(classifier_on(encoder("modern"), ("a", "b")))
    assert (
        "token_type_ids" not in LabelledBatches(FRAME, tokenizer(), max_length=20, batch_tokens=60, token_types=True)[0]
    )


def test_examples_need_no_labels_and_there_must_be_some():
    options = {"max_length": 20, "batch_tokens": 60}
    assert "labels" not in LabelledBatches(FRAME[["text"]], tokenizer(), **options)[0]
    with pytest.raises(ValueError, match="there are none"):
        LabelledBatches(FRAME[:0], tokenizer(), **options)
