"""A sweep: a chapter, its points, and what is known of each. `workbench.sweeps.execute` runs what is missing."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.errors import RunError
from workbench.core.project import Project
from workbench.parameters.contract import Contract
from workbench.sweeps.grid import Point, Points
from workbench.sweeps.ledger import Keys, Ledger, Outcome


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
        """A point by what varies, or else by its chapter."""
        values = self.points[number].values
        return ", ".join(f"{name}={values[name]}" for name in self.varied) or self.contract.chapter


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
