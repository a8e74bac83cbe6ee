"""What the command line is made of. The commands stand in the other modules, grouped by what they work on."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated, Any

import typer

from workbench.cli import chapters, data, doctor, recorded, runs, sweeps

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"workbench {importlib.metadata.version('large-model-workbench')}")
        raise typer.Exit()


@app.callback()
def workbench(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run, check and publish the chapters of the workbench. `workbench COMMAND --help` shows examples."""


for command in (
    *(chapters.run, runs.runs, runs.show, runs.compare, runs.rm, runs.status),
    data.data,
    *(chapters.book, chapters.check, chapters.accept),
    *(recorded.record, recorded.recorded, recorded.confirm, sweeps.sweep, doctor.doctor),
):
    app.command()(command)
for name, command in (("lab", chapters.lab), ("open", runs.open_run)):
    app.command(name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(command)


def call() -> Any:
    """The exit code of the command that is on the command line, or what it returns; 130 for Ctrl-C at a question.

    Raises:
        BrokenPipeError: where nobody reads the output; Rich and Click would end the process with the exit code 1.
    """
    try:
        return app(prog_name="workbench", standalone_mode=False)  # Typer returns the code of an Exit
    except typer.Abort:
        return 130
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
