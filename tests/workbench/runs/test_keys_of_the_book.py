"""The book's chapters, in a scratch copy of the checkout: an edit makes stale what computes with it, and no more."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.runs.staleness import changes

CODE = """
import json
from workbench.core.project import find_project
from workbench.parameters.contract import load_contract
from workbench.runs.keys import content_key, ingredients

project = find_project()
contracts = {name: load_contract(project, name) for name in project.chapters()}
parts = {name: ingredients(contract, contract.resolve({})) for name, contract in contracts.items()}
print(json.dumps({name: [content_key(part), part] for name, part in parts.items()}))
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory, root) -> Path:
    """A copy of the code, the chapters and what they read."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("lib", "notebooks", "book"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(root / "_toc.yml", copy)
    return copy


@pytest.fixture(scope="module")
def before(original) -> dict[str, list]:
    return keys_in(original)


@pytest.fixture
def scratch(original, tmp_path) -> Path:
    """A copy of the copy, to be changed."""
    return Path(shutil.copytree(original, tmp_path / "scratch"))


def keys_in(copy: Path) -> dict[str, list]:
    """The content key and the ingredients of each chapter, as the copied library sees them."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "lib")}
    environment.pop("WORKBENCH_ROOT", None)
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def edit(path: Path, pattern: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    edited, count = re.subn(pattern, new, text, count=1)
    assert count == 1, f"{path.name} does not hold {pattern}"
    path.write_text(edited, encoding="utf-8")


def test_a_moved_module_other_texts_and_a_new_neighbour_leave_every_chapter_current(scratch, before):
    statistics = scratch / "lib" / "largemodels" / "statistics"
    (statistics / "intervals.py").rename(statistics / "uncertainty.py")
    for path in [*scratch.glob("lib/**/*.py"), *scratch.glob("notebooks/*.ipynb")]:
        text = path.read_text(encoding="utf-8")
        moved = text.replace("largemodels.statistics.intervals", "largemodels.statistics.uncertainty")
        moved = moved.replace(
            "largemodels.statistics import intervals", "largemodels.statistics import uncertainty as intervals"
        )
        if moved != text:
            path.write_text(moved, encoding="utf-8")
    losses = scratch / "lib" / "largemodels" / "models" / "losses.py"
    text = losses.read_text(encoding="utf-8")
    text = re.sub(r'"""(?=[A-Z])', '"""In other words: ', text).replace(
        "    return", "    # another comment\n    return"
    )
    losses.write_text(text + "\n\ndef nobody_calls_this(x):\n    return x + 1\n", encoding="utf-8")
    after = keys_in(scratch)
    for chapter, (key, parts) in before.items():
        assert (after[chapter][0], list(changes(parts, after[chapter][1]))) == (key, []), chapter


@pytest.mark.parametrize(
    ("file", "pattern", "new", "definition"),
    [
        ("statistics/intervals.py", r"CONFIDENCE = 0\.95", "CONFIDENCE = 0.9", "intervals:CONFIDENCE"),
        (
            "statistics/intervals.py",
            r"def proportion_interval\(",
            "@print\ndef proportion_interval(",
            "intervals:proportion_interval",
        ),
        ("attention/layers.py", r"\*, scale: float \| None = None", "*, scale: float | None = 1.0", "layers:attention"),
        (
            "models/losses.py",
            r"def softmax\(([^)]*)\)(.*?)return (\w+) / ",
            r"def softmax(\1)\2return \3 * ",
            "losses:softmax",
        ),
    ],
    ids=["constant", "decorator", "default", "operator"],
)
def test_a_changed_definition_makes_stale_the_chapters_that_reach_it_and_is_named(
    scratch, before, file, pattern, new, definition
):
    edit(scratch / "lib" / "largemodels" / file, f"(?s){pattern}", new)
    after = keys_in(scratch)
    place = f"largemodels.{file.partition('/')[0]}.{definition}"
    reach = {chapter for chapter, (_, parts) in before.items() if place in parts["definitions"]}
    assert reach
    assert {chapter for chapter in before if before[chapter][0] != after[chapter][0]} == reach
    for chapter in reach:
        assert list(changes(before[chapter][1], after[chapter][1])) == [f"`{definition.replace(':', '.')}` changed"]
