"""The fork server's modules, and how a process that it has forked becomes a kernel, as an ordinary one would be.

Importing this module imports the stack, as it looks in a notebook; never the chapters' library, which may change
while the server lives.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import multiprocessing.process
import os
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from typing import Any

import ipykernel_launcher
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from traitlets.config import Config

from workbench.core.processes import end_with_parent
from workbench.kernels.server import INLINE, THREADS
from workbench.kernels.warm import LIBRARIES

MODULES = {
    "stack": (
        "ipykernel.debugger",
        # pyplot and the inline backend bind themselves to the running kernel when they are imported, and cost 0.02 s.
        "matplotlib.backends.backend_agg",
        "matplotlib.figure",
        "pandas",
        "pydantic",
        "scipy.stats",
        "threadpoolctl",
        "torch.utils.flop_counter",
    ),
    # For kernels that will use these libraries: together twice the time and memory of the rest.
    "sklearn": ("sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.metrics"),
    "transformers": ("torch._dynamo", "transformers.trainer", "transformers.models.auto.modeling_auto"),
    "datasets": ("datasets",),
}
_WHILE_IMPORTING = {
    "MPLBACKEND": INLINE,  # as IPython sets it in a kernel
    "OPENBLAS_NUM_THREADS": "1",  # the kernel starts OpenBLAS's threads; no thread may run when the server forks
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the same for Arrow's allocator
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # a look at the GPU that does not initialise CUDA
}


def _import_stack() -> dict[str, str]:
    """The variables that the imported libraries have set in the environment."""
    for name in THREADS:
        os.environ.pop(name, None)
    os.environ.update(_WHILE_IMPORTING)
    before = set(os.environ)
    for library in ("stack", *os.environ[LIBRARIES].split(",")):
        with contextlib.suppress(Exception):  # a library that cannot be imported is the kernel's to complain of
            for name in MODULES.get(library, ()):
                importlib.import_module(name)
    return {name: value for name, value in os.environ.items() if name not in before}


def become_kernel(request: dict[str, Any], streams: list[Connection], connection: Connection) -> None:
    """Take the place of the kernel that the request's command would have started, and tell its process id."""
    server = os.getppid()
    try:
        os.setsid()
        end_with_parent(server)
        _check_server(server)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream.fileno(), number)
            stream.close()
        os.chdir(request["folder"])
        _set_environment({**request["environment"], "JPY_PARENT_PID": str(server)})
        _forget_server()
        command = request["command"]
        sys.argv = [ipykernel_launcher.__file__, *command[command.index("ipykernel_launcher") + 1 :]]
    except Exception as error:
        connection.send({"refused": f"{type(error).__name__}: {error}"})
        return
    connection.send({"pid": os.getpid()})
    connection.close()
    try:
        IPKernelApp.launch_instance(argv=sys.argv[1:], parent_handle=server)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out


def _check_server(server: int) -> None:
    """Refuse what a fork of this server could not do, or could do by luck only."""
    import torch

    if os.getppid() != server:
        raise ProcessLookupError("the fork server has ended")
    if len(os.listdir(f"/proc/{server}/task")) > 1:  # noqa: PTH208
        raise RuntimeError("a thread runs in the fork server")
    if torch.cuda._is_in_bad_fork():
        raise RuntimeError("CUDA is initialised")


def _set_environment(environment: dict[str, str]) -> None:
    """The environment, and what Python and the imported libraries have already read from it."""
    import threadpoolctl

    os.environ.clear()
    os.environ.update({**SET_BY_IMPORTS, **environment})
    time.tzset()
    tempfile.tempdir = None
    # PyTorch asks MKL, and MKL the environment, when they are first used: both never were.
    openmp = environment.get("OMP_NUM_THREADS")
    threads = {
        "openmp": openmp,
        "openblas": environment.get("OPENBLAS_NUM_THREADS") or openmp or len(os.sched_getaffinity(0)),
        "mkl": environment.get("MKL_NUM_THREADS") or openmp,
    }
    for library in threadpoolctl.ThreadpoolController().lib_controllers:
        if number := threads.get(library.internal_api):
            library.set_num_threads(int(number))


def _forget_server() -> None:
    """Signals, randomness and modules as a new process has them that multiprocessing did not start."""
    import numpy as np
    import torch

    signal.signal(signal.SIGINT, signal.default_int_handler)
    np.random.seed()
    torch.default_generator.seed()  # Python's own generator seeds itself after a fork
    multiprocessing.set_start_method(None, force=True)
    MAIN_PROCESS.name, MAIN_PROCESS.authkey = "MainProcess", os.urandom(32)
    multiprocessing.process._current_process = MAIN_PROCESS
    multiprocessing.process._parent_process = None
    sys.__stdin__ = sys.stdin
    for name in [name for name in sys.modules if name.partition(".")[0] == "workbench"]:
        del sys.modules[name]


end_with_parent(os.getppid())
MAIN_PROCESS = multiprocessing.current_process()
# Some libraries look at import whether they run in a notebook: pandas for its tables, Transformers for progress bars.
InteractiveShell._instance = ZMQInteractiveShell.__new__(ZMQInteractiveShell)
InteractiveShell._instance.config = Config(IPKernelApp={})
vars(builtins).update(get_ipython=get_ipython, __IPYTHON__=True, display=display)
SET_BY_IMPORTS = _import_stack()
InteractiveShell._instance = None
gc.collect()
gc.freeze()  # what is here is never collected, so that its pages stay shared
