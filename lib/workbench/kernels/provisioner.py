"""The kernel provisioner of warm kernels, which jupyter_client knows by the name `workbench-warm`.

Where no kernel can be forked it starts an ordinary one, as the class that it derives from does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from multiprocessing.reduction import send_handle
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from workbench.kernels.server import signal_group
from workbench.kernels.warm import ADDRESS, log

PATIENCE = 60.0  # seconds for an answer; the first one waits for the imports


@dataclass
class ForkedKernel:
    """A kernel that was forked, with as much of `subprocess.Popen` as the provisioner uses."""

    pid: int
    connection: Connection
    returncode: int | None = None
    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the kernel lives."""
        if self.returncode is None and self.connection.poll():
            try:
                self.returncode = self.connection.recv()["ended"]
            except (EOFError, OSError):  # the server has ended, and the kernel with it
                self.returncode = -signal.SIGKILL
                signal_group(self.pid, signal.SIGKILL)  # what the kernel has started
            self.connection.close()
        return self.returncode

    def wait(self) -> int | None:
        """The exit code of a kernel that has ended: the provisioner waits until then itself."""
        return self.returncode


async def fork_kernel(
    command: list[str], env: dict[str, str], cwd: str | None = None, stdout: Any = None, stderr: Any = None
) -> ForkedKernel:
    """The kernel that the server forks in place of one that `subprocess.Popen` would start from these arguments.

    Raises:
        OSError: when the kernel cannot be forked, or would differ from an ordinary one.
    """
    with contextlib.ExitStack() as on_error:
        connection = on_error.enter_context(Client(os.environ[ADDRESS], "AF_UNIX"))
        connection.send({"command": command, "environment": env, "folder": os.path.abspath(cwd or os.curdir)})  # noqa: PTH100
        for number, stream in ((1, stdout), (2, stderr)):
            number = number if stream is None else stream if isinstance(stream, int) else stream.fileno()
            send_handle(connection, number, None)
        async with asyncio.timeout(PATIENCE):
            while not connection.poll():
                await asyncio.sleep(0.01)
        answer = connection.recv()
        if "pid" not in answer:
            raise OSError(answer.get("refused", "the kernel ended at once"))
        on_error.pop_all()
    return ForkedKernel(answer["pid"], connection)


class WarmProvisioner(LocalProvisioner):
    """A local kernel, forked where that is possible."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel that the command would start, or start it."""
        options = self._scrub_kwargs(kwargs)
        if ADDRESS not in os.environ or not {"env"} <= options.keys() <= {"env", "cwd", "stdout", "stderr"}:
            return await super().launch_kernel(cmd, **kwargs)
        try:
            self.process = await fork_kernel(cmd, **options)
        except (OSError, EOFError) as reason:
            log.debug("an ordinary kernel is started: %s", reason)
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = self.process.pid
        self.cwd = options.get("cwd", os.curdir)
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group, unless it has ended: its id may be another's by then."""
        if not isinstance(self.process, ForkedKernel):
            await super().send_signal(signum)
        elif self.process.poll() is None:
            signal_group(self.pid, signum)
