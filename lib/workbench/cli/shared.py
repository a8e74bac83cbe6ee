"""What several commands share: arguments and options, and JSON on standard output.

Behind the Tab key a shell offers chapters, runs, parameters, editions and recorded results, in a fraction of a second.
Typer keeps of the names those that begin as the word being typed. Only names of files are looked at, and of a chapter
its parameters cell. Where something is not as it should be there is nothing to offer, and no word of it: an error would
be printed into the line that is being typed.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.core import printed
from workbench.core.errors import RequestError
from workbench.core.project import Project, find_project


def _offered(names: Callable[[Project], Iterable[str]]) -> Callable[[], list[str]]:
    """These names of the checkout, and none outside of a checkout."""

    def offered() -> list[str]:
        with contextlib.suppress(RequestError):
            return list(names(find_project()))
        return []

    return offered


chapter_names = _offered(Project.chapters)
edition_names = _offered(lambda project: sorted(path.stem for path in project.editions.glob("*.yml")))
result_names = _offered(lambda project: sorted({path.parent.name for path in project.recorded.glob("[!.]*/*.json")}))


@_offered
def run_names(project: Project) -> list[str]:
    """The runs, newest first, `latest`, and the latest of each chapter."""
    names: dict[str, set[str]] = {}
    for chapter in project.chapters():
        with contextlib.suppress(OSError), os.scandir(project.runs / chapter) as entries:
            names[chapter] = {entry.name for entry in entries if entry.name[8:9] == "T" and entry.name[16:17] == "-"}
    latest = [f"{chapter}/latest" for chapter, runs in names.items() if runs]
    return [*sorted(set().union(*names.values()), reverse=True), *(["latest"] if latest else []), *latest]


def names_to_show() -> list[str]:
    """What `workbench show` takes."""
    return chapter_names() + run_names()


def parameter_names(ctx: Any) -> list[str]:
    """`name=` for each parameter of the chapter that is on the line, and `name=default` where that is one word.

    Where a shell has both it adds no space behind the `=` that they share.
    """
    known = chapter_names()
    # With the name still missing behind -p, what stands before it counts as not understood yet.
    chapter = next((word for word in [ctx.params.get("chapter"), *ctx.args] if word in known), None)
    parameters = _parameters_of(chapter) if chapter else {}
    words = {name: _as_word(default) for name, default in parameters.items()}
    return [f"{name}={text}" for name, word in words.items() for text in dict.fromkeys(("", word))]


def _parameters_of(chapter: str) -> dict[str, Any]:
    """The parameters that a chapter declares and their defaults, without a look at anything else of it."""
    try:
        notebook = json.loads((find_project().notebooks / f"{chapter}.ipynb").read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        statements = ast.parse("".join(cells[0]["source"])).body
        lines = [line for line in statements if isinstance(line, ast.AnnAssign) and hasattr(line.target, "id")]
        return {line.target.id: ast.literal_eval(line.value) for line in lines if line.value}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError, RequestError):
        return {}


def _as_word(default: Any) -> str:
    """A default as it stands behind `-p name=`; nothing for one that a shell would not leave as it is."""
    items = default if isinstance(default, list) else [default]
    text = ",".join(str(item).lower() if isinstance(item, bool) else str(item) for item in items)
    return text if re.fullmatch(r"[\w./,+-]+", text) else ""


def parameters_of_chapters() -> set[str]:
    """The names of all chapters' parameters."""
    return {name for chapter in chapter_names() for name in _parameters_of(chapter)}


def chapter_of(value: Any) -> Any:
    """The chapter, or each of several, that is named as such or by its file, as the shell completes it."""
    if isinstance(value, list):
        return [chapter_of(each) for each in value]
    path = Path(value or "")
    return path.stem if path.suffix == ".ipynb" and path.parent.name in ("", "notebooks") else value


ChapterName = Annotated[
    str,
    typer.Argument(
        metavar="CHAPTER", help="A chapter, such as `attention`.", callback=chapter_of, autocompletion=chapter_names
    ),
]
OneChapter = Annotated[
    str | None,
    typer.Argument(metavar="CHAPTER", help="Only this chapter.", callback=chapter_of, autocompletion=chapter_names),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        help="A parameter; may be repeated.",
        autocompletion=parameter_names,
    ),
]
EditionName = typer.Option(metavar="NAME", help="An edition of book/editions/.", autocompletion=edition_names)
_YEAR = 365 * 24 * 3600
CellLimit = Annotated[float, typer.Option(metavar="SECONDS", help="Seconds that one cell may take.", min=1, max=_YEAR)]
RunLimit = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Seconds that a whole run may take.", min=1, max=_YEAR)
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", help="At most this many runs at a time here.", min=1, max=1000)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    printed.print_json(value, indent=1)


def print_json_list(values: Iterable[Any]) -> None:
    """Print values as a JSON list, a line each as soon as it is there: a long list takes no more memory than one."""
    separator = "["
    for value in values:
        print(separator)
        printed.print_json(value, end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")
