"""What a shell offers after the Tab key: chapters, runs, parameters and editions, in a fraction of a second.

Only names of files are looked at, and of a chapter its parameters cell. Where something is not as it should be there is
nothing to offer, and no word of it: an error would be printed into the line that is being typed.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.project import Project, find_project


def chapters(incomplete: str) -> list[str]:
    """The chapters whose names start so."""
    project = _project()
    return _starting(incomplete, project.chapters() if project else [])


def runs(incomplete: str) -> list[str]:
    """The runs whose names start so, newest first, and `latest`."""
    project = _project()
    names: set[str] = set()
    for chapter in project.chapters() if project else []:
        with contextlib.suppress(OSError), os.scandir(project.runs / chapter) as entries:
            names |= {entry.name for entry in entries if entry.name[8:9] == "T" and entry.name[16:17] == "-"}
    return _starting(incomplete, [*sorted(names, reverse=True), *(["latest"] if names else [])])


def runs_or_chapters(incomplete: str) -> list[str]:
    """What `workbench show` takes."""
    return chapters(incomplete) + runs(incomplete)


def editions(incomplete: str) -> list[str]:
    """The editions whose names start so."""
    project = _project()
    return _starting(incomplete, sorted(path.stem for path in project.editions.glob("*.yml")) if project else [])


def recorded(incomplete: str) -> list[str]:
    """The recorded results whose names start so."""
    project = _project()
    return _starting(
        incomplete, sorted(path.parent.name for path in project.recorded.glob("*/*.json")) if project else []
    )


def parameters(ctx: Any, incomplete: str) -> list[str]:
    """`name=` for each parameter of the chapter that is on the line."""
    project = _project()
    known = project.chapters() if project else []
    # With the name still missing behind -p, what stands before it counts as not understood yet.
    chapter = next((word for word in [ctx.params.get("chapter"), *ctx.args] if word in known), None)
    if chapter is None:
        return []
    try:
        notebook = json.loads((project.notebooks / f"{chapter}.ipynb").read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
        statements = ast.parse("".join(cells[0]["source"])).body
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError):
        return []
    names = [line.target.id for line in statements if isinstance(line, ast.AnnAssign) and hasattr(line.target, "id")]
    return _starting(incomplete, [f"{name}=" for name in names])


def _project() -> Project | None:
    try:
        return find_project()
    except RequestError:
        return None


def _starting(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
