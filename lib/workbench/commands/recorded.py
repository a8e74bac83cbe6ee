"""Commands that work on what is kept with the book: `record`."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.project import find_project


def record(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A completed run, the start of its name, or `latest`.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What it is called in the book, such as `attention-wide`.")
    ],
    public: Annotated[
        list[str] | None,
        typer.Option(
            "--public", metavar="NAME=ID", help="What others get a local file by, for each parameter that was one."
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is recorded under this name.")] = False,
) -> None:
    """Keep a run with the book, in book/recorded/NAME/, with the command that computes it again.

    A page shows it with the directive `{recorded} NAME`.

    **Examples**

    ```
    workbench record latest attention-wide
    workbench record 20261123T1845 attention-reviews --public corpus="the reviews of Hu and Liu, 2004"
    ```
    """
    from workbench.recorded import record_run
    from workbench.records import find_run
    from workbench.request import given_parameters

    project = find_project()
    kept = record_run(project, find_run(project, run), name, given_parameters(public or [], []), replace=replace)
    print(f"{kept.relative_to(project.root)} keeps it; a page shows it with the directive {{recorded}} {name}")
