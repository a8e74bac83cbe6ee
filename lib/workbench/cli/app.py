"""The command line: what it is made of, and how every command ends.

The commands themselves stand in the other modules of this package, grouped by what they work on.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from workbench.cli import chapters, doctor, recorded, runs, sweeps
from workbench.core.errors import RequestError, RunError, in_words
from workbench.core.printed import redact_output
from workbench.core.processes import interrupt_on_signals, tidying_up
from workbench.core.secrets import secrets_of_process

_UNREAD = 141  # what a shell says of a program whose output nobody reads: 128 and the number of SIGPIPE

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
    interrupt_on_signals()
    redact_output(secrets_of_process())
    try:
        code, sentences = _outcome()
        tidying_up()  # there is nothing to interrupt any more
        for sentence in sentences:
            print(f"workbench: {sentence}", file=sys.stderr)
    except OSError:  # nobody reads standard error any more
        code = _UNREAD
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # Python would complain of it once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _outcome() -> tuple[int, Sequence[str]]:
    """The exit code of the command that is on the command line, and what is to be said on standard error."""
    try:
        # Typer returns the code of an Exit, and 130 for Ctrl-C.
        code = app(prog_name="workbench", standalone_mode=False)
        print(end="", flush=True)  # a disk may be full, too, to which standard output goes
    except RequestError as error:
        return 2, error.sentences
    except RunError as error:
        return 1, error.sentences
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        return _UNREAD, []
    except OSError as error:
        return 1, [in_words(error)]
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return getattr(error, "exit_code", 1), [error.format_message()]  # Click's own usage errors
    code = code if isinstance(code, int) else 0
    return code, ["interrupted"] if code == 130 else []


if __name__ == "__main__":
    main()
