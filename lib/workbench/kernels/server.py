"""The server of warm kernels: it has `multiprocessing`'s fork server start a kernel for each connection.

A connection lasts as long as its kernel. Where it closes, because the process that wants the kernel has ended, the
kernel is killed; where the kernel ends, its exit code is sent. This process imports nothing but the standard library:
the stack is imported in the fork server (`workbench.kernels.forked`), and the kernels are its children.
"""

from __future__ import annotations

import contextlib
import multiprocessing.forkserver
import os
import re
import shutil
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle
from typing import Any

INLINE = "module://matplotlib_inline.backend_inline"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_READ_AT_IMPORT = re.compile(
    r"(PYTHON|LD_|LC_|LANG|MALLOC_|GLIBC_|OMP_|KMP_|GOMP_|MKL_|OPENBLAS_|GOTO_|BLIS_|NUMEXPR_|NPY_|NUMPY_|SCIPY_|PANDAS"
    r"|ARROW_|JE_ARROW|MPL|TORCH|PYTORCH|ATEN_|CUDA_|CUBLAS_|CUDNN_|NVIDIA_|HF_|HUGGINGFACE_|TRANSFORMERS_|DATASETS_"
    r"|ACCELERATE_|TQDM_|SKLEARN_|XDG_|HOME$)"
)
# The last two are set by scikit-learn, if the command imports it once the server has started.
_READ_LATER = {*THREADS, "CUDA_VISIBLE_DEVICES", "HF_TOKEN", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}


def main() -> None:
    """Serve until the standard input is closed."""
    del sys.path[0]  # the working directory
    folder = os.getcwd()  # noqa: PTH109
    multiprocessing.current_process()._config["tempdir"] = folder  # its own would stay, since this process is killed
    kernels: dict[Connection, BaseProcess] = {}
    threading.Thread(target=_end_with_command, args=[kernels, folder], daemon=True).start()
    multiprocessing.set_forkserver_preload(["workbench.kernels.forked"])
    multiprocessing.forkserver.ensure_running()
    listener = socket.socket(fileno=int(sys.argv[1]))
    while True:
        ready = wait([listener, *kernels, *(kernel.sentinel for kernel in kernels.values())])
        if listener in ready:
            connection = Connection(listener.accept()[0].detach())
            try:
                kernels[connection] = _start(connection)
            except Exception as error:  # whatever it is, an ordinary kernel will do
                _close(connection, {"refused": f"{type(error).__name__}: {error}"})
        for connection, kernel in list(kernels.items()):
            if connection in ready or kernel.sentinel in ready:
                _end(connection, kernels.pop(connection))


def _end_with_command(kernels: dict[Connection, BaseProcess], folder: str) -> None:
    """Wait for the end of the input; then kill everything, even while the main thread waits for the imports."""
    try:
        sys.stdin.buffer.read()
        shutil.rmtree(folder, ignore_errors=True)
        for kernel in list(kernels.values()):
            with contextlib.suppress(ValueError):  # one that has just ended and been closed
                signal_group(kernel.pid, signal.SIGKILL)
    finally:
        os.killpg(0, signal.SIGKILL)  # this process, the fork server, and with it every kernel


def _start(connection: Connection) -> BaseProcess:
    """The process that answers a request by becoming a kernel."""
    request = connection.recv()
    streams = [Connection(recv_handle(connection)) for _ in range(2)]  # multiprocessing passes descriptors so
    check(request["command"], request["environment"])
    kernel = multiprocessing.get_context("forkserver").Process(target=_become, args=(request, streams, connection))
    kernel.start()
    return kernel


def _become(request: dict[str, Any], streams: list[Connection], connection: Connection) -> None:
    from workbench.kernels.forked import become_kernel  # which imports the stack

    become_kernel(request, streams, connection)


def check(command: list[str], environment: dict[str, str]) -> None:
    """Refuse a kernel of another kind, and one to which a library would have looked different when it was imported.

    Raises:
        ValueError: what the difference is.
    """
    start = [part for part in command if part != "-Xfrozen_modules=off"][:3]  # which speaks to debuggers only
    if start != [sys.executable, "-m", "ipykernel_launcher"]:
        raise ValueError(f"the kernel is another one: {command}")
    theirs, ours = ({"MPLBACKEND": INLINE, **variables} for variables in (environment, os.environ))
    differing = {name for name, _ in theirs.items() ^ ours.items() if _READ_AT_IMPORT.match(name)} - _READ_LATER
    if differing:
        raise ValueError(f"the environment differs: {', '.join(sorted(differing))}")


def _end(connection: Connection, kernel: BaseProcess) -> None:
    """Kill a kernel, or what one that has ended has left in its process group, and send the exit code."""
    if kernel.is_alive():
        kernel.kill()
    signal_group(kernel.pid, signal.SIGKILL)
    kernel.join()
    _close(connection, {"ended": kernel.exitcode})
    kernel.close()


def _close(connection: Connection, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError), connection:
        connection.send(message)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to what is left of the process group of a kernel."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)
