"""Recorded sweeps: what the runs of a sweep measured, without the runs, and a command that computes all of them again.

The command is written from the points, whatever line started them: it names no scheduler and no file of this machine.
Points that are no grid stand in `points.yml` beside the results.
"""

from __future__ import annotations

import io
import json
import math
import shlex
from pathlib import Path
from typing import Any

import yaml

from workbench.core.errors import RequestError
from workbench.core.machine import in_words
from workbench.core.project import Project
from workbench.core.text import shown
from workbench.parameters.contract import Contract, load_contract
from workbench.recorded.result import CIRCUMSTANCES, POINTS, SWEEP, TABLE, Recorded
from workbench.recorded.run import folder_for, in_common, options, write
from workbench.runs.record import claims_by_statement
from workbench.runs.store import Run, all_runs
from workbench.sweeps.summary import Summary, column, seed_names, summarised
from workbench.sweeps.sweep import Metric


def find_sweep(project: Project, name: str) -> Path | None:
    """The folder of the sweep of this name, or whose name alone starts so, or that this path leads to; None if none is.

    Raises:
        RequestError: where several names start so.
    """
    if name in ("", "latest"):
        return None
    folders = [path.parent for path in project.runs.glob("*/sweeps/*/sweep.json")]
    exact = [folder for folder in folders if name == folder.name or Path(name).absolute() == folder]
    fitting = exact or [folder for folder in folders if folder.name.startswith(name)]
    if len(fitting) > 1:
        raise RequestError(f"{shown(name)} fits {len(fitting)} sweeps; give more of the name")
    return fitting[0] if fitting else None


def record_sweep(
    project: Project,
    sweep: Path,
    name: str,
    public: dict[str, str] | None = None,
    *,
    predictions: bool = False,
    replace: bool = False,
) -> Path:
    """Keep a sweep of which every point has completed as `book/recorded/NAME/sweep.json`, and return that file.

    Args:
        project: the checkout.
        sweep: the folder that `workbench sweep` has written its results into.
        name: lower-case words joined by hyphens.
        public: as in `workbench.recorded.run.record_run`.
        predictions: whether to keep what the models answered, with what varied and the seed.
        replace: whether a record of this name may be replaced.

    Raises:
        RequestError: for a sweep that is not complete or whose runs are gone or kept no predictions, a name that cannot
            be used or is taken, or a local file that nothing public is named for.
        RunError: where the folder cannot be written; what it held stays.
    """
    folder = folder_for(project, name, replace)
    facts, runs = _read(project, sweep)
    contract, varied = load_contract(project, facts["chapter"]), facts["varied"]
    record, others = in_common(contract, runs, CIRCUMSTANCES, public, predictions, varied)
    fixed = {name: value for name, value in record["parameters"]["given"].items() if name not in varied}
    points = [{name: run.record["parameters"]["resolved"][name] for name in varied} for run in runs]
    grids = _as_grids(contract, varied, points)
    if grids is None:
        grids = ["-f", (Path("book") / "recorded" / name / POINTS).as_posix()]
        others[POINTS] = yaml.safe_dump(points, sort_keys=False, allow_unicode=True)
    others[TABLE] = _table(sweep / TABLE, record["public"])
    record |= _in_all(runs) | {
        "varied": varied,
        "seeds": [seed for seed in seed_names(contract) if seed in varied],
        "command": shlex.join(["workbench", "sweep", contract.chapter, *grids, *options(fixed)]),
    }
    return write(folder, SWEEP, record, others)


def _read(project: Project, sweep: Path) -> tuple[dict[str, Any], list[Run]]:
    """What a sweep's folder says of it, and its runs in the order of its points."""
    import pyarrow.parquet as pq

    try:
        facts = json.loads((sweep / SWEEP).read_text(encoding="utf-8"))
        missing = facts["points"] - facts["completed"]
        names = dict.fromkeys(pq.read_table(sweep / TABLE, columns=["run"])["run"].to_pylist())
    except (OSError, ValueError, LookupError, TypeError):
        raise RequestError(
            f"{sweep.name}: its results cannot be read; the line of the sweep writes them again"
        ) from None
    if missing:
        raise RequestError(
            f"{missing} of {facts['points']} points of {sweep.name} have not completed; the same line does the rest"
        )
    by_name = {run.id: run for run in all_runs(project, facts["chapter"]) if run.id in names}
    if gone := [name for name in names if name not in by_name or by_name[name].status != "completed"]:
        raise RequestError(f"{len(gone)} of the runs of {sweep.name} are gone; its line computes them again")
    runs = [by_name[name] for name in names]
    if len({json.dumps(_shared(run), sort_keys=True) for run in runs}) > 1:
        raise RequestError(f"the code or the versions changed between the runs of {sweep.name}; run its line again")
    return facts, runs


def _shared(run: Run) -> list[Any]:
    """What all points of a sweep depend on alike."""
    parts = run.record["ingredients"]
    return [parts.get(name) for name in ("code", "definitions", "links", "package_data", "versions")]


def _in_all(runs: list[Run]) -> dict[str, Any]:
    """What is true of all runs together."""
    records = [run.record for run in runs]
    claims: dict[str, dict[str, Any]] = {}
    for statement, claim in (pair for record in records for pair in claims_by_statement(record).items()):
        counted = claims.setdefault(statement, {"bound": claim["bound"], "held": 0, "runs": 0})
        counted["held"] += claim["holds"]
        counted["runs"] += 1
    used = [record["cpu_seconds"] for record in records]
    return {
        "points": len(runs),
        "started": min(record["started"] for record in records),
        "ended": max(record["ended"] for record in records),
        "seconds": round(sum(record["seconds"] for record in records), 3),
        "cpu_seconds": None if None in used else round(sum(used), 2),
        "machines": len({in_words(record["machine"]) for record in records}),
        "claims": [{"statement": statement, **counted} for statement, counted in claims.items()],
    }


def _as_grids(contract: Contract, varied: list[str], points: list[dict[str, Any]]) -> list[str] | None:
    """The points as `-g` options; None where they are no grid, or a value cannot be written in one."""
    from workbench.sweeps.grid import points_of

    levels = {name: list({repr(point[name]): point[name] for point in points}.values()) for name in varied}
    if math.prod(map(len, levels.values())) != len(points):
        return None
    grids = [f"{name}={_values(values)}" for name, values in levels.items()]
    try:
        again = points_of(contract, grids, [], []).points
    except RequestError:
        return None
    same = {_key({name: point.values[name] for name in varied}) for point in again} == set(map(_key, points))
    return [word for grid in grids for word in ("-g", grid)] if same else None


def _key(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _values(values: list[Any]) -> str:
    """Values as a grid takes them: numbers without a gap as a range, lists in brackets, text with a comma in quotes."""
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    if whole and len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}:{values[-1] + 1}"
    texts = [f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value) for value in values]
    return ",".join(f'"{text}"' if "," in text and text[0] != "[" else text for text in texts)


def _table(file: Path, public: dict[str, str]) -> bytes:
    """The sweep's table with public names in the place of local paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file).drop_columns(["status"])
    for parameter, name in public.items():
        place = table.column_names.index(column(parameter))
        table = table.set_column(place, column(parameter), pa.array([name] * len(table), pa.string()))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def recorded_axes(recorded: Recorded) -> list[str]:
    """The parameters of a recorded sweep that vary and are no seeds."""
    return [name for name in recorded.varied if name not in recorded.record["seeds"]]


def recorded_runs(recorded: Recorded) -> dict[str, tuple[dict[str, Any], list[Metric]]]:
    """What varied and what was measured in each run of a recorded sweep, by the run's id, in their order.

    Raises:
        RequestError: where its table cannot be read.
    """
    import pyarrow.parquet as pq

    runs: dict[str, tuple[dict[str, Any], list[Metric]]] = {}
    try:
        for row in pq.read_table(recorded.folder / TABLE).to_pylist():
            values = {name: row[column(name)] for name in recorded.varied}
            _, metrics = runs.setdefault(row["run"], (values, []))
            if row["metric"] is not None:
                value = row["value"] if row["text"] is None else row["text"]
                metrics.append(Metric(row["metric"], value, *(row[part] for part in Metric._fields[2:])))
    except (OSError, ValueError, LookupError):
        raise RequestError(f"{recorded.name}: its {TABLE} cannot be read") from None
    return runs


def recorded_summaries(recorded: Recorded) -> list[Summary]:
    """Each metric at each setting of a recorded sweep, over its seeds.

    Raises:
        RequestError: where its table cannot be read.
    """
    axes = recorded_axes(recorded)
    return summarised(
        ({name: values[name] for name in axes}, metrics) for values, metrics in recorded_runs(recorded).values()
    )


def recorded_counts(recorded: Recorded) -> dict[str, list[str]]:
    """For each metric that is a count of so many, those of the runs, such as `806/872`, in their order.

    Raises:
        RequestError: where its table cannot be read.
    """
    counts: dict[str, list[str]] = {}
    for _, metrics in recorded_runs(recorded).values():
        for metric in metrics:
            if metric.count is not None and metric.n is not None:
                counts.setdefault(metric.name, []).append(f"{metric.count:.0f}/{metric.n:.0f}")
    return counts
