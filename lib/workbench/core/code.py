"""Python code as syntax trees."""

from __future__ import annotations

import ast
import threading

_TURNS = threading.Lock()


def parse(code: str | bytes, name: str = "<code>") -> ast.Module:
    """The syntax tree of Python code.

    Threads take turns: where two parse at once, Python 3.11 may raise a SystemError ("AST constructor recursion depth
    mismatch"; python/cpython#106905).

    Raises:
        SyntaxError: with this name as that of the file.
    """
    with _TURNS:
        return ast.parse(code, filename=name)
