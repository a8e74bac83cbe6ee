"""The Dask cluster that a sweep runs on: one in this process, sized to the machine, or one that runs already.

The cluster in this process has one worker for each run at a time. Its workers are threads that each look after a
process of their own (`workbench.sweeps.worker`), talk through memory, and open no port beyond this machine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench.core.errors import RunError
from workbench.core.machine import machine

_LOOPBACK = "127.0.0.1:0"
_SCRATCH = "workbench-dask-"  # and the process that a temporary folder is of
_USUAL_MEMORY = 2 * 2**30
"""Bytes that a run is taken to need where no earlier one says."""

_PATIENCE = 5.0  # seconds that the end of a sweep waits for an answer
_HEADROOM = 1.2  # over the largest peak that was seen, which was sampled
_WORTH_IT = {"torch"}  # what a chapter must import for warm kernels to be worth their server


@dataclass(frozen=True)
class Share:
    """How a machine is shared out: runs at a time, threads for each, and one GPU for each where there are any."""

    runs: int
    threads: int
    devices: tuple[str, ...] = ()

    @classmethod
    def of_machine(cls, points: int, workers: int | None = None, memory_each: int | None = None) -> Share:
        """As many runs as there are cores and memory for, or GPUs; never more than points, nor than asked for."""
        import psutil

        facts = machine()
        devices = _devices(len(facts["gpus"]))
        each = int(memory_each * _HEADROOM) if memory_each else _USUAL_MEMORY
        room = max(1, psutil.virtual_memory().available // each)
        runs = min(points, workers or min(len(devices) or facts["cores"], room), len(devices) or points)
        return cls(runs, max(1, facts["cores"] // runs), devices[:runs])


def _devices(gpus: int) -> tuple[str, ...]:
    """The names of the GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")) if gpus else ()
    return tuple(map(str, range(gpus)))


class Cluster:
    """A connection to a scheduler, and the scheduler and workers themselves where no address is given."""

    def __init__(self, address: str | None, share: Share, libraries: Iterable[str] = ()) -> None:
        self._address, self._share, self._libraries = address, share, set(libraries)
        self._open = contextlib.ExitStack()
        self._client: Any = None

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        if not self._address and self._libraries >= _WORTH_IT:
            from workbench.kernels.warm import warm_kernels

            self._open.enter_context(warm_kernels(self._libraries))  # it imports while everything else starts
        import dask
        from distributed import Client, LocalCluster

        from workbench.sweeps.worker import stop_all

        _silence_dask()
        self._open.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}))
        if self._address:
            try:
                self._client = Client(self._address, timeout="10s", set_as_default=False)
            except (OSError, ValueError, TimeoutError) as error:
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise RunError(f"no Dask scheduler answers at {self._address}: {said}") from None
            return
        _remove_left_scratch()
        scratch = self._open.enter_context(
            tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True)
        )
        cluster = LocalCluster(
            n_workers=self._share.runs,
            threads_per_worker=1,
            processes=False,
            local_directory=scratch,
            memory_limit=None,  # Dask would count this process, not the kernels
            dashboard_address=_LOOPBACK,
            worker_dashboard_address=_LOOPBACK,
            scheduler_kwargs={"dashboard": False},
        )
        self._open.callback(_quietly, cluster.close, timeout=5)
        self._client = Client(cluster, set_as_default=False)
        self._open.callback(stop_all)

    def _stop(self) -> None:
        if self._client is not None and self._address:
            _quietly(self._client.close, timeout=5)
        elif self._client is not None:
            from workbench.sweeps.worker import stop_all

            stop_all()
            _quietly(self._client.close, timeout=5)
        self._open.close()

    def workers(self) -> list[str]:
        """The addresses of the workers there are."""
        if not self.is_connected():
            return []
        return list(self._client.scheduler_info(n_workers=-1)["workers"])

    def is_connected(self) -> bool:
        """Whether the scheduler is there."""
        return self._client.status == "running"

    def submit(self, request: dict[str, Any], worker: str) -> Any:
        """The future reply of a worker; of another one where that one is lost."""
        from workbench.sweeps.worker import run_point

        share = {"threads": None, "devices": None}
        if not self._address:
            share = {"threads": self._share.threads, "devices": self._share.devices}
        return self._client.submit(
            run_point, request, share, workers=[worker], allow_other_workers=True, pure=False, key=None
        )

    def reply(self, future: Any) -> dict[str, Any]:
        """What a future has brought.

        Raises:
            RunError: where the connection was lost, or the workers cannot run a point at all.
        """
        from distributed import CancelledError, KilledWorker, TimeoutError

        try:
            return future.result(timeout=60)
        except KilledWorker:
            return {"killed": "every worker that it was given to was killed"}
        except (CancelledError, TimeoutError, OSError) as error:
            if isinstance(error, OSError) and self.is_connected():
                raise RunError(f"a worker failed: {error}") from None
            raise RunError("the connection to the scheduler was lost; the same line does the rest") from None
        except Exception as error:
            raise RunError(f"the workers cannot run a point: {type(error).__name__}: {error}") from None

    def cancel(self, futures: list[Any]) -> None:
        """Have workers stop what they compute; a scheduler that does not answer does not keep anybody waiting."""
        if futures and self.is_connected():
            asking = threading.Thread(
                target=_quietly, args=(self._client.cancel, futures), kwargs={"force": True}, daemon=True
            )
            asking.start()
            asking.join(_PATIENCE)


def _silence_dask() -> None:
    """Keep Dask's log off the terminal: what went wrong, we say in a sentence.

    Importing `distributed` sets its loggers' levels, so this comes after the import; some have one of their own.
    """
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _remove_left_scratch() -> None:
    """Remove the temporary folders of processes that were killed before they could."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        owner = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def _quietly(action: Any, *arguments: Any, **options: Any) -> None:
    """Do something at the end, where a failure has no consequence."""
    with contextlib.suppress(Exception):
        action(*arguments, **options)
