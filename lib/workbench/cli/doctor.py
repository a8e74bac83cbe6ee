"""The command `doctor`: what this machine lacks for the workbench, and how to mend it; a line for each check.

What is needed for reading and running the book makes it fail where it is missing; the rest is only pointed out.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from workbench.book import chromium
from workbench.cli.shared import Json, print_json
from workbench.core.project import Project, find_project
from workbench.core.text import few
from workbench.parameters import content

_OURS = "large-model-workbench"
_PIP = f"{sys.executable} -m pip"
_NEEDED_DISK = 2**30  # bytes; a built book and the corpus take a few hundred MB
_PROGRAMS = {
    "git": (("git",), "records leave out the commit; install git"),
    "make": (("make",), "`make book` is `workbench book` here; install make"),
    "Chromium": (
        chromium.PROGRAMS,
        f"`make pdf` and the tests of the built pages lack it: {chromium.INSTALL}",
    ),
}


def doctor(as_json: Json = False) -> None:
    """Say what this machine lacks for the workbench, and how to mend it.

    ✗ stands where something is missing that is needed, ! where something is missing that not everybody needs. Exit
    codes: 0 nothing that is needed is missing, 1 something is.

    **Examples**

        workbench doctor
    """
    checks = list(examine(find_project()))
    if as_json:
        print_json(list(map(asdict, checks)))
    else:
        from workbench.cli.tables import print_checks

        print_checks(checks)
    raise typer.Exit(1 if any(check.fails for check in checks) else 0)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `remedy` says what to do where it is not as it should be."""

    name: str
    fine: bool
    needed: bool
    found: str
    remedy: str

    @property
    def fails(self) -> bool:
        """Whether something cannot work without it."""
        return self.needed and not self.fine


def examine(project: Project) -> Iterator[Check]:
    """Every check, in the order in which things depend on each other."""
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    remedy = "make the environment again with Python 3.11, 3.12 or 3.13: remove .venv, then make book"
    yield Check("Python", fine, True, f"{platform.python_version()} at {sys.executable}", remedy)
    yield _packages()
    yield _versions(project.root / "requirements.lock")
    yield _folder("runs folder", project.runs, "WORKBENCH_RUNS names another folder")
    yield _folder("cache folder", content.corpora().cache_folder(), "WORKBENCH_CACHE names another folder")
    for name, (programs, remedy) in _PROGRAMS.items():
        path = next(filter(None, map(shutil.which, programs)), None)
        yield Check(name, path is not None, False, path or "not found", remedy)


def _packages() -> Check:
    """Whether what is required is installed, as `pip check` has it; other packages may be at odds with each other."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    if "No module named pip" in done.stderr:
        return Check("packages", False, False, "not checked, for want of pip", f"{sys.executable} -m ensurepip")
    problems = done.stdout.splitlines() if done.returncode else []
    needed = not problems or any(line.startswith(_OURS) or "not installed" in line for line in problems)
    remedy = f"{_PIP} install -r requirements.lock && {_PIP} install --no-deps --no-build-isolation -e ."
    return Check("packages", not problems, needed, few(problems) or "all that is needed is installed", remedy)


def _versions(lock: Path) -> Check:
    """Whether the versions are those of the lock; a build such as 2.13.0+cpu is version 2.13.0."""
    from packaging.requirements import Requirement

    lines = lock.read_text(encoding="utf-8").splitlines() if lock.is_file() else []
    locked = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    here = [each for each in locked if each.marker is None or each.marker.evaluate()]
    installed = {each.name: _installed(each.name) for each in here}
    others = [
        f"{each.name} {installed[each.name] or 'missing'}, not {str(each.specifier).removeprefix('==')}"
        for each in here
        if f"=={(installed[each.name] or '').partition('+')[0]}" != str(each.specifier)
    ]
    pinned = f"{len(here)} as requirements.lock pins them" if here else "there is no requirements.lock to compare with"
    return Check("versions", not others, False, few(others) or pinned, f"{_PIP} install -r requirements.lock")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _folder(name: str, folder: Path, remedy: str) -> Check:
    """Whether a folder, or the one that it would be made in, can be written, and has room."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".workbench-"):
            pass
    except OSError as error:
        return Check(name, False, True, f"{folder} cannot be written: {error.strerror}", remedy)
    free = shutil.disk_usage(existing).free
    said = f"{folder} can be written, {free / 2**30:.1f} GiB are free"
    return Check(name, free >= _NEEDED_DISK, True, said, f"make room, `workbench rm` deletes runs; or {remedy}")
