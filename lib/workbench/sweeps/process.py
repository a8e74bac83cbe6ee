"""A process that runs the points of a sweep, one after the other: `python -m workbench.sweeps.process`.

Requests come in through its standard input and replies leave through its standard output, pickled and with their length
in front. Where the input ends, because the one who asked has closed it or has died, a run that is under way is
interrupted and the process ends: no kernel outlives the sweep that it works for.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from workbench.core.errors import Refusal
from workbench.core.project import Project

IDLE = 5.0
"""Seconds without a request after which the process ends by itself."""

GRACE = 3.0
"""Seconds that an interrupted run has to end its kernel."""

LARGEST = 256 * 2**20
"""Bytes that a run may send back; of more, the smallest files come and the others are named."""


def main() -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not reach the replies
    busy = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _interrupt(busy))
    requests: queue.Queue[Any] = queue.Queue()
    # Without a buffer: a thread that waits in a buffered read holds its lock, which Python cannot end with.
    asked = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    threading.Thread(target=_listen, args=(asked, requests), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, queue.Empty):
        while (request := requests.get(timeout=IDLE)) is not None:
            busy.set()
            reply = answer(request)
            busy.clear()
            write_frame(replies, reply)


def _interrupt(busy: threading.Event) -> None:
    """Interrupt a run; an idle process ends by itself, and a traceback would only puzzle."""
    if busy.is_set():
        busy.clear()  # a second signal must not interrupt the cleaning up
        raise KeyboardInterrupt


def write_frame(stream: BinaryIO, value: Any) -> None:
    """Send a value."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(struct.pack("!Q", len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> Any:
    """The next value, or None where the stream has ended."""
    head = _bytes(stream, 8)
    data = _bytes(stream, struct.unpack("!Q", head)[0]) if head else None
    return pickle.loads(data) if data else None


def _bytes(stream: BinaryIO, size: int) -> bytes | None:
    """So many bytes, which may come in pieces, or None where the stream ends before."""
    pieces = []
    while size > 0:
        piece = stream.read(min(size, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _listen(stream: BinaryIO, requests: queue.Queue[Any]) -> None:
    """Queue what comes in. Its end stops whatever is going on."""
    while (request := read_frame(stream)) is not None:
        requests.put(request)
    requests.put(None)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    time.sleep(GRACE)
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    os._exit(1)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one point in a temporary folder of its own.

    Args:
        request: `chapter`, `notebook` (bytes), `given`, `ingredients`, `limits` (cell and run, seconds) and `scratch`,
            the folder for the temporary one or None.

    Returns:
        `record` and `files` (name to bytes) of a run, whatever became of it; or `unfit`, a sentence on why this
        machine cannot run the point as asked; or `refused`, sentences.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-sweep-", dir=request["scratch"]) as folder:
        try:
            return _run(_Elsewhere(Path(folder)), request)
        except Refusal as refusal:
            return {"refused": list(refusal.sentences)}
        except Exception as error:
            return {"refused": [f"{type(error).__name__}: {error}"]}


@dataclass(frozen=True)
class _Elsewhere(Project):
    """A project in a temporary folder, with its runs in it whatever the environment says."""

    @property
    def runs(self) -> Path:
        """The runs."""
        return self.root / "runs"


class _Quiet:
    """A reporter that says nothing: the sweep has its own view."""

    def preparing(self, done: int, total: int, what: str, *, unit: str = "steps") -> None:
        """Data are prepared."""

    def started(self, chapter: str, cells: int) -> None:
        """The chapter starts."""

    def cell(self, number: int, title: str, seconds: float | None) -> None:
        """A cell starts or has ended."""


def _run(project: Project, request: dict[str, Any]) -> dict[str, Any]:
    from workbench.parameters.contract import read_contract
    from workbench.runs.keys import content_key, ingredients
    from workbench.runs.runner import Limits, run_chapter

    project.notebooks.mkdir()
    path = project.notebooks / f"{request['chapter']}.ipynb"
    path.write_bytes(request["notebook"])
    contract = read_contract(path)
    here = ingredients(contract, contract.resolve(request["given"]))
    if content_key(here) != content_key(request["ingredients"]):
        return {"unfit": _difference(request["ingredients"], here)}
    run, _ = run_chapter(project, contract, request["given"], _Quiet(), limits=Limits(*request["limits"]))
    files, left_out, size = {}, [], 0
    for file in sorted(
        (file for file in run.folder.rglob("*") if _is_result(file)), key=lambda file: file.stat().st_size
    ):
        name = file.relative_to(run.folder).as_posix()
        size += file.stat().st_size
        if size > LARGEST and file != run.notebook:
            left_out.append(name)
        else:
            files[name] = file.read_bytes()
    return {"record": run.record | ({"left_out": left_out} if left_out else {}), "files": files}


def _is_result(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and file.name not in ("lock", "run.json")


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """In which ingredient the one who asks and this machine differ."""
    for part in there.keys() | here.keys():
        asked, found = there.get(part), here.get(part)
        if asked != found and isinstance(asked, dict) and isinstance(found, dict):
            name = min(name for name in asked.keys() | found.keys() if asked.get(name) != found.get(name))
            if part == "versions":
                return f"{name} is {found.get(name, 'missing')} there and {asked.get(name, 'missing')} here"
            return f"{name} ({part.replace('_', ' ')}) differs there"
    return "the code differs there"


if __name__ == "__main__":
    main()
