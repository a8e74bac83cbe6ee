"""Commands that work on runs that exist: `runs`, `show`, `compare`, `open`, `rm` and `status`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from workbench.cli import completion
from workbench.cli.shared import Json, print_json, print_json_list, start_jupyterlab
from workbench.core.errors import RequestError
from workbench.core.project import find_project

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run, the start of its name, or `latest`.", autocompletion=completion.runs),
]
SeveralRuns = typer.Argument(metavar="RUN…", help="Runs, or the starts of their names.", autocompletion=completion.runs)
OneChapter = typer.Argument(metavar="CHAPTER", help="Only this chapter.", autocompletion=completion.chapters)


def runs(
    chapter: Annotated[str | None, OneChapter] = None,
    as_json: Json = False,
) -> None:
    """List the runs, newest first.

    A folder that does not hold what a run leaves is listed as damaged, with the reason; every other command passes over
    it, and `workbench rm` deletes it.

    **Examples**

    ```
    workbench runs
    workbench runs attention --json
    ```
    """
    from workbench.core.text import visible
    from workbench.runs.store import all_runs

    project = find_project()
    if chapter is not None:
        from workbench.parameters.contract import load_contract

        load_contract(project, chapter)  # refuses an unknown one
    listed = all_runs(project, chapter, damaged=True)
    if as_json:
        print_json_list(run.as_json() | {"id": visible(run.id)} for run in listed)
    else:
        from workbench.cli.tables import print_runs

        print_runs(listed, project.chapters())


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|CHAPTER",
            help="A run (or the start of its name, or `latest`), or a chapter.",
            autocompletion=completion.runs_or_chapters,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Print the parameters and results of a run, or the parameters that a chapter takes.

    **Examples**

    ```
    workbench show attention
    workbench show latest
    workbench show 20261123T184500Z --json
    ```
    """
    project = find_project()
    if name in project.chapters():
        from workbench.parameters.contract import load_contract

        contract = load_contract(project, name)
        if as_json:
            print_json([_parameter_json(parameter) for parameter in contract.parameters.values()])
        else:
            from workbench.cli.tables import print_parameters

            print_parameters(contract)
        return
    from workbench.runs.store import find_run

    run = find_run(project, name)
    if as_json:
        print_json(run.as_json() | {"id": run.id})
    else:
        from workbench.cli.tables import print_run

        print_run(run)


def compare(
    names: Annotated[list[str], SeveralRuns],
    everything: Annotated[bool, typer.Option("--all", help="Show also what is the same in all runs.")] = False,
    as_json: Json = False,
) -> None:
    """Put runs of one chapter side by side: parameters, metrics with intervals, claims.

    Shown are the parameters that differ, every metric with its difference to the first run, and the claims that
    changed. A difference has an interval where both values have one. Where both runs have kept what their models
    answered, each model is also compared with its counterpart on the examples that both were asked about.

    **Examples**

    ```
    workbench compare 20261123T184500Z 20261123T185900Z
    workbench compare 20261123T184500Z latest --all
    ```
    """
    from workbench.runs.compare import compare as compare_runs
    from workbench.runs.store import find_run

    project = find_project()
    comparison = compare_runs([find_run(project, name) for name in names])
    if as_json:
        print_json(comparison.as_json())
    else:
        from workbench.cli.tables import print_comparison

        print_comparison(comparison, everything)


def open_run(context: typer.Context, name: RunName) -> None:
    """Open an executed notebook in JupyterLab, in this environment, on this machine only.

    What opens is a copy beside the run's own notebook, so that you may change it and run it: what the run wrote stays
    as it was. The copy is kept, and opened again the next time. Further options go to JupyterLab.

    **Examples**

    ```
    workbench open latest
    workbench open 20261123T184500Z --no-browser --port 8899
    ```
    """
    from workbench.runs.removal import working_copy
    from workbench.runs.store import find_run

    project = find_project()
    run = find_run(project, name)
    page = working_copy(run)
    root = project.root if page.is_relative_to(project.root) else run.folder
    start_jupyterlab(root, str(page.relative_to(root)), context.args)


def rm(
    names: Annotated[list[str] | None, SeveralRuns] = None,
    chapter: Annotated[
        str | None, typer.Option("--chapter", help="Only this chapter's runs.", autocompletion=completion.chapters)
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The runs that failed or were interrupted.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="The folders that are listed as damaged.")] = False,
    older_than: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", help="Only runs that started before that.", min=0)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs: those that are named, or those that fit every option.

    Everything is checked before anything is deleted. A run that is under way is not deleted, links are never followed,
    and a deletion that is interrupted leaves no half run.

    **Examples**

    ```
    workbench rm 20261123T184500Z-1a2b3c4d
    workbench rm --failed --older-than 30
    workbench rm --damaged --yes
    ```
    """
    from workbench.cli.console import out
    from workbench.core.text import counted, visible
    from workbench.runs.removal import Choice, chosen_runs, refuse_running, remove

    project = find_project()
    choice = Choice(chapter, failed, damaged, older_than)
    chosen = chosen_runs(project, names or [], choice)
    if not chosen:
        print("no run fits; nothing was deleted")
        return
    refuse_running(chosen)
    if not yes:
        for run in chosen[:20]:
            out.print(f"{visible(run.id)}  {visible(run.chapter)}  {run.status}", markup=False, soft_wrap=True)
        if len(chosen) > 20:
            print(f"and {len(chosen) - 20} more")
        if not _confirmed(f"Delete {counted(len(chosen), 'run')}?"):
            print("nothing was deleted")
            raise typer.Exit(1)
    remove(project, chosen)
    print(f"{counted(len(chosen), 'run')} deleted")


def status(
    chapter: Annotated[str | None, OneChapter] = None,
    edition: Annotated[
        str | None,
        typer.Option(
            "--edition",
            metavar="NAME",
            help="With the parameters of an edition; without it, the defaults.",
            autocompletion=completion.editions,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which chapters' runs are current, and of the others what has changed since.

    A run is current while its code cells, parameters and data, the definitions that the cells reach and the versions
    of the packages that those use are the same; prose and comments do not count. Nothing is run. Exit codes, as those
    of `make -q`: 0 all are current, 1 some are not, 2 bad request; so `workbench status || workbench book` builds what
    is stale.

    **Examples**

    ```
    workbench status
    workbench status attention --edition offline
    ```
    """
    from workbench.cli.console import RichReporter
    from workbench.runs.staleness import CURRENT, state_of

    project = find_project()
    given = _parameters_of(project, edition)
    if chapter is not None:
        if chapter not in given:
            from workbench.parameters.contract import load_contract

            load_contract(project, chapter)  # refuses an unknown one
            raise RequestError(f"{chapter} is not in the book, and so in no edition")
        given = {chapter: given[chapter]}
    with RichReporter() as reporter:
        states = [state_of(project, name, values, reporter) for name, values in given.items()]
    if as_json:
        print_json([state.as_json() for state in states])
    else:
        from workbench.cli.tables import print_states

        print_states(states)
    raise typer.Exit(0 if all(state.state == CURRENT for state in states) else 1)


def _parameters_of(project: Any, edition: str | None) -> dict[str, dict[str, Any]]:
    """The parameters that each chapter has in an edition, or none for every chapter that there is."""
    if edition is None:
        return {name: {} for name in project.chapters()}
    from workbench.book.publish import chapters_of_book, read_edition

    chosen = read_edition(project, edition)
    return {name: chosen.chapters.get(name, {}) for name in chapters_of_book(project)}


def _confirmed(question: str) -> bool:
    """Whether the user says yes.

    Raises:
        RequestError: where there is no terminal to answer at.
    """
    try:
        return typer.confirm(question)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise RequestError("nothing was deleted; where nobody can answer, --yes deletes without asking") from None


def _parameter_json(parameter: Any) -> dict[str, Any]:
    from workbench.parameters.types import plain

    return {
        "name": parameter.name,
        "type": parameter.type_text,
        "default": plain(parameter.default),
        "comment": parameter.comment,
    }
