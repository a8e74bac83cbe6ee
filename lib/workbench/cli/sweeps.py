"""The command for many runs of one chapter: `sweep`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.shared import CellLimit, ChapterName, Json, Parameters, RunLimit, Workers, print_json
from workbench.core.errors import RequestError, RunError
from workbench.core.project import find_project
from workbench.core.secrets import secrets_of_process
from workbench.core.text import roughly
from workbench.parameters.contract import Contract, load_contract

if TYPE_CHECKING:
    from workbench.sweeps.sweep import Sweep


def sweep(
    chapter: ChapterName,
    grid: Annotated[
        list[str] | None, typer.Option("-g", "--grid", metavar="NAME=VALUES", help="A parameter's values; repeatable.")
    ] = None,
    parameter: Parameters = None,
    file: Annotated[
        list[Path] | None, typer.Option("-f", "--file", metavar="FILE", help="A YAML list of points, each a mapping.")
    ] = None,
    sample: Annotated[int | None, typer.Option("--random", metavar="N", help="Draw N of the points.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="The seed of the draw.", min=0)] = 0,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler that runs.")] = None,
    workers: Workers = None,
    metric: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A metric to show; repeatable.")] = None,
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
    if dry_run:
        _dry_run(wanted, workers, bool(scheduler), as_json)
        return
    run_missing(wanted, scheduler=scheduler, workers=workers, limits=(cell_limit, run_limit))
    _report(wanted, metric or [], as_json)
    refuse_failed(wanted)


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
    with alone(sweep), view:
        run_sweeps([sweep], view, scheduler=scheduler, workers=workers, threads=threads, limits=limits)


def _report(sweep: Sweep, wanted: list[str], as_json: bool) -> None:
    """Write the results, and print the means and where they are."""
    from workbench.sweeps.plot import chosen_metrics, table, write_plot
    from workbench.sweeps.summary import axes_of, metric_names, summaries, write_results
    from workbench.sweeps.view import print_summary

    means = summaries(sweep)
    if unknown := [name for name in wanted if name not in metric_names(means)]:
        print(f"no run has recorded {', '.join(unknown)}; there is {', '.join(metric_names(means))}", file=sys.stderr)
    command = secrets_of_process().redact(shlex.join(["workbench", *sys.argv[1:]]))
    folder = write_results(sweep, means, command)
    shown = chosen_metrics(means, wanted)
    words = write_plot(sweep, means, shown) if shown else ""
    if as_json:
        print_json({**_facts(sweep), "folder": str(folder), "summary": [asdict(one) for one in means]})
        return
    if shown:
        print_summary(*table(axes_of(sweep), means, shown), words)
    print(folder)


def _dry_run(sweep: Sweep, workers: int | None, elsewhere: bool, as_json: bool) -> None:
    """List the points, and estimate how long those to do will take."""
    from workbench.sweeps.cluster import Share
    from workbench.sweeps.view import print_points

    missing = len(sweep.missing())
    usual = sweep.ledger.usual_seconds()
    at_once = 1 if elsewhere else Share.of_machine(max(missing, 1), workers, sweep.ledger.usual_memory()).runs
    seconds = None if usual is None else usual * -(-missing // at_once)
    if as_json:
        print_json({**_facts(sweep), "to_run": missing, "at_a_time": at_once, "estimated_seconds": seconds})
        return
    print_points(sweep)
    estimate = "no completed run says how long one takes"
    if seconds is not None:
        estimate = f"{'one worker would take ' * elsewhere}about {roughly(seconds)}, {at_once} at a time"
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
