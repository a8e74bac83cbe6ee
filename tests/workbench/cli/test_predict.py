"""`workbench predict` answers sentences, lines and files by a kept classifier, and refuses the rest in one sentence."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from made_runs import make_run

LABELS = ("good | fine", "bad")
TEXTS = ["the array returns a value", "", "the matrix, sorted, holds a column"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two folders as `save=true` makes them, of a classifier of texts and one of pairs, and the first itself."""
    from largemodels.data.columns import Column
    from largemodels.data.description import Reading
    from largemodels.data.tasks import Task
    from largemodels.fine_tuning.saved import save_classifier
    from largemodels.models.classifiers import classifier_on
    from small_corpus import encoder, tokenizer

    folder, model = tmp_path_factory.mktemp("models"), classifier_on(encoder(), LABELS)
    for name, columns in (("one", {"text_column": "body"}), ("two", {"text_column": "body", "pair_column": "reply"})):
        taken = {option: Column(column, "as named") for option, column in columns.items()}
        task = Task("own", {}, LABELS, reading=Reading(columns=taken))
        save_classifier(folder / name, model, tokenizer(), max_length=32, task=task, card="card")
    return folder, model


@pytest.fixture
def run(project, models):
    """A run that has kept the classifier of texts."""
    run = make_run(project)
    shutil.copytree(models[0] / "one", run / "model")
    return run


@pytest.fixture
def rows(project):
    """A file with columns of its own beside the text, one of them named as the answer is."""
    rows = pd.DataFrame({"ticket": ["007", "8", "9"], "body": TEXTS, "answer": ["", "42", "x"]})
    rows.to_csv(project.root / "new.csv", index=False)
    return rows


def expected(model):
    """The probabilities of the texts that are not blank."""
    from largemodels.models.classifiers import predict
    from small_corpus import tokenizer

    filled = pd.DataFrame({"text": [text for text in TEXTS if text]})
    return np.exp(predict(model, tokenizer(), filled, max_length=32))


def test_a_file_comes_back_row_by_row_with_its_own_columns(run, rows, command, models, project):
    done = command("predict", "latest", "new.csv", "--output", "out.csv")
    assert (done.returncode, done.stdout) == (0, "3 rows with answers are in out.csv\n")
    assert "workbench: 1 of 3 rows have no text, and so no answer" in done.stderr
    with (project.root / "out.csv").open(newline="") as file:
        header, *answered = csv.reader(file)
    assert header == ["ticket", "body", "answer", "answer_", "p:good | fine", "p:bad"]
    assert [row[:3] for row in answered] == rows.to_numpy().tolist()
    assert answered[1][3:] == ["", "", ""]
    for row, probabilities in zip(answered[::2], expected(models[1]), strict=True):
        assert row[3] == LABELS[probabilities.argmax()]
        assert [float(p) for p in row[4:]] == pytest.approx(probabilities, abs=1e-5)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_answers_are_json_too(run, rows, command, project, form):
    assert command("predict", "toy", "new.csv", "-o", f"out.{form}").returncode == 0
    text = (project.root / f"out.{form}").read_text()
    answers = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert answers == json.loads(command("predict", "toy", "new.csv", "--json").stdout)
    assert list(answers[0]["probabilities"]) == list(LABELS)
    assert answers[1]["answer_"] is None
    assert answers[0]["ticket"] == "007"


def test_sentences_of_the_command_line_are_answered_in_a_table(run, command, models):
    done = command("predict", run.name, *filter(None, TEXTS))
    assert done.returncode == 0
    (first, second) = expected(models[1])
    assert f"{first[0]:.3f}" in done.stdout
    assert f"{second[1]:.3f}" in done.stdout
    assert LABELS[0] in done.stdout


def test_a_classifier_of_pairs_takes_two_texts(project, models, command):
    shutil.copytree(models[0] / "two", make_run(project) / "model")
    done = command("predict", "latest", "the array holds", "a value", "--json")
    (answer,) = json.loads(done.stdout)
    assert (answer["text"], answer["text_pair"]) == ("the array holds", "a value")
    refused = command("predict", "latest", "the array holds")
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        2,
        "workbench: the classifier reads pairs: give two texts",
    )


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("predict nothing x", 2, "no run nothing; `workbench runs` lists them"),
        ("predict latest new.csb.csv", 2, "there is no file new.csb.csv"),
        ("predict latest .", 2, ". is a folder; name one file of it"),
        ("predict latest new.csv -o out.txt", 2, "--output: out.txt ends in none of .csv, .json, .jsonl"),
        ("predict latest new.csv -o new.csv", 2, "--output: new.csv is there already; --force writes over it"),
        ("predict latest new.csv -o none/out.csv", 2, "--output: none/out.csv is no place for a file"),
        ("predict latest -", 2, "there is no text to answer"),
        ("predict latest x --text-column y", 2, "--text-column and --pair-column name columns of a file"),
        ("predict latest new.csv --text-column y", 1, "new.csv: --text-column: there is no column y; there is ticket"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(run, rows, command, project, line, code, said):
    before = sorted(path.name for path in project.root.iterdir())
    done = command(*line.split())
    assert done.returncode == code
    assert done.stderr.splitlines()[-1].startswith(f"workbench: {said}")
    assert done.stdout == ""
    assert sorted(path.name for path in project.root.iterdir()) == before


def test_a_run_without_a_classifier_says_how_to_keep_one(project, command):
    run = make_run(project)
    done = command("predict", "latest", "a sentence")
    assert done.returncode == 2
    assert done.stderr.startswith(f"workbench: {run.name} has kept no classifier; run fine-tuning with -p save=true")


def test_of_a_chapter_the_newest_run_with_a_classifier_answers(run, project, command):
    make_run(project, after=60)
    assert command("predict", "toy", "the array", "--json").returncode == 0
    assert command("predict", "latest", "the array").returncode == 2


def test_a_link_in_the_place_of_the_classifier_is_not_followed(project, models, command):
    (make_run(project) / "model").symlink_to(models[0] / "one")
    done = command("predict", "latest", "a sentence")
    assert (done.returncode, "links are not followed" in done.stderr) == (2, True)


def test_weights_that_run_code_when_they_are_read_are_refused(run, command):
    (run / "model" / "model.safetensors").rename(run / "model" / "pytorch_model.bin")
    done = command("predict", "latest", "a sentence")
    assert done.returncode == 1
    assert "can run code when it is read" in done.stderr.splitlines()[-1]
