"""What a shell offers after the Tab key: chapters, runs, parameters and editions, in a fraction of a second.

Typer keeps of the names those that begin as the word being typed. Only names of files are looked at, and of a chapter
its parameters cell. Where something is not as it should be there is nothing to offer, and no word of it: an error would
be printed into the line that is being typed.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.project import Project, find_project


def _offered(names: Callable[[Project], Iterable[str]]) -> Callable[[], list[str]]:
    """These names of the checkout, and none outside of a checkout."""

    def offered() -> list[str]:
        with contextlib.suppress(RequestError):
            return list(names(find_project()))
        return []

    return offered


chapters = _offered(Project.chapters)
editions = _offered(lambda project: sorted(path.stem for path in project.editions.glob("*.yml")))
recorded = _offered(lambda project: sorted({path.parent.name for path in project.recorded.glob("*/*.json")}))


@_offered
def runs(project: Project) -> list[str]:
    """The runs, newest first, and `latest`."""
    names: set[str] = set()
    for chapter in project.chapters():
        with contextlib.suppress(OSError), os.scandir(project.runs / chapter) as entries:
            names |= {entry.name for entry in entries if entry.name[8:9] == "T" and entry.name[16:17] == "-"}
    return [*sorted(names, reverse=True), *(["latest"] if names else [])]


def runs_or_chapters() -> list[str]:
    """What `workbench show` takes."""
    return chapters() + runs()


def parameters(ctx: Any) -> list[str]:
    """`name=` for each parameter of the chapter that is on the line."""
    known = chapters()
    # With the name still missing behind -p, what stands before it counts as not understood yet.
    chapter = next((word for word in [ctx.params.get("chapter"), *ctx.args] if word in known), None)
    if chapter is None:
        return []
    try:
        notebook = json.loads((find_project().notebooks / f"{chapter}.ipynb").read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        statements = ast.parse("".join(cells[0]["source"])).body
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError):
        return []
    names = [line.target.id for line in statements if isinstance(line, ast.AnnAssign) and hasattr(line.target, "id")]
    return [f"{name}=" for name in names]
