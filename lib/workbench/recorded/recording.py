"""Keeping a run or a sweep with the book, and a command that computes it again.

Nothing of others is kept: no text of a corpus, no private path. Where a run read a local file, the record names what
others can get it by, and keeps the fingerprint of that file. The command of a sweep is written from its points,
whatever line started them: it names no scheduler and no file of this machine. Points that are no grid stand in
`points.yml`.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

from workbench.core.errors import RequestError, RunError
from workbench.core.files import Unfit, folder_beside, read_within, write_atomically
from workbench.core.machine import in_words
from workbench.core.project import PREDICTIONS, Project
from workbench.core.secrets import secrets_of_process
from workbench.core.text import shown
from workbench.parameters.contract import Contract, load_contract
from workbench.parameters.types import Source, plain
from workbench.recorded.result import CIRCUMSTANCES, CONFIRMED, OF_A_RUN, POINTS, RUN, SWEEP, TABLE, is_recorded
from workbench.runs.predictions import collected
from workbench.runs.record import claims_by_statement
from workbench.runs.store import LARGEST_RECORD, Run, all_runs
from workbench.sweeps.grid import points_of
from workbench.sweeps.summary import as_parquet, column, seed_names

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def record_result(
    project: Project,
    result: Run | Path,
    name: str,
    public: dict[str, str] | None = None,
    *,
    predictions: bool = False,
    replace: bool = False,
) -> Path:
    """Keep a run or a sweep in `book/recorded/NAME/` and return the file of its record.

    Args:
        project: the checkout.
        result: a completed run, or the folder of a sweep of which every point has completed.
        name: lower-case words joined by hyphens.
        public: for each parameter that was a local file or folder, what others can get it by (`mnist.csv of https://…`,
            a Hub id); it stands in the record and the command instead of the path.
        predictions: whether to keep what the models answered, with what varied and the seed.
        replace: whether a record of this name may be replaced.

    Raises:
        RequestError: for a result that is not complete or whose runs are gone or kept no predictions, a name that
            cannot be used or is taken, or a local file that nothing public is named for.
        RunError: where the folder cannot be written; what it held stays.
    """
    folder = _folder(project, name, replace)
    of_a_run = isinstance(result, Run)
    varied, runs = ([], [result]) if of_a_run else _varied_and_runs(project, result)
    if runs[0].status != "completed":
        raise RequestError(f"{runs[0].id} {runs[0].status}; only a completed run can be recorded")
    contract = load_contract(project, runs[0].chapter)
    public = _public_names(contract, [run.record["parameters"]["resolved"] for run in runs], public or {})
    parts = (*OF_A_RUN, "cpu_seconds") if of_a_run else CIRCUMSTANCES
    record = json.loads(json.dumps({part: runs[0].record[part] for part in parts})) | {"public": public}
    for values in (*record["parameters"].values(), record["ingredients"]["parameters"]):
        values.update({parameter: name for parameter, name in public.items() if parameter in values})
    others: dict[str, str | bytes] = {}
    if predictions:
        others[PREDICTIONS] = collected(runs, list(dict.fromkeys([*varied, *seed_names(contract)])), public)
    words = ["workbench", "run" if of_a_run else "sweep", contract.chapter]
    if of_a_run:
        record["run"] = runs[0].id
    else:
        points = [{name: run.record["parameters"]["resolved"][name] for name in varied} for run in runs]
        grids = _as_grids(contract, varied, points)
        if grids is None:
            grids = ["-f", (Path("book") / "recorded" / name / POINTS).as_posix()]
            others[POINTS] = yaml.safe_dump(points, sort_keys=False, allow_unicode=True)
        words += grids
        others[TABLE] = _table(result / TABLE, public)
        record |= _in_all(runs)
        record |= {"varied": varied, "seeds": [seed for seed in seed_names(contract) if seed in varied]}
    given = record["parameters"]["given"].items()
    words += [word for name, value in given if name not in varied for word in ("-p", f"{name}={as_option(value)}")]
    return _write(folder, RUN if of_a_run else SWEEP, record | {"command": shlex.join(words)}, others, replace)


def _folder(project: Project, name: str, replace: bool) -> Path:
    """The folder of a result of this name; a RequestError where the name cannot be used or is taken."""
    if not _NAME.fullmatch(name):
        raise RequestError(f"{shown(name)} is not a name of lower-case words joined by hyphens")
    folder = project.recorded / name
    if is_recorded(folder) and not replace:
        raise _taken(name)
    return folder


def _taken(name: str) -> RequestError:
    return RequestError(f"{name} is recorded already; --replace puts this one in its place")


def _public_names(contract: Contract, resolved: list[dict[str, Any]], public: dict[str, str]) -> dict[str, str]:
    """What stands for each local file or folder of these runs, checked to be named, once, and no path."""
    local = _local_paths(contract, resolved)
    for name in sorted(local.keys() - public.keys()):
        raise RequestError(f"{name} was a local file; --public {name}=… says what others can get it by")
    for name in sorted(public.keys() - local.keys()):
        raise RequestError(f"--public {name}: {name} was no local file in this run")
    for name, value in public.items():
        if variable := secrets_of_process().variable_in(value):
            raise RequestError(f"--public {name}: it holds the secret of the environment variable {variable}")
        if not value.strip() or Path(value).is_absolute() or value.startswith(("~", ".")):
            raise RequestError(
                f"--public {name}: {shown(value)} is a path of this machine, and others need a name for the data"
            )
        if len(local[name]) > 1:
            raise RequestError(f"{name} was {len(local[name])} local files, which cannot have one public name")
    return public


def _local_paths(contract: Contract, resolved: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The local data, models and predictions of these runs, by parameter: once resolved, they alone are absolute."""
    local: dict[str, set[str]] = {}
    for name, parameter in contract.parameters.items():
        kind = parameter.annotation
        kind = get_args(kind)[0] if get_origin(kind) is list else kind
        if isinstance(kind, type) and issubclass(kind, Source):
            values = [values[name] for values in resolved if name in values]
            items = [item for value in values for item in (value if isinstance(value, list) else [value])]
            local[name] = {item for item in items if Path(item).is_absolute()}
    return {name: paths for name, paths in local.items() if paths}


def as_option(value: Any) -> str:
    """A value as the command line takes it."""
    return (",".join(map(str, value)) or "[]") if isinstance(value, list) else str(plain(value))


def _write(folder: Path, file: str, record: dict[str, Any], others: Mapping[str, str | bytes], replace: bool) -> Path:
    """Write a record and the files beside it, and return the record's; what an earlier record had there goes.

    The folder appears whole, in one step, or what was there stays. What others have put into it stays too.
    """
    contents = {**others, file: as_text(record)}
    ours = (RUN, SWEEP, TABLE, POINTS, PREDICTIONS, CONFIRMED, ".*")
    try:
        with folder_beside(folder, None if replace else is_recorded) as new:
            if folder.is_dir() and not folder.is_symlink():
                shutil.copytree(folder, new, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*ours))
            for name, content in contents.items():
                write_atomically(new / name, content)
    except Unfit:
        raise _taken(folder.name) from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from None
    return folder / file


def as_text(record: dict[str, Any]) -> str:
    """A record as its file holds it."""
    return json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"


# What a sweep has beyond a run


def _varied_and_runs(project: Project, sweep: Path) -> tuple[list[str], list[Run]]:
    """What varies between the points of a sweep, and its runs in their order."""
    import pyarrow.parquet as pq

    try:
        facts = json.loads(read_within(sweep / SWEEP, LARGEST_RECORD, through_links=False))
        missing = facts["points"] - facts["completed"]
        names = dict.fromkeys(pq.read_table(sweep / TABLE, columns=["run"])["run"].to_pylist())
    except (OSError, Unfit, ValueError, RecursionError, LookupError, TypeError):
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
    alike = ("code", "definitions", "links", "package_data", "versions")
    if len({_key({part: run.record["ingredients"].get(part) for part in alike}) for run in runs}) > 1:
        raise RequestError(f"the code or the versions changed between the runs of {sweep.name}; run its line again")
    return facts["varied"], runs


def _in_all(runs: list[Run]) -> dict[str, Any]:
    """What is true of all runs together."""
    records = [run.record for run in runs]
    made: dict[str, list[dict[str, Any]]] = {}
    for statement, claim in (pair for record in records for pair in claims_by_statement(record).items()):
        made.setdefault(statement, []).append(claim)
    claims = [
        {
            "statement": statement,
            "bound": of_runs[0]["bound"],
            "held": sum(claim["holds"] for claim in of_runs),
            "runs": len(of_runs),
            "values": len({claim.get("value") for claim in of_runs}),  # different ones: of 1, seeds say nothing
        }
        for statement, of_runs in made.items()
    ]
    used = [record["cpu_seconds"] for record in records]
    return {
        "points": len(runs),
        "started": min(record["started"] for record in records),
        "ended": max(record["ended"] for record in records),
        "seconds": round(sum(record["seconds"] for record in records), 3),
        "cpu_seconds": None if None in used else round(sum(used), 2),
        "machines": len({in_words(record["machine"]) for record in records}),
        "claims": claims,
    }


def _as_grids(contract: Contract, varied: list[str], points: list[dict[str, Any]]) -> list[str] | None:
    """The points as `-g` options; None where they are no grid, or a value cannot be written in one."""
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
    return as_parquet(table)
