"""A sweep: a chapter, its points, and what the runs folder knows of each; `workbench.sweeps.execute` runs the rest.

The records are read once, newest first, and of each only what a sweep needs is kept, so that ten thousand runs fit in
little memory. Runs that other processes start meanwhile are noticed by their folders' names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from workbench.core.errors import RunError, sentences_of
from workbench.core.project import Project
from workbench.parameters.contract import Contract
from workbench.parameters.types import named_sources
from workbench.runs.keys import content_key, ingredients
from workbench.runs.store import RUN_ID, Run, all_runs, is_locked, runs_of_key
from workbench.sweeps.grid import Point, Points


class Metric(NamedTuple):
    """One recorded value of a run."""

    name: str
    value: float | str | None
    count: int | None
    n: int | None
    low: float | None
    high: float | None


class Outcome(NamedTuple):
    """What became of a point."""

    run: str
    status: str
    seconds: float | None
    peak_bytes: int | None
    metrics: tuple[Metric, ...]
    error: str | None

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """The outcome that a run's record tells."""
        record = run.record
        metrics = tuple(
            Metric(sys.intern(metric["name"]), *(metric.get(part) for part in Metric._fields[1:]))
            for metric in record.get("metrics") or []
        )
        error = record.get("error")
        sentence = f"{error['name']}: {error['message']}" if error else None
        return cls(run.id, run.status, record.get("seconds"), record.get("peak_memory_bytes"), metrics, sentence)


class Keys:
    """The content keys of a sweep's points, and the ingredients behind each.

    Points that differ in nothing but plain parameters share everything else, so that code and data are read once.
    """

    def __init__(self, contract: Contract, points: list[Point]) -> None:
        self._contract = contract
        self._shared: dict[tuple[str, ...], dict[str, Any]] = {}
        with sentences_of(OSError, ValueError):  # data that cannot be read
            self.keys = [content_key(self.ingredients(point)) for point in points]

    def ingredients(self, point: Point) -> dict[str, Any]:
        """The ingredients of a point's key, as `workbench.runs.keys.ingredients` has them."""
        resolved = self._contract.resolve(point.given) if not self._shared else None
        if resolved is not None:
            self._fingerprinted = sorted({label.partition("[")[0] for label in named_sources(resolved)})
        group = tuple(str(point.values[name]) for name in self._fingerprinted)
        if group not in self._shared:
            self._shared[group] = ingredients(self._contract, resolved or self._contract.resolve(point.given))
        return {**self._shared[group], "parameters": point.values}


class Ledger:
    """The outcomes of the points with these keys, from the runs of one chapter."""

    def __init__(self, project: Project, chapter: str, keys: Iterable[str]) -> None:
        self._project, self._chapter = project, chapter
        self._wanted = dict.fromkeys(keys)
        self._by_digits: dict[str, list[str]] = {}
        for key in self._wanted:
            self._by_digits.setdefault(key[:8], []).append(key)
        self.outcomes: dict[str, Outcome] = {}
        self.elsewhere: dict[str, Path] = {}
        """The run's folder of each point that another process computes."""
        self._seconds: list[float] = []
        self._peaks: list[int] = []
        self._seen = self._names()
        for run in all_runs(project, chapter):
            self._take(run)

    def refresh(self) -> None:
        """Take in what other processes have started or ended since the last look, as far as it is about our points."""
        names = self._names()
        ended = [key for key, folder in self.elsewhere.items() if not is_locked(folder)]
        for name in names - self._seen:
            for key in self._by_digits.get(name[17:25], []):
                folder = self._project.runs / self._chapter / name
                if is_locked(folder):
                    self.elsewhere[key] = folder  # perhaps before its record is written
                else:
                    ended.append(key)
        self._seen = names
        for key in ended:
            self.elsewhere.pop(key, None)
            for run in runs_of_key(self._project, self._chapter, key):
                self._take(run)

    def saw(self, run: Run) -> None:
        """Take in a run that this process has started or ended."""
        self._seen.add(run.id)
        if run.record["status"] != "running":
            self._take(run, newest=True)

    def is_done(self, key: str) -> bool:
        """Whether a completed run of this key exists."""
        return key in self.outcomes and self.outcomes[key].status == "completed"

    def usual_seconds(self) -> float | None:
        """The median time of the chapter's completed runs, None where there are none."""
        return statistics.median(self._seconds) if self._seconds else None

    def usual_memory(self) -> int | None:
        """The largest peak memory (bytes) of the chapter's completed runs, None where there are none."""
        return max(self._peaks, default=None)

    def _names(self) -> set[str]:
        with contextlib.suppress(OSError), os.scandir(self._project.runs / self._chapter) as entries:
            return {entry.name for entry in entries if RUN_ID.fullmatch(entry.name)}
        return set()

    def _take(self, run: Run, newest: bool = False) -> None:
        """Keep a run's outcome, unless there is a better one: a completed run, else the newest."""
        status, key = run.status, run.record["key"]
        if status == "running":
            if key in self._wanted:
                self.elsewhere[key] = run.folder
            return
        if status == "completed":
            self._seconds += [run.record["seconds"]] if run.record.get("seconds") else []
            self._peaks += [run.record["peak_memory_bytes"]] if run.record.get("peak_memory_bytes") else []
        if key not in self._wanted or (status == "completed" and not run.notebook.is_file()):
            return
        before = self.outcomes.get(key)
        if before is None or (before.status != "completed" and (newest or status == "completed")):
            self.outcomes[key] = Outcome.of(run)


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
        """What became of a point, None where it has not been run."""
        return self.ledger.outcomes.get(self.keys.keys[number])

    def missing(self) -> list[int]:
        """The points that no completed run answers."""
        return [number for number, key in enumerate(self.keys.keys) if not self.ledger.is_done(key)]

    def label(self, number: int) -> str:
        """A point by what varies, or else by its chapter."""
        values = self.points[number].values
        return ", ".join(f"{name}={values[name]}" for name in self.varied) or self.contract.chapter


@contextlib.contextmanager
def alone(sweep: Sweep) -> Iterator[None]:
    """Hold the lock of the sweep's folder.

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
