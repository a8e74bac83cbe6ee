"""What is printed, without secrets: by this process on its terminal, and by others into a log."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from workbench.core.secrets import Secrets

MOST = 16 * 2**20
"""Bytes of a log; what comes after them is left out."""


class _Redacted:
    """A stream without the secrets of an environment, and otherwise as the one that it writes to."""

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        self.stream, self.secrets = stream, secrets

    def write(self, text: str) -> int:
        """Write a text, and tell its length."""
        self.stream.write(self.secrets.redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def print_json(value: Any, *, indent: int | None = None, end: str = "\n") -> None:
    """Print a value as JSON, with its texts redacted: a number of it may well look like some password."""
    stream = sys.stdout
    if isinstance(stream, _Redacted):
        value, stream = stream.secrets.redact(value), stream.stream
    ascii_only = (getattr(stream, "encoding", None) or "utf-8").lower() != "utf-8"
    print(json.dumps(value, indent=indent, ensure_ascii=ascii_only), end=end, file=stream)


def redact_output(secrets: Secrets) -> None:
    """Show no secret on standard output and standard error from now on, however this process ends.

    A character that the terminal's encoding lacks is replaced, and what goes to a closed stream is dropped.
    """
    sys.stdout, sys.stderr = (_Redacted(_lenient(stream), secrets) for stream in (sys.stdout, sys.stderr))


def _lenient(stream: TextIO | None) -> TextIO:
    """A stream that takes every text; for None, which Python has where a stream is closed, one to nowhere."""
    if stream is None:
        return Path(os.devnull).open("w")
    if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
        stream.reconfigure(errors="replace")
    return stream


@contextlib.contextmanager
def redacted_log(path: Path, secrets: Secrets) -> Iterator[int]:
    """A descriptor to print to; what is printed until this is left comes to stand in the file, without secrets.

    A thread reads from a pipe and writes the file, so that no secret is on the disk for a moment, not even where this
    process is killed. A process that outlives this cannot print any more. What stood at the place of the file, such as
    a link, is removed and not written to.
    """
    path.unlink(missing_ok=True)
    with path.open("xb", buffering=0) as file:
        reading, writing = os.pipe()
        end = os.urandom(16)  # not the end of the file: a process that was left behind may hold the pipe open
        copy = threading.Thread(target=_copy, args=(reading, end, file, secrets), daemon=True)
        copy.start()
        try:
            yield writing
        finally:
            os.write(writing, end)
            os.close(writing)
            copy.join()


def _copy(reading: int, end: bytes, file: BinaryIO, secrets: Secrets) -> None:
    """Copy what is printed to a file, as far as there is room; the rest is read too, since printing would wait."""
    texts, room = _texts(reading, end), MOST
    with contextlib.suppress(OSError):  # a disk that is full
        for text in secrets.redact_pieces(texts):
            line = text.encode("utf-8", "surrogateescape")
            file.write(line[:room])
            room -= len(line)
            if room < 0:
                file.write(f"\n[more was left out: a log has at most {MOST // 2**20} MiB]\n".encode())
                break
    for _ in texts:
        pass


def _texts(reading: int, end: bytes) -> Iterator[str]:
    """What comes through a pipe until the mark of its end."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    held, ended = b"", b""
    while not ended and (chunk := os.read(reading, 2**16)):
        held, ended, _ = (held + chunk).partition(end)
        begun = 0 if ended else next((n for n in range(len(end) - 1, 0, -1) if held.endswith(end[:n])), 0)
        yield decoder.decode(held[: len(held) - begun])
        held = held[len(held) - begun :]
    os.close(reading)
    yield decoder.decode(b"", final=True)
