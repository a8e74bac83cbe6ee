"""The cells of a notebook as its JSON has them: their tags, text and code, and what they call."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable
from typing import Any

from workbench.core.code import parse

PARAMETERS = "parameters"
"""The tag of the cell that declares a chapter's parameters."""
COMPARED = "nbval-check-output"
"""The tag of a cell of claims: what it shows is compared with what is committed."""
QUOTES = "quotes-corpus"
"""The tag of a cell that shows other people's sentences: its outputs are published and not committed."""
INJECTED = "injected-parameters"
"""The tag of the cell that Papermill adds to a notebook that it executes."""


def tags(cell: dict[str, Any]) -> list[str]:
    """A cell's tags."""
    return cell.get("metadata", {}).get("tags", [])


def source(cell: dict[str, Any]) -> str:
    """A cell's text; the file format allows a list of lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def python_of(cell: dict[str, Any]) -> str:
    """A cell's code as plain Python: lines of IPython magic and shell are blanked, a cell magic blanks the cell.

    A line of Python may begin as they do, such as `!= other` within parentheses: what is Python as it stands stays.
    """
    text = source(cell)
    if text.lstrip().startswith("%%"):
        return ""
    lines = text.splitlines()
    plain = ["" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines]
    if plain != lines:  # else there is nothing to decide, and who wants the tree parses the code anyway
        with contextlib.suppress(SyntaxError, ValueError):  # of null bytes: whoever parses the code next says so
            parse(text)
            return text
    return "\n".join(plain)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that run, in order, without what Papermill injected into a notebook that was executed."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in cells if INJECTED not in tags(cell)]


def named(cell: dict[str, Any]) -> str:
    """A cell as a message names it: by its id, or by its first line where it has none."""
    if cell.get("id"):
        return f"cell {cell['id']}"
    first = next(iter(source(cell).strip().splitlines()), "")
    return f"the cell `{first[:40]}`"


def recording_calls(nodes: Iterable[ast.AST]) -> list[str]:
    """`record`, `record_share`, `claim` and so on, for each of these nodes that calls it on `chapter`."""
    return [name for node in nodes if (name := _recording(node))]


def _recording(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="chapter"), attr=name)):
            return name if name.partition("_")[0] in ("record", "claim", "check") else None
    return None


def makes_figure(code: ast.Module) -> bool:
    """Whether a cell's code draws with Matplotlib by itself, so that a picture stands below the cell.

    Told by `plt.subplots()`, `plt.plot(…)` and their like, or `style.panels(…)`, outside of a function's body. A cell
    that closes its figure shows none.
    """
    calls = {(node.func.value.id, node.func.attr) for node in _executed(code) if _is_method_of_name(node)}
    return bool(calls & _DRAWS) and ("plt", "close") not in calls


_PLOTS = ("subplots", "subplot", "figure", "subplot_mosaic", "plot", "hist", "bar", "barh", "scatter", "imshow", "show")
_DRAWS = {("style", "panels"), *(("plt", name) for name in _PLOTS)}


def _is_method_of_name(node: ast.AST) -> bool:
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return is_method and isinstance(node.func.value, ast.Name)


def _executed(node: ast.AST) -> Iterable[ast.AST]:
    """The nodes of a piece of code that run with it: all but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _executed(child)
