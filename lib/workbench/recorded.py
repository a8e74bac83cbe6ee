"""Recorded runs: results too long to compute with the book, kept beside it with the command that makes them again.

`book/recorded/NAME/run.json` is a run's record without anything of others in it: no text of a corpus, no private path.
Where a run read a local file, the record names what others can get it by, and keeps the fingerprint of that file.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.contract import Contract, load_contract
from workbench.project import Project, RequestError, nearest_or_all, write_atomically
from workbench.records import Run
from workbench.request import given_parameters
from workbench.types import Dataset, Model, named_sources, plain, shown

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KEPT = ("chapter", "key", "ingredients", "parameters", "started", "seconds", "metrics", "claims")
_KEPT += ("git", "python", "machine", "peak_memory_bytes", "energy")


@dataclass(frozen=True)
class Recorded:
    """A recorded run, read back."""

    name: str
    record: dict[str, Any]

    @property
    def chapter(self) -> str:
        """The chapter that was run."""
        return self.record["chapter"]

    @property
    def command(self) -> str:
        """The line that computes it again."""
        return self.record["command"]


def record_run(
    project: Project, run: Run, name: str, public: dict[str, str] | None = None, *, replace: bool = False
) -> Path:
    """Keep a completed run as `book/recorded/NAME/run.json` and return that file.

    Args:
        project: the checkout.
        run: a completed run.
        name: lower-case words joined by hyphens.
        public: for each parameter that was a local file or folder, what others can get it by (`mnist.csv of https://…`,
            a Hub id); it stands in the record and the command instead of the path.
        replace: whether a record of this name may be replaced.

    Raises:
        RequestError: for a run that did not complete, a name that cannot be used or is taken, or a local file that
            nothing public is named for.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(f"{shown(name)} is not a name of lower-case words joined by hyphens")
    if run.status != "completed":
        raise RequestError(f"{run.id} {run.status}; only a completed run can be recorded")
    target = project.recorded / name / "run.json"
    if target.exists() and not replace:
        raise RequestError(f"{name} is recorded already; --replace puts this run in its place")
    contract = load_contract(project, run.chapter)
    public = _public_names(contract, run, public or {})
    record = {part: run.record[part] for part in _KEPT}
    for values in (
        record["parameters"]["given"],
        record["parameters"]["resolved"],
        record["ingredients"]["parameters"],
    ):
        values.update({parameter: value for parameter, value in public.items() if parameter in values})
    record["run"] = run.id
    record["public"] = public
    record["command"] = _command(run.chapter, record["parameters"]["given"])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n")
    return target


def all_recorded(project: Project) -> list[Recorded]:
    """Every recorded run, by name.

    Raises:
        RequestError: for a record that cannot be read.
    """
    return [read_recorded(project, path.parent.name) for path in sorted(project.recorded.glob("*/run.json"))]


def read_recorded(project: Project, name: str) -> Recorded:
    """The recorded run of this name.

    Raises:
        RequestError: where there is none, or it cannot be read.
    """
    path = project.recorded / name / "run.json"
    known = [found.parent.name for found in project.recorded.glob("*/run.json")]
    if name not in known:
        raise RequestError(f"nothing is recorded as {shown(name)}{nearest_or_all(name, known)}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = {*_KEPT, "command", "run", "public"} - record.keys()
    except (OSError, ValueError, AttributeError):
        missing = {"readable JSON"}
    if missing:
        raise RequestError(f"{path.relative_to(project.root)}: the record has no {', '.join(sorted(missing))}")
    return Recorded(name, record)


def misfit(project: Project, recorded: Recorded) -> str | None:
    """What the recorded command asks for that its chapter no longer takes, or None."""
    _, _, chapter, *options = shlex.split(recorded.command)
    public = recorded.record["public"]
    try:
        given = given_parameters(
            [value for flag, value in zip(options[::2], options[1::2], strict=True) if flag == "-p"], []
        )
        load_contract(project, chapter).resolve({name: value for name, value in given.items() if name not in public})
    except RequestError as error:
        return f"{recorded.name}: `{recorded.command}`: {error}"
    return None


def _public_names(contract: Contract, run: Run, public: dict[str, str]) -> dict[str, str]:
    """What stands for each local file or folder of a run, checked to be named, once, and no path.

    Once it is resolved, every local path is absolute, and nothing else is.
    """
    local = {
        name
        for name, value in run.record["parameters"]["resolved"].items()
        if name in contract.parameters
        and contract.parameters[name].annotation in (Dataset, Model, list[Dataset], list[Model])
        and any(Path(item).is_absolute() for item in (value if isinstance(value, list) else [value]))
    }
    for name in sorted(local - public.keys()):
        raise RequestError(f"{name} was a local file; --public {name}=… says what others can get it by")
    for name in sorted(public.keys() - local):
        raise RequestError(f"--public {name}: {name} was no local file in this run")
    for name, value in public.items():
        if not value.strip() or Path(value).is_absolute() or value.startswith(("~", ".")):
            raise RequestError(
                f"--public {name}: {shown(value)} is a path of this machine, and others need a name for the data"
            )
    return public


def _command(chapter: str, given: dict[str, Any]) -> str:
    words = ["workbench", "run", chapter]
    for name, value in given.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(plain(value))
        words += ["-p", f"{name}={text}"]
    return shlex.join(words)


def changed_since(project: Project, recorded: Recorded) -> list[str]:
    """What the recorded numbers depend on and has changed since, in words; nothing while they are current.

    Data and models that others get by a public name or from the Hub are not compared: they are not here, and the Hub
    is not asked while a page is built.
    """
    from workbench.keys import ingredients

    contract = load_contract(project, recorded.chapter)
    given = recorded.record["parameters"]["given"]
    values = contract.resolve({name: value for name, value in given.items() if name not in recorded.record["public"]})
    on_hub = {label.partition("[")[0] for label, source in named_sources(values).items() if source.is_hub}
    elsewhere = on_hub | recorded.record["public"].keys()
    here = {name: value for name, value in values.items() if name not in elsewhere}
    then, now = recorded.record["ingredients"], ingredients(contract, here)
    return [
        *(["the chapter's code has changed"] if then["code"] != now["code"] else []),
        *(f"{name} has changed" for name in _different(then["modules"], now["modules"])),
        *(f"{name} names other weights" for name, old in then.get("checkpoints", {}).items()
          if name.partition("[")[0] not in elsewhere and now["checkpoints"].get(name) != old),
        *(f"{name} {then['versions'].get(name, 'none')} → {now['versions'].get(name, 'none')}"
          for name in _different(then["versions"], now["versions"])),
    ]  # fmt: skip


def _different(then: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
