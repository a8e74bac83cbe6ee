"""Files that appear whole or not at all, and files of others, which may be anything."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from largemodels.base.errors import InputError

LARGEST_OBJECT = 32 * 2**20
"""Bytes of the largest file that `read_object` reads."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; on success it replaces `path`, and in no case it stays.

    Its name is a random one, so that several processes and threads may write the same file.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` to fill; on success it stands in the place of `path`, and in no case it stays."""
    partial, old = (path.with_name(f".{path.name}.{secrets.token_hex(4)}.{end}") for end in ("partial", "old"))
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raise what the disk says in the block as an `InputError`, a sentence that begins with `what`."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a ValueError: a character that no path has
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(f"{what} cannot be read ({reason})") from None


def check_readable(path: Path, what: str, most: int | None = None) -> None:
    """Refuse what is no ordinary file, or the link to one, may not be read, or has more than `most` bytes.

    Nothing else is opened: a pipe would be waited for, and a device may have no end.

    Raises:
        InputError: a sentence that begins with `what`.
    """
    with reading(what):
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise InputError(f"{what} cannot be read (a folder and not a file)")
        if not stat.S_ISREG(facts.st_mode):
            raise InputError(f"{what} cannot be read (a pipe or device and not a file)")
        if most is not None and facts.st_size > most:
            raise InputError(f"{what} cannot be read (larger than {most // 2**20} MiB)")
        path.open("rb").close()


def is_here(name: str | os.PathLike[str]) -> bool:
    """Whether a file or folder has this name.

    Raises:
        InputError: where the disk does not say: for too long a name, a folder without access, the home of no user.
    """
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise InputError(f"{name} cannot be looked up as a path ({reason})") from None


def sha256(path: Path, what: str) -> str:
    """The hexadecimal SHA-256 of a file's bytes; errors are those of `check_readable`."""
    check_readable(path, what)
    with reading(what), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object that a file of at most `LARGEST_OBJECT` bytes holds.

    Raises:
        InputError: for anything else, a sentence that begins with `what`.
    """
    check_readable(path, what, LARGEST_OBJECT)
    content = None
    with reading(what), suppress(ValueError, RecursionError):  # RecursionError: nested too deeply
        content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise InputError(f"{what} cannot be read (it holds no JSON object)")
    return content
