"""Commands that say what a chapter would take of a source, without running one: `data` and `model`."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.shared import Json, print_json
from workbench.core.errors import RequestError, RunError, sentences_of
from workbench.core.text import nearest_or_all, shown
from workbench.parameters import content


def data(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A shipped name, a file or folder, or a Hub id.")],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=COLUMN", help="A column; may be repeated.")
    ] = None,
    corpus: Annotated[bool, typer.Option("--corpus", help="Read it as text without labels.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a chapter would take from a data set: columns and why, rows, splits, classes. Nothing is run.

    Two examples are shown, and the `-p` options that would take other columns. Exit codes: 0 it can be read, 1 it
    cannot, 2 bad request.

    **Examples**

        workbench data reviews.csv
        workbench data reviews.csv -p text_column=comment -p label_column=stars
        workbench data letters.txt --corpus --json
    """
    from workbench.parameters.request import named_once
    from workbench.parameters.types import Dataset, coerce

    with sentences_of(ValueError):
        name = coerce(Dataset, source)
    columns = named_once("-p", parameter or [], "a column is named as in text_column=NAME")
    for option in columns:
        if option not in content.COLUMN_OPTIONS:
            raise RequestError(f"-p {shown(option)}: no such option{nearest_or_all(option, content.COLUMN_OPTIONS)}")
    corpus = corpus or content.is_corpus(name)
    if corpus and columns:
        raise RequestError("a corpus has no options; its text is a column called text, or the only one of texts")
    from workbench.cli.console import RichReporter
    from workbench.cli.tables import print_source

    with sentences_of(ValueError, end=RunError), RichReporter() as reporter:
        name.prepare(reporter.preparing)
        described = content.described_dataset(name, columns, corpus)
    if as_json:
        print_json(described)
        return
    print_source(described["name"], described["description"], described["examples"])
    if described["suggestions"]:
        print(f"\nTo take another column: {' or '.join(described['suggestions'])}")


def model(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A shipped name, a folder, or a Hub id.")],
    labels: Annotated[
        str | None, typer.Option(metavar="A,B", help="The labels of the data, to see whether its head is kept.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what a chapter would take of a model: its family, longest text, tokenizer, weights and head.

    The model is loaded and nothing is run. Exit codes: 0 it can be used, 1 it cannot be loaded, 2 bad request.

    **Examples**

        workbench model pydocs-small
        workbench model my-models/reviews --labels negative,positive
        workbench model google-bert/bert-base-uncased --json
    """
    from workbench.parameters.types import Model, coerce

    with sentences_of(ValueError):
        name = coerce(Model, source)
    names = _names(labels)
    from workbench.cli.console import RichReporter
    from workbench.cli.tables import print_source

    with sentences_of(ValueError, end=RunError), RichReporter() as reporter:
        name.prepare(reporter.preparing)
        examined = content.model_description().examine(str(name), names)
    if as_json:
        print_json({"source": str(name), **examined._asdict()})
        return
    print_source(str(name), examined.description)
    for option, effect in examined.suggestions.items():
        print(f"\n{option} {effect}")


def _names(labels: str | None) -> list[str]:
    """The labels of the option, in their order; none where it is missing."""
    if labels is None:
        return []
    names = [name.strip() for name in labels.split(",")]
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise RequestError(f"--labels {labels}: expected two or more different names, separated by commas")
    return names
