"""The record of a run: its folder, its `run.json`, and what can be read back from both.

    runs/CHAPTER/RUN_ID/run.json            what was asked, what came out, on what machine
    runs/CHAPTER/RUN_ID/CHAPTER.ipynb       the executed notebook
    runs/CHAPTER/RUN_ID/lock                held by the process that runs it, for as long as it runs

`run.json` says `running` while the lock is held. A record that says so and whose lock nobody holds was interrupted.
What stands in the runs folder is checked before it is believed (`workbench.runs.record`): links are never followed,
and a folder that does not hold what a run leaves is damaged, which `workbench runs` says and every other command passes
over.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from workbench.core.project import Project
from workbench.core.errors import RequestError
from workbench.core.files import write_atomically
from workbench.runs.record import Unreadable, checked, is_executed_notebook
from workbench.core.text import visible
from workbench.core.text import shown

RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}(-[0-9]+)?")
FORMAT = 1
PATIENCE = 0.5
"""Seconds to wait for a run's lock that another process may only be looking at, which takes less than a millisecond."""
LARGEST_RECORD = 16 * 2**20
"""Bytes; no run writes a record of this size, and reading one would cost memory."""


@dataclass(frozen=True)
class Run:
    """A run on disk. One with a `problem` is damaged: nothing but its folder's name is known of it."""

    folder: Path
    record: dict[str, Any]
    problem: str | None = None

    @property
    def id(self) -> str:
        """The run's name: UTC time to the second, and the first eight digits of the content key."""
        return self.folder.name

    @property
    def chapter(self) -> str:
        """The chapter that was run."""
        return self.folder.parent.name

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.folder / f"{self.chapter}.ipynb"

    @property
    def status(self) -> str:
        """`running`, `completed`, `failed`, `interrupted`, or `damaged`."""
        if self.problem is not None:
            return "damaged"
        status = self.record["status"]
        return "interrupted" if status == "running" and not is_locked(self.folder) else status

    def as_json(self) -> dict[str, Any]:
        """The record, with the status as it is now; of a damaged run what is wrong with it."""
        if self.problem is not None:
            return {"chapter": visible(self.chapter), "status": "damaged", "problem": self.problem}
        return {**self.record, "status": self.status}


def new_run_folder(runs: Path, chapter: str, key: str, now: datetime) -> Path:
    """A new, empty folder for a run. A second run of one key within a second gets a counter behind its name.

    Raises:
        RequestError: where the runs folder cannot be written.
    """
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{key[:8]}"
    for suffix in ("", *(f"-{count}" for count in range(2, 1000))):
        folder = runs / chapter / f"{name}{suffix}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise RequestError(
                    f"the runs folder {runs} cannot be written: {folder.parent} is not a folder"
                ) from None
        except OSError as error:
            raise RequestError(f"the runs folder {runs} cannot be written: {error.strerror}") from None
    raise RequestError(f"{runs / chapter} holds a thousand runs of this second")


def lock_of(folder: Path) -> filelock.FileLock:
    """The lock of a run's folder. The operating system releases it when the process that holds it dies."""
    return filelock.FileLock(folder / "lock")


def is_locked(folder: Path) -> bool:
    """Whether a process holds a run's lock. To look at it is to share it for a moment, so that others see the same."""
    try:
        import fcntl
    except ImportError:
        return _is_locked_without_fcntl(folder)
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_locked_without_fcntl(folder: Path) -> bool:
    if (folder / "lock").is_symlink() or not (folder / "lock").is_file():
        return False
    try:
        with lock_of(folder).acquire(timeout=PATIENCE):  # which may be that of another who looks
            return False
    except (filelock.Timeout, OSError):
        return True




def iso(moment: datetime) -> str:
    """A moment as records hold it: in UTC, to the microsecond, since runs of one second are put in order by it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write `run.json`, by temporary file and replacement."""
    write_atomically(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def all_runs(project: Project, chapter: str | None = None, *, damaged: bool = False) -> Iterator[Run]:
    """Every run with a readable record, newest first, read as it is wanted; with `damaged` the others as well."""
    yield from _newest_first(_folders(project.runs, chapter), damaged)


def find_run(project: Project, name: str, chapter: str | None = None, *, damaged: bool = False) -> Run:
    """The run of this name, or the one run whose name starts so, or the newest one for `latest`.

    Damaged runs are passed over unless they are asked for. Only records of runs whose name fits are read.

    Raises:
        RequestError: where there is none, or more than one, or the one that is meant is damaged.
    """
    if name == "latest":
        run = next(all_runs(project, chapter), None)
        if run is None:
            raise RequestError("there are no runs yet; `workbench run CHAPTER` makes one")
        return run
    folders = _folders(project.runs, chapter, lambda found: bool(name) and found.startswith(name))
    folders = [found for found in folders if found[0].name == name] or folders
    runs = []
    for folder, problem in folders:
        run = _run(folder, problem, damaged=True)
        if run is not None and (damaged or run.problem is None or len(folders) == 1):
            runs.append(run)
        if len(runs) > 1:
            raise RequestError(f"{shown(name)} fits {len(folders)} runs; give more of the name")
    if not runs:
        raise RequestError(f"no run {shown(name)}; `workbench runs` lists them")
    if runs[0].problem is not None and not damaged:
        raise RequestError(f"{visible(runs[0].id)} is damaged: {runs[0].problem}")
    return runs[0]


def runs_of_key(project: Project, chapter: str, key: str) -> Iterator[Run]:
    """The runs of a content key, newest first. The folders' names say which records have to be read."""
    folders = _folders(project.runs, chapter, lambda found: found[17:25] == key[:8])
    yield from (run for run in _newest_first(folders) if run.record["key"] == key)


def folder_under_way(project: Project, chapter: str, key: str) -> Path | None:
    """The folder of a run of this key that a process has under way, which may not have come to write its record yet."""
    for folder, problem in _folders(project.runs, chapter, lambda found: found[17:25] == key[:8]):
        if problem is None and is_locked(folder):
            try:
                if _record(folder)["key"] == key:
                    return folder
            except Unreadable:
                if not (folder / "run.json").exists():
                    return folder
    return None


def completed_run(project: Project, chapter: str, key: str) -> Run | None:
    """The newest completed run of a content key whose notebook is the one that the run wrote, if there is one."""
    for run in runs_of_key(project, chapter, key):
        if run.status == "completed":
            with contextlib.suppress(Unreadable):
                _notebook_bytes(run)
                return run
    return None


def read_notebook(run: Run) -> dict[str, Any]:
    """The executed notebook of a run.

    Raises:
        RequestError: where there is none, or it is not the one that the run wrote.
    """
    try:
        notebook = json.loads(_notebook_bytes(run))
    except Unreadable as problem:
        raise RequestError(f"{run.id}: {problem}") from None
    except (ValueError, RecursionError):
        notebook = None
    if not is_executed_notebook(notebook):
        raise RequestError(f"{run.id}: its {run.notebook.name} is not a notebook that can be read")
    return notebook


def notebook_facts(notebook: Path) -> dict[str, Any]:
    """What the record keeps of the notebook, so that another one in its place is noticed: its size and its digest."""
    content = notebook.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


# Reading what may be damaged or forged


def _folders(
    runs: Path, chapter: str | None = None, fits: Callable[[str], bool] = lambda name: True
) -> list[tuple[Path, str | None]]:
    """What stands where runs do, each with what is wrong with it at first sight. Nothing is opened.

    Names put them in order, newest first, but for those of one second; see `_newest_first`.
    """
    found: list[tuple[Path, str | None]] = []
    for place in _entries(runs):
        if chapter not in (None, place.name):
            continue
        problem = _problem_of_chapter_folder(place)
        entries: Iterable[os.DirEntry[str]] = ()
        if problem is None and place.is_dir(follow_symlinks=False):
            try:
                entries = _entries(place.path, strict=True)
            except OSError as error:
                problem = f"the chapter's folder cannot be read: {error.strerror}"
        if problem is not None and fits("*"):
            found.append((Path(place.path, "*"), problem))
        for entry in entries:
            if fits(entry.name):
                is_run, problem = _first_sight(entry)
                if is_run:
                    found.append((Path(entry.path), problem))
    return sorted(found, key=lambda each: each[0].name, reverse=True)


def _newest_first(folders: Iterable[tuple[Path, str | None]], damaged: bool = False) -> Iterator[Run]:
    """The runs in folders that come from `_folders`; where several started in one second, their records say the order.

    A record of an earlier version has no fractions of the second and counts as the oldest.
    """
    for _, of_one_second in itertools.groupby(folders, key=lambda found: found[0].name[:16]):
        runs = [run for folder, problem in of_one_second if (run := _run(folder, problem, damaged)) is not None]
        yield from sorted(runs, key=lambda run: run.record.get("started", "").removesuffix("Z"), reverse=True)


def _entries(folder: str | Path, *, strict: bool = False) -> list[os.DirEntry[str]]:
    """What a folder holds, but for hidden names; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        if strict:
            raise
        return []


def _problem_of_chapter_folder(place: os.DirEntry[str]) -> str | None:
    if place.is_symlink():
        return "the chapter's folder is a link, and links are not followed"
    return None if place.name.isprintable() else "the chapter's folder has a name that no chapter has"


def _first_sight(entry: os.DirEntry[str]) -> tuple[bool, str | None]:
    """Whether an entry of a chapter's folder is, or pretends to be, a run; and what is wrong with it."""
    is_named = RUN_ID.fullmatch(entry.name) is not None
    if entry.is_symlink():
        return True, "it is a link, and links are not followed"
    if not entry.is_dir(follow_symlinks=False):
        return is_named, "it is not a folder"
    if not is_named:
        return os.path.lexists(os.path.join(entry.path, "run.json")), "its name is not that of a run"  # noqa: PTH118
    return True, None


def _run(folder: Path, problem: str | None, damaged: bool) -> Run | None:
    """The run in a folder; None for a damaged one that is not asked for, and for one that is only just starting."""
    if problem is None:
        try:
            return Run(folder, _record(folder))
        except Unreadable as found:
            problem = str(found)
        if not (folder / "run.json").exists() and is_locked(folder):
            return None
    return Run(folder, {}, problem) if damaged else None


def _record(folder: Path) -> dict[str, Any]:
    """The record in a run's folder, checked.

    Raises:
        Unreadable: with what is wrong.
    """
    record = checked(_bytes(folder / "run.json", LARGEST_RECORD))
    chapter, digits = folder.parent.name, folder.name[17:25]
    if record.setdefault("chapter", chapter) != chapter:
        raise Unreadable(f"its run.json is that of a run of {shown(visible(record['chapter']))}")
    if record["key"][:8] != digits:
        raise Unreadable("its run.json is that of another run")
    if record["format"] != FORMAT:
        raise Unreadable(f"its run.json has the format {record['format']}, and this version reads {FORMAT}")
    try:
        found = os.lstat(folder / f"{chapter}.ipynb")
    except OSError:
        return record  # a run that was stopped early has none, and somebody may have deleted a large one
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"its {chapter}.ipynb is a link or no file, and links are not followed")
    if record["notebook"] is not None and found.st_size != record["notebook"]["bytes"]:
        raise Unreadable(f"its {chapter}.ipynb is not the one that the run wrote")
    return record


def _notebook_bytes(run: Run) -> bytes:
    """The content of a run's notebook.

    Raises:
        Unreadable: where there is none, or it is not the one that the run wrote.
    """
    content = _bytes(run.notebook)
    known = run.record.get("notebook")
    if known is not None and hashlib.sha256(content).hexdigest() != known["sha256"]:
        raise Unreadable(f"its {run.notebook.name} is not the one that the run wrote")
    return content


def _bytes(path: Path, most: int | None = None) -> bytes:
    """The content of an ordinary file. A link is not followed, and a pipe is not waited for.

    Raises:
        Unreadable: for anything else.
    """
    name = visible(path.name)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
            raise Unreadable(f"its {name} is a link, and links are not followed")
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise Unreadable(f"it has no {name}") from None
    except OSError as error:
        if path.is_symlink():
            raise Unreadable(f"its {name} is a link, and links are not followed") from None
        raise Unreadable(f"its {name} cannot be read: {error.strerror}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or (most is not None and found.st_size > most):
        os.close(descriptor)
        is_file = stat.S_ISREG(found.st_mode)
        raise Unreadable(f"its {name} is larger than {most // 2**20} MiB" if is_file else f"its {name} is not a file")
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read()
        except OSError as error:
            raise Unreadable(f"its {name} cannot be read: {error.strerror}") from None
