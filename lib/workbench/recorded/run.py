"""Recorded results: what takes too long to be computed with the book, kept beside it with the command that repeats it.

    book/recorded/NAME/run.json             a run's record
    book/recorded/NAME/sweep.json           what the runs of a sweep have in common, and
    book/recorded/NAME/results.parquet      what each of them measured (`workbench.recorded.sweep`)
    book/recorded/NAME/predictions.parquet  of either kind, if asked for: what the models answered

Nothing of others is kept: no text of a corpus, no private path. Where a run read a local file, the record names what
others can get it by, and keeps the fingerprint of that file.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from workbench.core.errors import RequestError, RunError
from workbench.core.files import write_atomically
from workbench.core.project import PREDICTIONS, Project
from workbench.core.text import nearest_or_all, shown
from workbench.parameters.contract import Contract, load_contract
from workbench.parameters.request import given_parameters
from workbench.parameters.types import Source, named_sources, plain
from workbench.runs.predictions import collected
from workbench.runs.store import Run
from workbench.sweeps.summary import seed_names

RUN, SWEEP = "run.json", "sweep.json"
TABLE, POINTS = "results.parquet", "points.yml"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CIRCUMSTANCES = ("chapter", "ingredients", "parameters", "started", "seconds", "git", "python", "machine")
"""What both kinds of record hold of their runs; of a sweep's, the ingredients and parameters are its first point's."""

# Later than the first recorded results, so kept and not required: cpu_seconds.
_KEPT = (*CIRCUMSTANCES, "key", "metrics", "claims", "peak_memory_bytes")
_OF_SWEEP = (*CIRCUMSTANCES, "varied", "seeds", "points", "claims")
_OURS = ("command", "public")


@dataclass(frozen=True)
class Recorded:
    """A recorded run or sweep, read back."""

    folder: Path
    record: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called in the book."""
        return self.folder.name

    @property
    def is_sweep(self) -> bool:
        """Whether it is a sweep's."""
        return "varied" in self.record

    @property
    def file(self) -> Path:
        """The record itself."""
        return self.folder / (SWEEP if self.is_sweep else RUN)

    @property
    def chapter(self) -> str:
        """The chapter that was run."""
        return self.record["chapter"]

    @property
    def command(self) -> str:
        """The line that computes it again."""
        return self.record["command"]


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
    contract = load_contract(project, run.chapter)
    public = public_names(contract, [run.record["parameters"]["resolved"]], public or {})
    record = published({part: run.record[part] for part in (*_KEPT, "cpu_seconds")}, public)
    words = ["workbench", "run", run.chapter, *options(record["parameters"]["given"])]
    record |= {"run": run.id, "command": shlex.join(words)}
    kept = {PREDICTIONS: collected([run], seed_names(contract), public)} if predictions else {}
    return write(folder, RUN, record, kept)


def folder_for(project: Project, name: str, replace: bool) -> Path:
    """Where a result of this name is kept.

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
    """Write a record and the files beside it, and return its own; what else a record has left under this name goes.

    All of it is on the disk before anything is replaced.

    Raises:
        RunError: where that cannot be; what was there stays.
    """
    text = json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
    contents = {**others, file: f"{text}\n"}
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as new:
            for name, content in contents.items():
                write_atomically(Path(new) / name, content)
            for name in contents:
                (Path(new) / name).replace(folder / name)
        for stale in {RUN, SWEEP, TABLE, POINTS, PREDICTIONS} - contents.keys():
            (folder / stale).unlink(missing_ok=True)
    except OSError as error:
        if is_new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise RunError(f"{folder} cannot be written: {error.strerror}") from None
    return folder / file


def all_recorded(project: Project) -> list[Recorded]:
    """Every recorded result, by name.

    Raises:
        RequestError: for a record that cannot be read.
    """
    return [read_recorded(project, name) for name in _names(project)]


def _names(project: Project) -> list[str]:
    return sorted({path.parent.name for file in (RUN, SWEEP) for path in project.recorded.glob(f"*/{file}")})


def read_recorded(project: Project, name: str) -> Recorded:
    """The recorded result of this name.

    Raises:
        RequestError: where there is none, or it cannot be read.
    """
    if name not in (known := _names(project)):
        raise RequestError(f"nothing is recorded as {shown(name)}{nearest_or_all(name, known)}")
    folder = project.recorded / name
    path, parts = (folder / RUN, (*_KEPT, "run")) if (folder / RUN).exists() else (folder / SWEEP, _OF_SWEEP)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = {*parts, *_OURS} - record.keys()
    except (OSError, ValueError, AttributeError):
        missing = {"readable JSON"}
    if missing:
        raise RequestError(f"{path.relative_to(project.root)}: the record has no {', '.join(sorted(missing))}")
    return Recorded(folder, record)


def misfit(project: Project, recorded: Recorded) -> str | None:
    """What the recorded command asks for that its chapter no longer takes, or None."""
    from workbench.sweeps.grid import points_of

    _, _, chapter, *words = shlex.split(recorded.command)
    asked = {
        flag: [value for found, value in zip(words[::2], words[1::2], strict=True) if found == flag]
        for flag in ("-p", "-g", "-f")
    }
    try:
        contract = load_contract(project, chapter)
        fixed = [option for option in asked["-p"] if option.partition("=")[0] not in recorded.record["public"]]
        if recorded.is_sweep:
            points_of(contract, asked["-g"], fixed, [project.root / file for file in asked["-f"]])
        else:
            contract.resolve(given_parameters(fixed, []))
    except RequestError as error:
        return f"{recorded.name}: `{recorded.command}`: {error}"
    return None


def public_names(contract: Contract, resolved: list[dict[str, Any]], public: dict[str, str]) -> dict[str, str]:
    """What stands for each local file or folder of these runs, checked to be named, once, and no path.

    Once it is resolved, every local path is absolute, and nothing else is.

    Raises:
        RequestError: where a name is missing, not needed, or a path, or would stand for several files.
    """
    local: dict[str, set[str]] = {}
    for name, value in (pair for values in resolved for pair in values.items()):
        parameter = contract.parameters.get(name)
        if parameter is not None and _names_a_source(parameter.annotation):
            paths = {item for item in (value if isinstance(value, list) else [value]) if Path(item).is_absolute()}
            local.setdefault(name, set()).update(paths)
    local = {name: paths for name, paths in local.items() if paths}
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


def _names_a_source(annotation: Any) -> bool:
    """Whether a parameter names data, a model or predictions, or several."""
    kind = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    return isinstance(kind, type) and issubclass(kind, Source)


def changed_since(project: Project, recorded: Recorded) -> list[str]:
    """What the recorded numbers depend on and has changed since, in words; nothing while they are current.

    Data and models that others get by a public name or from the Hub are not compared: they are not here, and the Hub
    is not asked while a page is built.
    """
    from workbench.runs.keys import ingredients
    from workbench.runs.staleness import changes

    contract, record = load_contract(project, recorded.chapter), recorded.record
    given = {name: value for name, value in record["parameters"]["given"].items() if name not in record["public"]}
    values = contract.resolve(given)
    on_hub = {label.partition("[")[0] for label, source in named_sources(values).items() if source.is_hub}
    elsewhere = on_hub | record["public"].keys()
    now = ingredients(contract, {name: value for name, value in values.items() if name not in elsewhere})
    return list(changes(*(_without(parts, elsewhere) for parts in (record["ingredients"], now))))


def _without(parts: dict[str, Any], parameters: set[str]) -> dict[str, Any]:
    """Ingredients without what depends on these parameters alone."""
    left = {
        part: {label: value for label, value in parts[part].items() if label.partition("[")[0] not in parameters}
        for part in ("parameters", "data", "checkpoints")
        if part in parts
    }
    return parts | left
