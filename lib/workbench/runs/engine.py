"""A Papermill engine that keeps the notebook on disk true while it runs.

It differs from Papermill's in four ways: the notebook is saved by replacement and not in place, secrets of the
environment never reach the kernel or the outputs on disk, a cell and the whole run have time limits, and a watcher
hears of each cell.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.log import logger

from workbench.core.errors import NotSaved, RequestError
from workbench.core.files import remove_left_temporaries, temporary_prefix, write_atomically
from workbench.core.printed import redacted_log
from workbench.core.project import find_project
from workbench.core.secrets import Secrets
from workbench.runs.notebooks import FIGURES, figures_of, without_secrets

ENGINE = "workbench"
Watch = Callable[[dict[str, Any], float | None], None]
"""What is called with each code cell, as it starts, and with its seconds as it ends, well or not."""


class WorkbenchEngine(NBClientEngine):
    """The engine that `workbench run` chooses; `ENGINE` is its name among Papermill's."""

    @classmethod
    def execute_notebook(
        cls,
        nb: nbformat.NotebookNode,
        kernel_name: str,
        *,
        destination: Path,
        secrets: Secrets,
        watch: Watch,
        usage: Usage,
        cell_limit: float | None = None,
        run_limit: float | None = None,
        **_: Any,
    ) -> nbformat.NotebookNode:
        """The executed notebook, which is also on disk at `destination` after every cell.

        Raises:
            nbclient.exceptions.CellTimeoutError: when a cell, or the run, passes its limit (seconds).
            nbclient.exceptions.DeadKernelError: when the kernel dies.
        """
        manager = _Manager(nb, destination, secrets, watch)
        manager.notebook_start()
        deadline = time.monotonic() + run_limit if run_limit else None
        client = _Client(
            manager,
            kernel_name=kernel_name,
            startup_timeout=120,
            log=logger,
            resources={"metadata": {"path": str(destination.parent)}},
            extra_arguments=[f"--InlineBackend.figure_formats={form}" for form in ("png", "svg")],
            timeout_func=lambda _cell: _seconds_left(cell_limit, deadline),
        )
        client.usage = usage
        environment = {**secrets.kernel_environment(), **_checkout(destination.parent)}
        said = destination.with_name("kernel.log")  # what the kernel says of itself outside of its cells
        try:
            with redacted_log(said, secrets) as log:
                client.execute(env=environment, stdout=log, stderr=log)
        finally:
            manager.notebook_complete()
            if said.stat().st_size == 0:
                said.unlink()
        return manager.nb


def _checkout(folder: Path) -> dict[str, str]:
    """Where a chapter finds what is recorded: the runs may stand elsewhere, and a sweep's are made in another place."""
    try:
        return {"WORKBENCH_ROOT": str(find_project(folder, Path.cwd()).root)}
    except RequestError:
        return {}


def _seconds_left(cell_limit: float | None, deadline: float | None) -> float | None:
    limits = [limit for limit in (cell_limit, deadline and max(deadline - time.monotonic(), 0.1)) if limit]
    return min(limits, default=None)


papermill_engines.register(ENGINE, WorkbenchEngine)
for noisy in (logger, logging.getLogger("asyncio")):
    noisy.setLevel(logging.CRITICAL)  # what they would log of a kernel that died, the record and the reporter say


class _Manager(NotebookExecutionManager):
    """Papermill's bookkeeping, with saves by replacement, after each code cell and at the end."""

    def __init__(self, nb: Any, destination: Path, secrets: Secrets, watch: Watch) -> None:
        super().__init__(nb, output_path=None, progress_bar=False)
        self._destination, self._secrets, self._watch = destination, secrets, watch
        self._cell_started_at = 0.0

    def save(self, **kwargs: Any) -> None:
        """Write the notebook as it is now; its figures as vectors stand beside it, since they would double its size."""
        try:
            take_vectors(self.nb, self._destination.parent / FIGURES, self._secrets)
            written = nbformat.writes(without_secrets(self.nb, self._secrets))
            write_atomically(self._destination, written, durable=False)
        except OSError as error:
            raise NotSaved(error.errno, error.strerror) from None
        self.last_save_time = self.now()

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Mark a cell as running. Nothing is saved here: a save at the end of each cell is enough."""
        cell.metadata.papermill.update(start_time=self.now().isoformat(), status=self.RUNNING, exception=False)
        self._cell_started_at = time.perf_counter()
        if cell.cell_type == "code":
            self._watch(cell, None)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Mark a cell as done and save; a cell of prose changes nothing worth saving."""
        if cell.cell_type == "code":
            super().cell_complete(cell, cell_index, **kwargs)
            self._watch(cell, time.perf_counter() - self._cell_started_at)


def take_vectors(notebook: dict[str, Any], folder: Path, secrets: Secrets) -> None:
    """Move every SVG that stands beside a PNG out of a notebook into a file that is named as `figures_of` says."""
    for name, data in figures_of(notebook):
        if drawing := data.pop("image/svg+xml", None):
            folder.mkdir(exist_ok=True)
            write_atomically(folder / f"{name}.svg", secrets.redact(drawing), durable=False)


class _Client(PapermillNotebookClient):
    """Papermill's client, on a kernel whose use of memory and processor is measured."""

    usage: Usage

    def create_kernel_manager(self) -> Any:
        """A kernel manager that talks over IPC sockets, since concurrent kernels race for TCP ports."""
        manager = super().create_kernel_manager()
        remove_left_temporaries()
        self._sockets = tempfile.mkdtemp(prefix=temporary_prefix())
        manager.transport = "ipc"
        manager.connection_file = str(Path(self._sockets) / "kernel.json")
        return manager

    def start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel, and the measuring with it."""
        super().start_new_kernel(**kwargs)
        self._kernel = psutil.Process(self.km.provisioner.pid)
        self.usage.follow(self.km.provisioner.pid)

    def execute(self, **kwargs: Any) -> Any:
        """Execute, and leave no kernel, sockets or thread behind, not even when interrupted during the start."""
        with contextlib.ExitStack() as ends:  # each takes place even where the one before it is interrupted
            ends.callback(lambda: shutil.rmtree(getattr(self, "_sockets", ""), ignore_errors=True))
            ends.callback(self._kill_kernel)
            ends.callback(lambda: self.km is not None and self._cleanup_kernel())
            ends.callback(self.usage.stop)
            return super().execute(**kwargs)

    def _kill_kernel(self) -> None:
        """Kill a kernel that is still there: the clean-up itself may have been cut short."""
        with contextlib.suppress(AttributeError, psutil.NoSuchProcess):
            for process in (*self._kernel.children(recursive=True), self._kernel):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


class Usage:
    """Peak memory (bytes) and processor time (seconds) of a process and its children, sampled four times a second.

    The time of children that have ended counts where the operating system keeps it (Linux does), in their parents.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.cpu_seconds = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, pid: int) -> None:
        """Start sampling."""
        self._thread = threading.Thread(target=self._sample, args=(pid,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _sample(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(pid)
            while not self._stop.wait(0.25):
                memory = cpu = 0.0
                for process in (parent, *parent.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        times = process.cpu_times()
                        cpu += times.user + times.system + times.children_user + times.children_system
                        memory += process.memory_info().rss
                self.peak_bytes = max(self.peak_bytes, int(memory))
                self.cpu_seconds = max(self.cpu_seconds, cpu)
