"""The commands for many runs of one chapter: `sweep`, and `sweeps` for those that have ended."""

from __future__ import annotations

import math
import shlex
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.shared import (
    CellLimit,
    ChapterName,
    Json,
    Parameters,
    RunLimit,
    Workers,
    parameter_names,
    print_json,
)
from workbench.core.errors import RequestError, RunError
from workbench.core.project import Project, find_project
from workbench.core.secrets import secrets_of_process
from workbench.core.text import counted, few, nearest, roughly, shown, visible
from workbench.parameters.contract import Contract, load_contract

if TYPE_CHECKING:
    from workbench.sweeps.ended import Ended
    from workbench.sweeps.sweep import Sweep

Metrics = Annotated[list[str] | None, typer.Option("--metric", metavar="NAME", help="A metric to show; repeatable.")]


def sweep(
    chapter: ChapterName,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "-g",
            "--grid",
            metavar="NAME=VALUES",
            help="A parameter's values; repeatable.",
            autocompletion=parameter_names,
        ),
    ] = None,
    parameter: Parameters = None,
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="A YAML list of points, each a mapping.")
    ] = None,
    sample: Annotated[int | None, typer.Option("--random", metavar="N", help="Draw N of the points.", min=1)] = None,
    seed: Annotated[int, typer.Option(metavar="SEED", help="The seed of the draw.", min=0)] = 0,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs.")] = None,
    workers: Workers = None,
    metric: Metrics = None,
    cell_limit: CellLimit = 1800,
    run_limit: RunLimit = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the points and estimate the time.")] = False,
    as_json: Json = False,
) -> None:
    """Run a chapter at many points, as many at a time as the machine has room for.

    Values are `a,b,c`, or a range such as `0:5` (0 to 4) or `0:10:2`; with `--random`, also `1e-5..1e-3` for anything
    between. Every value is checked before anything starts. A failed point stops no other. The same line again does only
    what is missing or has failed, also after Ctrl-C or a crash. Exit codes: 0 all points completed, 1 some failed, 2
    bad request, 130 interrupted.

    **Examples**

        workbench sweep attention -g d_k=16,32,64 -g seed=0:5 --dry-run
        workbench sweep attention -f points.yml -p seed=3
    """
    from workbench.sweeps.grid import points_of

    project = find_project()
    contract = load_contract(project, chapter)
    if not grid and not file:
        raise RequestError("a sweep needs -g NAME=VALUES, or -f with a file of points")
    if scheduler and workers:
        raise RequestError("--workers is for this machine; a scheduler has the workers that it has")
    points = points_of(contract, grid or [], parameter or [], file or [], sample=sample, seed=seed)
    if points.dropped:
        print(f"{points.dropped} duplicate points are left out", file=sys.stderr)
    from workbench.sweeps.sweep import Sweep

    build_shipped_data(contract, points.points[0].given)
    wanted = Sweep.of(project, contract, points)
    _refuse_unknown(chapter, metric or [], _known_metrics(wanted))
    if dry_run:
        _dry_run(wanted, workers, bool(scheduler), as_json)
        return
    run_missing(wanted, scheduler=scheduler, workers=workers, limits=(cell_limit, run_limit))
    _report(wanted, metric or [], as_json)
    refuse_failed(wanted)


def sweeps(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="SWEEP", help="One or two, by starts of names, or `latest`.")
    ] = None,
    metric: Metrics = None,
    as_json: Json = False,
) -> None:
    """List the sweeps that have ended, show the results of one again, or put the means of two side by side.

    Two sweeps of one chapter have their settings matched by the parameters that vary in either.

    **Examples**

        workbench sweeps
        workbench sweeps d_k-seed
        workbench sweeps attention/latest d_k-seed --metric entropy_scaled
    """
    from workbench.sweeps.ended import ended_sweep

    project = find_project()
    chosen = [ended_sweep(project, name) for name in names or []]
    if len({sweep.folder for sweep in chosen}) < len(chosen) or len(chosen) > 2:
        raise RequestError("sweeps takes one sweep, or two different ones")
    if len({sweep.chapter for sweep in chosen}) > 1:
        one, other = chosen
        raise RequestError(f"{one.name} is a sweep of {one.chapter}, and {other.name} of {other.chapter}")
    if chosen:
        _show_ended(project, chosen, metric or [], as_json)
    else:
        _list_ended(project, as_json)


def _list_ended(project: Project, as_json: bool) -> None:
    from workbench.sweeps.ended import read_sweep, sweep_folders
    from workbench.sweeps.view import print_ended

    listed: list[Ended] = []
    for folder in sweep_folders(project):
        try:
            listed.append(read_sweep(folder))
        except RequestError as error:
            print(f"workbench: {error}", file=sys.stderr)
    if as_json:
        print_json([sweep.as_json() for sweep in listed])
    else:
        print_ended(listed)


def _show_ended(project: Project, chosen: list[Ended], wanted: list[str], as_json: bool) -> None:
    """The means of one or two sweeps, and where their files are."""
    from workbench.runs.headline import named_headline
    from workbench.sweeps.ended import axes_of_ended, side_by_side, summaries_of
    from workbench.sweeps.plot import chosen_metrics, table
    from workbench.sweeps.summary import metric_names
    from workbench.sweeps.view import print_side_by_side, print_summary

    axes = list(dict.fromkeys(name for sweep in chosen for name in axes_of_ended(project, sweep)))
    means = [summaries_of(sweep, axes) for sweep in chosen]
    every = [mean for each in means for mean in each]
    _refuse_unknown(chosen[0].chapter, wanted, metric_names(every))
    if as_json:
        summaries = [[asdict(mean) for mean in each] for each in means]
        print_json([one.as_json() | {"summary": each} for one, each in zip(chosen, summaries, strict=True)])
        return
    names = chosen_metrics(every, wanted, named_headline(project, chosen[0].chapter))
    for place, sweep in enumerate(chosen, start=1):
        done = f"{sweep.facts.completed} of {counted(sweep.facts.points, 'point')} completed"
        print(visible(f"{f'{place}  ' * (len(chosen) > 1)}{sweep.facts.command}: {done}"))
    if len(chosen) == 1:
        print_summary(*table(axes, every, names))
    else:
        pairs = [pair for pair in side_by_side(*means) if (pair[0] or pair[1]).metric in names]
        print_side_by_side(axes, pairs)
    for sweep in chosen:
        print(visible(str(sweep.folder)))


def _known_metrics(sweep: Sweep) -> list[str]:
    """The metrics of the chapter's committed outputs, and of the sweep's completed points."""
    from workbench.runs.executed import parse_executed

    committed = [metric["name"] for metric in parse_executed(sweep.contract.notebook).metrics]
    measured = (metric.name for outcome in sweep.ledger.outcomes.values() for metric in outcome.metrics)
    return list(dict.fromkeys([*committed, *measured]))


def _refuse_unknown(chapter: str, wanted: list[str], known: list[str]) -> None:
    """Raise a RequestError with a sentence for each metric that is not known; where none is, nothing can be said."""
    unknown = [name for name in wanted if known and name not in known]
    if unknown:
        there_are = f"; there is {few(known, 20)}"
        raise RequestError(
            *(f"{chapter} has recorded no metric {shown(name)}{nearest(name, known) or there_are}" for name in unknown)
        )


def build_shipped_data(contract: Contract, given: dict[str, Any]) -> None:
    """Build the data that come with the workbench and that the chapter reads with these parameters, in sight."""
    from workbench.cli.console import RichReporter
    from workbench.runs.runner import build_shipped

    with RichReporter() as reporter:
        build_shipped(contract.resolve(given), reporter)


def refuse_failed(sweep: Sweep) -> None:
    """Raise a RunError where points of a sweep have failed."""
    if failed := len(sweep.missing()):
        raise RunError(f"{failed} of {len(sweep.points)} points failed; the same line tries them again")


def run_missing(
    sweep: Sweep,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    limits: tuple[float | None, float | None] = (None, None),
) -> None:
    """Run what is missing of a sweep, in sight; arguments and errors are those of `run_sweeps`."""
    missing = sweep.missing()
    if not missing:
        print(f"all {len(sweep.points)} points are done, nothing was run", file=sys.stderr)
        return
    sweep.check_datasets()
    from workbench.sweeps.execute import run_sweeps
    from workbench.sweeps.sweep import alone
    from workbench.sweeps.view import SweepView

    done = len(sweep.points) - len(missing)
    print(f"{len(missing)} points to run" + (f", {done} are done" if done else ""), file=sys.stderr)
    view = SweepView(len(missing), sweep.ledger.usual_seconds())
    try:
        with alone(sweep), view:
            run_sweeps([sweep], view, scheduler=scheduler, workers=workers, threads=threads, limits=limits)
    except KeyboardInterrupt:
        done = len(sweep.points) - len(sweep.missing())
        print(f"{done} of {len(sweep.points)} points are done, and the same line does the rest", file=sys.stderr)
        raise


def _report(sweep: Sweep, wanted: list[str], as_json: bool) -> None:
    """Write the results, and print the means and where they are."""
    from workbench.sweeps.plot import chosen_metrics, table, write_plot
    from workbench.sweeps.summary import axes_of, metric_names, summaries, write_results
    from workbench.sweeps.view import print_summary

    means = summaries(sweep)
    if unknown := [name for name in wanted if name not in metric_names(means)]:
        print(f"no run has recorded {', '.join(unknown)}; there is {few(metric_names(means), 20)}", file=sys.stderr)
    command = secrets_of_process().redact(shlex.join(["workbench", *sys.argv[1:]]))
    folder = write_results(sweep, means, command)
    chosen = chosen_metrics(means, wanted, sweep.contract.headline)
    words = write_plot(sweep, means, chosen) if chosen else ""
    if as_json:
        print_json({**_facts(sweep), "folder": str(folder), "summary": [asdict(one) for one in means]})
        return
    if chosen:
        print_summary(*table(axes_of(sweep), means, chosen), words)
    print(folder)


def _dry_run(sweep: Sweep, workers: int | None, elsewhere: bool, as_json: bool) -> None:
    """List the points, and estimate how long those to do will take."""
    from workbench.sweeps.cluster import Share
    from workbench.sweeps.view import print_points

    missing = len(sweep.missing())
    times, are_alike = sweep.ledger.times()
    share = Share.of_machine(max(missing, 1), workers, sweep.ledger.usual_memory())
    at_once, cores = (1, math.inf) if elsewhere else (share.runs, share.runs * share.threads)
    # Runs at a time share the cores: the more of them one run kept busy alone, the longer it takes beside others.
    estimates = [max(seconds * -(-missing // at_once), cpu * missing / cores) for seconds, cpu in times]
    if as_json:
        facts = {"to_run": missing, "at_a_time": at_once}
        facts["estimated_seconds"] = statistics.median(estimates) if estimates else None
        facts["estimated_from"] = "runs alike" if are_alike else "runs with other parameters" if estimates else None
        print_json(_facts(sweep) | facts)
        return
    print_points(sweep)
    estimate = "no completed run says how long one takes"
    if estimates:
        worker = "one worker would take " * elsewhere
        estimate = f"{worker}about {roughly(statistics.median(estimates))}, {at_once} at a time"
    if estimates and not are_alike:
        ends = " to ".join(dict.fromkeys(map(roughly, (min(estimates), max(estimates)))))
        estimate = f"{worker}perhaps {ends}, {at_once} at a time, as runs with other parameters took"
    print(f"{len(sweep.points)} points, {missing} to run; {estimate}")


def _facts(sweep: Sweep) -> dict[str, Any]:
    points = []
    for number, point in enumerate(sweep.points):
        outcome = sweep.outcome(number)
        points.append(
            {
                "parameters": point.values,
                "status": outcome.status if outcome else "to do",
                **{part: getattr(outcome, part, None) for part in ("run", "seconds", "error")},
            }
        )
    return {"chapter": sweep.contract.chapter, "name": sweep.name, "varied": list(sweep.varied), "points": points}
