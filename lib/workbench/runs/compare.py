"""Runs of one chapter side by side: their parameters, their metrics and their claims.

Differences are taken to the first run. Their intervals come from those of the runs: the difference of two independent
estimates has the ends `d ± √(a² + b²)`, where a and b are the distances from each estimate to that end of its interval
which moves the difference that way (Newcombe 1998; Zou and Donner 2008). Runs that share examples are not independent;
then these intervals are wider than they need be. Where both runs have kept what their models answered, each model is
therefore compared with its counterpart example by example as well (`largemodels.statistics.paired_runs`). Neither says
anything about other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.text import is_number
from workbench.parameters import content
from workbench.runs.predictions import tables_of
from workbench.runs.record import claims_by_statement
from workbench.runs.staleness import changes
from workbench.runs.store import Run


@dataclass(frozen=True)
class Row:
    """Something that every run has a value for; None where a run has none."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs' values are not all the same."""
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True)
class Difference:
    """How far a run's metric is above the first run's, with the ends of a 95% interval where both runs have one."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[Run, ...]
    parameters: tuple[Row, ...]
    metrics: tuple[Row, ...]
    """The values are the runs' metrics as recorded, completed with the interval of a proportion."""
    differences: dict[str, tuple[Difference | None, ...]]
    """For each metric, one for each run; of the first run, and where there is no number, None."""
    claims: tuple[Row, ...]
    """The values are the runs' claims as recorded."""
    otherwise: tuple[tuple[str, ...], ...]
    """For each run, how its code, data and versions differ from the first one's."""
    paired: tuple[Any, ...]
    """Models beside their counterparts in the first run, each a `largemodels.statistics.paired_runs.Pair`."""
    not_paired: tuple[str, ...]
    """What is not compared example by example although some run has predictions, and why; a sentence each."""

    def as_json(self) -> dict[str, Any]:
        """The comparison as `workbench compare --json` prints it."""
        return {
            "chapter": self.runs[0].chapter,
            "runs": [
                {"id": run.id, "status": run.status, "otherwise_different": others}
                for run, others in zip(self.runs, self.otherwise, strict=True)
            ],
            "parameters": [vars(row) | {"differs": row.differs} for row in self.parameters],
            "metrics": [
                vars(row) | {"differences": [each and vars(each) for each in self.differences[row.name]]}
                for row in self.metrics
            ],
            "claims": [
                {"statement": row.name, "values": row.values, "changed": has_changed(row)} for row in self.claims
            ],
            "paired": [vars(pair) | {"run": self.runs[pair.run].id} for pair in self.paired],
            "not_paired": self.not_paired,
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """The comparison of two or more runs of one chapter.

    Raises:
        RequestError: for fewer than two different runs, or runs of different chapters.
    """
    if len({run.folder for run in runs}) < len(runs):
        raise RequestError("a run is compared with others, and one is named twice")
    if len(runs) < 2:
        raise RequestError("compare needs at least two runs")
    chapters = sorted({run.chapter for run in runs})
    if len(chapters) > 1:
        raise RequestError(f"runs of different chapters cannot be compared: these are of {' and '.join(chapters)}")
    metrics = _rows([{metric["name"]: _with_interval(metric) for metric in run.record["metrics"]} for run in runs])
    first = runs[0].record["ingredients"]
    paired, not_paired = _paired(runs)
    return Comparison(
        runs=tuple(runs),
        parameters=_rows([run.record["parameters"]["resolved"] for run in runs]),
        metrics=metrics,
        differences={row.name: tuple(_difference(row.values[0], value) for value in row.values) for row in metrics},
        claims=_rows([claims_by_statement(run.record) for run in runs]),
        otherwise=tuple(_otherwise(first, run.record["ingredients"]) for run in runs),
        paired=paired,
        not_paired=not_paired,
    )


def has_changed(row: Row) -> bool:
    """Whether a claim holds in some of the runs and not in others, has another bound, or is not made everywhere."""
    return len({claim and (claim["bound"], claim["holds"]) for claim in row.values}) > 1


def _paired(runs: Sequence[Run]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The runs' models beside their counterparts in the first run, and a sentence on each run that has none."""
    kept = [tables_of(run) for run in runs]
    reasons = [sentence for _, sentences in kept for sentence in sentences]
    tables = [each for each, _ in kept]
    if not any(tables):
        return (), tuple(reasons)
    pairs = content.paired_runs().compare_runs(tables[0], tables[1:])
    for place, run in enumerate(runs):
        if not tables[place]:
            reasons.append(f"{run.id} has kept no predictions")
        elif place and tables[0] and not any(pair.run == place for pair in pairs):
            reasons.append(f"{run.id} shares no example of the same file and model with {runs[0].id}")
    return tuple(pairs), tuple(reasons)


def _otherwise(first: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    """How a run's ingredients differ from the first one's, parameters aside."""
    return tuple(changes({**first, "parameters": {}}, {**other, "parameters": {}}))


def _rows(each: list[dict[str, Any]]) -> tuple[Row, ...]:
    """What the runs have, in the order in which the first to have it has it."""
    names = dict.fromkeys(name for values in each for name in values)
    return tuple(Row(name, tuple(values.get(name) for values in each)) for name in names)


def _with_interval(metric: dict[str, Any]) -> dict[str, Any]:
    """A metric that is a proportion without an interval gets one."""
    value, count, n = metric["value"], metric["count"], metric["n"]
    is_counted = all(map(is_number, (value, count, n))) and n >= 1 and 0 <= count <= n
    if metric["low"] is not None or not is_counted or not math.isclose(value, count / n, rel_tol=1e-6, abs_tol=1e-9):
        return metric
    _, low, high = content.intervals().proportion_interval(count, n)
    return {**metric, "low": low, "high": high}


def _difference(first: dict[str, Any] | None, other: dict[str, Any] | None) -> Difference | None:
    """How far the other metric is above the first."""
    if first is other or first is None or other is None:
        return None
    if not is_number(first["value"]) or not is_number(other["value"]):
        return None
    value = other["value"] - first["value"]
    ends = (first["low"], first["high"], other["low"], other["high"])
    if not all(is_number(end) for end in ends):
        return Difference(value, None, None)
    low = value - math.hypot(other["value"] - other["low"], first["high"] - first["value"])
    high = value + math.hypot(other["high"] - other["value"], first["value"] - first["low"])
    return Difference(value, low, high)
