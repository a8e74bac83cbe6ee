"""What several commands share: arguments and options, JSON on standard output, and JupyterLab."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli import completion

ChapterName = Annotated[
    str,
    typer.Argument(
        metavar="CHAPTER", help="A chapter's name, such as `attention`.", autocompletion=completion.chapters
    ),
]
OneChapter = Annotated[
    str | None, typer.Argument(metavar="CHAPTER", help="Only this chapter.", autocompletion=completion.chapters)
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        help="A parameter; may be repeated.",
        autocompletion=completion.parameters,
    ),
]
EditionName = typer.Option(metavar="NAME", help="An edition of book/editions/.", autocompletion=completion.editions)
CellLimit = Annotated[float, typer.Option(help="Seconds that one cell may take.", min=1)]
RunLimit = Annotated[float | None, typer.Option(help="Seconds that a whole run may take.", min=1)]
Workers = Annotated[int | None, typer.Option(metavar="N", help="At most this many runs at a time here.", min=1)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def print_json_list(values: Iterable[Any]) -> None:
    """Print values as a JSON list, a line each as soon as it is there: a long list takes no more memory than one."""
    separator = "["
    for value in values:
        print(f"{separator}\n{json.dumps(value, ensure_ascii=False)}", end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")


def start_jupyterlab(root: Path, page: str | None, options: Sequence[str]) -> None:
    """Become a JupyterLab that serves a folder on this machine only, with a page of it open."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}"]
    if page is not None:
        command.append(f"--LabApp.default_url=/lab/tree/{page}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    os.execv(sys.executable, [*command, *options])
