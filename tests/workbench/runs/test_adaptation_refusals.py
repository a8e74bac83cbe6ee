"""Data sets that are no pair of domains are refused by their chapter in one sentence, before anything is trained."""

from __future__ import annotations

import re
from functools import partial

import pandas as pd
import pytest

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract


@pytest.fixture
def refused(refused_by):
    """What the real chapter says to these parameters."""
    return partial(refused_by, "domain-adaptation", "domains-draw")


def rows(number=90, first="number", **columns):
    """A table of different texts with two labels, and other columns beside or instead."""
    texts = [f"{first} {n * 7} of {n * 11} and {n * 13} or {n * 17}" for n in range(number)]
    return pd.DataFrame({"text": texts, "label": ["odd" if n % 2 else "even" for n in range(number)]} | columns)


@pytest.fixture
def source(tmp_path):
    """A file that a classifier can learn from."""
    path = tmp_path / "source.csv"
    rows().to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (rows(label=["up", "down"] * 45), "target: its labels are down, up, and the source's are even, odd"),
        (rows(0), "holds no labelled row"),
        (rows(label="odd"), "every row has the same label (odd)"),
        (rows().rename(columns={"text": "one"}).assign(two=lambda table: table["one"]), "text_column"),
    ],
    ids=["other labels", "empty", "one class", "two texts"],
)
def test_a_target_that_does_not_go_with_the_source(refused, tmp_path, source, target, said):
    path = tmp_path / "target.csv"
    target.to_csv(path, index=False)
    sentence = refused(source=source, target=path)
    assert said in sentence


def test_a_target_that_is_of_one_class_where_it_is_judged(refused, tmp_path, source):
    folder = tmp_path / "target"
    folder.mkdir()
    rows(first="count").to_csv(folder / "train.csv", index=False)
    rows(20, first="more", label="odd").to_csv(folder / "test.csv", index=False)
    sentence = refused(source=source, target=folder)
    assert "target: all test examples of target are odd; two classes are needed" in sentence


def test_a_control_without_text(refused, tmp_path, source):
    path = tmp_path / "control.txt"
    path.write_text("\n")
    sentence = refused(source=source, target=source, control=path)
    assert "control.txt" in sentence


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("target_libraries", "tensorflow", "tensorflow (item 1) is not one of numpy, scipy"),
        ("methods", "prayer", "prayer (item 1) is not one of dapt, tapt"),
    ],
)
def test_a_library_that_there_is_not_and_a_remedy_are_seen_from_the_request_alone(root, parameter, value, said):
    with pytest.raises(RequestError, match=f"{parameter}: {re.escape(said)}"):
        load_contract(Project(root), "domain-adaptation").resolve({parameter: value})


def test_a_model_that_cannot_read_on(refused, tmp_path, source):
    from transformers import BertConfig, BertModel

    from largemodels.models.loading import load_tokenizer

    tokenizer = load_tokenizer("pydocs-small")
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), **small)).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    sentence = refused(model=tmp_path / "model", source=source, target=source)
    assert "masked" in sentence
