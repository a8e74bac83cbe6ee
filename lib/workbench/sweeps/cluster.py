"""The Dask cluster that a sweep runs on: one in this process, sized to the machine, or one that runs already.

The cluster in this process has a worker for each run at a time. Its workers are threads, because a run's process is its
kernel: they start at once, talk through memory, and open no port that another user of the machine could send code to.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import RunError
from workbench.core.files import temporary_folder
from workbench.core.machine import machine
from workbench.core.secrets import secrets_of_process
from workbench.sweeps.worker import run_point

_LOOPBACK = "127.0.0.1:0"
_SETTINGS = {"distributed.admin.large-graph-warning-threshold": "1GB", "distributed.worker.profile.enabled": False}
_TLS = "distributed.comm.tls"
_WITHIN_THIS_PROCESS = {"distributed.comm.require-encryption": False, f"{_TLS}.ca-file": None}
_USUAL_MEMORY = 2 * 2**30  # bytes that a run is taken to need where no earlier one says
_HEADROOM = 1.2  # over the largest peak that was seen, which was sampled
_PATIENCE = 5.0  # seconds that the start and the end of a sweep wait for a scheduler's answer
_CONNECTED = 8.0  # seconds for a scheduler's first answer
_LOOK = 0.5  # seconds between questions for the workers
_STEP = 2.0  # of the seconds between two looks, those that count as waiting
_LAST_RUNS = 15.0  # seconds for the kernels of runs under way to end
_WORTH_IT = {"torch"}  # what a chapter must import for warm kernels to be worth their server


@dataclass(frozen=True)
class Share:
    """How a machine is shared out: runs at a time, threads for each, and one GPU for each where there are any."""

    runs: int
    threads: int
    devices: tuple[str, ...] = ()

    @classmethod
    def of_machine(cls, points: int, workers: int | None = None, memory_each: int | None = None) -> Share:
        """As many runs as there are GPUs, or cores and memory for (`memory_each`, in bytes, where that is known).

        There are never more than `points` or `workers`.
        """
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
    """Workers, each of which runs one point at a time. The scheduler is asked for them, and never waited for."""

    def __init__(self, client: Any, share: Share | None = None, address: str | None = None) -> None:
        self._client = client
        self._share = {"threads": share.threads, "devices": share.devices} if share else {}
        self.name = f"the scheduler at {address}" if address else "the scheduler"
        self.now = 0.0
        """Seconds in which this process did not stand still, as it does after Ctrl-Z: then it alone heard nothing."""
        self._looked = self._asked = time.monotonic()
        self._answer: concurrent.futures.Future[dict[str, Any]] | None = None
        self._answered = 0.0
        self._heard: dict[str, tuple[float, float]] = {}

    def is_connected(self) -> bool:
        """Whether the scheduler is there."""
        return self._client.status == "running"

    def look(self) -> None:
        """Take in what the scheduler has last said of its workers, and ask it again. The first answer is waited for."""
        if self._answer is None:
            self._ask()
            concurrent.futures.wait([self._answer], _PATIENCE)
        clock = time.monotonic()
        self.now += min(clock - self._looked, _STEP)
        self._looked = clock
        if self._answer.done():
            with contextlib.suppress(Exception):  # a lost connection shows elsewhere
                self._take(self._answer.result()["workers"])
            if clock - self._asked > _LOOK:
                self._ask()

    def _ask(self) -> None:
        self._asked = time.monotonic()
        question = self._client.scheduler.identity(n_workers=-1)
        self._answer = asyncio.run_coroutine_threadsafe(question, self._client.loop.asyncio_loop)

    def _take(self, workers: dict[str, dict[str, Any]]) -> None:
        """Note when each worker was heard of. The scheduler's clock, which may differ, only says whether it was."""
        self._answered = self.now
        last_seen = {address: facts["last_seen"] for address, facts in workers.items() if facts["status"] == "running"}
        self._heard = {
            address: before if (before := self._heard.get(address)) and before[0] == seen else (seen, self.now)
            for address, seen in last_seen.items()
        }

    def silence(self) -> float:
        """The seconds since the scheduler has last answered."""
        return self.now - self._answered

    def workers(self) -> dict[str, float]:
        """The addresses of the workers, each with the seconds that the scheduler has heard nothing of it."""
        return {address: self._answered - since for address, (_, since) in self._heard.items()}

    def submit(self, request: dict[str, Any], worker: str, arrived: Callable[[Any, Any], None]) -> Any:
        """The future of a point that this worker runs, and no other one.

        `arrived` is called with the future and its reply (see `reply`) in a thread, once that is here: a large one may
        take minutes on a slow line, during which a lost connection shows elsewhere. A future that is released is
        cancelled, and its kernel is ended.
        """
        future = self._client.submit(run_point, request, **self._share, workers=[worker], pure=False)

        def fetch() -> None:
            arrived(future, self.reply(future))

        future.add_done_callback(lambda _: threading.Thread(target=fetch, daemon=True).start())
        return future

    def reply(self, future: Any) -> dict[str, Any] | RunError:
        """The reply of `workbench.sweeps.worker.answer`, or `killed`, a sentence, or an error that ends the sweep."""
        from distributed import CancelledError, KilledWorker

        try:
            return future.result()
        except KilledWorker:
            return {"killed": "every worker that it was given to was killed"}
        except (CancelledError, OSError) as error:
            if isinstance(error, OSError) and self.is_connected():
                return RunError(secrets_of_process().redact(f"a worker failed: {error}"))
            return RunError(f"the connection to {self.name} was lost; the same line does the rest")
        except Exception as error:
            reason = secrets_of_process().redact(f"{type(error).__name__}: {error}")
            return RunError(f"the workers cannot run a point: {reason}")


@contextlib.contextmanager
def open_cluster(address: str | None, share: Share, libraries: Iterable[str] = ()) -> Iterator[Cluster]:
    """The cluster of the scheduler at this address; without one, a cluster in this process, for as long as it is open.

    In this process it has a share of the machine, and warm kernels where the chapters' libraries are worth it.

    Raises:
        RunError: where no scheduler answers.
    """
    with contextlib.ExitStack() as opened:
        if not address and set(libraries) >= _WORTH_IT:
            from workbench.kernels.warm import warm_kernels

            opened.enter_context(warm_kernels(libraries))  # it imports while everything else starts
        import dask

        _silence_dask()
        opened.enter_context(dask.config.set(_SETTINGS | ({} if address else _WITHIN_THIS_PROCESS)))
        client = _client(address or opened.enter_context(_local(share)))
        opened.callback(_quietly, client.close, timeout=_PATIENCE)  # after which no worker computes for it
        yield Cluster(client, None if address else share, address)


def _client(place: Any) -> Any:
    """The client of a cluster, or of the scheduler at an address.

    Raises:
        RunError: where no scheduler answers, or it asks for certificates that Dask's configuration does not have.
    """
    from distributed import Client
    from distributed.comm import CommClosedError

    try:
        if isinstance(place, str):
            with ThreadPoolExecutor(1) as thread:  # this one may have a loop that runs, as in a notebook
                thread.submit(asyncio.run, _greet(place, _connection_arguments(place))).result()
        return Client(place, timeout=_CONNECTED, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = (str(error) or "it says nothing").splitlines()[0]
        if isinstance(error, CommClosedError):  # it begins with the two ends of the connection
            reason = f"{reason.rpartition('>: ')[2]}; {_hint(place)}"
        raise RunError(f"no Dask scheduler answers at {place}: {reason}") from None


def _hint(address: str) -> str:
    """What to look at where a scheduler closed the connection before it had greeted.

    With TLS 1.3 a client has finished its part of the handshake when the scheduler looks at its certificate, so that it
    may learn the reason ("unknown ca"), or only that the connection has ended.
    """
    if address.startswith("tls://"):
        return "look whether it accepts the certificate that Dask's configuration names"
    return "one with TLS has an address with tls:// and its own certificates"


async def _greet(address: str, arguments: dict[str, Any]) -> None:
    """Connect once, since a client of Dask waits for ever where nobody answers at an open port.

    Raises:
        OSError: where the connection does not come about in time.
    """
    from distributed.comm import connect

    comm = await asyncio.wait_for(connect(address, timeout=_CONNECTED, **arguments), _CONNECTED + 1)
    await comm.close()


def _connection_arguments(address: str) -> dict[str, Any]:
    """The arguments of a connection by Dask's configuration; a client that does not fit it would be left half made.

    Raises:
        RunError: where certificates are missing, or a connection without encryption is not allowed.
    """
    from distributed import Security
    from distributed.comm import parse_address

    try:
        arguments = Security().get_connection_args("client")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"the certificates of Dask's configuration (distributed.comm.tls) cannot be used: {reason}"
        ) from None
    if parse_address(address)[0] in ("tls", "wss"):
        if arguments["ssl_context"] is None:
            raise RunError(f"{address} asks for certificates, and Dask's configuration ({_TLS}) names none")
    elif arguments["require_encryption"]:
        raise RunError(f"{address} is without TLS, which Dask's configuration (distributed.comm) asks for")
    return arguments


@contextlib.contextmanager
def _local(share: Share) -> Iterator[Any]:
    """A cluster of threads in this process; at its end the runs under way are ended, and their kernels with them."""
    import dask
    from distributed import LocalCluster

    with (
        temporary_folder() as scratch,
        dask.config.set({"temporary-directory": scratch}),  # for the workers, and the scheduler, which has no argument
    ):
        cluster = LocalCluster(
            n_workers=share.runs,
            threads_per_worker=1,
            processes=False,
            memory_limit=None,  # Dask would count this process, not the kernels
            dashboard_address=_LOOPBACK,
            worker_dashboard_address=_LOOPBACK,
            scheduler_kwargs={"dashboard": False},
        )
        try:
            yield cluster
        finally:
            _quietly(cluster.close, timeout=_LAST_RUNS)


def _silence_dask() -> None:
    """Keep Dask's log off the terminal: what went wrong, we say in a sentence.

    Importing `distributed` sets its loggers' levels and its settings, so ours come after the import.
    """
    import distributed  # noqa: F401

    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _quietly(action: Any, *arguments: Any, **options: Any) -> None:
    """Do something at the end, where a failure has no consequence."""
    with contextlib.suppress(Exception):
        action(*arguments, **options)
