"""What the workbench adds to nbval, as a plugin of the pytest that `workbench check` starts."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import nbval.kernel
import nbval.plugin
import pytest

from workbench.core.files import temporary_folder
from workbench.core.processes import end_with_parent

_LOOK = 1.0  # seconds between two looks at whether the kernel lives


class KernelEnded(Exception):
    """A kernel that ended while a cell ran, in words."""


class KernelManager(nbval.kernel.KernelManager):
    """nbval's kernel manager, over IPC sockets as the engine's is: concurrent kernels race for TCP ports."""

    def __init__(self, **options: Any) -> None:
        self._sockets = temporary_folder()  # until this process ends, or the manager
        super().__init__(transport="ipc", connection_file=str(Path(self._sockets.name, "kernel.json")), **options)


class WatchedKernel(nbval.plugin.RunningKernel):
    """nbval's kernel, whose end is noticed while a message of it is waited for.

    nbval itself waits until the cell's time limit, which is hours where a cell may take them.
    """

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """The next message of a stream.

        Raises:
            queue.Empty: after `timeout` seconds without one.
            KernelEnded: where none can come any more.
        """
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            alive = self.is_alive()  # before the wait: a last message may have come in between
            try:
                return super().get_message(stream, max(0.0, min(_LOOK, end - time.monotonic())))
            except queue.Empty:
                if not alive:
                    raise KernelEnded(self._how_it_ended()) from None
                if time.monotonic() >= end:
                    raise

    def _how_it_ended(self) -> str:
        code = getattr(getattr(self.km.provisioner, "process", None), "returncode", None)
        if code == -signal.SIGKILL:
            return "its kernel was killed (SIGKILL, which is also how a system ends a process for want of memory)"
        if code is not None and code < 0:
            return f"its kernel was killed ({signal.Signals(-code).name})"
        return "its kernel ended"


def pytest_configure(config: pytest.Config) -> None:
    """Have nbval start kernels that are watched, and a process of pytest-xdist end with the one that started it."""
    nbval.kernel.KernelManager, nbval.plugin.RunningKernel = KernelManager, WatchedKernel
    if hasattr(config, "workerinput"):
        end_with_parent(os.getppid())


def pytest_itemcollected(item: Any) -> None:
    """Leave standard error out of what nbval compares in the file of a collected cell.

    Warnings of libraries differ between machines and say nothing about a result.
    """
    item.parent.skip_compare = (*getattr(item.parent, "skip_compare", ()), "stderr")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Generator[None, Any, Any]:
    """Say of a cell that its kernel ended, and leave out the cells behind it, which have none."""
    if item.parent.timed_out:
        pytest.skip("an earlier cell has ended the kernel")
    try:
        return (yield)
    except KernelEnded as ended:
        item.parent.timed_out = True
        item.raise_cell_error(str(ended))
