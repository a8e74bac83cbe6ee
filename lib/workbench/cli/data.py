"""The command that says what would be taken from a data set: `data`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workbench.cli.shared import Json, print_json
from workbench.core.errors import RequestError, RunError
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

    try:
        name = coerce(Dataset, source)
    except ValueError as error:
        raise RequestError(str(error)) from None
    columns = named_once("-p", parameter or [], "a column is named as in text_column=NAME")
    for option in columns:
        if option not in content.COLUMN_OPTIONS:
            raise RequestError(f"-p {shown(option)}: no such option{nearest_or_all(option, content.COLUMN_OPTIONS)}")
    corpus = corpus or content.is_corpus(name)
    if corpus and columns:
        raise RequestError("a corpus has no options; its text is a column called text, or the only one of texts")
    from workbench.cli.console import RichReporter

    try:
        with RichReporter() as reporter:
            name.prepare(reporter.preparing)
            described = content.described_dataset(name, columns, corpus)
    except ValueError as error:
        raise RunError(str(error)) from None
    if as_json:
        print_json(described)
    else:
        _print(described)


def _print(described: dict[str, Any]) -> None:
    from workbench.cli.tables import print_source

    print_source(described["name"], described["description"], described["examples"])
    if described["suggestions"]:
        print(f"\nTo take another column: {' or '.join(described['suggestions'])}")
