"""The environment: what the lock may hold, and what `make` says where something is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
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


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
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
