"""Running the chapters of a book: a single stale one here, cell by cell in sight; several as sweeps of one point each.

The engine of sweeps runs as many chapters at a time as the machine has memory and cores for, each with a share of the
threads.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from workbench.core.errors import RunError
from workbench.core.project import Project
from workbench.parameters.contract import Contract
from workbench.parameters.types import plain
from workbench.runs.runner import Reporter, build_shipped, prepare, run_chapter
from workbench.runs.store import Run, completed_run, find_run
from workbench.sweeps.execute import run_sweeps
from workbench.sweeps.grid import Point
from workbench.sweeps.sweep import Sweep
from workbench.sweeps.view import SweepView


def run_chapters(
    project: Project,
    chapters: Sequence[tuple[Contract, dict[str, Any]]],
    reporting: Callable[[], AbstractContextManager[Reporter]],
    workers: int | None = None,
) -> list[tuple[Run, bool]]:
    """The run of each chapter with its parameters, in their order, and whether there was one already.

    A run may have ended badly: its record says so, and the other chapters have been run all the same.

    Args:
        project: the checkout.
        chapters: contracts, and the parameters of each request.
        reporting: opens what is told how a single run goes, and the preparation of data.
        workers: the most runs at a time.

    Raises:
        RequestError: for values that do not fit, or a runs folder that cannot be written.
        RunError: for data that cannot be prepared, a disk that is full, or a run that left nothing.
        KeyboardInterrupt: on Ctrl-C, after runs under way are recorded as interrupted.
    """
    with reporting() as reporter:
        for contract, request in chapters:
            build_shipped(contract.resolve(request), reporter)
    sweeps = [_of_one_point(project, contract, request) for contract, request in chapters]
    reused = [completed_run(project, sweep.contract.chapter, sweep.keys.keys[0]) for sweep in sweeps]
    stale = [sweep for sweep, run in zip(sweeps, reused, strict=True) if run is None]
    with reporting() as reporter:
        if len(stale) == 1:
            done, _ = run_chapter(project, stale[0].contract, stale[0].points[0].given, reporter)
            return [(run or done, run is not None) for run in reused]
        for sweep in stale:
            prepare(sweep.contract, sweep.points[0].given, sweep.keys.ingredients(sweep.points[0]), reporter)
    if stale:
        longest_first = sorted(stale, key=lambda sweep: -(sweep.ledger.usual_seconds() or math.inf))
        known = [seconds for sweep in stale if (seconds := sweep.ledger.usual_seconds())]
        with SweepView(len(stale), statistics.mean(known) if known else None) as view:
            run_sweeps(longest_first, view, workers=workers)
    return [(run or _ended(sweep), run is not None) for sweep, run in zip(sweeps, reused, strict=True)]


def _of_one_point(project: Project, contract: Contract, request: dict[str, Any]) -> Sweep:
    values = {name: plain(value) for name, value in contract.resolve(request).items()}
    return Sweep(project, contract, [Point({name: values[name] for name in request}, values)], ())


def _ended(sweep: Sweep) -> Run:
    """The run of a chapter that has just been run, however it has ended."""
    if (outcome := sweep.outcome(0)) is None:
        raise RunError(f"the run of {sweep.contract.chapter} left nothing")
    return find_run(sweep.project, outcome.run, sweep.contract.chapter)
