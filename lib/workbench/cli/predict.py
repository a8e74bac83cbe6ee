"""`workbench predict`: what the classifier that a run has kept answers to new texts.

Every row has an answer, in the order of the file, behind the columns that the file has itself.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli import shared
from workbench.cli.shared import Json, print_json_list
from workbench.core.errors import RequestError, RunError, sentences_of
from workbench.core.files import write_atomically
from workbench.core.project import find_project
from workbench.core.text import shown
from workbench.parameters import content
from workbench.runs.store import Run, run_with

_FORMS = (".csv", ".json", ".jsonl")

Answered = tuple[dict[str, Any], str | None, list[float | None]]
"""A row by column, the class that is answered, and the probability of each class."""


def predict(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|CHAPTER", help="A run, `latest`, or a chapter.", autocompletion=shared.names_to_show
        ),
    ],
    texts: Annotated[
        list[str], typer.Argument(metavar="FILE|TEXT…", help="A file, texts themselves, or - for lines of input.")
    ],
    text_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of the text.")] = None,
    pair_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of a second text.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="A .csv, .json or .jsonl file to write.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    as_json: Json = False,
) -> None:
    """Answer new texts with the classifier that a run has kept.

    A run keeps its classifier with `-p save=true`. A file is read as a data set is, and needs no label: its rows come
    back in their order with two things more, the class that is answered and the probability of each class. A
    row without text gets no answer. A classifier of pairs takes two texts. Of a chapter, the newest run that has kept
    a classifier is taken. Without --output the answers to a file are printed as CSV.

    **Examples**

        workbench predict latest "The hinge broke after two days."
        workbench predict fine-tuning reviews.csv --output answers.csv
        cut -f 2 reviews.tsv | workbench predict latest - --json
    """
    project = find_project()
    run = run_with(project, name, "model")
    folder = _model_of(run)
    _check_output(output, force)
    file = _file(texts)
    if file is None and (text_column or pair_column):
        raise RequestError("--text-column and --pair-column name columns of a file")
    from workbench.cli.console import RichReporter

    with RichReporter() as reporter, sentences_of(ValueError, end=RunError):
        saved, compressed = content.saved_classifiers(), content.compressed_classifiers()
        load = compressed.load_compressed if compressed.is_compressed(folder) else saved.load_saved
        model, tokenizer = load(folder)
        learnt = saved.learnt_columns(model)
        if file is None:
            rows, examples = _typed(texts, len(learnt))
        else:
            rows, examples = content.unlabelled().read_unlabelled(file, learnt, text=text_column, pair=pair_column)
        probabilities = saved.probabilities(model, tokenizer, examples, reporter.preparing)
    labels = saved.labels_of(model)
    answered = _answered(rows, labels, probabilities)
    from workbench.cli.tables import print_answers

    if output is not None:
        write_atomically(output, _as_text(answered, labels, output.suffix.lower()))
        print(f"{len(answered):,} rows with answers are in {output}")
    elif as_json:
        print_json_list(_objects(answered, labels))
    elif file is None:
        print_answers(answered, labels)
    else:
        print(_as_text(answered, labels, ".csv"), end="")
    if blank := sum(answer is None for _, answer, _ in answered):
        print(f"workbench: {blank:,} of {len(answered):,} rows have no text, and so no answer", file=sys.stderr)


def _model_of(run: Run) -> Path:
    """The folder of a run's classifier."""
    folder = run.folder / "model"
    if folder.is_symlink():
        raise RequestError(f"{run.id}: its model is a link, and links are not followed")
    if not folder.is_dir():
        raise RequestError(
            f"{run.id} has kept no classifier; run fine-tuning with -p save=true beside its other parameters"
        )
    return folder


def _check_output(output: Path | None, force: bool) -> None:
    if output is None:
        return
    if output.suffix.lower() not in _FORMS:
        raise RequestError(f"--output: {shown(output.name)} ends in none of {', '.join(_FORMS)}")
    if output.is_dir() or not output.parent.is_dir():
        raise RequestError(f"--output: {output} is no place for a file")
    if output.exists() and not force:
        raise RequestError(f"--output: {output} is there already; --force writes over it")


def _file(texts: list[str]) -> Path | None:
    """The file that is meant, or None for texts; a name that ends as a file of data does is no text."""
    if len(texts) > 1 or texts == ["-"]:
        return None
    with sentences_of(ValueError):
        here, form = content.is_here(texts[0]), content.data_suffixes()
    path = Path(texts[0]).expanduser()
    if here and path.is_dir():
        raise RequestError(f"{texts[0]} is a folder; name one file of it")
    if not here and texts[0].lower().endswith(form) and " " not in texts[0].strip():
        raise RequestError(f"there is no file {texts[0]}")
    return path if here else None


def _typed(texts: list[str], columns: int) -> tuple[Any, Any]:
    """The texts of the command line, or the lines of standard input, as rows of one text or of two."""
    import pandas as pd

    lines = [line.rstrip("\r\n") for line in sys.stdin] if texts == ["-"] else texts
    if not lines or len(lines) % columns:
        raise RequestError("the classifier reads pairs: give two texts" if lines else "there is no text to answer")
    names = ("text", "text_pair")[:columns]
    rows = pd.DataFrame([lines[place : place + columns] for place in range(0, len(lines), columns)], columns=names)
    return rows, rows


def _answered(rows: Any, labels: list[str], probabilities: Any) -> list[Answered]:
    """Each row by column, its answer, and the probability of each class; no answer where there is no text."""
    answers = []
    for row, given in zip(rows.to_dict("records"), probabilities.tolist(), strict=True):
        row = {str(name): _plain(value) for name, value in row.items()}
        blank = math.isnan(given[0])
        answer = None if blank else labels[given.index(max(given))]
        answers.append((row, answer, [None if blank else round(each, 6) for each in given]))
    return answers


def _objects(answered: list[Answered], labels: list[str]) -> Iterator[dict[str, Any]]:
    """Each row with its answer, and the probabilities by label."""
    answer, probabilities = _free(answered, "answer", "probabilities")
    for row, answer_to_it, given in answered:
        yield {**row, answer: answer_to_it, probabilities: dict(zip(labels, given, strict=True))}


def _as_text(answered: list[Answered], labels: list[str], form: str) -> str:
    """The rows as CSV with a column for each class, as a JSON list, or as a JSON object a line."""
    if form != ".csv":
        lines = [json.dumps(each, ensure_ascii=False) for each in _objects(answered, labels)]
        return "[\n" + ",\n".join(lines) + "\n]\n" if form == ".json" else "".join(f"{line}\n" for line in lines)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*answered[0][0], *_free(answered, "answer", *(f"p:{label}" for label in labels))])
    writer.writerows([*row.values(), answer, *given] for row, answer, given in answered)
    return text.getvalue()


def _free(answered: list[Answered], *names: str) -> list[str]:
    """The names, with lines behind them that no column of the rows has."""
    taken = set(answered[0][0])
    return [next(each for lines in itertools.count() if (each := name + "_" * lines) not in taken) for name in names]


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return value if isinstance(value, (str, int, float, bool, list, dict, type(None))) else str(value)
