"""What the command line is made of. The commands stand in the other modules, grouped by what they work on."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated, Any

import typer

from workbench.cli import chapters, doctor, evaluate, new_chapter, predict, recorded, runs, sources, student, sweeps
from workbench.cli.shared import parameters_of_chapters
from workbench.core.errors import RequestError
from workbench.core.text import shown

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    *(chapters.run, runs.runs, runs.show, runs.compare, runs.export, runs.rm, runs.status),
    *(chapters.book, chapters.check, chapters.accept, student.student),
    *(recorded.record, recorded.recorded, recorded.confirm, sweeps.sweep, sweeps.sweeps),
    *(predict.predict, evaluate.evaluate, sources.data, sources.model, doctor.doctor),
):
    app.command()(command)
app.command("new-chapter")(new_chapter.new_chapter)
for name, command in (("lab", chapters.lab), ("open", runs.open_run)):
    app.command(name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(command)


def _hint(error: typer.TyperException, words: list[str]) -> str:
    """What a line that the commands do not take may have meant; nothing where that is not known."""
    if words[:1] == ["list"]:
        return "`workbench runs` lists the runs, and `workbench show CHAPTER` the parameters of a chapter"
    known = parameters_of_chapters()
    for place, word in enumerate(words):
        name, _, value = word.lstrip("-").partition("=")
        if word in ("-p", "--parameter"):  # Papermill takes the value as a word of its own
            name, value = (*words[place + 1 : place + 3], "", "")[:2]
        elif word.partition("=")[0] != getattr(error, "option_name", None):
            continue
        if name.replace("-", "_") in known:
            value = value or (*words[place + 1 : place + 2], "VALUE")[0]
            return f"a parameter is given as -p {name.replace('-', '_')}={shown(value)}"
    return ""


def call() -> Any:
    """The exit code of the command that is on the command line, or what it returns; 130 for Ctrl-C at a question.

    Raises:
        BrokenPipeError: where nobody reads the output; Rich and Click would end the process with the exit code 1.
    """
    try:
        return app(prog_name="workbench", standalone_mode=False)  # Typer returns the code of an Exit
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        if hint := _hint(error, sys.argv[1:]):
            raise RequestError(f"{error.message.rstrip('.')}; {hint}") from None
        raise
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
