"""Checks of the committed chapters: their contract, their claims, their outputs; then nbval, which runs them."""

from __future__ import annotations

import ast
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.chapter import claim_line
from workbench.core.code import parse
from workbench.core.files import remove_left_temporaries, temporary_prefix
from workbench.core.processes import run_python
from workbench.kernels.warm import warm_kernels
from workbench.parameters.contract import Contract, python_of, tags
from workbench.runs.executed import parse_executed, problem_of, recorded_in
from workbench.runs.notebooks import INSTALLED, QUOTES

COMPARED = "nbval-check-output"


def problems_of(contract: Contract) -> list[str]:
    """What is wrong with a committed chapter, one sentence each, without running it."""
    problems = [f"{name}: it has no comment" for name, each in contract.parameters.items() if not each.comment]
    for cell in contract.code_cells:
        problems += [f"cell {cell.get('id')}: {problem}" for problem in (*_of_the_source(cell), *_of_the_outputs(cell))]
    executed = parse_executed(contract.notebook)
    failing = [claim for claim in executed.claims if not claim["holds"]]
    problems += executed.problems
    problems += [f"the committed claim does not hold: {claim['statement']} {claim['bound']}" for claim in failing]
    return [f"{contract.path.name}: {problem}" for problem in problems]


def nbval(notebooks: list[Path], cell_limit: int, libraries: Iterable[str] = ()) -> int:
    """Run notebooks under nbval in this environment, in warm kernels, and return pytest's exit code.

    Every cell must run; outputs are compared in cells tagged `nbval-check-output`. The kernels will import `libraries`.
    """
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={cell_limit}", "-q", "-p", __name__]
    options += ["-p", "no:cacheprovider"]  # a check leaves nothing behind
    code = "import pytest; raise SystemExit(pytest.main())"
    remove_left_temporaries()
    with warm_kernels(libraries), tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        return run_python(code, *options, *map(str, notebooks), environment={"TMPDIR": folder})


def pytest_itemcollected(item: Any) -> None:
    """As a plugin of that pytest, leave standard error out of what nbval compares in the file of a collected cell.

    Warnings of libraries differ between machines and say nothing about a result.
    """
    item.parent.skip_compare = (*getattr(item.parent, "skip_compare", ()), "stderr")


def _of_the_source(cell: dict[str, Any]) -> Iterator[str]:
    """Where a cell's tags and what it calls do not fit."""
    code = parse(python_of(cell))
    calls = [name for node in ast.walk(code) if (name := _method(node))]
    only_claims = bool(code.body) and all(map(_is_claim, code.body))
    if COMPARED in tags(cell) and not only_claims:
        yield f"it is tagged {COMPARED} and holds something else than claims"
    if "claim" in calls and COMPARED not in tags(cell):
        yield f"it makes a claim and is not tagged {COMPARED}"
    if QUOTES in tags(cell) and calls:
        yield f"it is tagged {QUOTES}, so its outputs are not kept, and it records or claims"


def _is_claim(statement: ast.stmt) -> bool:
    """Whether a statement is a claim, or a condition on which some are made."""
    if isinstance(statement, ast.If):
        return all(map(_is_claim, [*statement.body, *statement.orelse]))
    return isinstance(statement, ast.Expr) and _method(statement.value) == "claim"


def _method(node: ast.AST) -> str | None:
    """`record`, `record_share` and so on, or `claim`, where a node calls that on `chapter`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="chapter"), attr=name)):
            return name if name.partition("_")[0] in ("record", "claim") else None
    return None


def _of_the_outputs(cell: dict[str, Any]) -> Iterator[str]:
    """What committed outputs must not be, or must have."""
    outputs = cell.get("outputs", [])
    if outputs and cell.get("execution_count") is None:
        yield "it has outputs and no execution count, and nbval would not look at them"
    if QUOTES in tags(cell) and outputs:
        yield f"it is tagged {QUOTES} and has outputs"
    if "papermill" in cell["metadata"]:
        yield "it has Papermill's metadata; `workbench accept` leaves them out"
    if any(output["output_type"] == "error" for output in outputs):
        yield "its output is an error"
    text, home = json.dumps(outputs), str(Path.home())
    if home in text and len(home) > 1:
        yield "its output names the home folder"
    if INSTALLED in text:
        yield "its output names a file of the installation; `workbench accept` leaves such warnings out"
    if any("image/png" in output.get("data", {}) for output in outputs):
        shown = cell["metadata"].get("mystnb", {})
        if not shown.get("figure", {}).get("caption") or not shown.get("image", {}).get("alt"):
            yield "its figure has no caption or no text alternative"
    for output in outputs:
        claim = recorded_in(output).get("claim")
        if not problem_of("claim", claim) and "".join(output["data"]["text/plain"]) != claim_line(claim):
            yield f"what it shows is not the claim that it holds: {claim['statement']}"
