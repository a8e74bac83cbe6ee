"""What an executed notebook tells: its run, and the sources, metrics and claims that its chapter recorded.

These stand in the metadata of outputs, as `workbench.chapter` wrote them, and the run in the notebook's
metadata `workbench`, as `workbench.runs.notebooks` wrote it. Run records, the checks of the committed chapters and the
book's ledger all read them here, so that they count the same claims.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from workbench.runs.record import Claim, Metric, Moment, Number, Part


@dataclass(frozen=True)
class Executed:
    """What was read: the run, sources, metrics and claims in order, and a sentence for each unreadable entry."""

    run: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_executed(path: Path) -> Executed:
    """The content of a notebook file; a file that is no notebook is one problem."""
    try:
        return parse_executed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Executed(problems=[f"not a readable notebook ({type(error).__name__}: {error})"])


def parse_executed(notebook: dict[str, Any]) -> Executed:
    """The run, sources, metrics and claims of a notebook.

    Of a source or a metric that was recorded several times the last value counts. Every claim counts, also where two
    have the same statement: one that fails must not disappear behind one that holds.
    """
    run, problems = notebook["metadata"].get("workbench", {}), []
    if run != {} and (problem := problem_of("run", run)):
        run, problems = {}, [problem]
    kept: dict[str, list[dict[str, Any]]] = {"source": [], "record": [], "claim": []}
    for index, cell in enumerate(notebook["cells"]):
        for entries in map(recorded_in, cell.get("outputs", [])):
            for kind in kept.keys() & entries.keys():
                if problem := problem_of(kind, entries[kind]):
                    problems.append(f"cell {index}: {problem}")
                else:
                    kept[kind].append(dict(entries[kind]))
    metrics = {metric["name"]: metric for metric in kept["record"]}
    sources = {source["name"]: dict(source["rows"]) for source in kept["source"]}
    return Executed(run, sources, list(metrics.values()), kept["claim"], problems)


def recorded_in(output: dict[str, Any]) -> dict[str, Any]:
    """What a chapter put into the metadata of an output: `source`, `record`, `claim`, or nothing."""
    entries = (output.get("metadata") or {}).get("workbench")
    return entries if isinstance(entries, dict) else {}


class _Run(Part):
    run: str
    started: Moment | None = None
    seconds: Number = 0
    parameters: dict[str, Any] | None = None
    changed: list[str] | None = None


class _Source(Part):
    name: str
    rows: list[Annotated[list[str], Field(min_length=2, max_length=2)]]


_SHAPES = {"run": _Run, "source": _Source, "record": Metric, "claim": Claim}


def problem_of(kind: str, entry: Any) -> str | None:
    """What is wrong with the metadata of a `run`, a `source`, a `claim` or a metric (`record`), as a sentence."""
    try:
        _SHAPES[kind].model_validate(entry)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        if not place:
            return f"the {kind} is {entry!r}, not a mapping"
        name = entry.get("statement") or entry.get("name") or entry.get("run")
        return f"the {kind} {name!r} has no {place[0]}"
    return None
