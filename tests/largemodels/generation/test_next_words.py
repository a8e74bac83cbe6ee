"""The next word from a list, asked of a causal model and of a masked one, each in its own tokens."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch

import small_corpus
from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import joined_documents
from largemodels.generation.next_words import (
    hidden_words,
    log_probabilities_after,
    log_probabilities_at_mask,
    shared_words,
    word_ids,
)
from largemodels.generation.tokenization import train_tokenizer

LEFT = ["the array returns a", "the shape holds a vector and the shape holds a", "the"]
WORDS = ["array", "shape", "vector"]


def documents():
    return joined_documents(small_corpus.corpus())


@functools.cache
def pieces():
    return train_tokenizer(documents()["text"], 330)


def decoder(max_length=32):
    shape = DecoderShape(330, width=16, num_layers=1, num_heads=2, key_value_heads=1, inner=16, max_length=max_length)
    return Decoder(shape, seed=2)


def test_shared_words_are_one_token_to_each_and_the_most_frequent_come_first():
    both = [pieces(), small_corpus.tokenizer()]
    words = shared_words(documents()["text"], both, 8)
    assert len(words) == 8
    assert words[0] == "the"
    for tokenizer in both:
        tokens = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in words]
        assert tokens == [[number] for number in word_ids(tokenizer, words)]
        assert [tokenizer.decode(each).strip() for each in tokens] == words


def test_words_of_other_characters_or_several_tokens_are_left_out():
    texts = ["array Array array. 12 array eigendecomposition " * 3 + "the"]
    assert shared_words(texts, [pieces(), small_corpus.tokenizer()], 10) == ["array", "the"]
    with pytest.raises(InputError, match="texts: no two of their words are one token to every tokenizer"):
        shared_words(["array"], [pieces()], 10)


def test_each_document_hides_one_word_of_the_list_with_as_much_on_its_left_as_asked_for():
    table = hidden_words(documents(), WORDS, least=3, most=12, seed=1)
    assert table["document"].is_unique
    assert set(table["word"]) <= set(WORDS)
    assert table["left"].str.split(" ").str.len().between(3, 12).all()
    whole = table["left"] + " " + table["word"] + (" " + table["right"]).where(table["right"] != "", "")
    assert whole.tolist() == documents().set_index("document").loc[table["document"], "text"].tolist()


def test_another_seed_hides_other_words():
    first, again, other = (hidden_words(documents(), WORDS, least=1, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert first["left"].tolist() != other["left"].tolist()


@pytest.mark.parametrize("theirs", [False, True])
def test_a_causal_model_is_asked_behind_the_last_token(theirs):
    model = decoder().to_transformers() if theirs else decoder()
    found = log_probabilities_after(model, pieces(), LEFT, WORDS)
    assert np.exp(found).sum(1) == pytest.approx(1)
    asked = word_ids(pieces(), WORDS)
    for left, row in zip(LEFT, found, strict=True):
        ids = torch.tensor([[pieces().eos_token_id, *pieces()(left)["input_ids"]]])
        assert row == pytest.approx(model(ids).logits[0, -1, asked].log_softmax(-1).detach().numpy(), abs=1e-5)


def test_of_a_long_text_a_causal_model_reads_the_end():
    short = decoder(max_length=5)
    beginnings = ["the value " * 8 + LEFT[0], "the axis " * 9 + LEFT[0]]
    first, second = log_probabilities_after(short, pieces(), beginnings, WORDS)
    assert first == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("masks", [1, 3])
@pytest.mark.parametrize("right", [None, pd.Series(["and the axis", "", "."])])
def test_a_masked_model_is_asked_at_the_first_mask(masks, right):
    model, tokenizer = small_corpus.encoder(), small_corpus.tokenizer()
    found = log_probabilities_at_mask(model, tokenizer, LEFT, WORDS, masks=masks, right=right)
    assert np.exp(found).sum(1) == pytest.approx(1)
    for number, left in enumerate(LEFT):
        text = f"{left} {'[MASK] ' * masks}{'' if right is None else right[number]}"
        inputs = tokenizer(text, return_tensors="pt")
        place = int((inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0])
        with torch.no_grad():
            logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        expected = logits[0, place, word_ids(tokenizer, WORDS)].log_softmax(-1).numpy()
        assert found[number] == pytest.approx(expected, abs=1e-4)


def test_texts_too_long_for_a_masked_model_are_cut_around_the_mask():
    model, tokenizer = small_corpus.encoder(), small_corpus.tokenizer()
    long = "the value holds a frame and " * 40
    near = log_probabilities_at_mask(model, tokenizer, [long + LEFT[0], long + LEFT[0]], WORDS, right=[long, long])
    far = log_probabilities_at_mask(model, tokenizer, ["the axis " + long + LEFT[0]], WORDS, right=[long + "the axis"])
    assert near[0] == pytest.approx(far[0], abs=1e-5)
