"""Running the chapters of a book: a single stale one here, cell by cell in sight; several as sweeps of one point each.

The engine of sweeps runs as many chapters at a time as the machine has memory and cores for, each in a process and with
a share of the threads of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from workbench.cli.console import RichReporter
from workbench.core.errors import RunError
from workbench.core.project import Project
from workbench.parameters.contract import Contract
from workbench.parameters.types import plain
from workbench.runs.runner import build_shipped, prepare, run_chapter
from workbench.runs.store import Run, completed_run, find_run
from workbench.sweeps.execute import run_sweeps
from workbench.sweeps.grid import Point
from workbench.sweeps.sweep import Sweep
from workbench.sweeps.view import SweepView


def run_chapters(
    project: Project, chapters: Sequence[tuple[Contract, dict[str, Any]]], workers: int | None = None
) -> list[tuple[Run, bool]]:
    """The run of each chapter with its parameters, in their order, and whether there was one already.

    A run may have ended badly: its record says so, and the other chapters have been run all the same.

    Args:
        project: the checkout.
        chapters: contracts, and the parameters that are given to each.
        workers: how many runs at a time, at most.

    Raises:
        RequestError: for values that do not fit, or a runs folder that cannot be written.
        RunError: for data that cannot be prepared, a disk that is full, or a run that left nothing.
        KeyboardInterrupt: on Ctrl-C, after runs under way are recorded as interrupted.
    """
    with RichReporter() as reporter:
        for contract, given in chapters:
            build_shipped(contract.resolve(given), reporter)
    sweeps = [_of_one_point(project, contract, given) for contract, given in chapters]
    reused = [_completed(sweep) for sweep in sweeps]
    stale = [sweep for sweep, run in zip(sweeps, reused, strict=True) if run is None]
    if len(stale) == 1:
        (sweep,) = stale
        with RichReporter() as reporter:
            done, _ = run_chapter(project, sweep.contract, sweep.points[0].given, reporter)
        return [(done, False) if run is None else (run, True) for run in reused]
    with RichReporter() as reporter:
        for sweep in stale:
            prepare(sweep.contract, sweep.points[0].given, sweep.keys.ingredients(sweep.points[0]), reporter)
    longest_first = sorted(stale, key=lambda sweep: -(sweep.ledger.usual_seconds() or math.inf))
    known = [seconds for sweep in stale if (seconds := sweep.ledger.usual_seconds())]
    if stale:
        with SweepView(len(stale), sum(known) / len(known) if known else None) as view:
            run_sweeps(longest_first, view, workers=workers)
    return [(run or _ended(sweep), run is not None) for sweep, run in zip(sweeps, reused, strict=True)]


def _of_one_point(project: Project, contract: Contract, given: dict[str, Any]) -> Sweep:
    values = {name: plain(value) for name, value in contract.resolve(given).items()}
    return Sweep(project, contract, [Point({name: values[name] for name in given}, values)], ())


def _completed(sweep: Sweep) -> Run | None:
    return completed_run(sweep.project, sweep.contract.chapter, sweep.keys.keys[0])


def _ended(sweep: Sweep) -> Run:
    """The run of a chapter that has just been run, however it has ended."""
    outcome = sweep.outcome(0)
    if outcome is None:
        raise RunError(f"the run of {sweep.contract.chapter} left nothing")
    return find_run(sweep.project, outcome.run, sweep.contract.chapter)
