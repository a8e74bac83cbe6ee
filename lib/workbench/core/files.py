"""Files that appear whole or not at all, and temporary folders that do not stay."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_TEMPORARY = "workbench-"


def temporary_prefix() -> str:
    """How the names of this process's temporary folders begin, so that they are known to be its own once it is gone."""
    return f"{_TEMPORARY}{os.getpid()}-"


def remove_left_temporaries() -> None:
    """Remove the temporary folders of processes that were killed before they could."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*-*"):
        owner = folder.name.removeprefix(_TEMPORARY).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    With `durable` that holds after a power cut too, for the price of waiting for the disk.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
