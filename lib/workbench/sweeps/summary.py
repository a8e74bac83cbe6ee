"""The results of a sweep: a tidy table of every point, and means over seeds with their intervals.

results.parquet     one row for each point and metric: the parameters, run, status, seconds, then metric, value,
                    text (of a metric that is no number), count, n, low and high; a point that has recorded nothing
                    has one row without a metric
summary.csv         one row for each setting and metric, over its seeds
sweep.json          the request, the line that made it, and how many points are done or have failed
plot.png, plot.md   the figure and the same as a table
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.files import write_atomically
from workbench.core.text import number
from workbench.parameters import content
from workbench.sweeps.sweep import Metric, seed_names

if TYPE_CHECKING:
    from workbench.sweeps.sweep import Outcome, Sweep


@dataclass(frozen=True)
class Summary:
    """A metric at one setting. `low` and `high` are the 95% interval over runs, of which one alone has none.

    `own_low` and `own_high` are the interval that a single run recorded with its value: uncertainty of the test set and
    not of the seed.
    """

    setting: dict[str, Any]
    metric: str
    runs: int
    mean: float
    low: float | None
    high: float | None
    own_low: float | None = None
    own_high: float | None = None
    two: tuple[float, float] | None = None
    """The values of two runs, which say more than an interval that rests on one difference."""

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval to show: over runs, of two their values, of one that which it recorded."""
        if self.two:
            return min(self.two), max(self.two)
        low, high = (self.own_low, self.own_high) if self.runs == 1 else (self.low, self.high)
        return None if low is None or high is None else (low, high)


def axes_of(sweep: Sweep) -> list[str]:
    """The parameters that vary and are no seeds: each set of their values is a setting."""
    seeds = seed_names(sweep.contract)
    return [name for name in sweep.varied if name not in seeds]


def summaries(sweep: Sweep) -> list[Summary]:
    """Each metric at each setting, in the order of the points."""
    axes = axes_of(sweep)
    done = (
        ({name: point.values[name] for name in axes}, outcome.metrics)
        for number, point in enumerate(sweep.points)
        if (outcome := sweep.outcome(number)) is not None and outcome.status == "completed"
    )
    return summarised(done)


def summarised(runs: Iterable[tuple[dict[str, Any], Iterable[Metric]]]) -> list[Summary]:
    """Each metric at each setting, over these runs: the setting and the metrics of each."""
    groups: dict[tuple[str, str], list[Metric]] = defaultdict(list)
    for setting, metrics in runs:
        place = json.dumps(setting)
        for metric in filter(_is_number, metrics):
            groups[place, metric.name].append(metric)
    means = []
    for (place, name), metrics in groups.items():
        first, setting = metrics[0], json.loads(place)
        if len(metrics) > 1:
            interval = content.intervals().mean_interval([metric.value for metric in metrics])
            two = (float(first.value), float(metrics[1].value)) if len(metrics) == 2 else None
            means.append(Summary(setting, name, len(metrics), *interval, two=two))
        else:
            means.append(Summary(setting, name, 1, float(first.value), None, None, first.low, first.high))
    return means


def _is_number(metric: Metric) -> bool:
    return isinstance(metric.value, (int, float)) and math.isfinite(metric.value)


def metric_names(means: list[Summary]) -> list[str]:
    """The names of the metrics, in the order in which chapters record them."""
    return list(dict.fromkeys(summary.metric for summary in means))


def write_results(sweep: Sweep, means: list[Summary], command: str) -> Path:
    """The folder of `results.parquet`, `summary.csv` and `sweep.json`, after each is written by replacement."""
    sweep.made_folder()
    write_atomically(sweep.folder / "results.parquet", as_parquet(_table(sweep)))
    write_atomically(sweep.folder / "summary.csv", _csv(sweep, means))
    outcomes = [sweep.outcome(number) for number in range(len(sweep.points))]
    statuses = [outcome.status for outcome in outcomes if outcome]
    facts = {
        "format": 1,
        "chapter": sweep.contract.chapter,
        "name": sweep.name,
        "command": command,
        "varied": list(sweep.varied),
        "seeds": [name for name in seed_names(sweep.contract) if name in sweep.varied],
        "fixed": {name: value for name, value in sweep.points[0].values.items() if name not in sweep.varied},
        "points": len(sweep.points),
        "completed": statuses.count("completed"),
        "failed": statuses.count("failed"),
    }
    write_atomically(sweep.folder / "sweep.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return sweep.folder


def _csv(sweep: Sweep, means: list[Summary]) -> str:
    axes = axes_of(sweep)
    columns = ["metric", "runs", "mean", "low", "high", "own_low", "own_high"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(axes + columns)
    for summary in means:
        writer.writerow([summary.setting[name] for name in axes] + [getattr(summary, name) for name in columns])
    return text.getvalue()


_RESULT = {
    "run": "string",
    "status": "string",
    "seconds": "float64",
    "metric": "string",
    "value": "float64",
    "text": "string",
    "count": "int64",
    "n": "int64",
    "low": "float64",
    "high": "float64",
}


def column(parameter: str) -> str:
    """The column of `results.parquet` that holds a parameter."""
    return f"parameter_{parameter}" if parameter in _RESULT else parameter


def _table(sweep: Sweep) -> Any:
    """The tidy table, by columns, so that ten thousand points take little memory."""
    import pyarrow as pa

    rows = [(number, *row) for number in range(len(sweep.points)) for row in _result_rows(sweep.outcome(number))]
    places, *results = zip(*rows, strict=True)
    columns = {
        column(name): _parameter_column([point.values[name] for point in sweep.points]).take(pa.array(places))
        for name in sweep.contract.parameters
    }
    columns |= {name: _result_column(cells, kind) for (name, kind), cells in zip(_RESULT.items(), results, strict=True)}
    return pa.table(columns, metadata={"workbench.chapter": sweep.contract.chapter})


def _result_rows(outcome: Outcome | None) -> Iterator[tuple[Any, ...]]:
    """The cells of a point's rows, as `_RESULT` names them."""
    front = (outcome.run, outcome.status, outcome.seconds) if outcome else (None, "missing", None)
    for metric in outcome.metrics if outcome else ():
        value, text = (float(metric.value), None) if _is_number(metric) else (None, metric.value)
        yield *front, metric.name, value, text, *metric[2:]
    if not outcome or not outcome.metrics:
        yield *front, *[None] * (len(_RESULT) - len(front))


def _result_column(cells: Sequence[Any], kind: str) -> Any:
    """Results as a column, of floats where a whole number does not fit its kind."""
    import pyarrow as pa

    try:
        return pa.array(cells, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([cell if cell is None else float(cell) for cell in cells], "float64")


def _parameter_column(values: list[Any]) -> Any:
    """A parameter's values as a column; as text where they are of several kinds."""
    import pyarrow as pa

    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError):
        cells = pa.array(values)
        if cells.type not in (pa.string(), pa.null()):
            return cells
    return pa.array(map(str, values), "string")


def as_parquet(table: Any) -> bytes:
    """An Arrow table as the content of a Parquet file."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown has it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def shown_mean(summary: Summary | None) -> str:
    """A mean and its interval in words, or the values of two runs; alone, where in these digits they are the same."""
    if summary is None:
        return ""
    mean, ends = number(float(summary.mean)), [number(float(end)) for end in summary.two or summary.ends or ()]
    return mean if set(ends) <= {mean} else f"{mean} ({(' and ' if summary.two else ' to ').join(ends)})"
