"""The server of warm kernels: one process that has imported the stack, in one thread, and forks.

`workbench.kernels.warm` starts it as `python -m workbench.kernels.forkserver` and speaks with it in lines of JSON;
`workbench.kernels.forked` is what a forked process does next. The server imports nothing before the first request,
never imports a chapter's own library, and refuses whatever an ordinary kernel of the same request would do differently.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.kernels.forked import Job, become_kernel, kernel_arguments
from workbench.kernels.warm import LONGEST, inherited, send

STACK = (
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "ipykernel.debugger",
    "numpy",
    "pandas",
    "scipy.stats",
    "scipy.sparse.linalg",
    "torch",
    "torch.utils.flop_counter",
    "pydantic",
    "threadpoolctl",
    # pyplot and the inline backend bind themselves to the running kernel when they are imported, and cost 0.02 s.
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)
"""What every server imports."""

EXTRAS = {
    "sklearn": ("sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.metrics"),
    "transformers": ("torch._dynamo", "transformers.trainer", "transformers.models.auto.modeling_auto"),
    "datasets": ("datasets",),
}
"""What a server imports where it is asked to, by library: together twice the time and memory of the rest."""

_INLINE = "module://matplotlib_inline.backend_inline"
_WHILE_IMPORTING = {
    "MPLBACKEND": _INLINE,  # as IPython sets it in a kernel
    "OPENBLAS_NUM_THREADS": "1",  # the kernel starts OpenBLAS's threads; no thread may run when the server forks
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the same for Arrow's allocator
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # a look at the GPU that does not initialise CUDA
}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_READ_AT_IMPORT = re.compile(
    r"^(PYTHON|LD_|LC_|LANG|MALLOC_|GLIBC_|OMP_|KMP_|GOMP_|MKL_|OPENBLAS_|GOTO_|BLIS_|NUMEXPR_|NPY_|NUMPY_|SCIPY_|"
    r"PANDAS|ARROW_|JE_ARROW|MPL|TORCH|PYTORCH|ATEN_|CUDA_|CUBLAS_|CUDNN_|NVIDIA_|HF_|HUGGINGFACE_|TRANSFORMERS_|"
    r"DATASETS_|ACCELERATE_|TQDM_|SKLEARN_|XDG_|HOME$)"
)
# Set in the kernel, read when it uses them, or looked at for themselves.
_MAY_DIFFER = {*_THREADS, "CUDA_VISIBLE_DEVICES", "HF_TOKEN", "MPLBACKEND"}


@dataclass
class _Kernel:
    """A forked kernel: its process, who asked for it, and whether they know that it has ended."""

    pid: int
    connection: socket.socket
    asker: int
    reported: bool = False


class _Forker:
    """The server's loop, in one thread."""

    def __init__(self, listener: int, lifeline: int, folder: str, extras: list[str]) -> None:
        self._listener = socket.socket(fileno=listener)
        self._lifeline = lifeline
        self._folder = folder
        self._extras = extras
        self._kernels: list[_Kernel] = []
        self._owner = os.getppid()
        self._environment = dict(os.environ)
        self._folders = [folder for folder in sys.path if Path(folder).is_dir()]
        self._installation = _installation(self._folders)
        self._imported = False
        self._set_by_imports: dict[str, str] = {}

    def serve(self) -> Job | None:
        """What to become, in a process that was forked; None when the server is to end."""
        while True:
            waiting = [kernel.connection.fileno() for kernel in self._kernels]
            ready = _readable([self._listener.fileno(), self._lifeline, *waiting], 0.1 if waiting else 1)
            if self._is_orphan():
                return None
            if self._listener.fileno() in ready and (job := self._answer()):
                return job
            for kernel in list(self._kernels):
                self._look_after(kernel, kernel.connection.fileno() in ready)

    def end(self) -> None:
        """Kill the kernels and remove the folder."""
        for kernel in self._kernels:
            _kill(kernel.pid)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _is_orphan(self) -> bool:
        """Whether the command that started the server has ended; nothing is ever written to the lifeline."""
        return bool(_readable([self._lifeline], 0)) or os.getppid() != self._owner

    def _look_after(self, kernel: _Kernel, spoken: bool) -> None:
        """Report a kernel's end; let it go when the asker knows of it, or is gone."""
        if spoken or not _exists(kernel.asker):
            _kill(kernel.pid)  # and, where it has ended, what it has left in its process group
            os.waitpid(kernel.pid, 0)
            kernel.connection.close()
            self._kernels.remove(kernel)
        elif not kernel.reported and (ended := os.waitid(os.P_PID, kernel.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            kernel.reported = True
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            with contextlib.suppress(OSError):
                send(kernel.connection, {"ended": code})

    def _answer(self) -> Job | None:
        """Meet one request; what to become, in the process that was forked."""
        connection, _ = self._listener.accept()
        streams: list[int] = []
        try:
            connection.settimeout(5)
            asker, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            request = _read_request(connection, streams)
            self._import()
            if request.get("prepare"):
                send(connection, {"ready": True})
            elif reason := self._reason_against(request, streams, asker, uid):
                send(connection, {"refused": reason})
            else:
                server = os.getpid()
                if (pid := os.fork()) == 0:
                    return self._forked(Job(server, connection, request, streams, self._set_by_imports))
                self._kernels.append(_Kernel(pid, connection, asker))
                connection = None
        except Exception:
            pass  # a request that is none; who asked sees that the connection closes
        if connection:
            connection.close()
        for stream in streams:
            os.close(stream)
        return None

    def _forked(self, job: Job) -> Job:
        """The job, in the forked process, with everything that is the server's closed; nothing else may come of it."""
        try:
            for kernel in self._kernels:
                kernel.connection.close()
            self._listener.close()
            os.close(self._lifeline)
        except BaseException:
            os._exit(1)
        return job

    def _import(self) -> None:
        """Import everything, once, while an eye is kept on the owner."""
        if self._imported:
            return
        for name in _THREADS:
            os.environ.pop(name, None)
        os.environ.update(_WHILE_IMPORTING)
        before = set(os.environ)
        signal.signal(signal.SIGALRM, lambda *_: self._end_if_orphan())
        signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
        with _as_in_a_kernel():
            for name in STACK:
                importlib.import_module(name)
            for name in (name for extra in self._extras for name in EXTRAS.get(extra, ())):
                with contextlib.suppress(Exception):  # a library that cannot be imported is the kernel's to complain of
                    importlib.import_module(name)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._set_by_imports = {name: value for name, value in os.environ.items() if name not in before}
        import gc

        gc.collect()
        gc.freeze()  # what is here is never collected, so that its pages stay shared
        self._imported = True

    def _end_if_orphan(self) -> None:
        if self._is_orphan():
            self.end()
            os._exit(1)

    def _reason_against(self, request: dict[str, Any], streams: list[int], asker: int, uid: int) -> str | None:
        """Why a kernel forked from here would not be as an ordinary one, or None."""
        environment = request["environment"]
        differing = sorted(
            name
            for name in self._environment.keys() | environment.keys()
            if _READ_AT_IMPORT.match(name)
            and name not in _MAY_DIFFER
            and self._environment.get(name) != environment.get(name)
        )
        if uid != os.getuid() or not asker:
            return "another user asks"
        if len(streams) != 3:
            return "there are not three streams"
        if kernel_arguments(request["command"]) is None:
            return f"the kernel is another one: {request['command']}"
        if differing:
            return f"the environment differs: {', '.join(differing)}"
        if environment.get("MPLBACKEND", _INLINE) != _INLINE:
            return "MPLBACKEND names another backend than a notebook's"
        if odd := [name for name in _THREADS if not re.fullmatch(r"[1-9][0-9]*", environment.get(name, "1"))]:
            return f"{odd[0]} is not a number"
        if request["inherited"]["processors"] != inherited()["processors"]:
            return "the processors differ"
        if _installation(self._folders) != self._installation:
            return "what is installed has changed"
        if _threads() != 1:
            return "a thread runs in the server"
        torch = sys.modules["torch"]
        if torch.cuda.is_initialized() or torch.cuda._is_in_bad_fork():
            return "CUDA is initialised"
        return None


def _read_request(connection: socket.socket, streams: list[int]) -> dict[str, Any]:
    """The request; the descriptors that come with it are added to `streams`."""
    data, received, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    streams += received
    while not data.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        if not chunk or len(data) > LONGEST:
            raise ValueError("the request has no end")
        data += chunk
    return json.loads(data)


def _installation(folders: list[str]) -> list[tuple[str, int]]:
    """What is installed in these folders, by the names and times of what tells of it."""
    kinds = (".dist-info", ".egg-info", ".egg-link", ".pth")
    entries = [entry for folder in folders for entry in os.scandir(folder) if entry.name.endswith(kinds)]
    return sorted((entry.path, entry.stat().st_mtime_ns) for entry in entries)


@contextlib.contextmanager
def _as_in_a_kernel() -> Iterator[None]:
    """Show libraries that look at import whether they run in a notebook what a kernel would show them.

    pandas lays out its tables by it, Transformers chooses its progress bars. What they keep of it speaks of the real
    shell later.
    """
    import builtins
    import types

    import IPython
    from IPython.display import display

    real, importing = IPython.get_ipython, True
    kernel = types.SimpleNamespace(config={"IPKernelApp": {}}, kernel=True)
    IPython.get_ipython = lambda: kernel if importing else real()
    shown = {"get_ipython": IPython.get_ipython, "__IPYTHON__": True, "display": display}
    vars(builtins).update(shown)
    try:
        yield
    finally:
        importing = False
        IPython.get_ipython = real
        for name in shown:
            delattr(builtins, name)


def _readable(descriptors: Iterable[int], seconds: float) -> set[int]:
    import select

    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}


def _threads() -> int:
    """The threads of this process, Python's and the libraries'."""
    return len([*Path("/proc/self/task").iterdir()])


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _kill(pid: int) -> None:
    """Kill a kernel that is not reaped yet, and its process group."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)


def _main() -> None:
    if sys.path[0] == os.getcwd():  # noqa: PTH109
        del sys.path[0]  # `python -m` puts the working directory there
    listener, lifeline, folder, *extras = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forker = _Forker(int(listener), int(lifeline), folder, extras)
    try:
        job = forker.serve()
    except BaseException:
        forker.end()
        raise
    if job:
        become_kernel(job)
    else:
        forker.end()


if __name__ == "__main__":
    _main()
