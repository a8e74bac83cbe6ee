"""A chapter that leaves a trace of each time it runs, and sweeps of it as processes: what the tests of sweeps share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from toy_project import write_chapter
from workbench.core.project import Project

MEASURE = (
    "from workbench.chapter import Chapter\nChapter({}).record('double', 2 * size + seed / 10, n=size, low=0, high=99)"
)
# Warm kernels have tests of their own; these chapters import nothing that a server would have to import first.
ENVIRONMENT = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "local-provisioner", "COLUMNS": "200"}


def write_traced_chapter(project: Project, *code: str) -> None:
    """A chapter that first appends its size, seed, process and parent process to `trace`, then runs this code."""
    trace = project.root / "trace"
    traced = (
        f"import os\nwith open({str(trace)!r}, 'a') as f:\n    print(size, seed, os.getpid(), os.getppid(), file=f)"
    )
    write_chapter(project.root, traced, *code, MEASURE)


def trace(project: Project) -> list[tuple[int, int, int, int]]:
    """Size, seed, kernel and its parent of every time that the chapter has run."""
    path = project.root / "trace"
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []


class Mute:
    """A view that shows nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def hanging(project: Project, *sizes: int) -> str:
    """A cell that hangs at these sizes until `mend`."""
    mended = str(project.root / "mended")
    return f"import time\nwhile size in {sizes} and not os.path.exists({mended!r}):\n    time.sleep(0.05)"


def mend(project: Project) -> None:
    """Let what hangs go on, and what fails succeed."""
    (project.root / "mended").touch()


def _heeding_signals() -> None:
    """Tests that `nohup` has started hand down that signals are ignored, and a sweep obeys."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def start(project: Project, *arguments: str, **environment: str) -> subprocess.Popen:
    """Start `workbench sweep toy` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.app", "sweep", "toy", *arguments],
        cwd=project.root,
        env={**os.environ, "PYTHONFAULTHANDLER": "1", **ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heeding_signals,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """The exit code, standard output and standard error of a process, once it has ended.

    One that does not end is made to say where its threads stand.
    """
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        _, err = process.communicate(timeout=10)
        raise AssertionError(f"it did not end within two minutes:\n{err}") from None
    return process.returncode, out, err


def sweep(project: Project, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run `workbench sweep toy` with these arguments to its end."""
    return finish(start(project, *arguments, **environment))


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def statuses(project: Project) -> list[str]:
    """The status of every run, as `workbench runs` has it."""
    from workbench.runs.store import all_runs

    return sorted(run.status for run in all_runs(project))


def results(project: Project) -> dict:
    """The one sweep's `sweep.json`."""
    (path,) = project.runs.glob("toy/sweeps/*/sweep.json")
    return json.loads(path.read_text()) | {"folder": Path(path).parent}
