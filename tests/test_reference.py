"""The reference names every public function and class, and its examples do what they show."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from workbench.book.extension import defined

ROOT = Path(__file__).parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT / "lib").with_suffix("").parts): path
    for path in sorted((ROOT / "lib" / "largemodels").rglob("*.py"))
    if path.name != "__init__.py"
} | {"workbench.chapter": ROOT / "lib" / "workbench" / "chapter.py"}
PAGES = sorted((ROOT / "book" / "api").glob("*.md"))


def test_every_module_with_a_public_function_stands_on_one_page_of_the_reference():
    named = [
        name for page in PAGES for name in re.findall(r"^\.\. automodule:: (\S+)$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(named) == sorted(name for name in MODULES if defined(importlib.import_module(name)))


def test_every_public_function_says_what_it_returns():
    for name in MODULES:
        module = importlib.import_module(name)
        assert [each for each in defined(module) if not vars(module)[each].__doc__] == []


@pytest.mark.parametrize("name", [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")])
def test_the_examples_of_a_module_show_what_they_give(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0
