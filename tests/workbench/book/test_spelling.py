"""Words that are in no list of words are found in the prose of pages and chapters, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from workbench.book.spelling import check
from workbench.core.errors import RequestError

DICTIONARY = "a add and at centre hint is it look model models of reads the what".replace(" ", "\n")


@pytest.fixture
def book(project):
    """A book without pages, whose dictionary and list of the field's words are small."""
    (project.root / "book" / "spelling").mkdir(parents=True)
    (project.root / "book" / "spelling" / "british.txt").write_text(DICTIONARY)
    (project.root / "book" / "words.txt").write_text("")
    chapter(project)
    return project


def chapter(project, text="", figure=None, id="result"):
    cells = [
        {"cell_type": "markdown", "id": id, "metadata": {}, "source": text},
        {"cell_type": "code", "id": "curve", "metadata": {"mystnb": figure or {}}, "source": "", "outputs": []},
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (project.notebooks / "toy.ipynb").write_text(json.dumps(notebook))


def unknown(project, text):
    """The words that are not known in a page of this text."""
    (project.root / "book" / "page.md").write_text(text)
    return [said.split(": ")[2].split()[0] for said in check(project)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What the modle reads.", ["modle"]),
        ("# The modle", ["modle"]),
        ("It **reeds** the *wrods*.", ["reeds", "wrods"]),
        ("| what | modle |\n| --- | --- |\n| it | reeds |", ["modle", "reeds"]),
        ("The center, of the model.", ["center"]),
        ("```{dropdown} Hint\nLook at the modle.\n```", ["modle"]),
        (":::{quiz}\n\n1. What is it?\n\n   - [x] A modle.\n   - [ ] A model.\n\n   It is.\n\n:::", ["modle"]),
        ("```{figure} it.png\n:name: fgi\n:alt: The modle\n\nWhat it reeds.\n```", ["modle", "reeds"]),
        ("[The modle](https://exmaple.org)", ["modle"]),
        ("![A modle](it.png)", ["modle"]),
        ("The model-modle.", ["modle"]),
    ],
)
def test_a_word_that_is_misspelt_or_american_is_found_wherever_readers_read_it(book, text, words):
    assert unknown(book, text) == words


@pytest.mark.parametrize(
    "text",
    [
        "What the model's centre is, the models' centre is.",
        "It is `modle`, $modle$ and {term}`modle` {cite:p}`modle2020`, the $n$th.",
        "$$\nmodle\n$$",
        "```python\nmodle = 1\n```",
        "```{recorded} modle\n```",
        "```{eval-rst}\n.. automodule:: modle\n```",
        "<!-- modle -->\n\nIt is <https://modle.org>.",
        "BERT, GPUs, SST-2, float32x, max_lenght, README.modle.",
    ],
)
def test_code_formulas_citations_addresses_and_abbreviations_are_left_alone(book, text):
    assert unknown(book, text) == []


def test_chapters_are_read_in_their_text_their_exercises_and_their_captions(book):
    figure = {"figure": {"caption": "What the modle is."}, "image": {"alt": "A lien."}}
    chapter(book, "What it reeds.", figure, id="exercises")
    assert list(check(book)) == [
        "notebooks/toy.ipynb: cell exercises: reeds is in no list of words; reads?",
        "notebooks/toy.ipynb: cell curve: modle is in no list of words; model?",
        "notebooks/toy.ipynb: cell curve: lien is in no list of words",
    ]


def test_the_place_of_a_word_is_named_with_what_may_be_meant(book):
    (book.root / "book" / "page.md").write_text("# It\n\nIt is.\n\n```{dropdown} Hint\nWhat it is.\nA modle.\n```\n")
    (book.root / "README.md").write_text("A modle.\n")
    assert list(check(book)) == [
        "README.md: line 1: modle is in no list of words; model?",
        "book/page.md: line 6: modle is in no list of words; model?",
    ]


def test_a_word_of_the_field_is_known_with_its_plural_and_its_capitals_count(book):
    (book.root / "book" / "words.txt").write_text("look-alike\nLoRA\ntokenizer\n")
    assert unknown(book, "The tokenizers, Tokenizer's look-alikes, and LoRA.") == []
    assert unknown(book, "A tokenizer, look-alike, LoRA, Lora and alike.") == ["Lora", "alike"]


def test_a_word_of_the_field_that_no_text_uses_is_found(book):
    (book.root / "book" / "words.txt").write_text("logit\n")
    assert list(check(book)) == ["book/words.txt: no text needs logit"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("softmax\nlogit\n", "one word a line, each once, in the order of the alphabet"),
        ("logit\nlogit\n", "one word a line, each once"),
        ("model\n", "model is in the dictionary already"),
    ],
)
def test_the_list_of_the_field_is_kept_in_order(book, words, said):
    (book.root / "book" / "words.txt").write_text(words)
    with pytest.raises(RequestError, match=said):
        list(check(book))


@pytest.mark.parametrize(("text", "code"), [("The modle reads.", 1), ("The model reads.", 0)])
def test_the_command_is_red_on_a_planted_misspelling(book, text, code):
    (book.root / "book" / "page.md").write_text(text)
    command = [sys.executable, "-m", "workbench.book.spelling"]
    done = subprocess.run(command, cwd=book.root, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "line 1: modle is in no list" in done.stdout, done.stderr) == (code, bool(code), "")
