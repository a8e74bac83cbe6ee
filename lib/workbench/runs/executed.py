"""What an executed notebook tells: its run, and the metrics and claims that its chapter recorded.

Metrics and claims stand in the metadata of outputs, as `workbench.chapter` wrote them, and the run in the notebook's
metadata `workbench`, as `workbench.runs.notebooks` wrote it. Run records, the checks of the committed chapters and the
book's ledger all read them here, so that they count the same claims.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Executed:
    """What was read: the run, metrics and claims in order, and one sentence for each entry that could not be read."""

    run: dict[str, Any] = field(default_factory=dict)
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
    """The run, metrics and claims of a notebook.

    Of a metric that was recorded several times the last value counts. Every claim counts, also where two have the same
    statement: one that fails must not disappear behind one that holds.
    """
    run = notebook["metadata"].get("workbench", {})
    problems = []
    if problem := run_problem(run):
        run, problems = {}, [problem]
    metrics: dict[str, dict[str, Any]] = {}
    claims = []
    for index, cell in enumerate(notebook["cells"]):
        for entries in map(recorded_in, cell.get("outputs", [])):
            if "record" in entries:
                if problem := metric_problem(entries["record"]):
                    problems.append(f"cell {index}: {problem}")
                else:
                    metrics[entries["record"]["name"]] = dict(entries["record"])
            if "claim" in entries:
                if problem := claim_problem(entries["claim"]):
                    problems.append(f"cell {index}: {problem}")
                else:
                    claims.append(dict(entries["claim"]))
    return Executed(run, list(metrics.values()), claims, problems)


def recorded_in(output: dict[str, Any]) -> dict[str, Any]:
    """What a chapter put into the metadata of an output: `record`, `claim`, or nothing."""
    entries = (output.get("metadata") or {}).get("workbench")
    return entries if isinstance(entries, dict) else {}


def run_problem(run: Any) -> str | None:
    """What is wrong with the notebook's metadata of its run; none at all is not wrong."""
    if not isinstance(run, dict):
        return f"the run is {run!r}, not a mapping"
    if not isinstance(run.get("parameters") or {}, dict):
        return "the run's parameters are not a mapping"
    if run and not isinstance(run.get("run"), str):
        return "the run has no name"
    if run.get("started") is not None:
        try:
            datetime.fromisoformat(run["started"])
        except (ValueError, TypeError):
            return f"the run's start, {run['started']!r}, is not a time"
    if not isinstance(run.get("seconds", 0), (int, float)):
        return f"the run's duration, {run['seconds']!r}, is not a number of seconds"
    return None


def metric_problem(metric: Any) -> str | None:
    """What is wrong with the metadata of a metric."""
    if not isinstance(metric, dict):
        return f"the metric is {metric!r}, not a mapping"
    return None if isinstance(metric.get("name"), str) else "a metric has no name"


def claim_problem(claim: Any) -> str | None:
    """What is wrong with the metadata of a claim."""
    if not isinstance(claim, dict):
        return f"the claim is {claim!r}, not a mapping"
    for key, kind in (("statement", str), ("bound", str), ("holds", bool)):
        if not isinstance(claim.get(key), kind):
            return f"the claim {claim.get('statement')!r} has no {key}"
    return None
