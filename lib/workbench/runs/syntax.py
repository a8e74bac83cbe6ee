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
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from workbench.core.code import parse
from workbench.core.packages import path_of, state_of_files

STATEMENTS = "(statements)"
"""The name under which the statements of a module that bind nothing stand among its definitions."""

_THIS = __name__.partition(".")[0]
_CALLED = f"{_THIS}.chapter"
_HIDES_REACH = ("globals", "locals", "vars", "eval", "exec", "__import__")


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


Bindings = dict[str, tuple[Target, ...]]


# Modules


@dataclass(frozen=True)
class _Module:
    """What stands at the top level of a module.

    Attributes:
        bindings: what each imported name may stand for: several things where imports are tried or chosen.
        definitions: the statements that bind each other name.
        statements: those that bind nothing.
    """

    name: str
    path: Path | None
    is_package: bool
    bindings: Bindings
    definitions: dict[str, list[ast.stmt]]
    statements: list[ast.stmt]


@cache
def module_named(name: str) -> _Module:
    """What stands at the top level of a module of ours.

    Raises:
        SyntaxError: for a file that is not Python.
    """
    path = path_of(name)
    tree = parse(path.read_bytes(), str(path))
    is_package = path.name == "__init__.py"
    bindings = _bindings_in([tree], name, is_package)
    definitions: dict[str, list[ast.stmt]] = {}
    statements = []
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)) or _is_text(statement) or _is_for_checkers(statement):
            continue
        names = [statement.name] if isinstance(statement, _NAMED_SCOPES) else sorted(_stored(statement))
        for bound in names:
            definitions.setdefault(bound, []).append(statement)
        if not names or not isinstance(statement, _DEFINING) or _does_more(statement, bindings, definitions):
            statements.append(statement)
    return _Module(name, path, is_package, bindings, definitions, statements)


_NAMED_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DEFINING = (*_NAMED_SCOPES, ast.Assign, ast.AnnAssign)


def _does_more(statement: ast.stmt, bindings: Bindings, definitions: Iterable[str]) -> bool:
    """Whether a definition may leave something behind when its module is imported, even if its name is never used.

    So may a decorator of ours, which can register what it decorates, and an assignment into something else.
    """
    for decorator in getattr(statement, "decorator_list", ()):
        root = next((node.id for node in ast.walk(decorator) if isinstance(node, ast.Name)), "")
        if root in definitions or any(target.is_ours for target in bindings.get(root, ())):
            return True
    parts = ast.walk(ast.Tuple(getattr(statement, "targets", []), ast.Store()))
    return any(isinstance(part, (ast.Attribute, ast.Subscript)) and isinstance(part.ctx, ast.Store) for part in parts)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_for_checkers(statement: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    return getattr(statement.test, "id", getattr(statement.test, "attr", None)) == "TYPE_CHECKING"


# Names


def _bindings_in(trees: Iterable[ast.AST], module: str, is_package: bool) -> Bindings:
    """What the names stand for that imports bind in this scope, not in functions or classes inside it."""
    bindings: dict[str, list[Target]] = {}
    for tree in trees:
        for node in _of_scope(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    full = alias.name if alias.asname else alias.name.partition(".")[0]
                    bindings.setdefault(alias.asname or full, []).append(_whole(full, module))
            elif isinstance(node, ast.ImportFrom):
                source = _absolute(node, module, is_package)
                for alias in node.names:
                    bindings.setdefault(alias.asname or alias.name, []).append(_imported(source, alias.name, module))
    return {name: tuple(dict.fromkeys(targets)) for name, targets in bindings.items()}


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
    and would make every chapter depend on all that it can ask; but for the module that chapters call while they run.
    """
    return importer.partition(".")[0] != _THIS or name.partition(".")[0] == _THIS or importer == _CALLED


def settled(target: Target, seen: frozenset[Target] = frozenset()) -> tuple[Target, ...]:
    """What a name in one of our modules really stands for: imports are followed to where the definition is."""
    if not target.is_ours or not target.name or target in seen:
        return (target,)
    module = module_named(target.module)
    found = [target] if target.name in module.definitions else []
    for bound in module.bindings.get(target.name, ()):
        found += settled(bound._replace(counts=bound.counts and target.counts), seen | {target})
    if found:
        return tuple(dict.fromkeys(found))
    if path_of(f"{target.module}.{target.name}"):
        return (target._replace(module=f"{target.module}.{target.name}", name=""),)
    return (target._replace(name=""),)  # made at run time, or `*`: all of the module


_SCOPES = (*_NAMED_SCOPES, ast.Lambda)
_NAMED = (*_NAMED_SCOPES, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _of_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without what stands in functions, classes and comprehensions inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*_SCOPES, *_COMPREHENSIONS)):
            yield from _of_scope(child)
        elif isinstance(child, _COMPREHENSIONS):  # `:=` binds outside of them
            yield from (inner.target for inner in ast.walk(child) if isinstance(inner, ast.NamedExpr))


def _stored(node: ast.AST) -> set[str]:
    """The names that are bound in the scope of this node otherwise than by import."""
    names: set[str] = set()
    outside: set[str] = set()
    for inner in (node, *_of_scope(node)):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
            names.add(inner.id)
        elif isinstance(inner, _NAMED) and inner is not node and inner.name:
            names.add(inner.name)
        elif isinstance(inner, ast.MatchMapping) and inner.rest:
            names.add(inner.rest)
        elif isinstance(inner, (ast.Global, ast.Nonlocal)):
            outside.update(inner.names)
    return names - outside


# Normalised trees


def digest(value: Any) -> str:
    """The SHA-256 of what JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Normalised:
    """A piece of code.

    Attributes:
        digest: of its normalised tree.
        references: what its names stand for, in their order.
        imported: what its imports bring, used or not.
        files: those beside its module that it names.
    """

    digest: str
    references: tuple[Target, ...]
    imported: frozenset[Target]
    files: frozenset[Path]


def _normalised(module: _Module, statements: list[ast.stmt]) -> Normalised:
    writer = _Writer(module)
    tree = writer.write(statements)
    return Normalised(digest(tree), tuple(writer.references), frozenset(writer.imported), frozenset(writer.files))


@cache
def definition(target: Target) -> Normalised:
    """The code of a definition, or of a module's statements that bind nothing."""
    module = module_named(target.module)
    return _normalised(module, module.statements if target.name == STATEMENTS else module.definitions[target.name])


class _Writer:
    """Writes syntax trees as nested lists, names as what they stand for, and collects the targets on the way."""

    def __init__(self, module: _Module) -> None:
        self.references: list[Target] = []
        self.imported: set[Target] = set()
        self.files: set[Path] = set()
        self._module = module
        self._scopes: list[tuple[set[str], Bindings]] = []

    def write(self, node: Any) -> Any:
        """A node, a list of nodes or a constant, as JSON has it."""
        if isinstance(node, list):
            kept = [part for part in node if not (isinstance(part, ast.stmt) and self._says_nothing(part))]
            return [self.write(part) for part in kept] or (["Pass"] if node else [])
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._look_at_file(node.value)
        if not isinstance(node, ast.AST):
            return node if isinstance(node, (str, int, bool, type(None))) else [type(node).__name__, repr(node)]
        if isinstance(node, (ast.Name, ast.Attribute)) and (targets := self._targets(node)):
            self._refer(targets)
            return ["Name", *dict.fromkeys(target.text for target in targets), type(node.ctx).__name__]
        if isinstance(node, ast.Name) and node.id in _HIDES_REACH and not self._is_local(node.id):
            self._reach_all()
        if isinstance(node, ast.Call):
            self._look_at_import(node)
        if isinstance(node, _SCOPES):
            return self._scope(node)
        if isinstance(node, _COMPREHENSIONS):
            targets = [name for part in node.generators for name in ast.walk(part.target)]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            first = self.write(node.generators[0].iter)  # belongs to the scope outside
            return [*self._inside((names, {}), node, node._fields), first]
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

    def _inside(self, scope: tuple[set[str], Bindings], node: ast.AST, names: Iterable[str]) -> list[Any]:
        self._scopes.append(scope)
        try:
            return [type(node).__name__, *self._fields(node, names)]
        finally:
            self._scopes.pop()

    def _says_nothing(self, statement: ast.stmt) -> bool:
        """Whether a statement is a text or an import; what an import brings is followed, whether it is used or not."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            module = ast.Module([statement], [])
            for targets in _bindings_in([module], self._module.name, self._module.is_package).values():
                for reached in (target for bound in targets for target in (bound, *settled(bound))):
                    self.imported.add(reached._replace(name=STATEMENTS) if reached.is_ours else reached)
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

    def _targets(self, node: ast.expr) -> tuple[Target, ...]:
        """What a name, or a dotted chain of them, may stand for; nothing for what is local or built in."""
        if isinstance(node, ast.Name):
            return tuple(dict.fromkeys(target for bound in self._lookup(node.id) for target in settled(bound)))
        if not isinstance(node, ast.Attribute):
            return ()
        targets: list[Target] = []
        for base in self._targets(node.value):
            if base.is_ours and base.name:
                return ()
            foreign = (Target(f"{base.module}.{node.attr}", is_ours=False),)
            targets += settled(base._replace(name=node.attr)) if base.is_ours else foreign
        return tuple(targets)

    def _lookup(self, name: str) -> tuple[Target, ...]:
        for names, imported in reversed(self._scopes):
            if name in imported:
                return imported[name]
            if name in names:
                return ()
        bound = self._module.bindings.get(name, ())
        if name in self._module.definitions:
            return (*bound, Target(self._module.name, name))
        return bound or (() if name in dir(builtins) else self._module.bindings.get("*", ()))

    def _refer(self, targets: tuple[Target, ...]) -> None:
        self.references += targets
        if any(target.text in ("sys.modules", "importlib.import_module") for target in targets):
            self._reach_all()

    def _reach_all(self) -> None:
        """Count the whole module: the text does not show what of it is meant. Of a chapter, all cells count anyway."""
        if self._module.path:
            self.references.append(Target(self._module.name))

    def _look_at_import(self, call: ast.Call) -> None:
        """`import_module` of a name that stands there reaches that module."""
        functions = self._targets(call.func)
        if any(function.text == "importlib.import_module" for function in functions) and call.args:
            named = getattr(call.args[0], "value", None)
            if isinstance(named, str) and path_of(named):
                self.references.append(_whole(named, self._module.name))


@lru_cache(maxsize=1)
def _read_again(files: int) -> None:
    """Forget what was read of our modules when their files were in another state."""
    for cached in (path_of, module_named, definition):
        cached.cache_clear()


def _arguments(node: Any) -> set[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in every if argument}


def cells(trees: Iterable[ast.Module]) -> list[Normalised]:
    """Pieces of code that run one after another in one namespace, as those of a notebook do."""
    _read_again(state_of_files())
    trees = list(trees)
    namespace = _Module("__main__", None, False, _bindings_in(trees, "__main__", False), {}, [])
    return [_normalised(namespace, tree.body) for tree in trees]
