"""What cannot be learnt is refused by the fine-tuning chapter in one sentence, before anything is trained."""

from __future__ import annotations

import shutil
from functools import partial

import pandas as pd
import pytest

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract


@pytest.fixture
def refused(refused_by):
    """What the real chapter says to these parameters."""
    return partial(refused_by, "fine-tuning", "train-run")


def rows(number=60, **columns):
    """A table of different texts with two labels, and other columns beside or instead."""
    texts = [f"number {n * 7} of {n * 11} and {n * 13} or {n * 17}" for n in range(number)]
    return pd.DataFrame({"text": texts, "label": ["odd" if n % 2 else "even" for n in range(number)]} | columns)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rows(label="odd"), "every row has the same label (odd); a task needs two or more"),
        (rows(text=" "), "holds no labelled row"),
        (rows(label=[None, *["odd", "even"] * 29, "odd"]), "1 of 60 rows of table have no label (the first is row 1)"),
        (rows(label=[n % 9 / 2 for n in range(60)]), "are numbers such as 0.5, a target for regression"),
        (rows().rename(columns={"text": "one"}).assign(two=lambda table: table["one"]), "text_column"),
        (rows().rename(columns={"label": "one"}).assign(two=lambda table: table["one"]), "label_column"),
    ],
    ids=["one class", "empty texts", "missing label", "regression", "two texts", "two labels"],
)
def test_a_table_that_is_no_task(refused, tmp_path, table, said):
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    sentence = refused(dataset=path)
    assert said in sentence


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (rows(9, label="neither"), "test holds the label neither, which no training row has"),
        (rows(0), "its test split holds no labelled row"),
    ],
    ids=["unseen label", "empty split"],
)
def test_a_split_that_nothing_can_be_learnt_for(refused, tmp_path, test, said):
    rows().to_csv(tmp_path / "train.csv", index=False)
    test.to_csv(tmp_path / "test.csv", index=False)
    sentence = refused(dataset=tmp_path)
    assert said in sentence


def test_a_name_that_is_nothing_is_seen_from_the_request_alone(root):
    with pytest.raises(RequestError, match=r"did you mean pydocs-sections\?"):
        load_contract(Project(root), "fine-tuning").resolve({"dataset": "pydocs-section"})


def test_a_model_without_its_tokenizer_is_seen_from_the_request_alone(root, tmp_path):
    from largemodels.models.checkpoints import resolve

    folder = shutil.copytree(resolve("pydocs-small").folder, tmp_path / "model")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(RequestError, match=r"model: .* holds no tokenizer"):
        load_contract(Project(root), "fine-tuning").resolve({"model": str(folder)})


def test_texts_longer_than_the_model_reads(refused):
    sentence = refused(max_length=1000, batch_tokens=1000)
    assert "max_length: 1000 is more than the 128 tokens that the model reads" in sentence


def test_more_layers_than_there_are(refused):
    sentence = refused(last_layers=9)
    assert "last_layers: 9 is more than the 4 of pydocs-small" in sentence


def test_too_few_labels(refused):
    sentence = refused(labelled=4)
    assert "labelled: 4 drawn examples hold fewer than two classes three times each" in sentence


def test_a_rate_at_which_the_loss_is_no_number(refused_by, tmp_path):
    path = tmp_path / "table.csv"
    rows().to_csv(path, index=False)
    sentence = refused_by("fine-tuning", "train-curve", dataset=path, learning_rate=1e30, warmup=0.01)
    assert "the loss is" in sentence
    assert sentence.endswith("give a smaller learning_rate, or a longer warm-up")
