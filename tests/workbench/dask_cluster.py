"""A Dask cluster of processes on this machine, and sweeps on it within this process: what tests of clusters share."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future

from swept_project import Mute, trace, wait_until
from workbench.parameters.contract import load_contract
from workbench.sweeps.execute import run_sweeps
from workbench.sweeps.grid import points_of
from workbench.sweeps.sweep import Sweep


class Cluster:
    """A scheduler and its workers, each in a process and a folder of its own."""

    def __init__(self, folder, open_processes, scheme: str = "tcp", **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        self._folder, self._open, self._environment = folder, open_processes, environment
        self.scheduler = self._start("scheduler", "--host", f"{scheme}://127.0.0.1", "--port", self.port)
        self.workers: list[subprocess.Popen] = []

    def add_worker(self, name: str, *, nanny: bool = False, **environment: str) -> subprocess.Popen:
        """A worker; `wait_for_workers` waits until it is there."""
        (self._folder / f"{name}-scratch").mkdir(parents=True)
        scratch = ["--local-directory", str(self._folder / f"{name}-scratch"), "--dashboard-address", "127.0.0.1:0"]
        options = ["--host", "127.0.0.1", "--nanny" if nanny else "--no-nanny", "--nthreads", "2", "--name", name]
        worker = self._start("worker", self.address, *options, *scratch, name=name, **environment)
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, *names: str) -> None:
        """Wait until the scheduler knows these workers."""
        wait_until(lambda: all("Registered to" in (self._folder / name / "log").read_text() for name in names))

    def _start(self, kind: str, *options: str, name: str = "scheduler", **environment: str) -> subprocess.Popen:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WORKBENCH")}
        elsewhere = {"WORKBENCH_RUNS": "/nowhere", "WORKBENCH_ROOT": "/nowhere"}
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + kind, *options, "--no-dashboard"],
            cwd=folder,
            env={**kept, **elsewhere, **self._environment, **environment},
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("w"),
        )
        self._open.callback(self._end, process)
        return process

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        process.kill()
        process.wait()


class SweepInSight(Mute):
    """A sweep of the sizes on a cluster, in a thread of this process, and the sentences that it says."""

    def __init__(self, project, sizes: str, scheduler: str | None) -> None:
        self.said: list[str] = []
        self._project = project
        contract = load_contract(project, "toy")
        sweep = Sweep.of(project, contract, points_of(contract, [f"size={sizes}"], [], []))
        self._end: Future[None] = Future()
        threading.Thread(target=self._run, args=(sweep, scheduler), daemon=True).start()

    def _run(self, sweep: Sweep, scheduler: str | None) -> None:
        try:
            self._end.set_result(run_sweeps([sweep], self, scheduler=scheduler))
        except Exception as error:
            self._end.set_exception(error)

    def note(self, sentence: str) -> None:
        """Keep a sentence."""
        self.said.append(sentence)

    def wait_until(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait for something to come true while it runs."""
        wait_until(lambda: condition() or self._end.done(), seconds)
        if not condition():
            self.finish()
            raise AssertionError(f"it ended before that, and said {self.said}")

    def wait_for_runs(self, count: int) -> None:
        """Wait until the chapter has started so many times."""
        self.wait_until(lambda: len(trace(self._project)) >= count, 60)

    def wait_for(self, sentence: str) -> None:
        """Wait until it has said this, for 15 seconds."""
        self.wait_until(lambda: any(sentence in said for said in self.said), 15)

    def finish(self, seconds: float = 60) -> None:
        """Wait for its end; its error is raised."""
        self._end.result(seconds)
