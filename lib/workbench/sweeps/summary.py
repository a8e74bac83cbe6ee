"""The results of a sweep: a tidy table of every point, and means over seeds with their intervals.

results.parquet     one row for each point and metric: the parameters, run, status, seconds, then metric, value,
                    text (of a metric that is no number), count, n, low and high; a point that has recorded nothing
                    has one row without a metric
summary.csv         one row for each setting and metric, over its seeds
sweep.json          the request, the line that made it, and how many points are done or have failed
plot.png, plot.md   the figure and the same as a table
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.files import write_atomically
from workbench.parameters import content
from workbench.parameters.types import plain
from workbench.sweeps.sweep import Metric

if TYPE_CHECKING:
    from workbench.parameters.contract import Contract
    from workbench.sweeps.sweep import Sweep

_BATCH = 2_000  # points that are held as a table at a time


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

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval to show: over runs, or else the one that a single run recorded."""
        for low, high in ((self.low, self.high), (self.own_low, self.own_high)):
            if low is not None and high is not None:
                return low, high
        return None


def seed_names(contract: Contract) -> tuple[str, ...]:
    """The parameters that are seeds: runs that differ in nothing else are repetitions."""
    return tuple(
        name for name, parameter in contract.parameters.items() if parameter.type_text.split(".")[-1] == "Seed"
    )


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
    settings: dict[str, dict[str, Any]] = {}
    for setting, metrics in runs:
        place = json.dumps(setting)
        settings.setdefault(place, setting)
        for metric in metrics:
            if _is_finite(metric.value):
                groups[place, metric.name].append(metric)
    return [_summary(settings[place], name, values) for (place, name), values in groups.items()]


def _summary(setting: dict[str, Any], name: str, values: list[Metric]) -> Summary:
    if len(values) > 1:
        interval = content.intervals().mean_interval([metric.value for metric in values])
        return Summary(setting, name, len(values), *interval)
    (metric,) = values
    return Summary(setting, name, 1, float(metric.value), None, None, metric.low, metric.high)


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def metric_names(means: list[Summary]) -> list[str]:
    """The names of the metrics, in the order in which chapters record them."""
    return list(dict.fromkeys(summary.metric for summary in means))


def write_results(sweep: Sweep, means: list[Summary], command: str) -> Path:
    """The folder of `results.parquet`, `summary.csv` and `sweep.json`, after each is written by replacement."""
    sweep.folder.mkdir(parents=True, exist_ok=True)
    _write_parquet(sweep, sweep.folder / "results.parquet")
    write_atomically(sweep.folder / "summary.csv", _csv(sweep, means))
    statuses = [
        outcome.status if (outcome := sweep.outcome(number)) else "missing" for number in range(len(sweep.points))
    ]
    first = sweep.points[0].values
    facts = {
        "format": 1,
        "chapter": sweep.contract.chapter,
        "name": sweep.name,
        "command": command,
        "varied": list(sweep.varied),
        "fixed": {name: value for name, value in first.items() if name not in sweep.varied},
        "points": len(statuses),
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


def _write_parquet(sweep: Sweep, path: Path) -> None:
    """Write the tidy table in batches, so that memory does not grow with the number of points."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(sweep.contract.parameters)
    kinds = {column(name): _arrow_type(pa, [point.values[name] for point in sweep.points]) for name in names}
    result = {name: getattr(pa, kind)() for name, kind in _RESULT.items()}
    schema = pa.schema([*kinds.items(), *result.items()], metadata={"workbench.chapter": sweep.contract.chapter})
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        for number, point in enumerate(sweep.points):
            parameters = {column(name): _fitting(pa, kinds[column(name)], point.values[name]) for name in names}
            rows += [{**parameters, **row} for row in _result_rows(sweep, number)]
            if len(rows) >= _BATCH or number + 1 == len(sweep.points):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows = []
    write_atomically(path, buffer.getvalue())


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


def _result_rows(sweep: Sweep, number: int) -> Iterator[dict[str, Any]]:
    """The rows of one point, without its parameters."""
    outcome = sweep.outcome(number)
    if outcome is None:
        yield {"status": "missing"}
        return
    base = {"run": outcome.run, "status": outcome.status, "seconds": outcome.seconds}
    for metric in outcome.metrics:
        value, text = (float(metric.value), None) if _is_finite(metric.value) else (None, metric.value)
        rest = {"count": metric.count, "n": metric.n, "low": metric.low, "high": metric.high}
        yield {**base, "metric": metric.name, "value": value, "text": text, **rest}
    if not outcome.metrics:
        yield base


def _arrow_type(pa: Any, values: list[Any]) -> Any:
    """The type of a parameter's column; text where its values are of several kinds."""
    different = list({repr(value): value for value in values}.values())
    try:
        kind = pa.infer_type(different)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()
    return kind if kind != pa.null() else pa.string()


def _fitting(pa: Any, kind: Any, value: Any) -> Any:
    return str(value) if kind == pa.string() and not isinstance(value, str) else plain(value)


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown has it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def shown_mean(summary: Summary | None) -> str:
    """A mean and its interval in words."""
    if summary is None:
        return ""
    ends = summary.ends
    return f"{summary.mean:.4g}" + (f" ({ends[0]:.4g} to {ends[1]:.4g})" if ends else "")
