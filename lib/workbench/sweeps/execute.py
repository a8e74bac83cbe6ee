"""Running the points of sweeps on Dask: whatever stops them leaves true records, and the same line does the rest.

This process alone writes into the runs folder. It makes each point's folder and holds its lock while a worker computes,
so that a point counts as running, done, failed or interrupted just as a run of `workbench run` does; workers share no
disk with it and send back what they made. Nothing is queued at the scheduler: a point leaves when a worker is free.

The chapters of a book are run in the same way: each is a sweep of one point. A single stale one is run here, cell by
cell in sight.
"""

from __future__ import annotations

import contextlib
import math
import queue
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from workbench.core.errors import RunError
from workbench.core.files import write_atomically
from workbench.core.project import Project
from workbench.core.secrets import secrets_of_process
from workbench.core.text import few
from workbench.parameters.contract import Contract
from workbench.parameters.types import plain
from workbench.runs.executed import parse_executed
from workbench.runs.keys import libraries
from workbench.runs.runner import (
    Reporter,
    build_shipped,
    circumstances,
    first_record,
    prepare,
    run_chapter,
    turn,
)
from workbench.runs.store import (
    Run,
    completed_run,
    find_run,
    folder_under_way,
    iso,
    made_folder,
    start_run,
    write_record,
)
from workbench.sweeps.cluster import Cluster, Share, open_cluster
from workbench.sweeps.grid import Point
from workbench.sweeps.interrupts import Interrupts
from workbench.sweeps.sweep import Outcome, Sweep
from workbench.sweeps.view import SweepView
from workbench.sweeps.waits import Hindrance, Waits

_TICK = 0.5
_UNANSWERED = 4.0  # seconds after which a scheduler does not answer
_SILENT = 10.0  # seconds after which a worker that nothing is heard of gets no more points
_GONE = 60.0  # seconds after which its point is given to another one; Dask itself waits for five minutes and more
_MOST_LOSSES = 3  # workers that may be lost with one point, before it counts as what kills them
_STOP = None, None  # arrives in place of a future and its reply where the sweep is to stop


@dataclass
class _Flight:
    """A point that a worker computes, and the lock of its run."""

    sweep: Sweep
    number: int
    run: Run
    held: Any
    since: float = 0.0
    worker: str = ""
    losses: int = 0

    @property
    def label(self) -> str:
        """What its point is called."""
        return self.sweep.label(self.number)


def run_chapters(
    project: Project,
    chapters: Sequence[tuple[Contract, dict[str, Any]]],
    reporting: Callable[[], AbstractContextManager[Reporter]],
    workers: int | None = None,
) -> list[tuple[Run, bool]]:
    """The run of each chapter with its parameters, in their order, and whether there was one already.

    A run may have ended badly: its record says so, and the other chapters have been run all the same. `reporting` opens
    what is told how a single run goes, and the preparation of data; at most so many `workers` run at a time.

    Raises:
        RequestError: for values that do not fit, local data that a chapter cannot load, or a runs folder that cannot be
            written.
        RunError: for data that cannot be prepared, or a disk that is full.
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
            sweep.check_datasets()
            prepare(sweep.contract, sweep.points[0].given, sweep.keys.ingredients(sweep.points[0]), reporter)
    if stale:
        longest_first = sorted(stale, key=lambda sweep: -(_expected_seconds(sweep) or math.inf))
        known = [seconds for sweep in stale if (seconds := _expected_seconds(sweep))]
        with SweepView(len(stale), statistics.mean(known) if known else None) as view:
            run_sweeps(longest_first, view, workers=workers)
    ended = [run or find_run(project, sweep.outcome(0).run) for sweep, run in zip(sweeps, reused, strict=True)]
    return [(run, earlier is not None) for run, earlier in zip(ended, reused, strict=True)]


def _expected_seconds(sweep: Sweep) -> float | None:
    """How long a chapter takes: as its runs here did, or else the run of its committed outputs."""
    return sweep.ledger.usual_seconds() or parse_executed(sweep.contract.notebook).run.get("seconds")


def _of_one_point(project: Project, contract: Contract, request: dict[str, Any]) -> Sweep:
    values = {name: plain(value) for name, value in contract.resolve(request).items()}
    return Sweep(project, contract, [Point({name: values[name] for name in request}, values)], ())


def run_sweeps(
    sweeps: Sequence[Sweep],
    view: SweepView,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    threads: int | None = None,
    limits: tuple[float | None, float | None] = (1800, None),
) -> None:
    """Run what is missing of these sweeps, in their order; failures are in their ledgers.

    The scheduler is the address of a Dask one; without it, a cluster in this process runs at most so many `workers` at
    a time, with so many `threads` each, or their share of the cores. The limits are seconds for a cell and for a run.

    Raises:
        RequestError: where the runs folder cannot be written.
        RunError: where it cannot any more, no scheduler answers, or it or all workers are lost.
        KeyboardInterrupt: on Ctrl-C. In both cases points under way are recorded as interrupted.
    """
    missing = sum(len(sweep.missing()) for sweep in sweeps)
    if not missing:
        return
    for sweep in sweeps:
        made_folder(sweep.project.runs, sweep.contract.chapter)  # which refuses a link before anything runs
    memory = max(filter(None, (sweep.ledger.usual_memory() for sweep in sweeps)), default=None)
    share = Share.of_machine(missing, workers, memory)
    share = replace(share, threads=threads or share.threads)
    imported = {name for sweep in sweeps for name in libraries(sweep.contract)} if missing > 1 else set()
    with open_cluster(scheduler, share, imported) as cluster:
        _Sweeper(sweeps, cluster, view, limits).run()


class _Sweeper:
    """Runs what is missing of some sweeps."""

    def __init__(
        self, sweeps: Sequence[Sweep], cluster: Cluster, view: SweepView, limits: tuple[float | None, float | None]
    ) -> None:
        self._sweeps, self._cluster, self._view, self._limits = sweeps, cluster, view, limits
        self._waiting = deque((sweep, number) for sweep in sweeps for number in sweep.missing())
        self._flying: dict[Any, _Flight] = {}
        self._grounded: deque[_Flight] = deque()  # which have lost their worker
        self._arrived: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._unfit: set[str] = set()
        self._silent: set[str] = set()
        self._elsewhere = ""
        self._done = self._failed = 0
        self._waits = Waits(view.note, self._progress)
        self._notebooks = {sweep.contract.chapter: sweep.contract.path.read_bytes() for sweep in sweeps}
        self._facts = {sweep.contract.chapter: circumstances(sweep.project, sweep.contract) for sweep in sweeps}

    def run(self) -> None:
        """Run every missing point once."""
        with Interrupts(lambda: self._arrived.put(_STOP)) as interrupts:
            try:
                while self._waiting or self._flying or self._grounded:
                    self._look_around()
                    self._send_out()
                    self._show()
                    with contextlib.suppress(queue.Empty):
                        self._land(*self._arrived.get(timeout=_TICK))
                self._show()
            except OSError as error:
                why = error.strerror or error
                raise RunError(f"the runs folder cannot be written: {why}; {self._rest()}") from None
            finally:
                interrupts.ignore()  # a second Ctrl-C waits until what has arrived is kept
                self._give_up()

    def _progress(self) -> str:
        total = sum(len(sweep.points) for sweep in self._sweeps)
        done = total - sum(len(sweep.missing()) for sweep in self._sweeps)
        return f"{done} of {total} points are done"

    def _rest(self) -> str:
        return f"{self._progress()}, and the same line does the rest"

    def _show(self) -> None:
        running = {flight.label: flight.since for flight in self._flying.values()}
        self._view.changed(running, self._done, self._failed, len(self._waiting) + len(self._grounded))

    def _fit_workers(self) -> list[str]:
        """The workers that there are, but for those that would compute something else."""
        workers = self._cluster.workers().items()
        return [worker for worker, silence in workers if silence < _GONE and worker not in self._unfit]

    def _send_out(self) -> None:
        """Give every free worker a point."""
        busy = {flight.worker for flight in self._flying.values()} | self._silent
        for worker in [worker for worker in self._fit_workers() if worker not in busy]:
            flight = self._grounded.popleft() if self._grounded else self._next_flight()
            if flight is None:
                return
            self._launch(flight, worker)

    def _next_flight(self) -> _Flight | None:
        """The next point, with its folder and record; those that another process computes are looked at again later."""
        self._elsewhere = ""
        for _ in range(len(self._waiting)):
            sweep, number = self._waiting.popleft()
            place = sweep.project, sweep.contract.chapter, sweep.keys.keys[number]
            with turn(sweep.project.runs, sweep.contract.chapter):
                if done := completed_run(*place):
                    sweep.ledger.take(done)
                    self._done += 1
                elif twin := folder_under_way(*place):
                    self._waiting.append((sweep, number))
                    self._elsewhere = self._elsewhere or f"{sweep.label(number)} is under way elsewhere ({twin.name})"
                else:
                    return self._open(sweep, number)
        return None

    def _open(self, sweep: Sweep, number: int) -> _Flight:
        started = datetime.now(UTC)
        contract, point, key = sweep.contract, sweep.points[number], sweep.keys.keys[number]
        parts, facts = sweep.keys.ingredients(point), self._facts[contract.chapter]
        record = first_record(contract, key, parts, point.given, point.values, started, facts)
        folder, held = start_run(sweep.project.runs, record)
        return _Flight(sweep, number, Run(folder, record), held)

    def _launch(self, flight: _Flight, worker: str) -> None:
        flight.worker, flight.since = worker, time.monotonic()
        chapter = flight.sweep.contract.chapter
        request = {
            "chapter": chapter,
            "notebook": self._notebooks[chapter],
            "given": flight.sweep.points[flight.number].given,
            "ingredients": flight.run.record["ingredients"],
            "limits": self._limits,
        }
        future = self._cluster.submit(request, worker, lambda *arrived: self._arrived.put(arrived))
        self._flying[future] = flight

    def _land(self, future: Any, reply: Any) -> None:
        """Take in what a worker has sent back, or the wish to stop."""
        if (future, reply) == _STOP:
            raise KeyboardInterrupt
        if (flight := self._flying.get(future)) is None:
            return  # it has lost its worker
        if isinstance(reply, RunError):
            raise reply
        if "unfit" in reply:
            self._ground(future)
            self._leave_out(flight.worker, reply["unfit"])
        else:
            self._close(flight, reply)
            del self._flying[future]

    def _ground(self, future: Any) -> None:
        """Take a point back from its worker; the next that is free gets it."""
        self._grounded.append(self._flying.pop(future))
        future.release()

    def _leave_out(self, worker: str, why: str) -> None:
        """Give no more points to a worker that would compute something else."""
        self._unfit.add(worker)
        if not self._fit_workers():
            raise RunError(f"no worker computes what this machine would: {why}; {self._rest()}")
        self._view.note(f"a worker is left out: {why}")

    def _close(self, flight: _Flight, reply: dict[str, Any]) -> None:
        """Write a run's files, and then its record: until that is there, the run counts as interrupted."""
        for name, content in reply.get("files", {}).items():
            target = flight.run.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, content, durable=False)
        record = _final(flight, reply)
        if left_out := record.get("left_out"):
            self._view.note(f"{flight.label}: {few(left_out)} would make more than 256 MiB and did not come back")
        outcome = _end(flight, record)
        self._done += outcome.status == "completed"
        self._failed += outcome.status == "failed"
        self._view.ended(flight.label, outcome)

    def _look_around(self) -> None:
        """Take back points of workers that are gone, and say what the sweep waits for.

        Raises:
            RunError: where the scheduler is gone, or has been without a worker for too long.
        """
        if not self._cluster.is_connected():
            raise RunError(f"the connection to {self._cluster.name} was lost; {self._rest()}")
        self._cluster.look()
        workers = self._cluster.workers()
        for future, flight in list(self._flying.items()):
            if workers.get(flight.worker, _GONE) >= _GONE and not future.done():
                self._lose(future)
        silent = {worker for worker, silence in workers.items() if silence > _SILENT}
        for worker in silent - self._silent:
            self._view.note(f"nothing is heard of the worker {worker}; after a minute its point goes to another one")
        self._silent = silent
        self._waits.look(self._cluster.now, self._hindrance())

    def _lose(self, future: Any) -> None:
        """Take a point back from a worker that is gone, unless it has cost too many."""
        flight = self._flying[future]
        flight.losses += 1
        if flight.losses > _MOST_LOSSES:
            self._close(flight, {"killed": "every worker that it was given to was killed"})
            del self._flying[future]
            future.release()
        else:
            self._ground(future)
            self._view.note(f"the worker {flight.worker} is lost; {flight.label} goes to the next one that is free")

    def _hindrance(self) -> Hindrance | None:
        """What keeps the sweep from computing."""
        scheduler = self._cluster.name
        if self._cluster.silence() > _UNANSWERED:
            return Hindrance(f"{scheduler} does not answer", "waiting for it", f"{scheduler} answers again")
        if not self._fit_workers():
            fit = " that computes what this machine would" if self._cluster.workers() else ""
            return Hindrance(f"{scheduler} has no worker{fit}", "waiting for one", f"{scheduler} has a worker again")
        if self._elsewhere and not self._flying and not self._grounded:
            return Hindrance(self._elsewhere, "waiting for it", None)
        return None

    def _give_up(self) -> None:
        """Take in what has arrived, and record the rest as interrupted."""
        while not self._arrived.empty():
            if (arrived := self._arrived.get()) != _STOP:
                with contextlib.suppress(RunError, OSError):
                    self._land(*arrived)
        for flight in (*self._flying.values(), *self._grounded):
            stopped = {"status": "interrupted", "ended": iso(datetime.now(UTC))}
            with contextlib.suppress(OSError):  # the record says `running`, which without a lock reads as interrupted
                _end(flight, {**flight.run.record, **stopped})
            flight.held.release()


def _end(flight: _Flight, record: dict[str, Any]) -> Outcome:
    """The outcome of a run, after its last record is written."""
    write_record(flight.run.folder, record)
    flight.held.release()
    run = Run(flight.run.folder, record)
    flight.sweep.ledger.take(run, newest=True)
    return Outcome.of(run)


def _final(flight: _Flight, reply: dict[str, Any]) -> dict[str, Any]:
    """The record of a run that has come back, with this machine's clock and commit, or of one that was lost."""
    first = flight.run.record
    kept = {part: first[part] for part in ("key", "ingredients", "parameters", "started", "git")}
    kept["ended"] = iso(datetime.now(UTC))
    if "record" in reply:
        return {**reply["record"], **kept}
    sentences = secrets_of_process().redact([reply["killed"]] if "killed" in reply else reply["refused"])
    error = {
        "cell": None,
        "number": 0,
        "name": "WorkerKilled" if "killed" in reply else "Refused",
        "message": "; ".join(sentences),
        "traceback": sentences,
    }
    seconds = round(time.monotonic() - flight.since, 3)
    return {**first, **kept, "status": "failed", "seconds": seconds, "error": error}
