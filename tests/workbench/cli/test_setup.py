"""The environment: what the lock may hold, and what `make` says where something is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import tomllib

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope="session")
def lock(root) -> dict[str, list[Requirement]]:
    """The locked requirements by name; markers may give a name several."""
    found: dict[str, list[Requirement]] = {}
    for line in (root / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(requirement.name, []).append(requirement)
    return found


def test_every_locked_version_is_exact_and_public(lock):
    for requirements in lock.values():
        for requirement in requirements:
            assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
            assert requirement.url is None


def test_torch_brings_its_own_companions(lock):
    assert not [name for name in lock if name.startswith(("nvidia", "cuda", "triton"))]
    assert str(lock["torch"][0].specifier) == "==2.13.0"


def test_the_lock_meets_what_the_project_asks_for(root, lock):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, asked):
        for locked in lock[requirement.name.lower()]:
            version = str(locked.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{requirement} is locked as {version}"


def test_the_corpus_libraries_have_one_version_on_every_python(lock):
    for name in (
        "numpy",
        "scipy",
        "pandas",
        "scikit-learn",
        "matplotlib",
        "seaborn",
        "torch",
        "transformers",
        "datasets",
    ):
        assert len(lock[name]) == 1
        assert lock[name][0].marker is None


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
PYTHON = """\
#!/bin/sh
echo "$0 $*" >> calls
case "$*" in *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;; esac
"""


@needs_make
def test_make_makes_the_environment_where_the_lock_says_something_else_and_not_where_files_are_newer(root, tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)

    def installs() -> bool:
        """Whether `make` calls pip; what it would call writes down its arguments and does nothing."""
        (tmp_path / "calls").write_text("")
        subprocess.run(["make", "environment", "PYTHON=./python"], cwd=tmp_path, check=True, capture_output=True)
        return "-m pip install" in (tmp_path / "calls").read_text()

    assert installs(), "on a bare machine"
    assert not installs()
    later = time.time() + 3600
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(tmp_path / name, (later, later))
    assert not installs(), "another branch with the same lock has newer files"
    settings = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(settings.replace("line-length = 120", "line-length = 100"))
    assert not installs(), "the tools' settings install nothing"
    (tmp_path / "pyproject.toml").write_text(settings.replace("workbench.cli.app:main", "workbench.cli.app:other"))
    assert installs(), "another command of the package"
    lock = (tmp_path / "requirements.lock").read_text()
    (tmp_path / "requirements.lock").write_text(f"{lock}one-more==1.0\n")
    os.utime(tmp_path / "requirements.lock", (0, 0))
    assert installs(), "another lock, though its file is old"
    (tmp_path / "requirements.lock").write_text(lock)
    assert installs(), "the first lock again is not what is installed"


@needs_make
def test_an_environment_that_could_not_be_made_is_made_by_the_next_call(root, tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "python").write_text(f'{PYTHON}case "$*" in *"-m pip"*) exit 1 ;; esac\n')
    (tmp_path / "python").chmod(0o755)
    for _ in range(2):
        done = subprocess.run(["make", "lint", "PYTHON=./python"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode != 0
        assert done.stderr.startswith("make: the environment could not be made")
    assert (tmp_path / "calls").read_text().count("-m venv") == 2


@needs_make
@pytest.mark.parametrize("target", ["book", "test", "lab", "lint", "recorded"])
def test_make_says_in_one_sentence_that_no_python_fits(root, tmp_path, target):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    result = subprocess.run(["make", target, "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode != 0
    assert result.stderr.splitlines()[0].startswith(
        "make: Python 3.11, 3.12 or 3.13 with venv is needed and was not found"
    )
    assert not (tmp_path / ".venv").exists()
