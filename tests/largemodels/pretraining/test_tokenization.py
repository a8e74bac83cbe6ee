"""The tokenizer is deterministic, invertible on what it knows, and asks for no more tokens than the text supports.

Merges that are written out are those of the `tokenizers` library.
"""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from largemodels.pretraining.tokenization import SPECIAL_TOKENS, bpe_merges, train_tokenizer, wordpiece_merges
from small_corpus import corpus, tokenizer


def test_the_same_texts_in_any_order_give_the_same_vocabulary():
    texts = list(corpus()["sentence"])
    vocabularies = [train_tokenizer(order, 110).get_vocab() for order in (texts, texts[::-1], sorted(texts))]
    assert vocabularies[0] == vocabularies[1] == vocabularies[2]


def test_the_vocabulary_has_the_size_that_was_asked_for_and_begins_with_the_special_tokens():
    ids = tokenizer().get_vocab()
    assert len(tokenizer()) == len(ids) == 120
    assert [ids[token] for token in SPECIAL_TOKENS.values()] == [0, 1, 2, 3, 4]
    assert sorted(tokenizer().all_special_ids) == [0, 1, 2, 3, 4]


def test_pieces_of_words_are_ordinary_tokens():
    """They are handed to the trainer as special ones, which must not show: masking leaves special tokens alone."""
    ids = (
        tokenizer()("xyzzy", add_special_tokens=False)["input_ids"]
        + tokenizer()("ar", add_special_tokens=False)["input_ids"]
    )
    assert tokenizer().convert_ids_to_tokens(ids[-1:]) != ["[UNK]"]
    assert tokenizer().decode(tokenizer()("the tensor 12 .")["input_ids"], skip_special_tokens=True) == "the tensor 12."
    assert tokenizer().tokenize("##r") != ["##r"]


def test_one_text_and_two_are_framed_as_bert_frames_them():
    one, two = tokenizer()("The ARRAY"), tokenizer()("the", "array", return_token_type_ids=True)
    assert tokenizer().convert_ids_to_tokens(one["input_ids"]) == ["[CLS]", "the", "array", "[SEP]"]
    assert tokenizer().convert_ids_to_tokens(two["input_ids"]) == ["[CLS]", "the", "[SEP]", "array", "[SEP]"]
    assert two["token_type_ids"] == [0, 0, 0, 1, 1]


def test_a_vocabulary_larger_than_the_text_supports_is_refused_with_the_largest_that_works():
    texts = ["one two", "two three"]
    with pytest.raises(
        ValueError, match=r"vocabulary_size: 500 is more than the text supports; give at most (\d+)"
    ) as caught:
        train_tokenizer(texts, 500)
    largest = int(str(caught.value).rsplit(" ", 1)[1])
    assert len(train_tokenizer(texts, largest)) == largest


def test_a_vocabulary_too_small_for_the_characters_is_refused_with_the_smallest_that_works():
    with pytest.raises(ValueError, match=r"vocabulary_size: 6 is not at least (\d+)") as caught:
        train_tokenizer(["one two"], 6)
    smallest = int(str(caught.value).split("least ")[1].split(",")[0])
    assert len(train_tokenizer(["one two"], smallest)) == smallest


def test_a_saved_tokenizer_reads_the_same(tmp_path):
    from transformers import AutoTokenizer

    tokenizer().save_pretrained(tmp_path)
    text = "The shape of a matrix, 3 × 4."
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == tokenizer()(text)["input_ids"]


# Merges, written out

WORDS = ["mean", "means", "median", "medians", "matrix", "matrices", "maximum", "minimum", "index", "indices"]


def merges_of_the_library(words):
    """What `tokenizers` merges, in order, as `[left, right]`."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(words, trainers.BpeTrainer(vocab_size=10_000, show_progress=False))
    return [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]


@given(st.lists(st.text("abcd", min_size=1, max_size=8), min_size=1, max_size=12))
@example(WORDS)
@example(["aaaa", "aa", "aaaaa"])
@settings(deadline=None)
def test_merges_of_byte_pair_encoding_are_those_of_the_library(words):
    ours = bpe_merges(words, 10_000)
    assert list(zip(ours["left"], ours["right"], strict=True)) == merges_of_the_library(words)


def test_the_wordpiece_trainer_of_the_library_merges_by_counts_and_not_by_the_score_of_wordpiece():
    pieces = sorted({f"##{character}" for word in WORDS for character in word[1:]})
    characters = len(pieces) + len(set("".join(WORDS)))
    learner = Tokenizer(models.WordPiece())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(vocab_size=characters + 12, special_tokens=pieces, show_progress=False)
    learner.train_from_iterator(WORDS, trainer)
    vocabulary = learner.get_vocab()
    joined = sorted(vocabulary, key=vocabulary.get)[characters:]
    assert joined == list(bpe_merges(WORDS, 12, prefix="##")["joined"])
    assert set(joined) != set(wordpiece_merges(WORDS, 12)["joined"])


def test_wordpiece_joins_what_hardly_stands_apart_before_what_is_frequent():
    words = ["ab", "ab", "ab", "ac", "ac", "db", "db", "xy"]
    assert bpe_merges(words, 1).loc[0, ["left", "right", "count", "score"]].tolist() == ["a", "b", 3, 3]
    assert wordpiece_merges(words, 1).loc[0, ["left", "right", "count", "score"]].tolist() == ["x", "##y", 1, 1.0]


def test_merges_end_where_every_word_is_whole():
    assert bpe_merges(["aba", "aba"], 9)["joined"].tolist() == ["ab", "aba"]
    assert bpe_merges([], 3).empty
