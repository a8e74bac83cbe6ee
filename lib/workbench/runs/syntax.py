"""Our modules as syntax trees: what stands at their top level, and what each name in it stands for.

A piece of code is normalised: without docstrings, comments, positions and imports, and with every name that an import
has brought written as what it stands for. `workbench.runs.definitions` follows the names from one piece to the next.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from workbench.core.code import parse
from workbench.core.packages import path_of

STATEMENTS = "(statements)"
"""The name under which the statements of a module that bind nothing stand among its definitions."""

_THIS = __name__.partition(".")[0]
_HIDES_REACH = ("globals", "eval", "exec", "__import__")


class Target(NamedTuple):
    """What a name stands for: a definition of ours, a whole module of ours (`name` is empty), or something foreign.

    One that does not count is ours, and nothing that uses it depends on it.
    """

    module: str
    name: str = ""
    is_ours: bool = True
    counts: bool = True

    @property
    def text(self) -> str:
        """How a normalised tree writes it. Where our modules stand is no part of it."""
        if not self.is_ours:
            return self.module
        return self.name or "<module>"


# Modules


@dataclass(frozen=True)
class _Module:
    """What stands at the top level of a module.

    Attributes:
        bindings: what each imported name stands for.
        definitions: the statements that bind each other name.
        statements: those that bind nothing.
    """

    name: str
    path: Path | None
    is_package: bool
    bindings: dict[str, Target]
    definitions: dict[str, tuple[ast.stmt, ...]] = field(default_factory=dict)
    statements: tuple[ast.stmt, ...] = ()


def module_named(name: str) -> _Module:
    """What stands at the top level of a module of ours.

    Raises:
        SyntaxError: for a file that is not Python.
    """
    path = path_of(name)
    state = path.stat()
    return _read(name, path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _read(name: str, path: Path, changed: int, size: int) -> _Module:
    """A module's top level. A file that changes is read again.

    Raises:
        SyntaxError: for a file that is not Python.
    """
    tree = parse(path.read_text(encoding="utf-8"), str(path))
    is_package = path.name == "__init__.py"
    definitions: dict[str, list[ast.stmt]] = {}
    statements = []
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)) or _is_text(statement) or _is_for_checkers(statement):
            continue
        names = _bound_by(statement)
        for bound in names:
            definitions.setdefault(bound, []).append(statement)
        if not names or not isinstance(statement, _DEFINING):
            statements.append(statement)
    bindings = _bindings_in([tree], name, is_package)
    fixed = {bound: tuple(found) for bound, found in definitions.items()}
    return _Module(name, path, is_package, bindings, fixed, tuple(statements))


_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def _bound_by(statement: ast.stmt) -> list[str]:
    """The names that a statement binds in the namespace that it stands in, imported ones aside."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    return sorted(_stored(statement))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_for_checkers(statement: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    test = getattr(statement, "test", None)
    return isinstance(statement, ast.If) and getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


# Names


def _bindings_in(trees: Iterable[ast.AST], module: str, is_package: bool) -> dict[str, Target]:
    """What the names stand for that imports bind in this scope, not in functions or classes inside it."""
    bindings: dict[str, Target] = {}
    for tree in trees:
        for node in _of_scope(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    full = alias.name if alias.asname else alias.name.partition(".")[0]
                    bindings[alias.asname or full] = _whole(full, module)
            elif isinstance(node, ast.ImportFrom):
                source = _absolute(node, module, is_package)
                for alias in node.names:
                    bindings[alias.asname or alias.name] = _imported(source, alias.name, module)
    return bindings


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    base = module.split(".")[: len(module.split(".")) - node.level + is_package]
    return ".".join([*base, *(node.module.split(".") if node.module else [])])


def _whole(name: str, importer: str) -> Target:
    return Target(name, is_ours=path_of(name) is not None, counts=_counts(name, importer))


def _imported(source: str, name: str, importer: str) -> Target:
    """What `from source import name` binds."""
    if path_of(source) is None:
        return Target(f"{source}.{name}", is_ours=False)
    return Target(source, name, counts=_counts(source, importer))


def _counts(name: str, importer: str) -> bool:
    """Whether the module that imports another one depends on it.

    What this tool itself asks of another package (the fingerprint of a data set, say) computes nothing in a chapter,
    and would make every chapter depend on all that it can ask.
    """
    return importer.partition(".")[0] != _THIS or name.partition(".")[0] == _THIS


def _settled(target: Target) -> Target:
    """What a name in one of our modules really stands for: imports are followed to where the definition is."""
    seen = set()
    while target.is_ours and target.name and target not in seen:
        seen.add(target)
        module = module_named(target.module)
        if target.name in module.definitions:
            return target
        if target.name in module.bindings:
            counts = target.counts
            target = module.bindings[target.name]
            target = target._replace(counts=counts and target.counts)
        elif path_of(f"{target.module}.{target.name}"):
            return target._replace(module=f"{target.module}.{target.name}", name="")
        else:
            return target._replace(name="")  # made at run time, or `*`: all of the module
    return target


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _of_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without what stands in functions, classes and comprehensions inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*_SCOPES, *_COMPREHENSIONS)):
            yield from _of_scope(child)
        elif isinstance(child, _COMPREHENSIONS):  # `:=` binds outside of them
            yield from (inner for inner in ast.walk(child) if isinstance(inner, ast.NamedExpr))


def _stored(node: ast.AST) -> set[str]:
    """The names that are bound in the scope of this node otherwise than by import."""
    names: set[str] = set()
    outside: set[str] = set()
    for inner in (node, *_of_scope(node)):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
            names.add(inner.id)
        elif isinstance(inner, ast.NamedExpr):
            names.add(inner.target.id)
        elif isinstance(inner, _NAMED) and inner is not node and inner.name:
            names.add(inner.name)
        elif isinstance(inner, ast.MatchMapping) and inner.rest:
            names.add(inner.rest)
        elif isinstance(inner, (ast.Global, ast.Nonlocal)):
            outside.update(inner.names)
    return names - outside


# Normalised trees


@dataclass(frozen=True)
class Normalised:
    """A piece of code: its digest, what its names stand for, and the files beside its module that it names."""

    digest: str
    references: frozenset[Target]
    files: frozenset[Path]


def _normalised(module: _Module, statements: tuple[ast.stmt, ...]) -> Normalised:
    writer = _Writer(module)
    text = json.dumps(writer.write(list(statements)))
    return Normalised(hashlib.sha256(text.encode()).hexdigest(), frozenset(writer.references), frozenset(writer.files))


def definition(target: Target) -> Normalised:
    """The code of a definition, or of a module's statements that bind nothing."""
    path = path_of(target.module)
    return _definition(target, path, path.stat().st_mtime_ns)


@cache
def _definition(target: Target, path: Path, changed: int) -> Normalised:
    module = module_named(target.module)
    return _normalised(module, module.statements if target.name == STATEMENTS else module.definitions[target.name])


class _Writer:
    """Writes syntax trees as nested lists, names as what they stand for, and collects the targets on the way."""

    def __init__(self, module: _Module) -> None:
        self.references: set[Target] = set()
        self.files: set[Path] = set()
        self._module = module
        self._scopes: list[tuple[set[str], dict[str, Target]]] = []

    def write(self, node: Any) -> Any:
        """A node, a list of nodes or a constant, as JSON has it."""
        if isinstance(node, list):
            kept = [part for part in node if not (isinstance(part, ast.stmt) and self._says_nothing(part))]
            return [self.write(part) for part in kept] or (["Pass"] if node else [])
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._look_at_file(node.value)
        if not isinstance(node, ast.AST):
            return node if isinstance(node, (str, int, bool, type(None))) else repr(node)
        if isinstance(node, (ast.Name, ast.Attribute)) and (target := self._target(node)):
            self._refer(target)
            return ["Name", target.text, type(node.ctx).__name__]
        if isinstance(node, ast.Name) and node.id in _HIDES_REACH and not self._is_local(node.id):
            self._reach_all()
        if isinstance(node, ast.Call):
            self._look_at_import(node)
        if isinstance(node, _SCOPES):
            return self._scope(node)
        if isinstance(node, _COMPREHENSIONS):
            targets = [name for part in node.generators for name in ast.walk(part.target)]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            return self._inside((names, {}), node, node._fields)
        return [type(node).__name__, *self._fields(node, node._fields)]

    def _fields(self, node: ast.AST, names: Iterable[str]) -> list[Any]:
        values = ((name, getattr(node, name, None)) for name in names)
        return [[name, self.write(value)] for name, value in values if value not in (None, [])]

    def _scope(self, node: Any) -> list[Any]:
        """A function, lambda or class: what stands before its body belongs to the scope outside."""
        head = self._fields(node, [name for name in node._fields if name != "body"])
        imported = _bindings_in([node], self._module.name, self._module.is_package)
        names = set() if isinstance(node, ast.ClassDef) else _stored(node) | _arguments(node)
        return [*self._inside((names - imported.keys(), imported), node, ["body"]), head]

    def _inside(self, scope: tuple[set[str], dict[str, Target]], node: ast.AST, names: Iterable[str]) -> list[Any]:
        self._scopes.append(scope)
        try:
            return [type(node).__name__, *self._fields(node, names)]
        finally:
            self._scopes.pop()

    def _says_nothing(self, statement: ast.stmt) -> bool:
        """Whether a statement is a text or an import; what an import brings is followed, whether it is used or not."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            module = ast.Module([statement], [])
            for target in _bindings_in([module], self._module.name, self._module.is_package).values():
                for reached in (target, _settled(target)):
                    self.references.add(reached._replace(name=STATEMENTS) if reached.is_ours else reached)
            return True
        is_shown = self._module.path is None and not self._scopes  # the last value of a cell
        return _is_text(statement) and not is_shown

    def _look_at_file(self, text: str) -> None:
        if self._module.path and "." in text and "/" not in text and not text.endswith(".py") and len(text) < 100:
            file = self._module.path.with_name(text) if text.strip(".") else self._module.path
            if file != self._module.path and file.is_file():
                self.files.add(file)

    def _is_local(self, name: str) -> bool:
        return any(name in names for names, _ in self._scopes)

    def _target(self, node: ast.expr) -> Target | None:
        """What a name, or a dotted chain of them, stands for; None for what is local, built in or an attribute."""
        if isinstance(node, ast.Name):
            found = self._lookup(node.id)
            return _settled(found) if found else None
        if not isinstance(node, ast.Attribute):
            return None
        base = self._target(node.value)
        if base is None or (base.is_ours and base.name):
            return None
        if not base.is_ours:
            return Target(f"{base.module}.{node.attr}", is_ours=False)
        return _settled(base._replace(name=node.attr))

    def _lookup(self, name: str) -> Target | None:
        for names, imported in reversed(self._scopes):
            if name in imported:
                return imported[name]
            if name in names:
                return None
        if name in self._module.bindings:
            return self._module.bindings[name]
        if name in self._module.definitions:
            return Target(self._module.name, name)
        return None if name in dir(builtins) else self._module.bindings.get("*")

    def _refer(self, target: Target) -> None:
        self.references.add(target)
        if target.text in ("sys.modules", "importlib.import_module"):
            self._reach_all()

    def _reach_all(self) -> None:
        """Count the whole module: the text does not show what of it is meant. Of a chapter, all cells count anyway."""
        if self._module.path:
            self.references.add(Target(self._module.name))

    def _look_at_import(self, call: ast.Call) -> None:
        """`import_module` of a name that stands there reaches that module."""
        function = self._target(call.func) if isinstance(call.func, (ast.Name, ast.Attribute)) else None
        if function and function.text == "importlib.import_module" and call.args:
            named = getattr(call.args[0], "value", None)
            if isinstance(named, str) and path_of(named):
                self.references.add(_whole(named, self._module.name))


def _arguments(node: Any) -> set[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in every if argument}


def cells(trees: Iterable[ast.Module]) -> list[Normalised]:
    """Pieces of code that run one after another in one namespace, as those of a notebook do."""
    trees = list(trees)
    namespace = _Module("__main__", None, False, _bindings_in(trees, "__main__", False))
    return [_normalised(namespace, tuple(tree.body)) for tree in trees]
