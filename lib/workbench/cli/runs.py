"""Commands that work on runs that exist: `runs`, `show`, `compare`, `open`, `rm` and `status`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from workbench.cli import shared
from workbench.cli.lab import become_jupyterlab
from workbench.cli.shared import EditionName, Json, OneChapter, Parameters, print_json, print_json_list
from workbench.core.errors import RequestError
from workbench.core.project import Project, find_project
from workbench.core.text import counted, visible
from workbench.parameters.contract import load_contract
from workbench.parameters.request import NAME_VALUE, named_once
from workbench.parameters.types import plain
from workbench.runs.headline import named_headline
from workbench.runs.store import Run, all_runs, find_run, iso

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
SeveralRuns = typer.Argument(metavar="RUN…", help="Runs, by names or starts of names.", autocompletion=shared.run_names)


def runs(
    chapter: OneChapter = None,
    parameter: Parameters = None,
    status: Annotated[
        Literal["completed", "failed", "interrupted", "running", "damaged"] | None, typer.Option(help="Only these.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="DATE", help="Only those that started then (UTC) or later.", formats=_DATES),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the runs, newest first; with `-p name=value`, those that had this value.

    A folder that does not hold what a run leaves is listed as damaged, with the reason; every other command passes over
    it, and `workbench rm` deletes it.

    **Examples**

        workbench runs attention --json
        workbench runs attention -p d_k=128 --status completed --since 2026-11-23
    """
    from workbench.cli.tables import print_runs

    project = find_project()
    if chapter is not None:
        load_contract(project, chapter)  # refuses an unknown one
    listed = all_runs(project, chapter, damaged=True)
    if parameter:
        wanted = _wanted(project, chapter, parameter)
        listed = (run for run in listed if run.problem is None and _has(run, wanted.get(run.chapter)))
    if status:
        listed = (run for run in listed if run.status == status)
    if since:
        start = iso(since.replace(tzinfo=UTC))
        listed = (run for run in listed if run.record.get("started", "") >= start)
    if as_json:
        print_json_list(run.as_json() | {"id": visible(run.id)} for run in listed)
    else:
        print_runs(listed, project.chapters())


def _wanted(project: Project, chapter: str | None, options: list[str]) -> dict[str, dict[str, Any]]:
    """The values of `-p` options as each chapter that takes them reads them."""
    texts = named_once("-p", options, NAME_VALUE)
    wanted: dict[str, dict[str, Any]] = {}
    refused: list[str] = []
    for each in [chapter] if chapter else project.chapters():
        try:
            values = load_contract(project, each).resolve(texts)
            wanted[each] = {name: plain(values[name]) for name in texts}
        except RequestError as error:
            refused += error.sentences
    if not wanted:
        raise RequestError(*refused)
    return wanted


def _has(run: Run, values: dict[str, Any] | None) -> bool:
    return values is not None and values.items() <= run.record["parameters"]["resolved"].items()


def show(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN|CHAPTER", help="A run or a chapter.", autocompletion=shared.names_to_show),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a run, by default the newest, or a chapter.

    Of a run these are its results and parameters, of a chapter the parameters that it takes. A run goes by its name,
    the start of it, or the start of the digits behind its dash; or by `latest`, `latest~1` (the one before), and so
    on, also of one chapter, as `attention/latest`.

    **Examples**

        workbench show attention
        workbench show attention/latest
        workbench show 20261123T184500Z --json
    """
    from workbench.cli.tables import print_parameters, print_run

    project = find_project()
    names = shared.chapter_of(names) or ["latest"]
    name = names[0]
    if len(names) > 1:
        chapter = next((each for each in names if each in project.chapters()), None)
        run = next((each for each in names if each != chapter), name)
        one = f"write `workbench show {chapter}/{run}`" if chapter else "`workbench compare` takes several"
        raise RequestError(f"show takes one run or chapter; {one}")
    if name in project.chapters():
        contract = load_contract(project, name)
        facts = [
            {"name": each.name, "type": each.type_text, "default": plain(each.default), "comment": each.comment}
            for each in contract.parameters.values()
        ]
    else:
        contract, run = None, find_run(project, name)
        facts = run.as_json() | {"id": run.id}
    if as_json:
        print_json(facts)
    elif contract:
        print_parameters(contract)
    else:
        print_run(run, named_headline(project, run.chapter))


def compare(
    names: Annotated[list[str], SeveralRuns],
    everything: Annotated[bool, typer.Option("--all", help="Show also what is the same in all runs.")] = False,
    as_json: Json = False,
) -> None:
    """Put runs of one chapter side by side: parameters, metrics with intervals, claims.

    Shown are the parameters that differ, every metric with its difference to the first run, and the claims that
    changed. A difference has an interval where both values have one. Where both runs have kept what their models
    answered, each model is also compared with its counterpart on the examples that both were asked about. A run that is
    named alone is compared with the newest one of its chapter's default parameters.

    **Examples**

        workbench compare 20261123T184500Z latest --all
        workbench compare attention/latest
    """
    from workbench.cli.tables import print_comparison
    from workbench.runs.compare import compare as compare_runs

    project = find_project()
    compared = [find_run(project, name) for name in names]
    if len(compared) == 1:
        compared.insert(0, _default_beside(project, compared[0]))
    comparison = compare_runs(compared)
    if as_json:
        print_json(comparison.as_json())
    else:
        print_comparison(comparison, everything)


def _default_beside(project: Project, run: Run) -> Run:
    """The newest run of the default parameters of a run's chapter, other than this run."""
    from workbench.runs.notebooks import newest_default

    default = newest_default(project, load_contract(project, run.chapter), but=run)
    if default is None:
        raise RequestError(
            f"{run.chapter} has no other completed run of its default parameters to compare {run.id} with;"
            f" `workbench run {run.chapter}` makes one, or name a second run"
        )
    return default


def open_run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, or `latest`.", autocompletion=shared.run_names)],
) -> None:
    """Open an executed notebook in JupyterLab, in this environment, on this machine only.

    What opens is a copy beside the run's own notebook, so that you may change it and run it: what the run wrote stays
    as it was. The copy is kept, and opened again the next time. Further options go to JupyterLab, but one that lets
    everybody in is refused.

    **Examples**

        workbench open latest --no-browser --port 8899
    """
    from workbench.runs.removal import working_copy

    project = find_project()
    run = find_run(project, name)
    page = working_copy(run)
    root = project.root if page.is_relative_to(project.root) else run.folder
    become_jupyterlab(root, str(page.relative_to(root)), context.args)


def export(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, or `latest`.", autocompletion=shared.run_names)],
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to; without it, a folder here named by the run.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a folder that is there.")] = False,
) -> None:
    """Write a run as a folder that needs no workbench: its page, figures, tables, metrics and claims.

    The page is HTML that reads offline, figures are PNG and SVG, tables CSV. The folder appears whole or not at all.

    **Examples**

        workbench export latest --to attention-for-the-talk
    """
    from workbench.book.export import export as export_run
    from workbench.cli.console import RichReporter

    project = find_project()
    run = find_run(project, name)
    target = (to or Path(run.id)).absolute()
    with RichReporter() as reporter:
        parts = export_run(project, run, target, reporter, replace=force)
    print(f"{target} has {', '.join(parts)}")


def rm(
    names: Annotated[list[str] | None, SeveralRuns] = None,
    chapter: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this chapter only.", autocompletion=shared.chapter_names)
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The runs that failed or were interrupted.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="The folders that are listed as damaged.")] = False,
    older_than: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Only runs older than that.", min=0, max=100_000),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs: those that are named, or those that fit every option.

    Everything is checked before anything is deleted. A run that is under way is not deleted, links are never followed,
    and a deletion that is interrupted leaves no half run. Exit codes: 0 done, 1 the answer to the question was no, 2
    bad request, 130 interrupted.

    **Examples**

        workbench rm 20261123T184500Z-1a2b3c4d
        workbench rm --failed --older-than 30 --yes
    """
    from workbench.cli.tables import print_runs
    from workbench.runs.removal import Choice, chosen_runs, refuse_running, remove

    project = find_project()
    chosen = chosen_runs(project, names or [], Choice(chapter, failed, damaged, older_than))
    if not chosen:
        print("no run fits; nothing was deleted")
        return
    refuse_running(chosen)
    if not yes:
        print_runs(chosen[:20], project.chapters())
        if len(chosen) > 20:
            print(f"and {len(chosen) - 20} more")
        _ask(f"Delete {counted(len(chosen), 'run')}?")
    remove(project, chosen)
    print(f"{counted(len(chosen), 'run')} deleted")


def _ask(question: str) -> None:
    """End the command unless the user says yes."""
    try:
        agreed = typer.confirm(question)
    except (typer.Abort, RuntimeError):  # RuntimeError: standard input is closed
        if sys.stdin and sys.stdin.isatty():
            raise
        raise RequestError("nothing was deleted; where nobody can answer, --yes deletes without asking") from None
    if not agreed:
        print("nothing was deleted")
        raise typer.Exit(1)


def status(
    chapter: OneChapter = None, edition: Annotated[str | None, EditionName] = None, as_json: Json = False
) -> None:
    """Say which chapters' runs are current, and of the others what has changed since.

    A run is current while its code cells, parameters and data, the definitions that the cells reach and the versions
    of the packages that those use are the same; prose and comments do not count. Without an edition, chapters have
    their default parameters. Nothing is run. Exit codes, as those of `make -q`: 0 all are current, 1 some are not, 2
    bad request; so `workbench status || workbench book` builds what is stale.

    **Examples**

        workbench status attention --edition offline
    """
    from workbench.cli.console import RichReporter
    from workbench.cli.tables import print_states
    from workbench.runs.staleness import CURRENT, state_of

    project = find_project()
    given: dict[str, dict[str, Any]] = {name: {} for name in project.chapters()}
    if edition is not None:
        from workbench.book.publish import read_edition, staged_chapters

        staged = staged_chapters(project, read_edition(project, edition))
        given = {contract.chapter: values for contract, values in staged}
    if chapter is not None:
        if chapter not in given:
            load_contract(project, chapter)  # refuses an unknown one
            raise RequestError(f"{chapter} is not in the edition {edition}")
        given = {chapter: given[chapter]}
    with RichReporter() as reporter:
        states = [state_of(project, name, values, reporter) for name, values in given.items()]
    if as_json:
        print_json([asdict(state) for state in states])
    else:
        print_states(states)
    raise typer.Exit(0 if all(state.state == CURRENT for state in states) else 1)
