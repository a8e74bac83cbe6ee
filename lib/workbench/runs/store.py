"""The record of a run: its folder, its `run.json`, and what can be read back from both.

    runs/CHAPTER/RUN_ID/run.json            the request, the results, the machine
    runs/CHAPTER/RUN_ID/CHAPTER.ipynb       the executed notebook
    runs/CHAPTER/RUN_ID/lock                held by the process that runs it, for as long as it runs

`run.json` says `running` while the lock is held; where it says so and no process holds the lock, the run was
interrupted. Records are checked as they are read (`workbench.runs.record`). The folder `runs` may be a link to where
there is room; below it links are never followed, neither to read nor to write. A folder that does not hold what a run
leaves is damaged: `workbench runs` says so, and every other command passes over it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
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

from workbench.core.errors import RequestError
from workbench.core.files import Unfit, folder_beside, read_within, write_atomically
from workbench.core.project import Project
from workbench.core.text import nearest_or_all, shown, visible
from workbench.runs.record import FORMAT, Record, Unreadable, read_record

RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}(-[0-9]+)?")
_LATEST = re.compile(r"latest(?:~([0-9]{1,6}))?")
PATIENCE = 0.5
"""Seconds to wait for a lock that another process may only be looking at, which takes less than a millisecond."""
LARGEST_RECORD = 16 * 2**20
"""Bytes; no run writes a record of this size, and reading one would cost memory."""
LARGEST_NOTEBOOK = 512 * 2**20
"""Bytes; a larger one, which no front end opens, stays on the disk but is not read, so that its run is not reused."""

UNREADABLE_FOLDER = "*"
"""The name of the damaged run that stands for a chapter's folder that cannot be looked into."""
_LINK = "is a link, and links are not followed"


@dataclass(frozen=True)
class Run:
    """A run on disk. One with a `problem` is damaged: only its folder's name is known."""

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


def made_folder(runs: Path, *names: str) -> Path:
    """The folder of these names below the runs folder, made where it is missing.

    Raises:
        RequestError: where one of them is a link, or the runs folder cannot be written.
    """
    folder = runs
    with refused_where_unwritable(runs):
        runs.mkdir(parents=True, exist_ok=True)
        for name in names:
            folder = folder / name
            if folder.is_symlink():
                raise RequestError(f"{folder} {_LINK}")
            folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def refused_where_unwritable(runs: Path) -> Iterator[None]:
    """Turn an OSError into a RequestError that names the runs folder."""
    try:
        yield
    except OSError as error:
        raise RequestError(f"the runs folder {runs} cannot be written: {error.strerror}") from None


def start_run(runs: Path, record: dict[str, Any]) -> tuple[Path, filelock.BaseFileLock]:
    """The folder of a new run, which holds its first record, and the run's lock, which this process holds.

    The folder appears with both in it: whatever stops this process, none stays that says nothing of its run.

    Raises:
        OSError: where the runs folder cannot be written; then there is no folder.
    """
    started = datetime.fromisoformat(record["started"])
    folder = unused_folder(runs, record["chapter"], record["key"], started)
    try:
        with folder_beside(folder, os.path.lexists) as new:
            held = lock_of(new)
            held.acquire()
            write_record(new, record)
    except Unfit:  # the turn of the chapter rules it out, where the file system has locks
        raise FileExistsError(errno.EEXIST, f"there is a {folder.name} already") from None
    return folder, held


def unused_folder(runs: Path, chapter: str, key: str, now: datetime) -> Path:
    """Where a new run belongs. A second run of one key within a second gets a counter behind its name."""
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{key[:8]}"
    names = itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))
    return next(runs / chapter / each for each in names if not os.path.lexists(runs / chapter / each))


def lock_of(folder: Path) -> filelock.FileLock:
    """The lock of a run's folder. The operating system releases it when the process that holds it dies."""
    return filelock.FileLock(folder / "lock")


def is_locked(folder: Path) -> bool:
    """Whether a process holds a run's lock. Looking shares it for a moment, so that others who look see the same."""
    try:
        if folder.is_symlink():
            return False
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


def iso(moment: datetime) -> str:
    """A moment as records hold it: in UTC, to the microsecond, which puts runs of one second in order."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write `run.json`, by temporary file and replacement."""
    write_atomically(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def all_runs(project: Project, chapter: str | None = None, *, damaged: bool = False) -> Iterator[Run]:
    """Every run with a readable record, newest first, read one by one; with `damaged` the others as well."""
    yield from _newest_first(_folders(project, chapter), damaged)


def find_run(project: Project, name: str, chapter: str | None = None, *, damaged: bool = False) -> Run:
    """The run that a name means: its whole name or a start of it, or a start of the digits of its key.

    `latest` is the newest run, `latest~1` the one before it. `attention/latest` is that of a chapter; any other name
    may have its chapter in front as well, as in the path of its folder. Damaged runs are passed over without `damaged`.
    Only records of runs whose name fits are read.

    Raises:
        RequestError: where there is none, or more than one, or the only one is damaged.
    """
    in_name, rest = chapter_and_name(name)
    if chapter and in_name not in (None, chapter):
        raise RequestError(f"{shown(name)} is no run of {chapter}")
    chapter = in_name or chapter
    if latest := _LATEST.fullmatch(rest):
        return _latest(project, chapter, int(latest[1] or 0))
    folders = _folders(project, chapter, lambda known: bool(rest) and known.startswith(rest))
    folders = folders or _folders(project, chapter, lambda known: bool(rest) and known[17:].startswith(rest))
    folders = [folder for folder in folders if folder.name == rest] or folders
    runs = (_run(folder, damaged or len(folders) == 1) for folder in folders)
    fitting = list(itertools.islice(filter(None, runs), 2))
    if not fitting:
        raise RequestError(f"no run {shown(name)}; `workbench runs` lists them")
    if len(fitting) > 1:
        raise RequestError(f"{shown(name)} fits {len(folders)} runs; give more of the name")
    run = fitting[0]
    if run.problem is not None and not damaged:
        raise RequestError(f"{visible(run.id)} is damaged: {run.problem}")
    return run


def chapter_and_name(name: str) -> tuple[str | None, str]:
    """The chapter, where there is one in front, and the rest of a name such as `attention/latest`."""
    parts = [None, *filter(None, name.split("/"))]
    return (parts[-2], parts[-1]) if len(parts) > 1 else (None, "")


def _latest(project: Project, chapter: str | None, before: int) -> Run:
    """The run, of a chapter or of any, that so many are newer than."""
    runs = list(itertools.islice(all_runs(project, chapter), before + 1))
    if len(runs) > before:
        return runs[before]
    if chapter is not None and not runs and chapter not in project.chapters():
        raise RequestError(f"no chapter {shown(chapter)}{nearest_or_all(chapter, project.chapters())}")
    of = f" of {chapter}" if chapter else ""
    if runs:
        raise RequestError(f"there is no run{of} before the last {len(runs)}; `workbench runs` lists them")
    raise RequestError(f"there are no runs{of} yet; `workbench run {chapter or 'CHAPTER'}` makes one")


def run_with(project: Project, name: str, part: str) -> Run:
    """The run of this name; of a chapter, the newest that has kept a folder of this name, or else the newest."""
    if name not in project.chapters():
        return find_run(project, name)
    kept = (run for run in all_runs(project, name) if (run.folder / part).is_dir())
    return next(kept, None) or find_run(project, "latest", name)


def folder_under_way(project: Project, chapter: str, key: str) -> Path | None:
    """The folder of a run of this key that a process has under way; its record may not be written yet."""
    for folder in _folders_of_key(project, chapter, key):
        if is_locked(folder):
            try:
                if _record(folder).key == key:
                    return folder
            except Unreadable:
                if not (folder / "run.json").exists():
                    return folder
    return None


def completed_run(project: Project, chapter: str, key: str) -> Run | None:
    """The newest completed run of a content key whose notebook is the one that the run wrote, if there is one."""
    for run in _newest_first(_folders_of_key(project, chapter, key)):  # their names say which records have to be read
        if run.record["key"] == key and run.status == "completed":
            with contextlib.suppress(Unreadable):
                _notebook_bytes(run)
                return run
    return None


def read_notebook(run: Run) -> dict[str, Any]:
    """The executed notebook of a run.

    Raises:
        RequestError: where there is none, or it is not the one that the run wrote.
    """
    import nbformat

    try:
        notebook = json.loads(_notebook_bytes(run))
        nbformat.validate(notebook)
    except Unreadable as problem:
        raise RequestError(f"{run.id}: {problem}") from None
    except (ValueError, RecursionError, AttributeError, nbformat.ValidationError):  # no JSON, too deep, no mapping
        raise RequestError(f"{run.id}: its {run.notebook.name} is not a notebook that can be read") from None
    return notebook


def notebook_facts(notebook: Path) -> dict[str, Any]:
    """A notebook's size and digest, which the record keeps so that another one in its place is noticed."""
    with notebook.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return {"bytes": file.tell(), "sha256": digest.hexdigest()}


# Reading what may be damaged or forged


def _folders(project: Project, chapter: str | None, fits: Callable[[str], bool] = lambda name: True) -> list[Path]:
    """The folders of runs whose names fit, newest first by their names. Nothing in them is opened.

    A chapter's folder that cannot be looked into is one `UNREADABLE_FOLDER`.
    """
    folders: list[Path] = []
    for place in project.runs.glob("[!.]*"):
        if chapter in (None, place.name):
            try:
                names = [entry.name for entry in _entries(place) if _is_run(entry)]
            except Unreadable:
                names = [UNREADABLE_FOLDER]
            folders += [place / name for name in names if fits(name)]
    return sorted(folders, key=lambda folder: folder.name, reverse=True)


def _folders_of_key(project: Project, chapter: str, key: str) -> list[Path]:
    return _folders(project, chapter, lambda name: name[17:25] == key[:8])


def _entries(place: Path) -> list[os.DirEntry[str]]:
    """What a chapter's folder holds, but for hidden names; Unreadable where it cannot be looked into."""
    if not place.name.isprintable():
        raise Unreadable("the chapter's folder has a name that no chapter has")
    try:
        if place.is_symlink():
            raise Unreadable(f"the chapter's folder {_LINK}")
        return [entry for entry in os.scandir(place) if entry.name[0] != "."] if place.is_dir() else []
    except OSError as error:
        raise Unreadable(f"the chapter's folder cannot be read: {error.strerror}") from None


def _is_run(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a chapter's folder is, or pretends to be, a run."""
    return (
        entry.is_symlink()
        or RUN_ID.fullmatch(entry.name) is not None
        or (entry.is_dir() and os.path.lexists(f"{entry.path}/run.json"))
    )


def _newest_first(folders: Iterable[Path], damaged: bool = False) -> Iterator[Run]:
    """The runs in sorted folders; where several started in one second, their records say the order.

    A record of an earlier version has no fractions of the second and counts as the oldest.
    """
    for _, of_one_second in itertools.groupby(folders, key=lambda folder: folder.name[:16]):
        runs = filter(None, (_run(folder, damaged) for folder in of_one_second))
        yield from sorted(runs, key=lambda run: run.record.get("started", "").removesuffix("Z"), reverse=True)


def _run(folder: Path, damaged: bool) -> Run | None:
    """The run in a folder. None for one that is only just starting, and without `damaged` for a damaged one."""
    try:
        return Run(folder, _record(folder).model_dump())
    except Unreadable as error:
        is_starting = is_locked(folder) and not (folder / "run.json").exists()
        return Run(folder, {}, str(error)) if damaged and not is_starting else None


def _record(folder: Path) -> Record:
    """The record in a run's folder; Unreadable where it, or the notebook beside it, is not this run's."""
    if folder.name == UNREADABLE_FOLDER:
        _entries(folder.parent)  # raises what is wrong with it
    try:
        kind = folder.lstat().st_mode
    except OSError as error:
        raise Unreadable(f"it cannot be looked into: {error.strerror}") from None
    if stat.S_ISLNK(kind):
        raise Unreadable(f"it {_LINK}")
    if not stat.S_ISDIR(kind):
        raise Unreadable("it is not a folder")
    if not RUN_ID.fullmatch(folder.name):
        raise Unreadable("its name is not that of a run")
    record = read_record(_bytes(folder / "run.json", LARGEST_RECORD))
    chapter, digits = folder.parent.name, folder.name[17:25]
    record.chapter = chapter if record.chapter is None else record.chapter
    if record.chapter != chapter:
        raise Unreadable(f"its run.json is that of a run of {shown(visible(record.chapter))}")
    if record.key[:8] != digits:
        raise Unreadable("its run.json is that of another run")
    if record.format != FORMAT:
        raise Unreadable(f"its run.json has the format {record.format}, and this version reads {FORMAT}")
    try:
        notebook = (folder / f"{chapter}.ipynb").lstat()
    except OSError:
        return record  # a run that was stopped early has none, and a large one may have been deleted
    if not stat.S_ISREG(notebook.st_mode):
        raise Unreadable(f"its {chapter}.ipynb is a link or no file, and links are not followed")
    if record.notebook is not None and notebook.st_size != record.notebook.bytes:
        raise Unreadable(f"its {chapter}.ipynb is not the one that the run wrote")
    return record


def _notebook_bytes(run: Run) -> bytes:
    """The content of a run's notebook; Unreadable where it is not the one that the run wrote, or too large."""
    content = _bytes(run.notebook, LARGEST_NOTEBOOK)
    known = run.record.get("notebook")
    if known is not None and hashlib.sha256(content).hexdigest() != known["sha256"]:
        raise Unreadable(f"its {run.notebook.name} is not the one that the run wrote")
    return content


def _bytes(path: Path, most: int) -> bytes:
    """The content of an ordinary file of at most so many bytes; Unreadable for links, pipes and anything else."""
    name = visible(path.name)
    try:
        return read_within(path, most, through_links=False)
    except FileNotFoundError:
        raise Unreadable(f"it has no {name}") from None
    except Unfit as problem:
        raise Unreadable(f"its {name} {problem}") from None
