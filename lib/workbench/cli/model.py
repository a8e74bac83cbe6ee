"""The command `model`: what a chapter would take of a model, without running one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from workbench.cli.shared import Json, print_json
from workbench.core.errors import RequestError, RunError, sentences_of
from workbench.parameters import content
from workbench.parameters.types import Model, coerce


def model(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A model, as for `-p model=`.")],
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
    with sentences_of(ValueError):
        checked = coerce(Model, source)
    names = _names(labels)
    from workbench.cli.console import RichReporter

    try:
        with RichReporter() as reporter:
            checked.prepare(reporter.preparing)
        examined = content.model_description().examine(str(checked), names)
    except ValueError as error:  # the subject's sentences are such errors
        raise RunError(str(error)) from None
    if as_json:
        print_json({"source": str(checked), **examined._asdict()})
    else:
        _print(str(checked), examined.description, examined.suggestions)


def _names(labels: str | None) -> list[str]:
    """The labels of the option, in their order; none where it is missing."""
    if labels is None:
        return []
    names = [name.strip() for name in labels.split(",")]
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        raise RequestError(f"--labels {labels}: expected two or more different names, separated by commas")
    return names


def _print(source: str, description: Mapping[str, str], suggestions: Mapping[str, str]) -> None:
    """A line for each aspect of the model, and one for each parameter that would change a choice."""
    from rich.markup import escape

    from workbench.core.console import out
    from workbench.core.text import visible

    out.print(f"[bold]{escape(visible(source))}[/]", soft_wrap=True)
    for name, value in description.items():
        out.print(f"  {name:<12} {escape(visible(value))}", soft_wrap=True)
    for option, effect in suggestions.items():
        out.print(f"{escape(visible(option))}  {escape(effect)}", style="dim", soft_wrap=True)
