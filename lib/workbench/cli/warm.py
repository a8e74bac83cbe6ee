"""The command that keeps a server of warm kernels for a working session: `warm`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from workbench.core.errors import RequestError, RunError


def warm(
    library: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="LIBRARY", help="Import transformers, datasets or sklearn too; may be repeated."
        ),
    ] = None,
) -> None:
    """Keep a process that has imported the stack, from which kernels start within a second, until Ctrl-C.

    It prints two lines for another terminal: `workbench run`, `papermill` and `workbench lab` that are started there
    fork their kernels from it. `workbench book` and `workbench check` need none of this: they keep a server of their
    own. Linux only.

    **Examples**

    ```
    workbench warm
    workbench warm --with transformers --with datasets
    ```
    """
    from importlib.metadata import entry_points

    from workbench.kernels.forkserver import EXTRAS
    from workbench.kernels.warm import ADDRESS, CHOICE, NAME, Server

    if odd := [name for name in library or [] if name not in EXTRAS]:
        raise RequestError(*(f"--with {name} is not one of {', '.join(EXTRAS)}" for name in odd))
    if sys.platform != "linux":
        raise RequestError("kernels can be forked on Linux only; everything else works without")
    if not entry_points(group="jupyter_client.kernel_provisioners", name=NAME):
        raise RunError(f"Jupyter does not know {NAME} in this environment: install the project again")
    try:
        server = Server(library or [])
    except OSError as error:
        raise RunError(f"the server of warm kernels cannot be started: {error}") from None
    try:
        server.prepare()
        print(f"export {CHOICE}={NAME} PYTHONHASHSEED=0\nexport {ADDRESS}={server.address}", flush=True)
        server.process.wait()
        raise RunError("the server of warm kernels has ended")
    except OSError as error:
        raise RunError(f"the server of warm kernels has ended: {error}") from None
    except KeyboardInterrupt:
        pass  # how it is meant to end
    finally:
        server.stop()
