"""Commands that work on chapters: `run`, `book`, `check`, `accept` and `lab`.

Heavy imports stand inside the commands, so that a bad request is refused before they cost anything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench.book.contents import chapters_in_order
from workbench.cli.lab import become_jupyterlab
from workbench.cli.shared import (
    CellLimit,
    ChapterName,
    EditionName,
    Parameters,
    RunLimit,
    Workers,
    chapter_names,
    chapter_of,
    print_json,
)
from workbench.core.errors import RunError
from workbench.core.project import find_project
from workbench.parameters.contract import load_contract


def run(
    chapter: ChapterName,
    parameter: Parameters = None,
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="A YAML file of `name: value` lines.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute again, even where a completed run exists.")] = False,
    cell_limit: CellLimit = 1800,
    run_limit: RunLimit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's record as JSON.")] = False,
) -> None:
    """Run a chapter with its default parameters, or with others.

    Every value is checked against its declared type before anything starts. A completed run of the same code, data and
    parameters is reused. Exit codes: 0 completed, 1 failed in a cell, 2 bad request, 130 interrupted.

    **Examples**

        workbench run attention -p d_k=128 -p seed=3
        workbench run attention -f my-parameters.yml --force
    """
    from workbench.parameters.request import given_parameters

    project = find_project()
    (contract,) = chapters_in_order(project, [chapter])
    given = given_parameters(parameter or [], file or [])
    contract.resolve(given)  # a bad value is refused before the heavy imports
    from workbench.cli.console import RichReporter, print_outcome
    from workbench.runs.runner import Limits, run_chapter

    limits = Limits(cell=cell_limit, run=run_limit)
    try:
        with RichReporter() as reporter:
            done, reused = run_chapter(project, contract, given, reporter, force=force, limits=limits)
    except KeyboardInterrupt:
        print("the same line starts the chapter from its first cell again", file=sys.stderr)
        raise
    if as_json:
        print_json(done.as_json())
    print_outcome(done, reused, headline=contract.headline, quiet=as_json)
    raise typer.Exit(0 if done.status == "completed" else 1)


def book(
    edition: Annotated[str, EditionName] = "offline",
    repository: Annotated[str | None, typer.Option(metavar="URL", help="Where the source lives, for buttons.")] = None,
    workers: Workers = None,
    committed: Annotated[bool, typer.Option("--committed", help="Run nothing: publish the committed outputs.")] = False,
    chapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this chapter; may be repeated.", autocompletion=chapter_names),
    ] = None,
    form: Annotated[
        Literal["html", "pdf", "epub"], typer.Option("--format", help="Pages, or one file that is made of them.")
    ] = "html",
) -> None:
    """Build the book, and print where it is.

    Before that, the chapters that are stale are run, as many at a time as there is room for. With `--chapter`, the book
    is of these chapters alone, in a folder beside the whole one. A PDF is printed by Chromium, which has to be
    installed; an EPUB needs nothing. Both leave out the code that is folded in the pages. Exit codes: 0 the book is
    there, 1 a run failed or a page has a warning, 2 bad request, 130 interrupted.

    **Examples**

        workbench book
        workbench book --format pdf
        workbench book --chapter attention
        workbench book --edition offline --repository https://github.com/me/my-fork
    """
    from workbench.book.chromium import require_chromium
    from workbench.book.publish import make_folder, publish, read_edition, staged_chapters
    from workbench.cli.console import RichReporter, print_outcome
    from workbench.sweeps.execute import run_chapters

    project = find_project()
    chosen = read_edition(project, edition)
    chosen = chosen.of_chapters(project, chapter) if chapter else chosen
    staged = staged_chapters(project, chosen)
    if form == "pdf":
        require_chromium()
    make_folder(project.build)  # before chapters are run for hours
    finished = {}
    for done, reused in [] if committed else run_chapters(project, staged, RichReporter, workers):
        print_outcome(done, reused)
        finished[done.chapter] = done
    if failed := [f"{done.chapter} {done.status}" for done in finished.values() if done.status != "completed"]:
        raise RunError(*(f"the book is not built, because the run of {one}" for one in failed))
    with RichReporter() as reporter:
        page, fresh = publish(project, chosen, finished, repository, reporter, form)
    print(f"{'The book is at' if fresh else 'Nothing has changed. The book is at'} {page}")


def check(
    chapter: Annotated[
        list[str] | None, typer.Argument(metavar="CHAPTER", help="Only these chapters.", callback=chapter_of)
    ] = None,
    cell_limit: CellLimit = 600,
) -> None:
    """Run the chapters under nbval: every cell must run, and the claims shown must be the committed ones.

    Before that, the committed notebooks themselves are checked: their contract, their claims and the state of their
    outputs. Exit codes: 0 all is well, 1 something is not, 2 bad request, 130 interrupted.

    **Examples**

        workbench check attention
    """
    from workbench.book.check import nbval, problems_of
    from workbench.runs.keys import libraries

    project = find_project()
    contracts = chapters_in_order(project, chapter or project.chapters())
    if problems := [problem for contract in contracts for problem in problems_of(contract)]:
        raise RunError(*problems)
    needed = {name for contract in contracts for name in libraries(contract)}
    raise typer.Exit(nbval([contract.path for contract in contracts], int(cell_limit), needed))


def accept(
    chapter: ChapterName,
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run of its default parameters; without it, the newest.")
    ] = None,
) -> None:
    """Make a run's outputs the committed ones.

    Volatile metadata and the outputs of cells that quote the corpus are left out.

    **Examples**

        workbench run attention && workbench accept attention
    """
    from workbench.runs.notebooks import accept_run

    project = find_project()
    contract = load_contract(project, chapter)
    done = accept_run(project, contract, name)
    print(f"{contract.path.relative_to(project.root)} now has the outputs of {done.id}")


def lab(context: typer.Context) -> None:
    """Open the chapters in JupyterLab, in this environment, on this machine only.

    Further options go to JupyterLab, but one that lets everybody in is refused.

    **Examples**

        workbench lab --no-browser --port 8899
    """
    project = find_project()
    names = project.chapters()
    become_jupyterlab(project.root, f"notebooks/{names[0]}.ipynb" if names else None, context.args)
