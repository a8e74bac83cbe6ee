"""The user's cache folder, and tables kept in it: what is costly to make is made once, by one process at a time.

`largemodels.data.corpora` keeps its sentences here, and `largemodels.data.hub` what it knows of the repositories it has
read.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import platformdirs
from filelock import FileLock, Timeout

from largemodels.base.files import replacing

if TYPE_CHECKING:
    import pandas as pd


class Progress(Protocol):
    """Called while something takes its time."""

    def __call__(self, done: int, total: int, what: str, *, unit: Literal["steps", "bytes"] = "steps") -> None:
        """So many units of all are done, and this goes on."""


WAITING = "waiting for another process to build the corpus"
KEPT_CACHE_FILES = 3


def cache_folder() -> Path:
    """The folder that everything is kept in: `$WORKBENCH_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("WORKBENCH_CACHE") or platformdirs.user_cache_dir("large-model-workbench"))


def kept_table(
    path: Path, stem: str, columns: Sequence[str], build: Callable[[], pd.DataFrame], progress: Progress | None = None
) -> pd.DataFrame:
    """The table kept in the file `path`, built first where there is none; one process builds while others wait.

    Args:
        path: the file. Its name changes with whatever decides the table's content.
        stem: what the names of such files begin with; of these the newest few stay.
        columns: that a table in the file must have to be believed.
    """
    folder = path.parent
    if (frame := _read_table(path, columns)) is not None:
        return frame
    lock = FileLock(folder / f"{stem}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        locked = _acquire(lock, progress)
    except OSError as error:
        _warn_uncached(folder, error)
        return build()
    with locked:
        if (frame := _read_table(path, columns)) is None:
            frame = build()
            _write_table(frame, path)
            _remove_old(folder, stem)
    return frame


def _acquire(lock: FileLock, progress: Progress | None) -> AbstractContextManager:
    """The lock, taken; where another process has it, `progress` is told that it is waited for."""
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        if progress:
            progress(0, 1, WAITING)
        return lock.acquire()


def table_digest(frame: pd.DataFrame) -> str:
    """A hexadecimal SHA-256 of a table's values, by row and column."""
    digest = hashlib.sha256()
    for row in frame.itertuples(index=False):
        digest.update(f"{row!r}\n".encode())
    return digest.hexdigest()


def kept_digest(path: Path) -> str | None:
    """The digest of the table kept in the file `path`; None where there is no such table."""
    try:
        return _digest_file(path).read_text() if path.is_file() else None
    except OSError:
        return None


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    """The table of a cache file, or None if there is none or it is damaged."""
    if not path.is_file():
        return None
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError):  # pyarrow's errors are among these
        return None
    return frame if tuple(frame.columns) == tuple(columns) else None


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    try:
        with replacing(path) as partial:
            frame.to_parquet(partial, index=False)
        with replacing(_digest_file(path)) as partial:
            partial.write_text(table_digest(frame))
    except OSError as error:
        _warn_uncached(path.parent, error)


def _remove_old(folder: Path, stem: str) -> None:
    """Remove all but the newest few tables: switching between two environments should not rebuild each time."""
    tables = sorted(folder.glob(f"{stem}-*.parquet"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in tables[KEPT_CACHE_FILES:]:
        path.unlink(missing_ok=True)
        _digest_file(path).unlink(missing_ok=True)


def _warn_uncached(folder: Path, error: OSError) -> None:
    reason = error.strerror or error
    warnings.warn(f"the corpus is not cached: {folder}: {reason}; WORKBENCH_CACHE names another", stacklevel=5)
