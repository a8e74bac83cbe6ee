"""The layers of both packages are contracts: an import that runs upwards, or from chapter to chapter, is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def library(root, tmp_path_factory) -> Path:
    """A copy of lib/ and of the contracts."""
    copy = tmp_path_factory.mktemp("layers")
    shutil.copytree(root / "lib", copy / "lib", ignore=shutil.ignore_patterns("__pycache__", "weights", "*.egg-info"))
    shutil.copy(root / "pyproject.toml", copy)
    return copy


def lint(library: Path) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(library / "lib")}
    return subprocess.run(command, cwd=library, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        (
            "largemodels/data/tasks.py",
            "import largemodels.pretraining.train",
            "largemodels.data is not",
        ),
        ("largemodels/evaluation/pairs.py", "import largemodels.fine_tuning.trials", "largemodels.evaluation is not"),
        (
            "largemodels/domain_adaptation/toy.py",
            "import largemodels.attention.layers",
            "domain_adaptation is not",
        ),
        ("largemodels/compression/saving.py", "import largemodels.scaling.laws", "largemodels.compression is not"),
        ("largemodels/scaling/laws.py", "import largemodels.fine_tuning.lora", "largemodels.scaling is not"),
        ("largemodels/base/errors.py", "import workbench.core.text", "largemodels is not allowed to import workbench"),
        ("workbench/runs/runner.py", "import workbench.sweeps.sweep", "workbench.runs is not"),
        ("workbench/cli/app.py", "import largemodels.data.tasks", "workbench is not allowed to import largemodels"),
    ],
)
def test_an_import_against_the_layers_is_refused_and_named(library, module, line, said):
    path = library / "lib" / module
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")
    try:
        refused = lint(library)
    finally:
        path.write_text(text, encoding="utf-8")
    assert refused.returncode == 1
    assert said in refused.stdout


def test_the_library_keeps_to_its_layers(library):
    assert lint(library).returncode == 0
