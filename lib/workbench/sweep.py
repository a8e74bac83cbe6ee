"""Running the points of a sweep on Dask: whatever stops it leaves true records, and the same line does the rest.

This process alone writes into the runs folder. It makes each point's folder and holds its lock while a worker computes,
so that a point counts as running, done, failed or interrupted just as a run of `workbench run` does; workers share no
disk with it and send back what they made. Nothing is queued at the scheduler: a point leaves when a worker is free.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import queue
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from workbench.contract import Contract
from workbench.grid import Point, Points
from workbench.keys import libraries
from workbench.ledger import Keys, Ledger, Outcome
from workbench.project import Project, RunError, write_atomically
from workbench.records import Run, is_locked, iso, lock_of, new_run_folder, write_record
from workbench.sweep_cluster import Cluster, Share

_TICK = 0.5
_PATIENCE = 30.0  # seconds without any worker


class View(Protocol):
    """Somebody who is shown how a sweep goes."""

    def changed(self, running: dict[int, float], done: int, failed: int, left: int) -> None:
        """Points run (their number and since when), are done, have failed, or are left to start."""

    def ended(self, number: int, outcome: Outcome) -> None:
        """A point has ended."""

    def note(self, sentence: str) -> None:
        """Something worth knowing."""


@dataclass
class Sweep:
    """A chapter, its points, and what is known of each."""

    project: Project
    contract: Contract
    points: list[Point]
    varied: tuple[str, ...]
    keys: Keys = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.keys = Keys(self.contract, self.points)
        self.ledger = Ledger(self.project, self.contract.chapter, self.keys.keys)

    @classmethod
    def of(cls, project: Project, contract: Contract, points: Points) -> Sweep:
        """The sweep over these points."""
        return cls(project, contract, points.points, points.varied)

    @property
    def name(self) -> str:
        """What varies, and a digest of the points: the same line has the same name, also when the code has changed."""
        values = sorted(json.dumps(point.values, sort_keys=True) for point in self.points)
        digest = hashlib.sha256(json.dumps(values).encode()).hexdigest()[:8]
        return f"{'-'.join(self.varied)[:60] or 'point'}-{digest}"

    @property
    def folder(self) -> Path:
        """Where the sweep's results are written."""
        return self.project.runs / self.contract.chapter / "sweeps" / self.name

    def outcome(self, number: int) -> Outcome | None:
        """What became of a point."""
        return self.ledger.outcomes.get(self.keys.keys[number])

    def missing(self) -> list[int]:
        """The points that no completed run answers."""
        return [number for number, key in enumerate(self.keys.keys) if not self.ledger.is_done(key)]

    def label(self, number: int) -> str:
        """A point by what varies."""
        values = self.points[number].values
        return ", ".join(f"{name}={values[name]}" for name in self.varied) or "the one point"


@dataclass
class _Flight:
    """A point that a worker computes."""

    number: int
    run: Run
    held: Any
    since: float
    worker: str = ""


class Sweeper:
    """Runs what is missing of a sweep."""

    def __init__(self, sweep: Sweep, cluster: Cluster, view: View, limits: tuple[float | None, float | None]) -> None:
        from workbench.runner import first_record

        self._sweep, self._cluster, self._view, self._limits = sweep, cluster, view, limits
        self._waiting = deque(sweep.missing())
        self._flying: dict[Any, _Flight] = {}
        self._arrived: queue.Queue[Any] = queue.Queue()
        self._unfit: dict[str, str] = {}
        self._done = self._failed = 0
        self._idle_since = time.monotonic()
        self._notebook = sweep.contract.path.read_bytes()
        if self._waiting:
            point = sweep.points[self._waiting[0]]
            parts = sweep.keys.ingredients(point)
            self._first = first_record(
                sweep.project, sweep.contract, point.given, point.values, parts, "", datetime.now(UTC)
            )

    def run(self) -> None:
        """Run every missing point once.

        Raises:
            RunError: where the runs folder cannot be written, or the scheduler or all workers are lost.
            KeyboardInterrupt: on Ctrl-C. In both cases points under way are recorded as interrupted.
        """
        try:
            while self._waiting or self._flying:
                self._send_out()
                self._show()
                with contextlib.suppress(queue.Empty):
                    self._land(self._arrived.get(timeout=_TICK))
                    continue
                self._look_around()
            self._show()
        except OSError as error:
            raise RunError(f"the runs folder cannot be written: {error.strerror or error}; {self._rest()}") from None
        finally:
            self._give_up()

    def _rest(self) -> str:
        total = len(self._sweep.points)
        done = sum(self._sweep.ledger.is_done(key) for key in self._sweep.keys.keys)
        return f"{done} of {total} points are done, and the same line does the rest"

    def _show(self) -> None:
        running = {flight.number: flight.since for flight in self._flying.values()}
        self._view.changed(running, self._done, self._failed, len(self._waiting))

    def _send_out(self) -> None:
        """Give every free worker a point."""
        busy = {flight.worker for flight in self._flying.values()}
        for worker in self._cluster.workers():
            if worker in busy or worker in self._unfit:
                continue
            flight = self._next_flight()
            if flight is None:
                return
            self._launch(flight, worker)

    def _launch(self, flight: _Flight, worker: str) -> None:
        flight.worker, flight.since = worker, time.monotonic()
        point = self._sweep.points[flight.number]
        request = {
            "chapter": self._sweep.contract.chapter,
            "notebook": self._notebook,
            "given": point.given,
            "ingredients": flight.run.record["ingredients"],
            "limits": self._limits,
        }
        future = self._cluster.submit(request, worker)
        self._flying[future] = flight
        future.add_done_callback(self._arrived.put)

    def _next_flight(self) -> _Flight | None:
        """The next point, with a folder and a record of its own; those that another process computes are passed."""
        from workbench.runner import turn

        ledger, keys = self._sweep.ledger, self._sweep.keys.keys
        for _ in range(len(self._waiting)):
            number = self._waiting.popleft()
            with turn(self._sweep.project.runs, self._sweep.contract.chapter):
                ledger.refresh()
                folder = ledger.elsewhere.get(keys[number])
                if folder is not None and is_locked(folder):
                    self._waiting.append(number)  # it is looked at again in a while
                    continue
                if ledger.is_done(keys[number]):
                    self._done += 1
                    continue
                return self._open(number)
        return None

    def _open(self, number: int) -> _Flight:
        sweep, started = self._sweep, datetime.now(UTC)
        point, key = sweep.points[number], sweep.keys.keys[number]
        folder = new_run_folder(sweep.project.runs, sweep.contract.chapter, key, started)
        held = lock_of(folder)
        held.acquire()
        record = {
            **self._first,
            "key": key,
            "ingredients": sweep.keys.ingredients(point),
            "parameters": {"given": point.given, "resolved": point.values},
            "started": iso(started),
        }
        sweep.ledger.saw(run := Run(folder, record))
        flight = _Flight(number, run, held, time.monotonic())
        try:
            write_record(folder, record)
        except OSError:
            held.release()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return flight

    def _land(self, future: Any) -> None:
        """Take in what a worker sends back."""
        if future not in self._flying:
            return
        reply = self._cluster.reply(future)
        flight = self._flying[future]
        if "unfit" in reply:
            del self._flying[future]
            self._set_aside(flight, reply["unfit"])
            return
        self._close(flight, reply)
        del self._flying[future]

    def _close(self, flight: _Flight, reply: dict[str, Any]) -> None:
        """Write a run's files, and then its record: until that is there, the run counts as interrupted."""
        for name, content in reply.get("files", {}).items():
            target = flight.run.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, content, durable=False)
        self._write_end(flight, _final(flight, reply))

    def _write_end(self, flight: _Flight, record: dict[str, Any]) -> None:
        write_record(flight.run.folder, record)
        flight.held.release()
        run = Run(flight.run.folder, record)
        self._sweep.ledger.saw(run)
        outcome = Outcome.of(run)
        self._done += outcome.status == "completed"
        self._failed += outcome.status == "failed"
        if outcome.status != "interrupted":
            self._view.ended(flight.number, outcome)

    def _set_aside(self, flight: _Flight, why: str) -> None:
        """Stop using a worker that would compute something else, and give its point to another one."""
        self._unfit[flight.worker] = why
        fit = [worker for worker in self._cluster.workers() if worker not in self._unfit]
        busy = {other.worker for other in self._flying.values()}
        if not fit:
            self._flying[object()] = flight  # so that it is recorded as interrupted
            raise RunError(f"no worker computes what this machine would: {why}; {self._rest()}")
        self._view.note(f"a worker is left out: {why}")
        free = [worker for worker in fit if worker not in busy]
        self._launch(flight, (free or fit)[0])

    def _look_around(self) -> None:
        """Stop where the scheduler or every worker is gone."""
        if not self._cluster.is_connected():
            raise RunError(f"the connection to the scheduler was lost; {self._rest()}")
        if self._cluster.workers():
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > _PATIENCE:
            raise RunError(f"the scheduler has had no worker for {_PATIENCE:.0f} seconds; {self._rest()}")

    def _give_up(self) -> None:
        """Take in what has arrived, and record the rest as interrupted. A second Ctrl-C waits for it."""
        with _deaf():
            while not self._arrived.empty():
                with contextlib.suppress(RunError, OSError):
                    self._land(self._arrived.get())
            self._cluster.cancel([future for future in self._flying if hasattr(future, "cancel")])
            stopped = {"status": "interrupted", "ended": iso(datetime.now(UTC))}
            for flight in self._flying.values():
                with contextlib.suppress(OSError):  # the record says `running`, which nobody's lock makes interrupted
                    self._write_end(flight, {**flight.run.record, **stopped})
                flight.held.release()
            self._flying.clear()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """A while without Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _final(flight: _Flight, reply: dict[str, Any]) -> dict[str, Any]:
    """The record of a run that has come back, with this machine's clock and commit, or of one that was lost."""
    first = flight.run.record
    mine = {
        **{part: first[part] for part in ("key", "ingredients", "parameters", "started", "git")},
        "ended": iso(datetime.now(UTC)),
    }
    if "record" in reply:
        return {**reply["record"], **mine}
    sentences = [reply["killed"]] if "killed" in reply else reply["refused"]
    error = {
        "cell": None,
        "number": 0,
        "name": "WorkerKilled" if "killed" in reply else "Refused",
        "message": "; ".join(sentences),
        "traceback": sentences,
    }
    seconds = round(time.monotonic() - flight.since, 3)
    return {**first, **mine, "status": "failed", "seconds": seconds, "error": error}


@contextlib.contextmanager
def alone(sweep: Sweep) -> Iterator[None]:
    """Hold the sweep's own lock.

    Raises:
        RunError: where another process runs the same sweep, or its folder cannot be written.
    """
    import filelock

    try:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(sweep.folder / "lock", timeout=0).acquire()
    except filelock.Timeout:
        raise RunError("another process runs this very sweep") from None
    except OSError as error:
        raise RunError(f"the runs folder cannot be written: {error.strerror}") from None
    with held:
        yield


def run_sweep(
    sweep: Sweep,
    view: View,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    limits: tuple[float | None, float | None] = (1800, None),
) -> None:
    """Run what is missing of a sweep; failures are in its ledger.

    Args:
        sweep: what to run.
        view: is told how it goes.
        scheduler: the address of a Dask scheduler; None starts a cluster in this process.
        workers: how many runs at a time on this machine, at most.
        limits: seconds for a cell and for a run, None for no limit.

    Raises:
        RunError: where the runs folder cannot be written, no scheduler answers, or it or all workers are lost.
        KeyboardInterrupt: on Ctrl-C, after points under way are recorded as interrupted.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what went wrong, we say in a sentence
    missing = len(sweep.missing())
    if not missing:
        return
    share = Share.of_machine(missing, workers, sweep.ledger.usual_memory())
    warm = scheduler is None and missing > 1
    with Cluster(scheduler, share, libraries(sweep.contract) if warm else ()) as cluster:
        Sweeper(sweep, cluster, view, limits).run()
