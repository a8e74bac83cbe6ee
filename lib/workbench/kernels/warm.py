"""Warm kernels: a server process that has imported the stack and forks a kernel for whoever asks, on Linux.

Here is what a command opens for as long as it lives (`warm_kernels`) and what asks for a kernel (`fork_kernel`, which
`workbench.kernels.provisioner` calls); the server itself is `workbench.kernels.forkserver`. Where the server cannot
serve, an ordinary kernel is started, and only the debug log hears of it.

What passes over the socket are lines of JSON. A connection lasts as long as its kernel: where it closes, because the
asking process ended in whatever way, the server kills the kernel; where the server ends, its kernels do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.core.secrets import Secrets

SERVER = "workbench.kernels.forkserver"
NAME = "workbench-warm"
CHOICE = "JUPYTER_DEFAULT_PROVISIONER_NAME"
ADDRESS = "WORKBENCH_WARM"
PATIENCE = 60.0  # seconds for an answer; the first one waits for the imports

LONGEST = 4 << 20  # bytes of a request; an environment is far smaller

_log = logging.getLogger(__name__)
_said: set[str] = set()


# What a command opens.


@contextlib.contextmanager
def warm_kernels(also: Iterable[str] = ()) -> Iterator[Server | None]:
    """The server that kernels are forked from while this is open, by this process and by those that it starts.

    It is the one that the environment names already where that one answers, and None (kernels are ordinary ones) on
    systems other than Linux. Nothing is imported before the first kernel is asked for.

    Args:
        also: libraries of `workbench.kernels.forkserver.EXTRAS` that the kernels will import.
    """
    if sys.platform != "linux" or _answers(os.environ.get(ADDRESS)):
        yield None
        return
    before = {name: os.environ.get(name) for name in (CHOICE, ADDRESS)}
    try:
        server = Server(also)
    except OSError as reason:
        _say_once(reason)
        yield None
        return
    try:
        os.environ.update({CHOICE: NAME, ADDRESS: server.address})
        _forget_the_choice()
        yield server
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        _forget_the_choice()
        server.stop()


class Server:
    """A server process and its socket, in a folder that only this user can enter.

    The process ends with `stop`, or when this process ends in whatever way, and its kernels end with it.
    """

    def __init__(self, also: Iterable[str] = ()) -> None:
        self.folder = tempfile.mkdtemp(prefix=f"{NAME}-")
        self.address = str(Path(self.folder) / "socket")
        ours, self._lifeline = os.pipe()  # its other end is closed when this process ends
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(self.address)
                listener.listen(64)
                given = (listener.fileno(), ours)
                self.process = subprocess.Popen(
                    [sys.executable, "-m", SERVER, *map(str, given), self.folder, *sorted(set(also))],
                    env=_without_choice(Secrets().kernel_environment()),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=given,
                    start_new_session=True,  # Ctrl-C is for the command
                )
        except OSError:
            os.close(self._lifeline)
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        finally:
            os.close(ours)

    def prepare(self) -> None:
        """Have everything imported now, and wait for it.

        Raises:
            OSError: when the server has ended.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.address)
            send(connection, {"prepare": True})
            if not connection.recv(64):
                raise ConnectionError("the server of warm kernels has ended")

    def stop(self) -> None:
        """End the process and its kernels, and remove the folder."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _answers(address: str | None) -> bool:
    """Whether a server listens there."""
    with socket.socket(getattr(socket, "AF_UNIX", socket.AF_INET)) as probe:
        return bool(address) and probe.connect_ex(address) == 0


def _without_choice(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in (CHOICE, ADDRESS)}


def _forget_the_choice() -> None:
    """Have jupyter_client read the name of the provisioner again: it reads it once in a process."""
    if factory := sys.modules.get("jupyter_client.provisioning.factory"):
        factory.KernelProvisionerFactory.clear_instance()


# What asks for a kernel.


class ForkedKernel:
    """A kernel that the server forked, with as much of `subprocess.Popen` as a provisioner uses."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, pid: int, rest: bytes) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection
        self._received = rest

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the kernel lives."""
        if self.returncode is None:
            with contextlib.suppress(BlockingIOError):
                while b"\n" not in self._received and (chunk := _receive_some(self._connection)):
                    self._received += chunk
                self._ended()
        return self.returncode

    def wait(self) -> int:
        """The exit code, once there is one."""
        while self.poll() is None:
            time.sleep(0.05)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to a kernel that lives."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _ended(self) -> None:
        """Take the exit code, and wait until the server has reaped the process: up to then nobody else has its id."""
        line, newline, _ = self._received.partition(b"\n")
        with contextlib.suppress(OSError):
            if newline:
                self._connection.settimeout(5)
                self._connection.sendall(b".")
                self._connection.recv(1)
            else:
                os.kill(self.pid, signal.SIGKILL)  # the server is gone, and the kernel was to go with it
        self._connection.close()
        self.returncode = json.loads(line)["ended"] if newline else -signal.SIGKILL


async def fork_kernel(
    command: list[str], environment: Mapping[str, str], folder: str, streams: tuple[Any, Any, Any]
) -> ForkedKernel | None:
    """A kernel forked by the server that the environment names, or None where an ordinary one is to be started.

    Args:
        command: what would start the ordinary kernel.
        environment: the kernel's, whole.
        folder: its working directory.
        streams: standard input, output and error as `subprocess.Popen` takes them: None, a descriptor or a file.
    """
    connection = None
    try:
        address = os.environ.get(ADDRESS)
        if not address:
            raise _Refused("no server is named")
        request = {
            "command": command,
            "environment": dict(environment),
            "folder": folder,
            "inherited": inherited(),
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(address)
        with contextlib.ExitStack() as opened:
            send(connection, request, [_descriptor(*pair, opened) for pair in enumerate(streams)])
        connection.setblocking(False)
        answer, rest = await asyncio.wait_for(_first_line(connection), PATIENCE)
        if "pid" not in answer:
            raise _Refused(answer.get("refused", "the kernel ended at once"))
        return ForkedKernel(connection, answer["pid"], rest)
    except (OSError, ValueError, TimeoutError, _Refused) as reason:
        if connection:
            connection.close()
        _say_once(reason)
        return None
    except BaseException:
        if connection:
            connection.close()  # Ctrl-C: the server kills what it has forked
        raise


def _say_once(reason: Exception) -> None:
    if str(reason) not in _said:
        _said.add(str(reason))
        _log.debug("an ordinary kernel is started: %s", reason)


class _Refused(Exception):
    """A kernel that is not to be forked, and why."""


async def _first_line(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    loop, received = asyncio.get_running_loop(), b""
    while b"\n" not in received:
        chunk = await loop.sock_recv(connection, 4096)
        if not chunk:
            raise _Refused("the server has ended")
        received += chunk
    line, _, rest = received.partition(b"\n")
    return json.loads(line), rest


def _descriptor(number: int, stream: Any, opened: contextlib.ExitStack) -> int:
    """The descriptor to give a kernel as its stream of this number."""
    if stream is None and number > 0:
        return number
    if stream is None or stream == subprocess.DEVNULL:
        return opened.enter_context(open(os.devnull, "r+b", buffering=0)).fileno()  # noqa: PTH123
    if isinstance(stream, int) and stream < 0:
        raise _Refused("a stream is a pipe to be made")
    return stream if isinstance(stream, int) else stream.fileno()


def inherited() -> dict[str, Any]:
    """What a process has from its parent besides environment, folder and streams."""
    import resource

    limits = {
        name: list(resource.getrlimit(getattr(resource, name))) for name in dir(resource) if name[:7] == "RLIMIT_"
    }
    return {"limits": limits, "processors": sorted(os.sched_getaffinity(0)), "niceness": os.nice(0)}


def send(connection: socket.socket, message: dict[str, Any], descriptors: Iterable[int] = ()) -> None:
    """Send one message, and descriptors with it."""
    data = json.dumps(message).encode() + b"\n"
    if len(data) > LONGEST:
        raise _Refused("the environment is too large")
    sent = socket.send_fds(connection, [data], list(descriptors))
    if sent < len(data):
        connection.sendall(data[sent:])


def _receive_some(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionError:
        return b""
