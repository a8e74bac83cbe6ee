"""What cannot be learnt from is refused by the pretraining chapter in one sentence, before anything is trained."""

from __future__ import annotations

import random
import shutil
from functools import partial

import pytest

from workbench.parameters.types import Dataset

WORDS = ("the", "array", "axis", "returned", "along", "given", "shape", "each", "value", "none")


@pytest.fixture
def refused(refused_by):
    """What the real chapter says to these parameters."""
    return partial(refused_by, "pretraining", "training-run")


@pytest.fixture
def text(tmp_path):
    """Write a text of paragraphs with so many sentences each."""

    def write(sentences, paragraphs=400):
        draw = random.Random(0)
        made = [
            " ".join(" ".join(draw.choices(WORDS, k=9)).capitalize() + "." for _ in range(sentences))
            for _ in range(paragraphs)
        ]
        path = tmp_path / "text.txt"
        path.write_text("\n".join(made))
        return path

    return write


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no sentence"),
        (b"caf\xe9 is not UTF-8. It is Latin-1.\n", "not UTF-8 text (byte 3)"),
        (bytes(range(256)) * 20, "a binary file and not text"),
    ],
    ids=["empty", "Latin-1", "binary"],
)
def test_a_file_that_is_no_text(refused, tmp_path, content, said):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    sentence = refused(corpus=path)
    assert said in sentence


def test_a_file_of_an_unknown_kind_is_seen_from_the_request_alone(tmp_path):
    path = tmp_path / "text.bin"
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="not a file of a known kind"):
        Dataset(path).fingerprint()  # which is part of the run's key


def test_documents_of_one_sentence_have_no_next_one(refused, text):
    sentence = refused(corpus=text(sentences=1), vocabulary_size=70)
    assert "no document has two consecutive ones" in sentence


def test_a_vocabulary_that_the_text_does_not_support(refused, text):
    sentence = refused(corpus=text(sentences=2))
    assert "vocabulary_size: 4096 is more than the text supports; give at most" in sentence


def test_a_network_too_large_for_the_memory(refused, text):
    sentence = refused(corpus=text(sentences=2), vocabulary_size=70, hidden_size=40_000, num_layers=100)
    assert "hidden_size: 40000 in 100 layers makes" in sentence
    assert sentence.endswith("are free; give less")


def test_a_checkpoint_with_the_tokenizer_of_another(refused, tmp_path):
    from transformers import AutoTokenizer

    from largemodels.models.checkpoints import resolve

    folder = shutil.copytree(resolve("pydocs-small").folder, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["one more"])
    tokenizer.save_pretrained(folder)
    sentence = refused(model=folder)
    assert "the tokenizer does not fit the model" in sentence
