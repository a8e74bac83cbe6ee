"""Recorded results as they are read back: what takes too long to be computed with the book, and how to repeat it.

    book/recorded/NAME/run.json             a run's record, with the command that repeats it
    book/recorded/NAME/sweep.json           what the runs of a sweep have in common, and that command
    book/recorded/NAME/results.parquet      what each run of the sweep measured
    book/recorded/NAME/points.yml           the points of a sweep that is no grid
    book/recorded/NAME/predictions.parquet  what the models answered, where that was kept
    book/recorded/NAME/confirmed.json       what came of computing some points again (`workbench.recorded.confirm`)

`workbench.recorded.recording` writes the others.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.files import Unfit, read_within
from workbench.core.project import Project
from workbench.core.text import nearest_or_all, shown
from workbench.parameters.contract import load_contract
from workbench.parameters.types import named_sources
from workbench.runs.keys import content_key, ingredients
from workbench.runs.staleness import changes
from workbench.runs.store import LARGEST_RECORD
from workbench.sweeps.ended import runs_in
from workbench.sweeps.grid import Points, points_of
from workbench.sweeps.summary import Summary, summarised
from workbench.sweeps.sweep import Metric, metrics_of

RUN, SWEEP, CONFIRMED = "run.json", "sweep.json", "confirmed.json"
TABLE, POINTS = "results.parquet", "points.yml"
CIRCUMSTANCES = ("chapter", "ingredients", "parameters", "started", "seconds", "git", "python", "machine")
"""What both kinds of record hold of their runs; of a sweep's, the ingredients and parameters are its first point's."""

# Later than the first recorded results, so kept and not required: cpu_seconds.
OF_A_RUN = (*CIRCUMSTANCES, "key", "metrics", "claims", "peak_memory_bytes")
_PARTS = {
    RUN: {*OF_A_RUN, "run", "command", "public"},
    SWEEP: {*CIRCUMSTANCES, "varied", "seeds", "points", "claims", "command", "public"},
    CONFIRMED: {"date", "git", "change", "of", "points", "metrics", "differences", "claims", "unmatched", "kept"},
}


@dataclass(frozen=True)
class Recorded:
    """A recorded run or sweep, and the outcome of its confirmation where there is one."""

    folder: Path
    record: dict[str, Any]
    confirmed: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Its name in the book."""
        return self.folder.name

    @property
    def is_sweep(self) -> bool:
        """Whether it is a sweep's."""
        return "varied" in self.record

    @property
    def chapter(self) -> str:
        """The chapter that was run."""
        return self.record["chapter"]

    @property
    def command(self) -> str:
        """The line that computes it again."""
        return self.record["command"]

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that its first point was given, without local files."""
        given, public = self.record["parameters"]["given"], self.record["public"]
        return {name: value for name, value in given.items() if name not in public}

    @property
    def varied(self) -> list[str]:
        """The parameters that vary between its points."""
        return self.record.get("varied", [])

    @property
    def points(self) -> int:
        """The number of its runs."""
        return self.record.get("points", 1)


def all_recorded(project: Project) -> list[Recorded]:
    """Every recorded result, by name.

    Raises:
        RequestError: for a record that cannot be read.
    """
    return [read_recorded(project, name) for name in _names(project)]


def _names(project: Project) -> list[str]:
    return sorted(folder.name for folder in project.recorded.glob("[!.]*") if is_recorded(folder))


def is_recorded(folder: Path) -> bool:
    """Whether a folder holds a record."""
    return any((folder / file).exists() for file in (RUN, SWEEP))


def read_recorded(project: Project, name: str) -> Recorded:
    """The recorded result of this name.

    Raises:
        RequestError: where there is none, or it cannot be read.
    """
    if name not in (known := _names(project)):
        raise RequestError(f"nothing is recorded as {shown(name)}{nearest_or_all(name, known)}")
    folder = project.recorded / name
    record = _read(project, folder / (RUN if (folder / RUN).exists() else SWEEP))
    confirmed = folder / CONFIRMED
    return Recorded(folder, record, _read(project, confirmed) if confirmed.exists() else None)


def _read(project: Project, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_within(path, LARGEST_RECORD))
        missing = _PARTS[path.name] - record.keys()
    except (OSError, Unfit, ValueError, RecursionError, AttributeError):
        missing = {"readable JSON"}
    if missing:
        raise RequestError(f"{path.relative_to(project.root)}: the record has no {', '.join(sorted(missing))}")
    return record


def points_again(project: Project, recorded: Recorded, local: dict[str, str] | None = None) -> Points:
    """The points of the recorded command (a run has one), as its chapter takes them today.

    A parameter that stands in the record by its public name has its `local` path, or else its default.

    Raises:
        RequestError: where the chapter no longer takes the command.
    """
    _, _, chapter, *words = shlex.split(recorded.command)
    options: dict[str, list[str]] = {"-p": [], "-g": [], "-f": []}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        options[flag].append(value)
    fixed = [option for option in options["-p"] if option.partition("=")[0] not in recorded.record["public"]]
    fixed += [f"{name}={path}" for name, path in (local or {}).items()]
    files = [project.root / file for file in options["-f"]]
    return points_of(load_contract(project, chapter), options["-g"], fixed, files)


def misfit(project: Project, recorded: Recorded) -> str | None:
    """What the recorded command names that its chapter no longer takes, or None."""
    try:
        points_again(project, recorded)
    except RequestError as error:
        return f"{recorded.name}: `{recorded.command}`: {error}"
    return None


def changed_since(project: Project, recorded: Recorded) -> list[str]:
    """What the recorded numbers depend on and has changed since, in words; nothing while they are current.

    Data and models that others get by a public name or from the Hub are not compared: they are not here, and the Hub
    is not asked while a page is built. Nor are the versions of packages that only one of the two machines has: they are
    extras, and a page says the same with and without them.
    """
    return list(changes(*_then_and_now(project, recorded)))


def change(project: Project, recorded: Recorded) -> str:
    """A digest of the change from what the numbers depended on to what they depend on today.

    It stays the same until something else changes. A record of the earlier form does not say what its code was; then
    today's ingredients alone make the digest.
    """
    then, now = _then_and_now(project, recorded)
    keys = [content_key(parts) for parts in (then, now) if "definitions" in parts]
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()


def is_outdated(project: Project, recorded: Recorded) -> bool:
    """Whether a result was compared, and something has changed since."""
    return bool(recorded.confirmed) and recorded.confirmed["change"] != change(project, recorded)


def _then_and_now(project: Project, recorded: Recorded) -> tuple[dict[str, Any], dict[str, Any]]:
    """The recorded ingredients and today's, both without the data and models that stand elsewhere, and extras."""
    contract = load_contract(project, recorded.chapter)
    values = contract.resolve(recorded.given)
    on_hub = {label.partition("[")[0] for label, source in named_sources(values).items() if source.is_hub}
    elsewhere = on_hub | recorded.record["public"].keys()
    now = ingredients(contract, {name: value for name, value in values.items() if name not in elsewhere})
    then = dict(recorded.record["ingredients"])
    for parts in (then, now):
        for part in parts.keys() & {"parameters", "data", "checkpoints"}:
            labels = [label for label in parts[part] if label.partition("[")[0] not in elsewhere]
            parts[part] = {label: parts[part][label] for label in labels}
    if "versions" in then:
        common = then["versions"].keys() & now["versions"].keys()
        for parts in (then, now):
            parts["versions"] = {name: parts["versions"][name] for name in sorted(common)}
    return then, now


def recorded_axes(recorded: Recorded) -> list[str]:
    """The parameters of a recorded result that vary and are no seeds."""
    return [name for name in recorded.varied if name not in recorded.record["seeds"]]


def recorded_runs(recorded: Recorded) -> dict[str, tuple[dict[str, Any], Sequence[Metric]]]:
    """What varied and what was measured in each run of a recorded result, by the run's id, in their order.

    Raises:
        RequestError: where its table cannot be read, as with the two functions below.
    """
    if not recorded.is_sweep:
        return {recorded.record["run"]: ({}, metrics_of(recorded.record))}
    try:
        return runs_in(recorded.folder / TABLE, recorded.varied)
    except (OSError, ValueError, LookupError):
        raise RequestError(f"{recorded.name}: its {TABLE} cannot be read") from None


def recorded_summaries(recorded: Recorded) -> list[Summary]:
    """Each metric at each setting of a recorded sweep, over its seeds."""
    axes = recorded_axes(recorded)
    return summarised(
        ({name: values[name] for name in axes}, metrics) for values, metrics in recorded_runs(recorded).values()
    )


def recorded_counts(recorded: Recorded) -> dict[str, list[str]]:
    """For each metric that is a count of so many, those of the runs, such as `806/872`, in their order."""
    counts: dict[str, list[str]] = {}
    for _, metrics in recorded_runs(recorded).values():
        for metric in metrics:
            if metric.count is not None and metric.n is not None:
                counts.setdefault(metric.name, []).append(f"{metric.count:.0f}/{metric.n:.0f}")
    return counts
