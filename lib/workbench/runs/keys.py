"""The content key of a run: what its numbers depend on, as digests.

Two runs with the same key compute the same thing, so a completed one is reused. The key's ingredients stand in the run
record one by one, so that it can be said later which of them changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import platform
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench.core.code import parse
from workbench.core.errors import RunError
from workbench.core.packages import distributions, state_of_files
from workbench.parameters.cells import python_of, source, tags
from workbench.parameters.contract import Contract
from workbench.parameters.types import Model, named_sources, plain
from workbench.runs.definitions import Reached, reached_by
from workbench.runs.syntax import digest


def ingredients(contract: Contract, parameters: dict[str, Any]) -> dict[str, Any]:
    """Everything that a run of these parameters depends on: code, parameters, definitions, versions, data and models.

    Prose is left out: a corrected typo, or a paragraph that moves, changes no result. `code` is a list of the code
    cells in their order, `[id, digest]` each; the id counts because pages take a run's outputs by it. `definitions` and
    `links` say what the cells reach in our packages (`workbench.runs.definitions`). Data sets, models and predictions
    are there by their fingerprints, which for the Hub are an id at a commit.

    Raises:
        RunError: for a module that is not Python, or a Hub that knows no such thing or does not answer.
        ValueError: for data or a model that is here and cannot be read.
    """
    sources = named_sources(parameters)
    reached = _reached(contract)
    return {
        "code": _code(contract, reached.code),
        "parameters": {name: plain(value) for name, value in parameters.items()},
        **_library(reached),
        "versions": _versions(reached.packages),
        "data": {name: source.fingerprint() for name, source in sources.items() if not isinstance(source, Model)},
        "checkpoints": {name: source.fingerprint() for name, source in sources.items() if isinstance(source, Model)},
    }


def _library(reached: Reached) -> dict[str, Any]:
    """The ingredients that are files of ours."""
    return {
        "definitions": reached.definitions,
        "links": reached.links,
        "package_data": {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in reached.files.items()},
    }


def refuse_changed_code(contract: Contract, parts: dict[str, Any]) -> None:
    """Make sure that a run that has just ended computed with the code that its key is made of.

    Its kernel imported that code after the key was made, so an edit between the two would go unnoticed.

    Raises:
        RunError: where what the chapter reaches is another code now.
    """
    now = _library(_reached(contract))
    if content_key(now) != content_key({part: parts[part] for part in now}):
        raise RunError("the code that the chapter reaches was changed while it ran; run it again")


def content_key(parts: dict[str, Any]) -> str:
    """The digest of all ingredients. In which file a definition or a package's data stand is no part of it."""
    placeless = {
        part: sorted([name.rpartition(before)[2], digest] for name, digest in parts[part].items())
        for part, before in (("definitions", ":"), ("package_data", "/"))
        if part in parts
    }
    return digest(parts | placeless)


def libraries(contract: Contract) -> frozenset[str]:
    """The foreign packages that a chapter uses, by their top-level names."""
    return _reached(contract).packages


def installed(contract: Contract) -> dict[str, str]:
    """The version of every distribution that a chapter's packages bring with them.

    The key has those alone that definitions use by name; these are kept for whoever looks for a reason later.
    """
    return _with_requirements(libraries(contract))


def _reached(contract: Contract) -> Reached:
    try:
        return _reached_by(tuple(python_of(cell) for cell in contract.code_cells), state_of_files())
    except RecursionError:
        raise RunError(f"{contract.chapter}: an expression in its code is nested too deeply to be read") from None
    except SyntaxError as error:
        raise RunError(f"{error.filename}: line {error.lineno}: this is not Python: {error.msg}") from None


@lru_cache(maxsize=64)
def _reached_by(cells: tuple[str, ...], files: int) -> Reached:
    """What these cells reach in these states of our files; a process that runs a chapter often asks once."""
    return reached_by(map(parse, cells))


def _code(contract: Contract, trees: Sequence[str]) -> list[list[str | None]]:
    """The id and digest of each code cell, from the digests of their syntax trees.

    Beside its syntax tree count what Python does not see and IPython does: magics, and a `;` that hides the last value.
    """
    code = []
    for cell, tree in zip(contract.code_cells, trees, strict=True):
        python, text = python_of(cell).splitlines(), source(cell).splitlines()
        magics = [line for number, line in enumerate(text) if line != (python[number : number + 1] or [""])[0]]
        hides = source(cell).rstrip().endswith(";")
        code.append([cell.get("id"), digest([tree, magics, hides, sorted(tags(cell))])])
    return code


@cache
def _versions(packages: frozenset[str]) -> dict[str, str]:
    """Python's minor version, and that of the distribution of each of these packages."""
    names = sorted(_distributions_of(packages), key=canonicalize_name)
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python} | {canonicalize_name(name): importlib.metadata.version(name) for name in names}


@cache
def _with_requirements(packages: frozenset[str]) -> dict[str, str]:
    waiting, versions = _distributions_of(packages), {}
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in versions:
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # what another platform or an extra requires
            versions[name] = importlib.metadata.version(name)
            required = map(Requirement, importlib.metadata.requires(name) or [])
            waiting |= {each.name for each in required if "extra ==" not in str(each.marker)}
    return dict(sorted(versions.items()))


def _distributions_of(packages: frozenset[str]) -> set[str]:
    return {owner for package in packages for owner in distributions().get(package, [])}
