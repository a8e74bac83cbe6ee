"""The command line: what it is made of, and how every command ends.

The commands themselves stand in the other modules of this package, grouped by what they work on.
"""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from workbench.cli import chapters, doctor, recorded, runs, sweeps
from workbench.core.errors import RequestError, RunError
from workbench.core.printed import redact_output
from workbench.core.secrets import secrets_of_process

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
    *(chapters.book, chapters.check, chapters.accept),
    *(recorded.record, recorded.recorded, recorded.confirm, sweeps.sweep, doctor.doctor),
):
    app.command()(command)
for name, command in (("lab", chapters.lab), ("open", runs.open_run)):
    app.command(name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(command)


def main() -> None:
    """Run the command line, with one sentence on standard error for each thing that is wrong with a request."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite end leaves things as tidy as Ctrl-C does
    redact_output(secrets_of_process())
    try:
        # Typer returns the code of an Exit, and 130 for Ctrl-C.
        code = app(prog_name="workbench", standalone_mode=False)
    except RequestError as error:
        _fail(error.sentences, 2)
    except RunError as error:
        _fail(error.sentences, 1)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _fail([error.format_message()], getattr(error, "exit_code", 1))  # Click's own usage errors
    if code == 130:
        _fail(["interrupted"], 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(sentences: Sequence[str], code: int) -> None:
    for sentence in sentences:
        print(f"workbench: {sentence}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
