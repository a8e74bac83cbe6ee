"""The command `student`: notebooks for a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.shared import OneChapter
from workbench.core.project import find_project
from workbench.parameters.contract import load_contract


def student(
    chapter: OneChapter = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The folder; without it, `student` in the checkout, or `teacher`."),
    ] = None,
    solutions: Annotated[bool, typer.Option("--solutions", help="The teacher's version, with the solutions.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Write over notebooks that are there.")] = False,
) -> None:
    """Make notebooks for a class: empty cells for answers, cells that check them, hints, and no solutions.

    Without a chapter, of all of them. Outputs are left out. The chapters themselves stay as they are.

    **Examples**

        workbench student attention
        workbench student --to handouts
        workbench student attention --solutions
    """
    from workbench.book.student import from_checkout, write_student_notebooks

    project = find_project()
    contracts = [load_contract(project, name) for name in ([chapter] if chapter else project.chapters())]
    folder = to or project.root / ("teacher" if solutions else "student")
    for path in write_student_notebooks(contracts, project, folder, solutions=solutions, replace=replace):
        print(from_checkout(project, path))
