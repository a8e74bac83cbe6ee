"""The types that a parameters cell may annotate with, as expressions: what they are made of, and named ones.

A long choice has its name in the subject's library, where the code that takes it is:

    Method = Literal["dapt", "tapt"]                                # in largemodels/domain_adaptation/remedies.py
    from largemodels.domain_adaptation.remedies import Method       # in the parameters cell

The name is looked up in the module's text. Importing the module may take seconds, and a bad request is refused sooner.
"""

from __future__ import annotations

import ast

from workbench.core.code import parse
from workbench.core.packages import path_of
from workbench.parameters.types import VOCABULARY

SUBJECT = "largemodels"
"""The package whose modules a parameters cell may import named types from."""


def is_type(expression: ast.expr) -> bool:
    """Whether an expression uses nothing but the vocabulary's names, subscripts and literals."""
    allowed = (ast.Name, ast.Load, ast.Subscript, ast.Tuple, ast.Constant, ast.UnaryOp, ast.USub)
    nodes = list(ast.walk(expression))
    named = all(node.id in VOCABULARY for node in nodes if isinstance(node, ast.Name))
    return named and all(isinstance(node, allowed) for node in nodes)


def named_type(module: str, name: str) -> ast.expr:
    """The type that a module of the subject's library binds to a name.

    Raises:
        ValueError: for a module that there is not, or a name that stands for anything else there.
    """
    file = path_of(module)
    if file is None:
        raise ValueError(f"there is no module {module}")
    values = [
        statement.value
        for statement in parse(file.read_bytes()).body
        if isinstance(statement, ast.Assign) and [ast.unparse(bound) for bound in statement.targets] == [name]
    ]
    if len(values) != 1 or not isinstance(values[0], ast.Subscript) or not is_type(values[0]):
        raise ValueError(f'{name} is no choice that {module} names, as `{name} = Literal["a", "b"]` would be')
    return values[0]


def with_named_types(expression: ast.expr, named: dict[str, ast.expr]) -> ast.expr:
    """An annotation with the types themselves in the place of their names."""

    class Written(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return named.get(node.id, node)

    return Written().visit(expression)
