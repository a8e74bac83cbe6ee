"""`workbench data` and `workbench model` say what would be taken, or in one sentence why nothing can be."""

from __future__ import annotations

import json
import shutil

import pytest

from fake_hub import tiny_model

ROWS = "".join(f"it is the number {n} of {n * 7},{'good' if n % 2 else 'bad'},{n % 5}\n" for n in range(60))


@pytest.fixture
def reviews(project):
    """A table with two odd names."""
    (project.root / "reviews.csv").write_text(f"Comment,kind,stars\n{ROWS}\n")


def test_columns_rows_and_splits_are_shown_with_examples_and_the_option_that_changes_a_choice(reviews, command):
    shown = command("data", "reviews.csv", "-p", "label_column=kind")
    assert shown.returncode == 0, shown.stderr
    for part in (
        "Comment (by its content: many long values)",
        "kind (named by label_column)",
        "60 taken",
        "2: bad (30), good (30)",
        "drawn by a hash of the text",
        "it is the number",
        "-p label_column=stars",
    ):
        assert part in shown.stdout
    assert command("data", "reviews.csv", "-p", "label_column=stars", "--json").stdout.count('"-p label_column=kind"')


def test_a_corpus_is_described_as_one(reviews, project, command, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(project.root / "cache"))
    facts = json.loads(command("data", "reviews.csv", "--corpus", "--json").stdout)
    assert facts["description"]["text"] == "Comment (by its content: many long values)"
    assert facts["description"]["source"].startswith("reviews.csv, SHA-256 ")
    assert len(facts["examples"]) == 2
    again = json.loads(command("data", "reviews.csv", "--corpus", "--json").stdout)
    assert again == facts, "what is read from the cache is described alike"


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        (["reviews.csv"], 1, "which of kind, stars is the label? name it, as in -p label_column=kind"),
        (["reviews.csv", "-p", "labelcolumn=kind"], 2, "-p labelcolumn: no such option; did you mean label_column?"),
        (["reviews.csv", "-p", "kind"], 2, "a column is named as in text_column=NAME"),
        (["reviews.csv", "--corpus", "-p", "text_column=kind"], 2, "a corpus has no options"),
        (["pydox"], 2, "pydox is neither a data set that comes with the workbench"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_one_sentence(reviews, command, line, code, sentence):
    refused = command("data", *line)
    assert refused.returncode == code
    assert sentence in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "reviews"
    folder.mkdir()
    tiny_model(folder)
    return folder


def test_a_model_is_described_in_lines_and_as_json(command, made):
    done = command("model", str(made), "--labels", "no, yes")
    assert done.returncode == 0
    assert "longest text  32 tokens: its table of positions has 32 rows" in done.stdout
    assert "head          new, because the files hold none for classes of texts" in done.stdout
    assert done.stdout.endswith("-p max_length=32 reads texts as long as the model can; a smaller one is faster\n")
    told = json.loads(command("model", str(made), "--json").stdout)
    assert told["source"] == str(made)
    assert told["description"]["family"] == "bert, as BertModel"
    assert list(told["suggestions"]) == ["-p max_length=32"]


def test_what_a_chapter_would_refuse_is_refused_by_the_same_sentence(command, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "reviews")
    (folder / "tokenizer.json").rename(folder / "elsewhere")
    requests = {
        ("distil",): "distil is neither a model that comes with the workbench",
        (str(folder),): "holds no tokenizer (neither tokenizer.json nor a vocabulary)",
        (str(made), "--labels", "yes"): "--labels yes: expected two or more different names, separated by commas",
        (str(made), "--labels", "yes,"): "--labels yes,: expected two or more different names, separated by commas",
    }
    for request, sentence in requests.items():
        done = command("model", *request)
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_only_loading_shows_is_one_sentence_and_exit_code_1(command, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "reviews")
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "vocab_size": 9}))
    done = command("model", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.json and the weights disagree on the shape of " in done.stderr
    assert done.stderr.count("\n") == 1
