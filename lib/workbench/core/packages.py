"""The packages that are installed together with this one, and the files of their modules, found without an import."""

from __future__ import annotations

import importlib.metadata
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_THIS = __name__.partition(".")[0]


@cache
def distributions() -> dict[str, list[str]]:
    """The installed distributions that each top-level package comes from, by the package's name."""
    return dict(importlib.metadata.packages_distributions())


@cache
def our_packages() -> dict[str, Path]:
    """The folders of the top-level packages that are installed together with this one, by name."""
    here = set(distributions().get(_THIS, ()))
    names = {name for name, owners in distributions().items() if here & set(owners) and name.isidentifier()}
    return {name: Path(find_spec(name).submodule_search_locations[0]) for name in sorted(names | {_THIS})}


def state_of_files() -> int:
    """A number that is another one once a file of these packages has changed."""
    files = (entry for folder in our_packages().values() for entry in folder.rglob("*.py"))
    return hash(tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size) for file in sorted(files)))


@cache
def path_of(module: str) -> Path | None:
    """The file of a module of ours; None where there is none of this name."""
    package, *rest = module.split(".")
    if package not in our_packages():
        return None
    base = our_packages()[package].joinpath(*rest)
    if (base / "__init__.py").is_file():
        return base / "__init__.py"
    file = base.with_suffix(".py")
    return file if rest and file.is_file() else None
