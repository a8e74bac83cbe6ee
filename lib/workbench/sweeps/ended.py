"""Sweeps that have ended, read back from what `workbench.sweeps.summary` has written of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.core.errors import RequestError
from workbench.core.files import Unfit, read_within
from workbench.core.project import Project
from workbench.core.text import shown
from workbench.parameters.contract import load_contract
from workbench.runs.record import Part, Value, Whole
from workbench.runs.store import LARGEST_RECORD, chapter_and_name
from workbench.sweeps.summary import Summary, column, seed_names, summarised
from workbench.sweeps.sweep import Metric

FACTS, TABLE = "sweep.json", "results.parquet"


class _Facts(Part):
    command: str
    varied: list[str]
    seeds: list[str] | None = None  # which earlier versions did not write
    fixed: dict[str, Value]
    points: Whole
    completed: Whole
    failed: Whole


@dataclass(frozen=True)
class Ended:
    """A sweep that has ended: its folder, the facts of its `sweep.json`, and when that was written."""

    folder: Path
    facts: _Facts
    written: datetime

    @property
    def name(self) -> str:
        """What varies, and a digest of the points."""
        return self.folder.name

    @property
    def chapter(self) -> str:
        """The chapter that was run."""
        return self.folder.parents[1].name

    def as_json(self) -> dict[str, Any]:
        """What `workbench sweeps --json` lists of it."""
        when = {"written": f"{self.written:%Y-%m-%dT%H:%M:%SZ}", "folder": str(self.folder)}
        return {"chapter": self.chapter, "name": self.name, **self.facts.model_dump(exclude={"seeds"}), **when}


def sweep_folders(project: Project) -> list[Path]:
    """The folders of sweeps that have ended, but for links, the one that ended last first."""
    folders = [path.parent for path in project.runs.glob(f"*/sweeps/*/{FACTS}")]
    folders = [folder for folder in folders if not any(path.is_symlink() for path in (folder, *folder.parents[:2]))]
    return sorted(folders, key=lambda folder: (folder / FACTS).lstat().st_mtime, reverse=True)


def find_sweep(project: Project, name: str) -> Path | None:
    """The folder of the sweep of this name, or whose name alone starts so, or that this path leads to; None if none is.

    Raises:
        RequestError: where several names start so.
    """
    chapter, start = chapter_and_name(name)
    folders = [folder for folder in sweep_folders(project) if chapter in (None, "sweeps", folder.parents[1].name)]
    exact = [folder for folder in folders if start == folder.name or Path(name).absolute() == folder]
    fitting = exact or [folder for folder in folders if start and folder.name.startswith(start)]
    if len(fitting) > 1:
        raise RequestError(f"{shown(name)} fits {len(fitting)} sweeps; give more of the name")
    return fitting[0] if fitting else None


def read_sweep(folder: Path) -> Ended:
    """The sweep in a folder.

    Raises:
        RequestError: where its `sweep.json` cannot be read.
    """
    try:
        facts = _Facts.model_validate_json(read_within(folder / FACTS, LARGEST_RECORD, through_links=False))
        return Ended(folder, facts, datetime.fromtimestamp((folder / FACTS).stat().st_mtime, UTC))
    except (OSError, Unfit, ValidationError):
        raise _unreadable(folder) from None


def ended_sweep(project: Project, name: str) -> Ended:
    """The sweep that a name means, or the one that ended last for `latest`, which may have a chapter in front.

    Raises:
        RequestError: where there is none, or more than one, or it cannot be read.
    """
    chapter, rest = chapter_and_name(name)
    if rest == "latest":
        of_chapter = (each for each in sweep_folders(project) if chapter in (None, each.parents[1].name))
        folder = next(of_chapter, None)
    else:
        folder = find_sweep(project, name)
    if folder is None:
        raise RequestError(f"no sweep {shown(name)}; `workbench sweeps` lists those that have ended")
    return read_sweep(folder)


def axes_of_ended(project: Project, sweep: Ended) -> list[str]:
    """The parameters of a sweep that vary and are no seeds."""
    seeds = sweep.facts.seeds
    seeds = seed_names(load_contract(project, sweep.chapter)) if seeds is None else seeds
    return [name for name in sweep.facts.varied if name not in seeds]


def summaries_of(sweep: Ended, axes: Sequence[str]) -> list[Summary]:
    """Each metric at each setting of these parameters, over the runs that completed.

    Raises:
        RequestError: where the table cannot be read, or has no such parameter.
    """
    try:
        runs = runs_in(sweep.folder / TABLE, axes)
    except (OSError, ValueError, LookupError):
        raise _unreadable(sweep.folder) from None
    return summarised(runs.values())


def side_by_side(first: list[Summary], second: list[Summary]) -> list[tuple[Summary | None, Summary | None]]:
    """The means of two sweeps at each setting and metric, in the order of the first; None where one has none."""
    means = [{(json.dumps(each.setting), each.metric): each for each in side} for side in (first, second)]
    return [(means[0].get(place), means[1].get(place)) for place in means[0] | means[1]]


def runs_in(table: Path, names: Sequence[str]) -> dict[str, tuple[dict[str, Any], Sequence[Metric]]]:
    """The values of these parameters and the metrics of each completed run of a sweep's table, by the run's id.

    Raises:
        OSError, ValueError, LookupError: where the table cannot be read, or lacks a column.
    """
    import pyarrow.parquet as pq

    runs: dict[str, tuple[dict[str, Any], list[Metric]]] = {}
    for row in pq.read_table(table).to_pylist():
        if row.get("status", "completed") == "completed":  # of a recorded sweep, every run has
            _, metrics = runs.setdefault(row["run"], ({name: row[column(name)] for name in names}, []))
            if row["metric"] is not None:
                value = row["value"] if row["text"] is None else row["text"]
                metrics.append(Metric(row["metric"], value, *(row[part] for part in Metric._fields[2:])))
    return runs


def _unreadable(folder: Path) -> RequestError:
    return RequestError(f"{folder.name}: its results cannot be read; the line of the sweep writes them again")
