"""The rules that a chapter's notebook keeps, beside those of its parameters cell; one sentence for each breach.

No command reads a chapter that breaks those which a run rests upon (`misused`). `workbench run` and `check` refuse one
that breaks any, with all sentences at once. The page "Write a chapter" of the book has the rules as a table.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import symtable
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.core.code import parse
from workbench.parameters.cells import (
    COMPARED,
    PARAMETERS,
    QUOTES,
    code_cells,
    makes_figure,
    named,
    python_of,
    recording_calls,
    tags,
)

KERNEL = "python3"
"""The kernel of every chapter, by the name that this environment gives it."""
CAPTION = '"mystnb": {"figure": {"caption": "…", "name": "fig-…"}, "image": {"alt": "…"}}'
"""What a figure's cell has in its metadata."""


def misused(notebook: dict[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing for which a chapter with these parameters could not run, or not as it reads."""
    kernel = notebook.get("metadata", {}).get("kernelspec", {}).get("name")
    if kernel != KERNEL:
        instead = f"its kernel is {kernel}" if kernel else "it names no kernel"
        yield f"{instead}; choose Python 3 (`{KERNEL}`) in JupyterLab, and save it"
    for name, parameter in parameters.items():
        if (name == "seed" or name.endswith("_seed")) and parameter.type_text != "Seed":
            yield f"declare {name} as `Seed`, so that a sweep over it has means and intervals"
    cells, tables = _other_cells(notebook), []
    for cell in cells:
        try:
            tables.append(symtable.symtable(python_of(cell), "", "exec"))
        except SyntaxError as error:
            yield f"{named(cell)} is not Python (line {error.lineno}: {error.msg})"
    if len(tables) == len(cells):  # else it is not known what the rest does
        yield from _bound_or_unread(tables, parameters)


def broken_rules(notebook: dict[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each further rule that it breaks: what outputs, claims, figures and readers rest upon."""
    ids = collections.Counter(cell["id"] for cell in notebook["cells"] if cell.get("id"))
    if ids.total() < len(notebook["cells"]):
        yield "it has cells without an id; JupyterLab gives them theirs where you open it and save it"
    for name in (name for name, times in ids.items() if times > 1):
        yield f"{ids[name]} cells have the id {name}, and each needs another"
    for name, parameter in parameters.items():
        if not parameter.comment:
            yield f"the parameter {name} has no comment; write behind it what it is: `# …`"
    for cell in _other_cells(notebook):
        with contextlib.suppress(SyntaxError):  # of which `misused` speaks
            code = parse(python_of(cell))
            yield from (f"{named(cell)}: {problem}" for problem in _of_the_cell(cell, code))


def caption_missing(cell: dict[str, Any]) -> str | None:
    """What the cell of a figure lacks, with the line that mends it."""
    shown = cell.get("metadata", {}).get("mystnb", {})
    if shown.get("figure", {}).get("caption") and shown.get("image", {}).get("alt"):
        return None
    return f"its figure has no caption or no text alternative; the cell's metadata takes {CAPTION}"


def _other_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in code_cells(notebook) if PARAMETERS not in tags(cell)]


def _bound_or_unread(tables: list[symtable.SymbolTable], parameters: Mapping[str, Any]) -> Iterator[str]:
    """What the other cells of a chapter, by their symbols, do wrong with its parameters."""
    bound, read = set(), set()
    for symbol in (symbol for table in tables for symbol in _globals(table)):
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            bound.add(symbol.get_name())
        if symbol.is_referenced():
            read.add(symbol.get_name())
    if "begin" in read:
        read.add("seed")  # with which it seeds Python, NumPy and PyTorch
    for name in parameters:
        if name in bound:
            yield f"a later cell binds the parameter {name} again, so the setup cell could not run twice"
        if name not in read:
            yield f"the parameter {name} is declared and never read"


def _globals(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    """The module-level names that a piece of code uses, in each of its scopes."""
    for symbol in table.get_symbols():
        if table.get_type() == "module" or symbol.is_global():
            yield symbol
    for child in table.get_children():
        yield from _globals(child)


def _of_the_cell(cell: dict[str, Any], code: ast.Module) -> Iterator[str]:
    """Where a cell's tags, and its metadata, do not fit what it calls."""
    calls = recording_calls(ast.walk(code))
    claims = {"claim", "check"} & set(calls)
    only_claims = bool(code.body) and all(map(_is_claim, code.body))
    if COMPARED in tags(cell) and not only_claims:
        yield f"it is tagged {COMPARED} and holds something else than claims"
    if claims and not only_claims and COMPARED not in tags(cell):
        yield f"it makes a claim beside other things; put the claims into a cell of their own, tagged {COMPARED}"
    elif claims and COMPARED not in tags(cell):
        yield f"it makes a claim and is not tagged {COMPARED}"
    if QUOTES in tags(cell) and calls:
        yield f"it is tagged {QUOTES}, so its outputs are not kept, and it records or claims"
    if makes_figure(code) and (problem := caption_missing(cell)):
        yield problem


def _is_claim(statement: ast.stmt) -> bool:
    """Whether a statement is a claim, or a condition or a loop in which some are made."""
    if isinstance(statement, ast.If | ast.For):
        return all(map(_is_claim, [*statement.body, *statement.orelse]))
    return isinstance(statement, ast.Expr) and recording_calls([statement.value]) in (["claim"], ["check"])
