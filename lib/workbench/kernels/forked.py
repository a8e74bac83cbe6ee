"""How a process that `workbench.kernels.forkserver` has just forked becomes a kernel, as an ordinary one would be.

Streams, signals, limits, folder, environment, threads and randomness are the request's, and the process dies with the
server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.kernels.warm import inherited, send


@dataclass
class Job:
    """What a process that was just forked is to become."""

    server: int
    connection: socket.socket
    request: dict[str, Any]
    streams: list[int]
    set_by_imports: dict[str, str]


def kernel_arguments(command: list[str]) -> list[str] | None:
    """What follows the kernel's module in a command that starts an ordinary kernel of this environment."""
    python, *rest = command
    options = [option for option in rest if option != "-Xfrozen_modules=off"]  # it speaks to debuggers only
    ours = python == sys.executable and options[:3] == ["-m", "ipykernel_launcher", "-f"] and len(options) > 3
    return options[2:] if ours else None


def become_kernel(job: Job) -> None:
    """Take the place of an ordinary kernel that the request's command would have started."""
    try:
        _die_with(job.server)
        _take_over(job)
        send(job.connection, {"pid": os.getpid()})
    except BaseException as error:
        with contextlib.suppress(OSError):
            send(job.connection, {"refused": f"{type(error).__name__}: {error}"})
        os._exit(1)
    job.connection.close()
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=sys.argv[1:], parent_handle=job.server)


def _die_with(server: int) -> None:
    """Make this the leader of a session, which is killed the moment the server ends."""
    import ctypes

    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != server:
        raise ProcessLookupError("the server has ended")


def _take_over(job: Job) -> None:
    """Streams, signals, folder, environment, threads and randomness, as a new process has them."""
    import multiprocessing.process
    import resource

    import ipykernel_launcher
    import numpy as np
    import torch

    if torch.cuda._is_in_bad_fork():
        raise RuntimeError("CUDA is initialised")
    for number, stream in enumerate(job.streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.chdir(job.request["folder"])
    wanted, here = job.request["inherited"], inherited()
    for name, limit in wanted["limits"].items():
        if limit != here["limits"][name]:
            resource.setrlimit(getattr(resource, name), limit)
    if wanted["niceness"] != here["niceness"]:
        os.setpriority(os.PRIO_PROCESS, 0, wanted["niceness"])
    environment = {**job.set_by_imports, **job.request["environment"], "JPY_PARENT_PID": str(job.server)}
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    _set_threads(environment)
    np.random.seed()
    torch.default_generator.seed()  # Python's own generator seeds itself after a fork
    multiprocessing.process.current_process().authkey = os.urandom(32)
    sys.argv = [ipykernel_launcher.__file__, *kernel_arguments(job.request["command"])]
    for name in [name for name in sys.modules if name.partition(".")[0] == "workbench"]:
        del sys.modules[name]


def _set_threads(environment: Mapping[str, str]) -> None:
    """As many threads as libraries that are loaded now would use in this environment.

    PyTorch asks MKL, and MKL the environment, when they are first used: both never were.
    """
    import threadpoolctl

    openmp = environment.get("OMP_NUM_THREADS")
    wanted = {
        "openmp": openmp,
        "openblas": environment.get("OPENBLAS_NUM_THREADS") or openmp or len(os.sched_getaffinity(0)),
        "mkl": environment.get("MKL_NUM_THREADS") or openmp,
    }
    for library in threadpoolctl.ThreadpoolController().lib_controllers:
        if number := wanted.get(library.internal_api):
            library.set_num_threads(int(number))
