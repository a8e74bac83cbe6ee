"""Files and folders that appear whole or not at all, temporary ones that do not stay, and files read within bounds.

What is written stands beside its place first, under a hidden name that holds the number of the process and says where
that number is valid. So the next process that writes there knows what a killed one has left, and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import glob
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_TEMPORARY = "workbench-"
_ASIDE = ".aside.tmp"  # what ends so is the only copy, and never removed
_ELSEWHERE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}  # this system, or this file system, has no such exchange


class Unfit(Exception):
    """What is wrong with a file, as the end of a sentence."""


def temporary_prefix() -> str:
    """How the names of this process's temporary folders begin, so that they are known to be its own once it is gone."""
    return f"{_TEMPORARY}{_here()}-{os.getpid()}-"


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder of this process; what killed ones have left of theirs goes first."""
    remove_left_temporaries()
    return tempfile.TemporaryDirectory(prefix=temporary_prefix(), ignore_cleanup_errors=True)


def remove_left_temporaries(folder: Path | None = None) -> None:
    """Remove what processes that were killed have left in a folder, by default the system's temporary one.

    What was left on another machine, or in another container, stays: whether a process of there lives is not known.
    """
    process = rf"{_here()}-([0-9]{{1,9}})"  # longer numbers are no process's
    left = re.compile(rf"{_TEMPORARY}{process}-\w+|\..+\.{process}-[0-9a-f]{{8}}\.tmp", re.DOTALL)
    with contextlib.suppress(OSError), os.scandir(folder or tempfile.gettempdir()) as entries:
        for entry in entries:
            name = left.fullmatch(entry.name)
            if name and not entry.is_symlink() and not _is_alive(int(name[1] or name[2])):
                _delete(Path(entry.path))


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    With `durable` that holds after a power cut too, for the price of waiting for the disk.
    """
    data = content.encode() if isinstance(content, str) else content
    remove_left_temporaries(path.parent)
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def folder_beside(target: Path, keeps: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A new folder to fill, which is put in the place of `target` at the end of the block, in one step.

    Where the block fails, nothing has changed. `keeps` and the errors are those of `put_in_place`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_left_temporaries(target.parent)
    new = _beside(target)
    new.mkdir()
    try:
        yield new
        put_in_place(new, target, keeps)
    finally:
        _delete(new)


def put_in_place(new: Path, target: Path, keeps: Callable[[Path], bool] | None = None) -> None:
    """Give a folder the name `target`, in one step; what stood there then stands at `new`.

    Args:
        new: a folder on the same file system.
        target: where it belongs: there is nothing, or what makes room for it.
        keeps: whether what stands there stays; by default it never does.

    Raises:
        Unfit: where it stays. Of several processes at once, one puts its folder there and the others meet this.
        OSError: where the place cannot be written.
    """
    with _alone(target.parent):
        _put_back(target)
        try:
            new.rename(target)  # to nothing, or to an empty folder
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return
        if keeps and keeps(target):
            raise Unfit("is there already")
        _exchange(new, target)
        if keeps and keeps(new):  # another process was faster, where none can be held back
            _exchange(new, target)
            raise Unfit("is there already")


def read_within(path: Path, most: int, *, through_links: bool = True) -> bytes:
    """The content of a regular file of at most `most` bytes, whatever else may stand at its place.

    Raises:
        FileNotFoundError: where there is nothing.
        Unfit: for a link where those are not followed, a pipe, device or folder, or a file that is too large or cannot
            be read.
    """
    try:
        if not through_links and path.is_symlink():
            raise Unfit("is a link, and links are not followed")
        # Without O_NONBLOCK a pipe would be waited for until something is written into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if through_links else os.O_NOFOLLOW))
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise Unfit("is not a file")
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(most + 1) if facts.st_size <= most else b""
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unfit(f"cannot be read: {error.strerror}") from None
    if max(facts.st_size, len(content)) > most:
        raise Unfit(f"is larger than {most // 2**20} MiB")
    return content


def _beside(path: Path) -> Path:
    """A new hidden name in the same folder."""
    return path.with_name(f".{path.name}.{_here()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@functools.cache
def _here() -> str:
    """A digest of the machine since its start, and of the container: a number is one process's there."""
    host, container = socket.gethostname(), ""
    with contextlib.suppress(OSError):
        host = Path("/proc/sys/kernel/random/boot_id").read_text()
    with contextlib.suppress(OSError):
        container = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{host} {container}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    import psutil

    return psutil.pid_exists(process)


def _delete(path: Path) -> None:
    """Delete a file or a folder, as far as that is possible; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold back other processes that put something in place in a folder, where its file system knows such locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> None:
    """Let two paths change their places: in one step, or in three where that cannot be."""
    try:
        _exchange_at_once(one, other)
    except OSError as error:
        if error.errno not in _ELSEWHERE:
            raise
        aside = other.with_name(f".{other.name}.{secrets.token_hex(4)}{_ASIDE}")
        try:
            other.rename(aside)
            one.rename(other)
            aside.rename(one)
        except BaseException:
            if os.path.lexists(aside) and not os.path.lexists(one):
                other.rename(one)
            _put_back(other)
            raise


def _put_back(target: Path) -> None:
    """Put back what an exchange that did not come to its end has left aside, where the place is still empty."""
    if not os.path.lexists(target):
        for aside in target.parent.glob(f".{glob.escape(target.name)}.{'?' * 8}{_ASIDE}"):
            with contextlib.suppress(OSError):
                aside.rename(target)


def _exchange_at_once(one: Path, other: Path) -> None:
    """What the systems' C libraries have for it: `renameat2` on Linux, `renamex_np` on macOS."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*paths, 2)  # RENAME_SWAP
        else:
            failed = library.renameat2(-1, paths[0], -1, paths[1], 2)  # RENAME_EXCHANGE; -1: the paths are absolute
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
