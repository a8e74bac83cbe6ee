"""Running a chapter: from a checked request to a run folder whose record is true at every moment."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import filelock

from workbench.core.errors import NotSaved, RequestError, RunError, sentences_of
from workbench.core.machine import git_state, machine
from workbench.core.project import Project
from workbench.core.secrets import Secrets
from workbench.core.text import COLOURS
from workbench.parameters.contract import Contract
from workbench.parameters.datasets import check_datasets
from workbench.parameters.types import Source, named_sources, plain
from workbench.runs import store
from workbench.runs.executed import parse_executed
from workbench.runs.keys import content_key, ingredients, installed, refuse_changed_code
from workbench.runs.record import FORMAT, Parameters, Record
from workbench.runs.store import Run

_ERROR_LINES = 12
_PATIENCE = 30  # seconds for another process to look for a chapter's runs


class Reporter:
    """What is told how a run goes. This one says nothing; others have these methods too."""

    def preparing(self, done: int, total: int, what: str, *, unit: Literal["steps", "bytes"] = "steps") -> None:
        """Data are prepared before the chapter starts."""

    def started(self, chapter: str, cells: int) -> None:
        """The chapter starts."""

    def cell(self, number: int, title: str, seconds: float | None) -> None:
        """A code cell starts (no seconds yet) or has ended."""


@dataclass(frozen=True)
class Limits:
    """Time limits in seconds; None is no limit."""

    cell: float | None = 1800
    run: float | None = None


def run_chapter(
    project: Project,
    contract: Contract,
    request: dict[str, Any],
    reporter: Reporter,
    *,
    force: bool = False,
    limits: Limits = Limits(),
    environment: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> tuple[Run, bool]:
    """The run of a chapter with these parameters, and whether it is another one that is reused.

    A run of the same key that another process has under way is waited for, and reused if it completes. The run may have
    ended badly: its record says so. `environment` holds variables of the kernel that differ from this process's.

    Raises:
        RequestError: for values that do not fit, local data that the chapter cannot load, or a runs folder that cannot
            be written; nothing is written.
        RunError: for data that cannot be prepared, or code that is not Python, and then nothing is written; or for a
            disk that is full, and then the run counts as interrupted.
        KeyboardInterrupt: on Ctrl-C, after the record says `interrupted`.
    """
    values = contract.resolve(request)
    _check_writable(project.runs)
    build_shipped(values, reporter)
    with sentences_of(OSError, ValueError):  # a file that is no text, say
        parts = ingredients(contract, values)
    pinned = prepare(contract, request, parts, reporter)
    key = content_key(parts)
    if not force and (earlier := store.completed_run(project, contract.chapter, key)):
        return earlier, True
    check_datasets(contract, values, parts["data"])
    injected = {name: plain(values[name]) for name in request} | pinned
    secrets, facts = Secrets({**os.environ, **(environment or {})}), circumstances(project, contract)
    while True:
        with turn(project.runs, contract.chapter):
            if not force and (earlier := store.completed_run(project, contract.chapter, key)):
                return earlier, True
            twin = None if force else store.folder_under_way(project, contract.chapter, key)
            if twin is None:
                record = first_record(contract, key, parts, request, values, now(), facts)
                with store.refused_where_unwritable(project.runs):
                    folder, held = store.start_run(project.runs, record)
                break
        reporter.preparing(0, 1, f"waiting for {twin.name}, which computes the same")
        with store.lock_of(twin):
            pass
    try:
        _execute(contract, injected, folder, record, reporter, limits, secrets)
    except OSError as error:  # a record that cannot be written any more says `running`, which reads as interrupted
        raise RunError(f"{folder.name} was stopped: its folder cannot be written: {error.strerror}") from None
    finally:
        held.release()
    return Run(folder, record), False


@contextlib.contextmanager
def turn(runs: Path, chapter: str) -> Iterator[None]:
    """A lock under which one process at a time looks for a chapter's runs and makes a folder; it takes milliseconds.

    Raises:
        RequestError: where the runs folder cannot be written.
        RunError: where a process holds it that stands still.
    """
    folder = store.made_folder(runs, chapter)
    lock = folder / ".lock"
    with store.refused_where_unwritable(runs):
        try:
            turn = filelock.FileLock(lock).acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            raise RunError(f"another process has held {lock} for {_PATIENCE} seconds; does it stand still?") from None
    with turn:
        yield


def _check_writable(runs: Path) -> None:
    """Refuse early where the runs folder cannot be written."""
    existing = next(folder for folder in (runs, *runs.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise RequestError(f"the runs folder {runs} cannot be written")


def build_shipped(values: dict[str, Any], reporter: Reporter) -> None:
    """Build the data that come with the workbench, once and in sight: the content key holds their fingerprints.

    Raises:
        RunError: for data that cannot be built.
    """
    for name, source in named_sources(values).items():
        if source.is_shipped:
            _prepare(name, source, reporter)


def _prepare(name: str, source: Source, reporter: Reporter) -> None:
    try:
        source.prepare(reporter.preparing)
    except (OSError, ValueError) as error:
        raise RunError(f"{name}: {source} cannot be prepared: {error}") from None


def prepare(contract: Contract, request: dict[str, Any], parts: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Download what data sets and models need, once and in sight, before a kernel would do it in silence.

    The kernel could not download everything: it does not get the token that a private repository asks for. What is
    returned are the values that name something on the Hub, at the commits that the key's parts were made of. With these
    the chapter reads what its record says, even if the Hub has moved on meanwhile.

    Raises:
        RunError: for data or a model that cannot be prepared.
    """
    values, fingerprints = contract.resolve(request), parts["data"] | parts["checkpoints"]
    at_commit = {label: fingerprints[label] for label, source in named_sources(values).items() if source.is_hub}
    pinned: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, list):
            new = [at_commit.get(f"{name}[{place}]", plain(item)) for place, item in enumerate(value)]
        else:
            new = at_commit.get(name, plain(value))
        if new != plain(value):
            pinned[name] = new
    for name, source in named_sources(contract.resolve({**request, **pinned})).items():
        _prepare(name, source, reporter)
    return pinned


def circumstances(project: Project, contract: Contract) -> dict[str, Any]:
    """The commit, versions and machine that a run's record names; asking for them takes a while."""
    return {
        "git": git_state(project.root),
        "python": platform.python_version(),
        "packages": installed(contract),
        "machine": machine(),
    }


def first_record(
    contract: Contract,
    key: str,
    parts: dict[str, Any],
    request: dict[str, Any],
    values: dict[str, Any],
    started: datetime,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """The record of a run that has just started; `facts` are its `circumstances`."""
    given, resolved = ({name: plain(value) for name, value in each.items()} for each in (request, values))
    record = Record(
        format=FORMAT,
        chapter=contract.chapter,
        status="running",
        key=key,
        ingredients=parts,
        parameters=Parameters(given=given, resolved=resolved),
        started=store.iso(started),
        **facts,
    )
    return record.model_dump()


def _execute(
    contract: Contract,
    injected: dict[str, Any],
    folder: Path,
    record: dict[str, Any],
    reporter: Reporter,
    limits: Limits,
    secrets: Secrets,
) -> None:
    """Execute into the folder, and complete the record whatever happens."""
    import nbformat
    from papermill import execute_notebook

    from workbench.runs.engine import ENGINE, Usage

    usage, watch = Usage(), _Watch(contract, reporter)
    reporter.started(contract.chapter, len(contract.code_cells) + bool(injected))
    destination = folder / contract.path.name
    record["status"] = "interrupted"  # holds for whatever ends this function without another word
    started, clock = datetime.fromisoformat(record["started"]), time.perf_counter()
    try:
        execute_notebook(
            nbformat.from_dict(contract.notebook),  # a copy
            None,
            injected,
            engine_name=ENGINE,
            progress_bar=False,
            destination=destination,
            secrets=secrets,
            watch=watch,
            usage=usage,
            cell_limit=limits.cell,
            run_limit=limits.run,
        )
        refuse_changed_code(contract, record["ingredients"])
        record["status"] = "completed"
    except NotSaved:
        raise
    except Exception as error:  # whatever stopped the chapter is the run's outcome
        record |= {"status": "failed", "error": _error(error, watch, secrets)}
    finally:
        seconds = round(time.perf_counter() - clock, 3)
        record |= {
            "ended": store.iso(started + timedelta(seconds=seconds)),  # the clock may have been set since
            "seconds": seconds,
            "cells": watch.cells,
            "peak_memory_bytes": usage.peak_bytes or None,
            "cpu_seconds": round(usage.cpu_seconds, 2) or None,
        }
        if destination.exists():
            executed = parse_executed(json.loads(destination.read_text(encoding="utf-8")))
            facts = store.notebook_facts(destination)
            recorded = {"sources": executed.sources, "metrics": executed.metrics, "claims": executed.claims}
            record |= recorded | {"notebook": facts}
        store.write_record(folder, record)


class _Watch:
    """Passes a run's code cells on to the reporter under their section's title, and keeps their times."""

    def __init__(self, contract: Contract, reporter: Reporter) -> None:
        self.cells: list[dict[str, Any]] = []
        self.current: str | None = None
        self._titles = _section_titles(contract)
        self._reporter = reporter

    def __call__(self, cell: dict[str, Any], seconds: float | None) -> None:
        """Note that a cell starts (no seconds yet) or has ended."""
        self.current = cell.get("id")
        if seconds is not None:
            self.cells.append({"id": self.current, "seconds": round(seconds, 3)})
        number = len(self.cells) + (seconds is None)
        self._reporter.cell(number, self._titles.get(self.current, ""), seconds)


def _section_titles(contract: Contract) -> dict[str, str]:
    """The heading above each code cell, by cell id."""
    titles, heading = {}, contract.chapter
    for cell in contract.notebook["cells"]:
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+ +(.+)$", "".join(cell["source"]), re.MULTILINE)
            heading = headings[-1] if headings else heading
        elif cell["cell_type"] == "code":
            titles[cell.get("id")] = heading
    return titles


def _error(error: Exception, watch: _Watch, secrets: Secrets) -> dict[str, Any]:
    """What went wrong, where, and the end of the traceback, with colours and secrets taken out."""
    name, message = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", None) or str(error)
    lines = "\n".join(getattr(error, "traceback", None) or [str(error)])
    name, message, lines = (secrets.redact(COLOURS.sub("", text)).strip() for text in (name, message, lines))
    return {
        "cell": watch.current,
        "number": len(watch.cells),
        "name": name,
        "message": message.partition("\n")[0].strip(),
        "traceback": lines.splitlines()[-_ERROR_LINES:],
    }
