"""Warm kernels: while `warm_kernels` is open, kernels are forked from a process that has imported the stack (Linux).

The command starts `workbench.kernels.server`, which has `multiprocessing`'s fork server start the kernels. What the
command starts finds that server by the environment, through `workbench.kernels.provisioner`. Each of these processes
ends with the one before it. Where no kernel can be forked, an ordinary one is started, and only the debug log tells.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points

from workbench.core.files import temporary_folder
from workbench.core.secrets import secrets_of_process

NAME = "workbench-warm"
CHOICE = "JUPYTER_DEFAULT_PROVISIONER_NAME"
ADDRESS = "WORKBENCH_WARM"
LIBRARIES = "WORKBENCH_WARM_LIBRARIES"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def warm_kernels(libraries: Iterable[str] = ()) -> Iterator[subprocess.Popen | None]:
    """The server from which this process, and those that it starts, fork their kernels while this is open.

    None where kernels come from elsewhere: the environment chooses a provisioner already, or no server can be started.
    The libraries of `workbench.kernels.forked.MODULES` that the kernels will import are imported at once.
    """
    with contextlib.ExitStack() as ends:
        server = None
        known = entry_points(group="jupyter_client.kernel_provisioners", name=NAME)
        if sys.platform == "linux" and known and CHOICE not in os.environ:
            try:
                folder = ends.enter_context(temporary_folder())
                server = ends.enter_context(_start(folder, libraries))
            except OSError as error:
                log.debug("kernels are ordinary ones: %s", error)
            else:
                ends.callback(_choose, None)
                _choose(f"{folder}/socket")
        yield server


def _start(folder: str, libraries: Iterable[str]) -> subprocess.Popen:
    """A server, with its socket in a folder, that imports everything at once and ends when its input is closed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(64)
        return subprocess.Popen(
            # Not `-m`: multiprocessing imports a main module into every process that it starts.
            [sys.executable, "-c", "from workbench.kernels.server import main; main()", str(listener.fileno())],
            env={**secrets_of_process().kernel_environment(), LIBRARIES: ",".join(sorted(set(libraries)))},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is for the command
        )


def _choose(address: str | None) -> None:
    """Have this process, and those that it starts, fork kernels from the server at an address, or from none."""
    for name, value in ((CHOICE, NAME), (ADDRESS, address)):
        os.environ.pop(name, None)
        if address:
            os.environ[name] = value
    if factory := sys.modules.get("jupyter_client.provisioning.factory"):
        factory.KernelProvisionerFactory.clear_instance()  # it reads the choice once
