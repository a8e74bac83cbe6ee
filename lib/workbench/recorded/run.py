"""Keeping a result with the book: what a run and a sweep have in common, and a run.

Nothing of others is kept: no text of a corpus, no private path. Where a run read a local file, the record names what
others can get it by, and keeps the fingerprint of that file.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from workbench.core.errors import RequestError, RunError
from workbench.core.files import write_atomically
from workbench.core.project import PREDICTIONS, Project
from workbench.core.text import shown
from workbench.parameters.contract import Contract, load_contract
from workbench.parameters.types import Source, plain
from workbench.recorded.result import CONFIRMED, OF_A_RUN, POINTS, RUN, SWEEP, TABLE
from workbench.runs.predictions import collected
from workbench.runs.store import Run
from workbench.sweeps.summary import seed_names

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def record_run(
    project: Project,
    run: Run,
    name: str,
    public: dict[str, str] | None = None,
    *,
    predictions: bool = False,
    replace: bool = False,
) -> Path:
    """Keep a completed run as `book/recorded/NAME/run.json` and return that file.

    Args:
        project: the checkout.
        run: a completed run.
        name: lower-case words joined by hyphens.
        public: for each parameter that was a local file or folder, what others can get it by (`mnist.csv of https://…`,
            a Hub id); it stands in the record and the command instead of the path.
        predictions: whether to keep what the models answered, with the seed.
        replace: whether a record of this name may be replaced.

    Raises:
        RequestError: for a run that did not complete, a name that cannot be used or is taken, a local file that nothing
            public is named for, or a run that kept no predictions.
        RunError: where the folder cannot be written; what it held stays.
    """
    folder = folder_for(project, name, replace)
    if run.status != "completed":
        raise RequestError(f"{run.id} {run.status}; only a completed run can be recorded")
    record, others = in_common(
        load_contract(project, run.chapter), [run], (*OF_A_RUN, "cpu_seconds"), public, predictions
    )
    words = ["workbench", "run", run.chapter, *options(record["parameters"]["given"])]
    return write(folder, RUN, record | {"run": run.id, "command": shlex.join(words)}, others)


def in_common(
    contract: Contract,
    runs: Sequence[Run],
    parts: Sequence[str],
    public: dict[str, str] | None,
    predictions: bool,
    varied: Sequence[str] = (),
) -> tuple[dict[str, Any], dict[str, str | bytes]]:
    """The record that a run and a sweep have alike, and the files beside it.

    Args:
        contract: the chapter's.
        runs: all of the result, completed.
        parts: what to take from the record of the first.
        public: as `record_run` takes it.
        predictions: as `record_run` takes it.
        varied: the parameters that vary between the runs.

    Raises:
        RequestError: for a local file that nothing public is named for, or runs that kept no predictions.
    """
    public = public_names(contract, [run.record["parameters"]["resolved"] for run in runs], public or {})
    record = published({part: runs[0].record[part] for part in parts}, public)
    if not predictions:
        return record, {}
    names = list(dict.fromkeys([*varied, *seed_names(contract)]))
    return record, {PREDICTIONS: collected(runs, names, public)}


def folder_for(project: Project, name: str, replace: bool) -> Path:
    """The folder of a result of this name.

    Raises:
        RequestError: for a name that cannot be used, or is taken by what may not be replaced.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(f"{shown(name)} is not a name of lower-case words joined by hyphens")
    folder = project.recorded / name
    if folder.exists() and not replace:
        raise RequestError(f"{name} is recorded already; --replace puts this one in its place")
    return folder


def published(record: dict[str, Any], public: dict[str, str]) -> dict[str, Any]:
    """A record with the public names in the place of local paths."""
    record = json.loads(json.dumps(record))
    for values in (*record["parameters"].values(), record["ingredients"]["parameters"]):
        values.update({parameter: name for parameter, name in public.items() if parameter in values})
    return record | {"public": public}


def options(given: dict[str, Any]) -> list[str]:
    """Parameters as the words of a command."""
    return [word for name, value in given.items() for word in ("-p", f"{name}={as_option(value)}")]


def as_option(value: Any) -> str:
    """A value as the command line takes it."""
    return (",".join(map(str, value)) or "[]") if isinstance(value, list) else str(plain(value))


def write(folder: Path, file: str, record: dict[str, Any], others: Mapping[str, str | bytes]) -> Path:
    """Write a record and the files beside it, and return the record's; what else a record has left in the folder goes.

    All of it is on the disk before anything is replaced.

    Raises:
        RunError: where that cannot be; what was there stays.
    """
    contents = {**others, file: as_text(record)}
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as new:
            for name, content in contents.items():
                write_atomically(Path(new) / name, content)
            for name in contents:
                (Path(new) / name).replace(folder / name)
        for stale in {RUN, SWEEP, TABLE, POINTS, PREDICTIONS, CONFIRMED} - contents.keys():
            (folder / stale).unlink(missing_ok=True)
    except OSError as error:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise RunError(f"{folder} cannot be written: {error.strerror}") from None
    return folder / file


def as_text(record: dict[str, Any]) -> str:
    """A record as its file holds it."""
    return json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"


def public_names(contract: Contract, resolved: list[dict[str, Any]], public: dict[str, str]) -> dict[str, str]:
    """What stands for each local file or folder of these runs, checked to be named, once, and no path.

    Once it is resolved, every local path is absolute, and nothing else is.

    Raises:
        RequestError: where a name is missing, not needed, or a path, or would stand for several files.
    """
    local = _local_paths(contract, resolved)
    for name in sorted(local.keys() - public.keys()):
        raise RequestError(f"{name} was a local file; --public {name}=… says what others can get it by")
    for name in sorted(public.keys() - local.keys()):
        raise RequestError(f"--public {name}: {name} was no local file in this run")
    for name, value in public.items():
        if not value.strip() or Path(value).is_absolute() or value.startswith(("~", ".")):
            raise RequestError(
                f"--public {name}: {shown(value)} is a path of this machine, and others need a name for the data"
            )
        if len(local[name]) > 1:
            raise RequestError(f"{name} was {len(local[name])} local files, which cannot have one public name")
    return public


def _local_paths(contract: Contract, resolved: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The absolute paths among the data, models and predictions of these runs, by parameter."""
    local: dict[str, set[str]] = {}
    for name, value in (pair for values in resolved for pair in values.items()):
        parameter = contract.parameters.get(name)
        if parameter is not None and _names_a_source(parameter.annotation):
            paths = {item for item in (value if isinstance(value, list) else [value]) if Path(item).is_absolute()}
            local.setdefault(name, set()).update(paths)
    return {name: paths for name, paths in local.items() if paths}


def _names_a_source(annotation: Any) -> bool:
    """Whether a parameter names data, a model or predictions, or several."""
    kind = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    return isinstance(kind, type) and issubclass(kind, Source)
