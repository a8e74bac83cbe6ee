"""What a Dask worker does for a sweep: hand a point to a process of its own, and end that process when nobody waits.

Each worker keeps one such process and gives it one run at a time, so that runs have the worker's cores to themselves
and a killed run takes no worker with it. A sweep that is stopped or lost shows in the task's state, which is looked at
twice a second, because a task that has started cannot be told.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from workbench.sweeps.process import GRACE, read_frame, write_frame

_TICK = 0.5
THREADS = ("OMP", "MKL", "OPENBLAS")
_STOPPED = {"killed": "the sweep was stopped"}

_children: dict[str, Child] = {}
_turns: dict[str, threading.Lock] = {}
_registry = threading.Lock()


def run_point(request: dict[str, Any], share: dict[str, Any]) -> dict[str, Any]:
    """The reply of `workbench.sweeps.process.answer` to this request, or `killed`, a sentence, where its process died.

    Args:
        request: as `answer` takes it, but for `scratch`.
        share: `threads` for a run (None: those of the worker), and `devices`, the GPUs by worker name (None: as it is).
    """
    from distributed import get_worker

    worker = get_worker()
    task = worker.get_current_task()
    threads = share["threads"] or worker.state.nthreads
    environment = dict.fromkeys((f"{library}_NUM_THREADS" for library in THREADS), str(threads))
    if share["devices"]:
        environment["CUDA_VISIBLE_DEVICES"] = share["devices"][int(worker.name)]

    def is_wanted() -> bool:
        state = worker.state.tasks.get(task)
        return worker.status.name == "running" and state is not None and state.state != "cancelled"

    with _registry:
        turn = _turns.setdefault(worker.address, threading.Lock())
    while not turn.acquire(timeout=_TICK):
        if not is_wanted():
            return _STOPPED
    try:
        request = {**request, "scratch": worker.local_directory}
        reply = _child(worker.address, environment).ask(request, is_wanted)
        if "idle" not in reply:
            return reply
        if not is_wanted():  # then that process has ended because of it, and there must be no other
            return _STOPPED
        return _child(worker.address, environment).ask(request, is_wanted)
    finally:
        turn.release()


def stop_all() -> None:
    """End every process of this worker, and the runs in them."""
    with _registry:
        children = list(_children.values())
        _children.clear()
    for child in children:
        child.hang_up()
    for child in children:
        child.end()


def _child(address: str, environment: dict[str, str]) -> Child:
    """The worker's process; a new one where there is none, it has ended, or its environment was another."""
    with _registry:
        child = _children.get(address)
    if child is not None and child.environment == environment and child.is_alive():
        return child
    if child is not None:
        child.end()
    child = Child(environment)
    with _registry:
        _children[address] = child
    return child


class Child:
    """A process of `workbench.sweeps.process`, in a session of its own so that a terminal's signals pass it by."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.sweeps.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self._replies: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], is_wanted: Callable[[], bool]) -> dict[str, Any]:
        """The reply to a request; `killed`, a sentence, where the process dies or the reply is not wanted any more."""
        with contextlib.suppress(OSError):
            write_frame(self._process.stdin, request)
        while True:
            try:
                reply = self._replies.get(timeout=_TICK)
            except queue.Empty:
                if is_wanted():
                    continue
                self.end()
                return _STOPPED
            if reply is not None:
                return reply
            self.end()
            code = self._process.returncode
            if code == 0:
                return {"idle": True}  # it had just ended by itself, for want of requests
            return {"killed": f"its process was killed by signal {-code}" if code < 0 else "its process ended early"}

    def hang_up(self) -> None:
        """Close the line, which makes the process interrupt what it does."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def end(self) -> None:
        """Hang up, and after a while kill the process and whatever it has started."""
        import psutil

        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(self._process.pid).children(recursive=True)
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE + 1)
        self._process.kill()
        self._process.wait()
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _listen(self) -> None:
        reply: Any = True
        while reply is not None:
            try:
                reply = read_frame(self._process.stdout)
            except OSError:
                reply = None
            self._replies.put(reply)
