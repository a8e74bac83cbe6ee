"""A sweep: a chapter, its points, and what the runs folder knows of each; `workbench.sweeps.execute` runs the rest.

The records are read once, newest first, and of each only what a sweep needs is kept, so that ten thousand runs fit in
little memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from workbench.core.errors import RequestError, RunError, sentences_of
from workbench.core.project import Project
from workbench.parameters.contract import Contract
from workbench.parameters.datasets import check_datasets, data_parameters
from workbench.parameters.types import named_sources
from workbench.runs.keys import content_key, ingredients
from workbench.runs.store import Run, all_runs, made_folder
from workbench.sweeps.grid import Point, Points


def seed_names(contract: Contract) -> tuple[str, ...]:
    """The parameters that are seeds: runs that differ in nothing else are repetitions."""
    return tuple(name for name, parameter in contract.parameters.items() if parameter.type_text == "Seed")


class Metric(NamedTuple):
    """One recorded value of a run."""

    name: str
    value: float | str | None
    count: int | None
    n: int | None
    low: float | None
    high: float | None


def metrics_of(record: dict[str, Any]) -> tuple[Metric, ...]:
    """The metrics of a run's record."""
    return tuple(
        Metric(sys.intern(metric["name"]), *(metric.get(part) for part in Metric._fields[1:]))
        for metric in record["metrics"]
    )


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
        record, error = run.record, run.record["error"]
        sentence = f"{error['name']}: {error['message']}" if error else None
        return cls(run.id, run.status, record["seconds"], record["peak_memory_bytes"], metrics_of(record), sentence)


class Keys:
    """The content keys of a sweep's points, and the ingredients behind each.

    Points that differ in nothing but plain parameters share everything else, so that code and data are read once.
    """

    def __init__(self, contract: Contract, points: list[Point]) -> None:
        self._contract = contract
        self._shared: dict[str, dict[str, Any]] = {}
        sources = named_sources(contract.resolve(points[0].given))
        self._fingerprinted = sorted({label.partition("[")[0] for label in sources})
        with sentences_of(OSError, ValueError):  # data that cannot be read
            self.keys = [content_key(self.ingredients(point)) for point in points]

    def ingredients(self, point: Point) -> dict[str, Any]:
        """The ingredients of a point's key, as `workbench.runs.keys.ingredients` has them."""
        group = json.dumps([point.values[name] for name in self._fingerprinted])
        if group not in self._shared:
            self._shared[group] = ingredients(self._contract, self._contract.resolve(point.given))
        return {**self._shared[group], "parameters": point.values}


class Ledger:
    """The outcomes of the points with these keys, from the runs of one chapter, and how long its runs took.

    Runs are alike that have the `fixed` parameters, which say best how long the points will take.
    """

    def __init__(
        self, project: Project, chapter: str, keys: Iterable[str], fixed: dict[str, Any] | None = None
    ) -> None:
        self._wanted, self._fixed = set(keys), fixed or {}
        self.outcomes: dict[str, Outcome] = {}
        self._alike: list[tuple[float, float]] = []
        self._others: list[tuple[float, float]] = []
        self._peaks: list[int] = []
        for run in all_runs(project, chapter):
            self.take(run)

    def take(self, run: Run, newest: bool = False) -> None:
        """Keep a run's outcome, unless there is a better one: a completed run, else the newest."""
        record, key, status = run.record, run.record["key"], run.status
        if status == "completed":
            is_alike = self._fixed.items() <= record["parameters"]["resolved"].items()
            if record["seconds"]:
                (self._alike if is_alike else self._others).append((record["seconds"], record["cpu_seconds"] or 0))
            self._peaks += filter(None, [record["peak_memory_bytes"]])
        if key not in self._wanted or status == "running" or (status == "completed" and not run.notebook.is_file()):
            return
        before = self.outcomes.get(key)
        if before is None or (before.status != "completed" and (newest or status == "completed")):
            self.outcomes[key] = Outcome.of(run)

    def times(self) -> tuple[list[tuple[float, float]], bool]:
        """Seconds and processor seconds of the chapter's completed runs, shortest first, and whether they are alike.

        Runs with other parameters stand there where none is alike.
        """
        return sorted(self._alike or self._others), bool(self._alike)

    def usual_seconds(self) -> float | None:
        """The median time of those runs, None where there are none."""
        times, _ = self.times()
        return statistics.median(seconds for seconds, _ in times) if times else None

    def usual_memory(self) -> int | None:
        """The largest peak memory (bytes) of the chapter's completed runs, None where there are none."""
        return max(self._peaks, default=None)


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
        changing = {*self.varied, *seed_names(self.contract)}
        fixed = {name: value for name, value in self.points[0].values.items() if name not in changing}
        self.ledger = Ledger(self.project, self.contract.chapter, self.keys.keys, fixed)

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

    def made_folder(self) -> Path:
        """That folder, made where it is missing; a RequestError where it, or one above it, is a link."""
        return made_folder(self.project.runs, self.contract.chapter, "sweeps", self.name)

    def outcome(self, number: int) -> Outcome | None:
        """What became of a point, None where it has not been run."""
        return self.ledger.outcomes.get(self.keys.keys[number])

    def missing(self) -> list[int]:
        """The points that no completed run answers."""
        outcomes = map(self.outcome, range(len(self.points)))
        return [number for number, known in enumerate(outcomes) if known is None or known.status != "completed"]

    def check_datasets(self) -> None:
        """Refuse local data sets of missing points that the chapter could not load, each read once.

        Raises:
            RequestError: a sentence for each data set.
        """
        names = data_parameters(self.contract)
        missing = [self.points[number] for number in self.missing()] if names else []
        different = {json.dumps([point.values[name] for name in names]): point for point in missing}
        for point in different.values():
            check_datasets(self.contract, self.contract.resolve(point.given), self.keys.ingredients(point)["data"])

    def label(self, number: int) -> str:
        """A point by what varies, or else by its chapter."""
        values = self.points[number].values
        return ", ".join(f"{name}={values[name]}" for name in self.varied) or self.contract.chapter


@contextlib.contextmanager
def alone(sweep: Sweep) -> Iterator[None]:
    """Hold the lock of the sweep's folder.

    Raises:
        RequestError: where its folder is a link or cannot be written.
        RunError: where another process runs the same sweep.
    """
    lock = filelock.FileLock(sweep.made_folder() / "lock", timeout=0)
    try:
        held = lock.acquire()
    except filelock.Timeout:
        raise RunError("another process runs this very sweep") from None
    except OSError as error:
        raise RequestError(f"{lock.lock_file} cannot be written: {error.strerror}") from None
    with held:
        yield
