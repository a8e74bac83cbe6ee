"""What this machine lacks for the workbench, and how to mend it.

Each check answers with one line. What is needed for reading and running the book makes `workbench doctor` fail where it
is missing; the rest is only pointed out.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.core.project import Project
from workbench.core.text import few
from workbench.parameters import content

OURS = "large-model-workbench"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NEEDED_DISK = 2**30
"""Bytes; a built book and the corpus take a few hundred MB."""
NEEDED_MEMORY = 4 * 2**30
"""Bytes; the most that a default chapter may take."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `remedy` says what to do where it is not as it should be."""

    name: str
    fine: bool
    needed: bool
    found: str
    remedy: str = ""

    @property
    def fails(self) -> bool:
        """Whether something cannot work without it."""
        return self.needed and not self.fine

    def as_json(self) -> dict[str, Any]:
        """The check as `workbench doctor --json` prints it."""
        return asdict(self)


def examine(project: Project) -> Iterator[Check]:
    """Every check, in the order in which things depend on each other."""
    yield _python()
    yield from _packages(project.root / "requirements.lock")
    yield _kernel()
    yield _writable("runs folder", project.runs, "WORKBENCH_RUNS names another folder")
    yield _writable("cache folder", content.cache_folder(), "WORKBENCH_CACHE names another folder")
    yield _corpus()
    yield _disk(project.runs)
    yield _memory()
    yield _gpu()
    yield _program("git", "git", "records leave out the commit; install git")
    yield _program("make", "make", "`make book` is `workbench book` here; install make")
    yield _browser()


def _python() -> Check:
    version = platform.python_version()
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    remedy = "make the environment again with Python 3.11, 3.12 or 3.13: remove .venv, then make book"
    return Check("Python", fine, True, f"{version} at {sys.executable}", "" if fine else remedy)


def _packages(lock: Path) -> Iterator[Check]:
    """Two checks: what the workbench cannot do without, and whether everything is what the lock pins."""
    unmet = [f"{name} ({why})" for name, why in _unmet_requirements()]
    install = f"{_pip()} install -r requirements.lock"
    yield Check(
        "packages",
        not unmet,
        True,
        few(unmet) if unmet else "all that is needed is installed",
        f"{install} && {_pip()} install --no-deps --no-build-isolation -e ." if unmet else "",
    )
    pinned = _pinned(lock)
    others = [
        f"{name} {_installed(name) or 'missing'}, not {wanted}" for name, wanted in pinned if _other(name, wanted)
    ]
    found = (
        f"{len(pinned)} as requirements.lock pins them" if pinned else "there is no requirements.lock to compare with"
    )
    yield Check("versions", not others, False, few(others) if others else found, install if others else "")


def _unmet_requirements() -> Iterator[tuple[str, str]]:
    """The distributions that the workbench requires, directly or not, and that are missing or do not fit."""
    from packaging.requirements import InvalidRequirement, Requirement

    waiting: list[tuple[str, Requirement | None]] = [(OURS, None)]
    seen: set[str] = set()
    while waiting:
        name, wanted = waiting.pop()
        version = _installed(name)
        if version is None:
            yield name, "missing"
        elif wanted is not None and not wanted.specifier.contains(version, prereleases=True):
            yield name, f"{version}, needed is {wanted.specifier}"
        if version is None or name in seen:
            continue
        seen.add(name)
        for line in importlib.metadata.distribution(name).requires or []:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                # What others require of each other, pip has seen to; ours is what the book was written for.
                waiting.append((_normal(requirement.name), requirement if name == OURS else None))


def _pinned(lock: Path) -> list[tuple[str, str]]:
    """Name and version of every line of a lock that is for this platform."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        lines = lock.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # a comment or an option
        version = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
        if version and (requirement.marker is None or requirement.marker.evaluate()):
            found.append((_normal(requirement.name), version[1]))
    return found


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _other(name: str, wanted: str) -> bool:
    """Whether a distribution has another version than the pinned one; a build such as 2.13.0+cpu is the same."""
    return (_installed(name) or "").partition("+")[0] != wanted


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _kernel() -> Check:
    """Whether notebooks start in this environment."""
    remedy = f"{sys.executable} -m ipykernel install --sys-prefix --name python3"
    try:
        os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
        from jupyter_client.kernelspec import KernelSpecManager

        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:  # no such kernel, a damaged kernel.json, a broken installation
        return Check("kernel", False, True, f"there is no kernel python3: {type(error).__name__}", remedy)
    there = shutil.which(command)
    here = command in ("python", "python3") or (there and Path(there).parent == Path(sys.executable).parent)
    if not here:
        return Check("kernel", False, True, f"the kernel python3 starts {command}, another environment", remedy)
    return Check("kernel", True, True, f"python3 starts {sys.executable}")


def _writable(name: str, folder: Path, remedy: str) -> Check:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".workbench-"):
            return Check(name, True, True, f"{folder} can be written")
    except OSError as error:
        return Check(name, False, True, f"{folder} cannot be written: {error.strerror}", remedy)


def _corpus() -> Check:
    names = content.shipped_corpora()
    try:
        missing = [name for name in names if not content.is_cached(name)]
    except (OSError, ValueError) as error:
        return Check("corpus", False, True, str(error), f"{_pip()} install -r requirements.lock")
    if missing:
        found = f"{', '.join(missing)} is not cached yet"
        return Check(
            "corpus", False, False, found, "nothing to do: the first chapter that reads it builds it, in a minute"
        )
    return Check("corpus", True, False, f"{', '.join(names)} is cached in {content.cache_folder()}")


def _disk(folder: Path) -> Check:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    fine = free >= NEEDED_DISK
    found = f"{free / 2**30:.1f} GiB free at {existing}"
    return Check("disk space", fine, True, found, "" if fine else "make room; `workbench rm` deletes runs")


def _memory() -> Check:
    import psutil

    total = psutil.virtual_memory().total
    fine = total >= NEEDED_MEMORY
    remedy = "" if fine else "a default chapter may take 4 GiB; smaller parameters take less"
    return Check("memory", fine, False, f"{total / 2**30:.1f} GiB", remedy)


def _gpu() -> Check:
    from workbench.core.machine import machine

    gpus = machine()["gpus"]
    return Check("GPU", True, False, ", ".join(gpus) if gpus else "none; the book is made for processors")


def _program(name: str, program: str, remedy: str) -> Check:
    found = shutil.which(program)
    return Check(name, found is not None, False, found or "not found", "" if found else remedy)


def _browser() -> Check:
    path = next((place for name in CHROMIUM if (place := shutil.which(name))), None)
    remedy = "" if path else "the tests of the built pages are skipped; install chromium"
    return Check("Chromium", path is not None, False, path or "not found", remedy)


def _pip() -> str:
    return f"{sys.executable} -m pip"
