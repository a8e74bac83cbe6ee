"""Deleting runs so that nothing that looks whole is half gone, and the copy of a run's notebook that people may change.

A run is first moved aside, in one step, to a name that no run has, and deleted there. What an interrupted deletion
leaves is deleted by the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock

from workbench.core.errors import RequestError, RunError
from workbench.core.files import write_atomically
from workbench.core.project import Project
from workbench.core.text import visible
from workbench.runs.store import PATIENCE, UNREADABLE_FOLDER, Run, all_runs, find_run, is_locked, lock_of, read_notebook

_ASIDE = ".removed-"


@dataclass(frozen=True)
class Choice:
    """The runs to delete where none are named; each must fit every part that is set."""

    chapter: str | None = None
    failed: bool = False
    damaged: bool = False
    older_than: float | None = None
    """Days."""

    @property
    def is_empty(self) -> bool:
        """Whether it chooses nothing in particular; a chapter alone would mean all of its runs."""
        return not (self.failed or self.damaged or self.older_than is not None)

    def fits(self, run: Run, now: datetime) -> bool:
        """Whether a run is to be deleted."""
        statuses = {"failed", "interrupted"} if self.failed else set()
        statuses |= {"damaged"} if self.damaged else set()
        if run.status == "running" or (statuses and run.status not in statuses):
            return False
        if self.older_than is None:
            return True
        limit = f"{now - timedelta(days=self.older_than):%Y%m%dT%H%M%SZ}"
        return run.id[:8].isdecimal() and run.id[:16] < limit


def chosen_runs(project: Project, names: Sequence[str], choice: Choice, now: datetime | None = None) -> list[Run]:
    """The runs that a request names or describes, damaged ones included; nothing is deleted.

    Raises:
        RequestError: for unknown or ambiguous names, one sentence each, and for a request that does neither or both.
    """
    if bool(names) is not choice.is_empty:
        raise RequestError("rm takes the names of runs, or options that say which (--failed, --damaged, --older-than)")
    if choice.chapter is not None and choice.chapter not in project.chapters():
        from workbench.parameters.contract import load_contract

        load_contract(project, choice.chapter)  # says which name is near
    if names:
        return _named_runs(project, names, choice.chapter)
    now = now or datetime.now(UTC)
    return [
        Run(run.folder, {"status": run.record.get("status")}, run.problem)  # the rest of a record is large
        for run in all_runs(project, choice.chapter, damaged=True)
        if run.id != UNREADABLE_FOLDER and choice.fits(run, now)
    ]


def _named_runs(project: Project, names: Sequence[str], chapter: str | None) -> list[Run]:
    """The runs of these names, each once."""
    runs: dict[Path, Run] = {}
    mistakes: list[str] = []
    for name in names:
        try:
            run = find_run(project, name, chapter, damaged=True)
        except RequestError as mistake:
            mistakes += mistake.sentences
            continue
        runs[run.folder] = run
        if run.id == UNREADABLE_FOLDER:
            mistakes.append(f"{visible(run.chapter)}: {run.problem}; delete it by hand")
    if mistakes:
        raise RequestError(*mistakes)
    return list(runs.values())


def refuse_running(runs: Sequence[Run]) -> None:
    """Refuse where one of these runs is under way.

    Raises:
        RequestError: one sentence for each.
    """
    running = [run for run in runs if run.problem is None and is_locked(run.folder)]
    if running:
        raise RequestError(*(f"{run.id} is running; nothing was deleted" for run in running))


def remove(project: Project, runs: Sequence[Run]) -> None:
    """Delete runs, one after the other, and what earlier deletions left.

    Raises:
        RunError: where one cannot be deleted, or has been started meanwhile; it is named.
    """
    _sweep_up(project)
    for run in runs:
        try:
            with _held(run):
                aside = run.folder.with_name(f"{_ASIDE}{secrets.token_hex(8)}")
                os.replace(run.folder, aside)  # of a link, the link
            _delete(aside)
        except FileNotFoundError:
            continue  # it is deleted already
        except OSError as error:
            raise RunError(f"{visible(run.id)} cannot be deleted: {error.strerror}") from None


def working_copy(run: Run) -> Path:
    """The copy of a run's notebook that stands beside it and may be changed; one that is there already is kept.

    Raises:
        RequestError: where the run has no notebook, or its folder cannot be written.
    """
    notebook = read_notebook(run)
    copy = run.folder / f"{run.chapter}-opened.ipynb"
    if copy.is_symlink() or (copy.exists() and not copy.is_file()):
        raise RequestError(f"{run.id}: {copy.name} is a link or no file, and is not opened")
    if not copy.exists():
        try:
            write_atomically(copy, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RequestError(f"{run.id}: its folder cannot be written: {error.strerror}") from None
    return copy


def _held(run: Run) -> contextlib.AbstractContextManager:
    """Hold a run's lock while its folder is moved; a damaged folder has none worth holding."""
    lock = run.folder / "lock"
    if run.problem is not None or lock.is_symlink() or not lock.is_file():
        return contextlib.nullcontext()
    try:
        return lock_of(run.folder).acquire(timeout=PATIENCE)
    except filelock.Timeout:
        raise RunError(f"{run.id} is running and was not deleted") from None


def _sweep_up(project: Project) -> None:
    """Delete what interrupted deletions have left."""
    with contextlib.suppress(OSError):
        for chapter in project.runs.iterdir():
            if not chapter.is_symlink() and chapter.is_dir():
                for left in chapter.glob(f"{_ASIDE}*"):
                    _delete(left)


def _delete(aside: Path) -> None:
    """Delete what was moved aside. Links, and links in folders, are deleted and not followed."""
    with contextlib.suppress(FileNotFoundError):  # another process deletes it
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink()
