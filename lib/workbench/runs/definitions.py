"""The definitions that code reaches, followed through our packages without importing them.

A definition is what a module binds at its top level: a function, a class (with all its methods) or a constant. From the
names that a chapter's cells use, each is followed to the definition that it stands for, and from there on. Where the
text does not show what is meant (`globals()`, a module passed as a value, `import_module` of a computed name), the
whole module counts. A statement that binds no name, such as a call that registers something, counts whenever its module
is imported. A file beside a module counts where a definition names it.

A definition is known by its name and the digest of its normalised syntax tree (`workbench.runs.syntax`). So a moved
module, another way to import or a new neighbour in the module changes nothing, and another default, operator, constant
or decorator does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.packages import our_packages, path_of
from workbench.runs.syntax import STATEMENTS, Normalised, Target, cells, definition, digest, module_named, settled


@dataclass(frozen=True)
class Reached:
    """What some code depends on.

    Attributes:
        code: the digest of each piece of it.
        definitions: digest of each definition by `module:name`.
        links: a digest of what the names in them stand for, by name and digest.
        files: the files that they name and that stand beside their modules, by the path below the folder of packages.
        packages: the foreign packages that they use, by top-level name.
    """

    code: tuple[str, ...]
    definitions: dict[str, str]
    links: str
    files: dict[str, Path]
    packages: frozenset[str]


def reached_by(trees: Iterable[ast.Module]) -> Reached:
    """Everything of ours that these pieces of code, run one after another in one namespace, reach."""
    walk = _Walk()
    for code in cells(trees):
        walk.start(code)
    return walk.result()


class _Walk:
    """Follows references from definition to definition."""

    def __init__(self) -> None:
        self._found: dict[Target, Normalised] = {}
        self._modules: set[str] = set()
        self._wholes: dict[str, list[Target]] = {}
        self._packages: set[str] = set()
        self._starts: list[Normalised] = []
        self._waiting: list[Target] = []

    def start(self, code: Normalised) -> None:
        """Follow what a piece of code refers to."""
        self._starts.append(code)
        self._waiting += (*code.references, *code.imported)
        while self._waiting:
            self._visit(self._waiting.pop())

    def _visit(self, target: Target) -> None:
        if not target.is_ours:
            self._packages.add(target.module.partition(".")[0])
        if not target.is_ours or not target.counts:
            return
        self._import(target.module)
        if not target.name:
            self._whole(target.module)
        elif target not in self._found and target.name != STATEMENTS:
            self._keep(target)

    def _whole(self, name: str) -> None:
        """Wait for all that a module holds: its definitions, what it has imported, and the modules of a package."""
        if name in self._wholes:
            return
        module = module_named(name)
        inner = [Target(f"{name}.{path.stem}") for path in module.path.parent.glob("*")] if module.is_package else []
        targets = [*(Target(name, bound) for bound in module.definitions)]
        targets += [target for bound in module.bindings.values() for each in bound for target in settled(each)]
        self._wholes[name] = targets
        self._waiting += targets + [each for each in inner if path_of(each.module)]

    def _keep(self, target: Target) -> None:
        code = self._found[target] = definition(target)
        self._waiting += (*code.references, *code.imported)

    def _import(self, name: str) -> None:
        """Note that a module is imported, with its packages and whatever it imports itself."""
        if name in self._modules:
            return
        self._modules.add(name)
        module = module_named(name)
        if module.statements:
            self._keep(Target(name, STATEMENTS))
        if "." in name:
            self._import(name.rpartition(".")[0])
        for target in (each for bound in module.bindings.values() for each in bound):
            if target.is_ours and target.counts:
                self._import(target.module)
                if target.name and path_of(inner := f"{target.module}.{target.name}"):
                    self._import(inner)

    def result(self) -> Reached:
        """What has been reached."""
        found = sorted(self._found.items())
        files = sorted(file for _, code in found for file in code.files)
        return Reached(
            tuple(code.digest for code in self._starts),
            {f"{target.module}:{target.name}": code.digest for target, code in found},
            self._links(),
            {_below_packages(file): file for file in files},
            frozenset(self._packages - sys.stdlib_module_names - our_packages().keys()),
        )

    def _links(self) -> str:
        """A digest of what every name in the code stands for.

        Where definitions stand is no part of it, so each is told by its code, the code that this refers to, and so on:
        labels are refined until no more of them can be told apart (Weisfeiler and Leman 1968).
        """
        labels = {target: digest([target.name, code.digest]) for target, code in self._found.items()}
        known = 0
        while len(set(labels.values())) > known:
            known = len(set(labels.values()))
            labels = {
                target: digest([labels[target], self._labels(code.references, labels)])
                for target, code in self._found.items()
            }
        starts = [self._labels(code.references, labels) for code in self._starts]
        return digest([starts, sorted(labels.values())])

    def _labels(self, references: Iterable[Target], labels: dict[Target, str]) -> list[Any]:
        """The labels of what is referred to, in order; of a whole module those of all that it holds."""
        return [
            labels.get(target) or sorted(labels.get(inner, "") for inner in self._wholes.get(target.module, ()))
            for target in references
            if target.is_ours and target.counts
        ]


def _below_packages(file: Path) -> str:
    return next(
        file.relative_to(folder.parent).as_posix() for folder in our_packages().values() if file.is_relative_to(folder)
    )
