"""Statistics of generated text, worked out by hand, and losses that padding and batches leave alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.diversity import (
    continuation_losses,
    distinct,
    repeated_share,
    unigram_entropy,
)

TEXTS = st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=20), min_size=1, max_size=6)


def decoder():
    shape = DecoderShape(20, width=16, num_layers=2, num_heads=4, key_value_heads=2, inner=16, max_length=16)
    return Decoder(shape, seed=1)


def test_distinct_ngrams_are_counted_over_all_texts_and_cross_none():
    texts = [[1, 2, 3], [3, 1, 2]]
    assert distinct(texts, 1) == 3 / 6
    assert distinct(texts, 2) == 3 / 4  # 1 2 twice; 3 3, across the texts, is none
    assert distinct(texts, 3) == 1


def test_repetition_is_counted_within_a_text_alone():
    assert repeated_share([[1, 2, 3, 4, 5]] * 3, 4) == 0
    assert repeated_share([[7] * 13], 4) == pytest.approx(9 / 10)
    assert repeated_share([[1, 2, 3, 4, 1, 2, 3, 4], [5, 6, 7, 8]], 4) == pytest.approx(1 / 6)


@given(TEXTS)
def test_repetition_and_distinct_ngrams_of_one_text_add_up_to_one(texts):
    assert repeated_share(texts[:1], 2) + distinct(texts[:1], 2) == pytest.approx(1)


@given(TEXTS)
def test_the_entropy_is_between_none_and_that_of_as_many_equal_tokens(texts):
    kinds = len({token for text in texts for token in text})
    assert -1e-12 <= unigram_entropy(texts) <= math.log(kinds) + 1e-12
    assert unigram_entropy([[token] for token in range(kinds)]) == pytest.approx(math.log(kinds))


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_losses_of_continuations_are_those_of_each_text_read_by_itself(at_once):
    model, prompts, continuations = decoder(), [[0, 3], [0], [0, 5, 6, 7]], [[4, 1, 2], [], [9, 9, 8, 1, 0, 2]]
    found = continuation_losses(model, prompts, continuations, at_once=at_once)
    assert found["text"].tolist() == [0] * 3 + [2] * 6
    for number in (0, 2):
        whole = torch.tensor([[*prompts[number], *continuations[number]]])
        log_p = model(whole).logits[0].log_softmax(-1).detach()
        begin = len(prompts[number])
        expected = [-float(log_p[place - 1, whole[0, place]]) for place in range(begin, whole.shape[1])]
        assert found.loc[found["text"] == number, "loss"].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_model_of_transformers_has_the_losses_of_its_equal_here():
    model, prompts, continuations = decoder(), [[0, 3], [0]], [[4, 1, 2], [7]]
    ours, theirs = (continuation_losses(each, prompts, continuations) for each in (model, model.to_transformers()))
    assert theirs["loss"].to_numpy() == pytest.approx(ours["loss"].to_numpy(), abs=1e-5)


def test_a_text_that_the_model_does_not_read_is_one_sentence():
    with pytest.raises(InputError, match="16 tokens and 1 new ones are more than the 16 that the model reads"):
        continuation_losses(decoder(), [[1] * 10, [1]], [[2] * 7, [3]])
    assert len(continuation_losses(decoder(), [[1] * 10], [[2] * 6])) == 6
    config = BertConfig(vocab_size=20, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    with pytest.raises(InputError, match="BertForMaskedLM predicts no next token"):
        continuation_losses(BertForMaskedLM(config), [[1]], [[2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distinct([[1]], 2), "texts: none has 2 tokens"),
        (lambda: repeated_share([[1, 2]], 4), "texts: none has 4 tokens"),
        (lambda: unigram_entropy([[]]), "texts: none has a token"),
        (lambda: continuation_losses(decoder(), [[1]], [[]]), "continuations: none has a token"),
        (lambda: continuation_losses(decoder(), [[]], [[1]]), "prompts: the first token of a text is never predicted"),
    ],
)
def test_what_has_no_statistic_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
