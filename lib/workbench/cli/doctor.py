"""The command that looks at the machine: `doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from workbench.cli.shared import Json, print_json
from workbench.core.project import find_project


def doctor(as_json: Json = False) -> None:
    """Say what this machine lacks for the workbench, and how to mend it.

    ✗ stands where something is missing that is needed, ! where something is missing that not everybody needs. Exit
    codes: 0 nothing that is needed is missing, 1 something is.

    **Examples**

    ```
    workbench doctor
    workbench doctor --json
    ```
    """
    from workbench.cli.checks import examine

    project = find_project()
    checks = list(examine(project))
    if as_json:
        print_json(list(map(asdict, checks)))
    else:
        from workbench.cli.tables import print_checks

        print_checks(checks)
    raise typer.Exit(1 if any(check.fails for check in checks) else 0)
