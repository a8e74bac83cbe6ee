"""The kernel provisioner that has kernels forked from a warm process, for whatever uses jupyter_client.

The variable JUPYTER_DEFAULT_PROVISIONER_NAME chooses it by the name `workbench-warm`. Where no kernel can be forked it
starts an ordinary one, as the class that it derives from does.
"""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from workbench.kernels.warm import ADDRESS, CHOICE, NAME, ForkedKernel, fork_kernel


class WarmProvisioner(LocalProvisioner):
    """A local kernel, forked where that is possible."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel that the command would start, or start it."""
        plain = not kwargs.keys() - {"env", "cwd", "stdin", "stdout", "stderr", "extra_arguments", "kernel_id"}
        kernel = None
        if plain and "env" in kwargs:
            folder = os.path.abspath(kwargs.get("cwd") or os.curdir)  # noqa: PTH100
            streams = (kwargs.get("stdin"), kwargs.get("stdout"), kwargs.get("stderr"))
            kernel = await fork_kernel(cmd, kwargs["env"], folder, streams)
        if kernel is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = kernel
        self.pid = self.pgid = kernel.pid
        self.cwd = folder
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group, unless it has ended: its id may be another's by then."""
        if not isinstance(self.process, ForkedKernel) or self.process.poll() is None:
            await super().send_signal(signum)

    def _finalize_env(self, env: dict[str, str]) -> None:
        """Leave the choice of a provisioner out of the kernel's environment, so that warm and cold ones are alike."""
        super()._finalize_env(env)
        for name in (CHOICE, ADDRESS):
            env.pop(name, None)


# Known by name to this process even where the installed distribution has no entry point of it.
KernelProvisionerFactory.provisioners.setdefault(
    NAME,
    importlib.metadata.EntryPoint(NAME, f"{__name__}:{WarmProvisioner.__name__}", KernelProvisionerFactory.GROUP_NAME),
)
