"""`workbench data` says what would be taken from a data set, or in one sentence why nothing can be."""

from __future__ import annotations

import json

import pytest

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
        (["reviews.csv", "-p", "label=kind"], 2, "-p label: no such option; did you mean label_column?"),
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
