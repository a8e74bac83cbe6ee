"""The content key of a run: what its numbers depend on, as digests.

Two runs with the same key compute the same thing, so a completed one is reused. The key's ingredients stand in the run
record one by one, so that it can be said later which of them changed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import platform
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from workbench.contract import Contract, python_of, source, tags
from workbench.project import RunError
from workbench.types import Model, named_sources, plain

OURS = ("largemodels", "workbench")
_ADAPTER = "workbench.subject"


def ingredients(contract: Contract, parameters: dict[str, Any]) -> dict[str, Any]:
    """Everything that a run of these parameters depends on: code, parameters, modules, versions, data and models.

    Prose is left out: a corrected typo, or a paragraph that moves, computes nothing anew. `code` is a list of the code
    cells in their order, `[id, digest]` each. The id counts because pages take a run's outputs by it. Data sets, models
    and predictions are there by their fingerprints, which for the Hub are an id at a commit.

    Raises:
        RunError: for a module that is not Python, or a Hub that knows no such thing or does not answer.
        ValueError: for data or a model that is here and cannot be read.
    """
    sources = named_sources(parameters)
    imported = _imported(contract)
    modules, foreign = _reached(frozenset(name for name in imported if name.split(".")[0] in OURS))
    foreign = foreign | {name.split(".")[0] for name in imported}
    return {
        "code": [[cell.get("id"), _digest([source(cell), sorted(tags(cell))])] for cell in contract.code_cells],
        "parameters": {name: plain(value) for name, value in parameters.items()},
        "modules": {name: _digest(path.read_text(encoding="utf-8")) for name, path in sorted(modules.items())},
        "package_data": _package_data(),
        "versions": _versions(frozenset(foreign)),
        "data": {name: source.fingerprint() for name, source in sources.items() if not isinstance(source, Model)},
        "checkpoints": {name: source.fingerprint() for name, source in sources.items() if isinstance(source, Model)},
    }


def libraries(contract: Contract) -> set[str]:
    """The foreign packages that a chapter's imports reach, by their top-level names."""
    imported = _imported(contract)
    return {name.partition(".")[0] for name in imported} | _reached(frozenset(imported))[1]


def content_key(parts: dict[str, Any]) -> str:
    """The digest of all ingredients."""
    return _digest(parts)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _imported(contract: Contract) -> set[str]:
    """The modules that a chapter's cells import; `from a import b` names `a` and `a.b`."""
    names: set[str] = set()
    for cell in contract.code_cells:
        for node in ast.walk(ast.parse(python_of(cell))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def _import_graph() -> Any:
    """Who imports whom in our packages, with the adapter's lazy imports of the subject left out.

    The adapter only fingerprints and prepares; if its imports counted, every chapter would depend on every module it
    can reach.
    """
    import grimp
    import grimp.exceptions

    try:
        graph = grimp.build_graph(*OURS, include_external_packages=True, cache_dir=None)
    except grimp.exceptions.SourceSyntaxError as error:
        raise RunError(str(error)) from None
    for imported in graph.find_modules_directly_imported_by(_ADAPTER):
        if imported.startswith("largemodels"):
            graph.remove_import(importer=_ADAPTER, imported=imported)
    return graph


@cache
def _reached(names: frozenset[str]) -> tuple[dict[str, Path], set[str]]:
    """The files of our modules that these imports reach, by module name, and the foreign packages on the way."""
    graph = _import_graph()
    start = names & graph.modules
    reached = set(start).union(*(graph.find_upstream_modules(name) for name in start))
    ours = {name for name in reached if name.split(".")[0] in OURS}
    ours |= {name.rsplit(".", count)[0] for name in ours for count in range(1, name.count(".") + 1)}
    return {name: _file_of(name) for name in ours}, reached - ours


def _file_of(module: str) -> Path:
    package, *rest = module.split(".")
    base = Path(sys.modules[package].__path__[0] if package in sys.modules else package_folder(package)).joinpath(*rest)
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def package_folder(package: str) -> str:
    """The folder of a package, without importing it."""
    import importlib.util

    return importlib.util.find_spec(package).submodule_search_locations[0]


@cache
def _package_data() -> dict[str, str]:
    """The subject's files that are not modules, but for weights, which a model's own fingerprint covers."""
    folder = Path(package_folder("largemodels"))
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".py", ".pyc") and "weights" not in path.parts
    ]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@cache
def _versions(packages: frozenset[str]) -> dict[str, str]:
    """Python's minor version, and that of every distribution that these imports reach through requirements."""
    owners = importlib.metadata.packages_distributions()
    waiting = {owner for package in packages for owner in owners.get(package, [])}
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a requirement of another platform or of an extra
        normal = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if normal in found or normal == "large-model-workbench":
            continue
        found[normal] = distribution.version
        required = (requirement for requirement in distribution.requires or [] if "extra ==" not in requirement)
        waiting |= {re.match(r"[\w.-]+", requirement)[0] for requirement in required}
    return {"python": ".".join(platform.python_version_tuple()[:2]), **dict(sorted(found.items()))}
