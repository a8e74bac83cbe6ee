"""JupyterLab for the user of this machine alone: the process that `workbench lab` and `workbench open` become."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def become_jupyterlab(root: Path, page: str | None, options: Sequence[str]) -> None:
    """Become a JupyterLab that serves a folder on this machine only, with a page of it open."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-m", __name__, f"--ServerApp.root_dir={root}"]
    if not any(re.match(r"--(\w+\.)?ip\b", option) for option in options):  # JupyterLab takes one and refuses two
        command.append("--ServerApp.ip=127.0.0.1")
    if not any("contents_manager_class" in option for option in options):
        command.append(f"--ServerApp.contents_manager_class={__name__}_notebooks.Notebooks")
    if page is not None:
        command.append(f"--LabApp.default_url=/lab/tree/{page}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    os.execv(sys.executable, [*command, *options])


def main() -> None:
    """Serve as `jupyter lab` does with these options, once it is settled who can reach the server.

    That is decided by options, variables of the environment and settings files together, so the server itself is asked.
    """
    from jupyterlab.labapp import LabApp

    server = LabApp.initialize_server(argv=sys.argv[1:])
    if not server.identity_provider.auth_enabled:
        print("workbench: without a token or a password everybody here could run code as you", file=sys.stderr)
        sys.exit(2)
    if not _is_loopback(server):
        print(
            f"workbench: other machines can reach JupyterLab at {server.ip or 'every address'}; "
            "whoever has its token or password runs code as you",
            file=sys.stderr,
        )
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    server.start()


def _is_loopback(server: Any) -> bool:
    if server.sock or server.ip == "localhost":
        return True
    try:
        return ipaddress.ip_address(server.ip).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    main()
