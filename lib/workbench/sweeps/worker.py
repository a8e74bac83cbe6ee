"""What a Dask worker does for a sweep: it runs a point in a temporary folder and returns the record and the files.

A point's process is its kernel. The worker runs one point at a time, so that a run has the worker's cores and GPU to
itself. A task that has started hears nothing from a scheduler, so the worker looks twice a second whether its result is
still wanted, and otherwise ends the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core.errors import Refusal
from workbench.core.project import Project
from workbench.core.secrets import secrets_of_process
from workbench.kernels.server import THREADS

LARGEST = 256 * 2**20
"""Bytes that a run may send back; of more, the smallest files come and the others are named."""

_TICK = 0.5  # seconds between looks at whether a point is still wanted
_GRACE = 10.0  # seconds for a kernel to end; `jupyter_client` kills one after 5

_turns: dict[str, threading.Lock] = {}


def run_point(request: dict[str, Any], threads: int | None = None, devices: tuple[str, ...] = ()) -> dict[str, Any]:
    """The reply to a point's `chapter`, `notebook`, `given`, `ingredients` and `limits`, as `answer` has it.

    The run has so many threads, or those of the worker, and of the GPUs the one that has the worker's number.

    Raises:
        distributed.Reschedule: where the sweep was stopped or the worker is closing.
    """
    from distributed import Reschedule, get_worker

    worker = get_worker()
    task = worker.get_current_task()
    threads = threads or worker.state.nthreads
    environment = dict.fromkeys(THREADS, str(threads))
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = devices[int(worker.name)]

    def is_wanted() -> bool:
        state = worker.state.tasks.get(task)
        return worker.status.name == "running" and state is not None and state.state != "cancelled"

    turn = _turns.setdefault(worker.address, threading.Lock())
    while not turn.acquire(timeout=_TICK):
        if not is_wanted():
            raise Reschedule
    try:
        run = _Run(lambda: answer(request, environment, worker.local_directory))
        if run.finish_while(is_wanted):
            return run.reply
        raise Reschedule
    finally:
        turn.release()


class _Run(threading.Thread):
    """A run in a thread and an event loop of its own, which another thread can end."""

    def __init__(self, work: Callable[[], dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self.reply: dict[str, Any] = {"refused": ["the run ended without a result"]}

    def run(self) -> None:
        """Do the work, unless it has been ended already."""
        from jupyter_core.utils import ensure_event_loop

        self._loop = ensure_event_loop()  # in which this thread waits for its kernel
        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(self._loop):
            if not self._ended:
                self.reply = self._work()

    def finish_while(self, is_wanted: Callable[[], bool]) -> bool:
        """Whether the run has come to its end; where it is not wanted any more it is ended, and its kernel with it."""
        self.start()
        while is_wanted():
            self.join(_TICK)
            if not self.is_alive():
                return True
        self._ended = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, because the run has just come to its end
                self._loop.call_soon_threadsafe(self._cancel)
        self.join(_GRACE)
        return False

    def _cancel(self) -> None:
        """Cancel what the run waits for, now or next: it then cleans up as it does after Ctrl-C."""
        for task in asyncio.all_tasks(self._loop):
            task.cancel()


def answer(request: dict[str, Any], environment: dict[str, str], scratch: str) -> dict[str, Any]:
    """The `record` and `files` of a point that was run; otherwise `unfit`, a sentence, or `refused`, several.

    A machine whose code or data differ from those of the one that runs the sweep is unfit. The kernel has the variables
    of `environment` over those of this process, and the point is run in a temporary folder of `scratch`.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="workbench-sweep-", dir=scratch, ignore_cleanup_errors=True) as folder:
            return _run(_Elsewhere(Path(folder)), request, environment)
    except Refusal as refusal:
        return {"refused": secrets_of_process().redact(list(refusal.sentences))}
    except Exception as error:
        return {"refused": [secrets_of_process().redact(f"{type(error).__name__}: {error}")]}


class _Elsewhere(Project):
    """A project in a temporary folder, with its runs in it whatever the environment says."""

    @property
    def runs(self) -> Path:
        """The runs."""
        return self.root / "runs"


def _run(project: Project, request: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    from workbench.parameters.contract import read_contract
    from workbench.runs.keys import content_key, ingredients
    from workbench.runs.runner import Limits, Reporter, run_chapter

    project.notebooks.mkdir()
    path = project.notebooks / f"{request['chapter']}.ipynb"
    path.write_bytes(request["notebook"])
    contract = read_contract(path)
    here = ingredients(contract, contract.resolve(request["given"]))
    if content_key(here) != content_key(request["ingredients"]):
        return {"unfit": _difference(request["ingredients"], here)}
    limits = Limits(*request["limits"])
    run, _ = run_chapter(project, contract, request["given"], Reporter(), limits=limits, environment=environment)
    files, left_out = files_of(run.folder, run.notebook)
    machine = {**run.record["machine"], "threads": int(environment["OMP_NUM_THREADS"])}
    return {"record": run.record | {"machine": machine} | ({"left_out": left_out} if left_out else {}), "files": files}


def files_of(folder: Path, notebook: Path) -> tuple[dict[str, bytes], list[str]]:
    """What a run has left, by name, and the names of what is too large to be sent; the notebook always is sent."""
    results = {file: file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}
    files, left_out, size = {}, [], 0
    for file in sorted(results.keys() - {folder / "lock", folder / "run.json"}, key=results.__getitem__):
        name = file.relative_to(folder).as_posix()
        size += results[file]
        if size > LARGEST and file != notebook:
            left_out.append(name)
        else:
            files[name] = file.read_bytes()
    return files, left_out


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """The first ingredient in which this machine (`here`) differs from the one that runs the sweep (`there`)."""
    for part in sorted(there.keys() | here.keys()):
        theirs, ours = there.get(part), here.get(part)
        if theirs != ours and isinstance(theirs, dict) and isinstance(ours, dict):
            name = min(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
            if part == "versions":
                return f"{name} is {ours.get(name, 'missing')} there and {theirs.get(name, 'missing')} here"
            return f"{name} ({part.replace('_', ' ')}) differs there"
    return "the code differs there"
