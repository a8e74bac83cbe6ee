"""The directive `{commands} MODULE:APP`: commands of a Typer app, each with its arguments, options and examples.

They are read from the app whenever the page is built, so that the page says what `--help` prints. No extension does
that here: sphinx-click takes Click's own commands alone, which Typer's are not, and sphinxcontrib-typer needs a Sphinx
that Jupyter Book 1 does not take.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any, ClassVar

import typer
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

_EXAMPLES = "**Examples**"
_CODES = re.compile(r"\s*\b(Exit\s+codes\b.*)\Z", re.DOTALL)
_PLAIN = str.maketrans("", "", "<>")  # which stand around a choice
_RANGE = re.compile(r"(\S+)<=x<=(\S+)|x>=(\S+)")


class Commands(SphinxDirective):
    """A section for each command that its lines name; the program's own name stands for the options before a command.

    `{ref}` knows the section as `workbench-run`, and `{option}` each option as `workbench run --force`.
    """

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"program": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """The sections; a command that the app does not have is an error of the page."""
        module, _, name = self.arguments[0].partition(":")
        group = typer.main.get_command(getattr(importlib.import_module(module), name))
        program = self.options["program"]
        known = {program: group} | {f"{program} {each}": command for each, command in group.commands.items()}
        lines = [" ".join(line.split()) for line in self.content if line.strip()]
        if unknown := [line for line in lines if line not in known]:
            raise self.error(f"{self.arguments[0]} has no command {', '.join(unknown)}")
        return [self._section(line, known[line]) for line in lines]

    def _section(self, name: str, command: Any) -> nodes.section:
        if command.callback:
            self.env.note_dependency(command.callback.__code__.co_filename)
        label = nodes.make_id(name)
        title = nodes.title("", "", nodes.literal(text=name))
        section = nodes.section("", title, ids=[label], names=[name])
        self.env.get_domain("std").note_hyperlink_target(label, self.env.docname, label, name)
        section += self.parse_text_to_nodes("\n".join(described(name, command)))
        return section


def described(name: str, command: Any) -> Iterator[str]:
    """The lines of Markdown that describe a command: what it does, how it is called, and its exit codes."""
    text, _, examples = (command.help or "").partition(_EXAMPLES)
    codes = _CODES.search(text)
    context = typer.Context(command, info_name=name, **command.context_settings)
    records = [
        (each, *record) for each in command.get_params(context) if (record := each.get_help_record(context)) is not None
    ]
    arguments = {each: _several(each) for each, *_ in records if each.param_type_name == "argument"}
    words = " ".join(form if each.required else f"[{form}]" for each, form in arguments.items())
    rest = "COMMAND …" if hasattr(command, "commands") else words
    yield from (text[: codes.start() if codes else None], "")
    yield from ("```bash", f"{name} [OPTIONS] {rest}".rstrip(), "```", "")
    yield from (f"```{{program}} {name}", "```")
    for each, form, said in records:
        if "--help" in each.opts and not hasattr(command, "commands"):  # every command has it
            continue
        form = arguments.get(each, form.translate(_PLAIN))
        yield from (f"````{{option}} {form}", *[":no-index:"] * (each in arguments))
        yield from ("", _with_bounds(said), "````")
    yield from ("```{program} None", "```", "")
    if codes:
        yield from (codes[1], "")
    if examples.strip():
        yield from ("```bash", dedent(examples.strip("\n")).strip(), "```", "")


def _several(argument: Any) -> str:
    """An argument's name, with dots behind it where it may be given several times."""
    return argument.metavar.removesuffix("…") + "…" * (argument.nargs == -1)


def _with_bounds(said: str) -> str:
    """The help of an option with its default and its bounds as a sentence; that it is required, the usage shows."""
    words, _, bounds = said.partition("  [")
    parts = [part for part in bounds.removesuffix("]").split("; ") if part and part != "required"]
    if not parts:
        return words
    in_words = "; ".join(
        _RANGE.sub(lambda of: f"{of[1]} to {of[2]}" if of[1] else f"at least {of[3]}", p) for p in parts
    )
    return f"{words} ({in_words})"
