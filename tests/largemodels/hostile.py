"""What may stand where a file is expected, and a clock that turns a hang into a failure."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

NESTED = "[" * 100_000 + "]" * 100_000


@contextlib.contextmanager
def seconds(most: int = 30) -> Iterator[None]:
    """Fail where the block takes longer."""

    def fail(*_: object) -> None:
        raise AssertionError(f"this hangs for more than {most} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(most)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def listening(path: Path) -> None:
    """A socket with this name."""
    with (
        contextlib.chdir(path.parent),
        socket.socket(socket.AF_UNIX) as made,
    ):  # its address has a hundred bytes at most
        made.bind(path.name)


def sparse(path: Path) -> None:
    """A file of 3 GB that takes no space."""
    with path.open("wb") as file:
        file.truncate(3 * 10**9)


def link_to_pipe(path: Path) -> None:
    """A link to a pipe elsewhere."""
    os.mkfifo(path.parent.parent / f"{path.name}.pipe")
    path.symlink_to(path.parent.parent / f"{path.name}.pipe")


SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link to a pipe": link_to_pipe,
    "socket": listening,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "folder": Path.mkdir,
}


@contextlib.contextmanager
def another_user() -> Iterator[Path]:
    """A folder of a user who may not read everything, whom root becomes for the block."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)
