"""The code of the exercises' solutions runs, and what it asserts is true."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
EVERY = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
CHAPTERS = ["attention", "pretraining", "fine-tuning", "domain-adaptation", "evaluation"]
_DROPDOWN = re.compile(r"^(?P<fence>`{3,})\{dropdown\} Solution\n(?P<body>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def solutions(chapter: str) -> list[str]:
    """The code of each solution of a chapter that has some."""
    cells = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    (exercises,) = ("".join(cell["source"]) for cell in cells if cell.get("id") == "exercises")
    found = (_CODE.findall(each["body"]) for each in _DROPDOWN.finditer(exercises))
    return ["\n".join(blocks) for blocks in found if blocks]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_three_exercises_or_more_have_code_that_checks_itself(chapter):
    asserting = [
        code for code in solutions(chapter) if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code)))
    ]
    assert len(asserting) >= 3


@pytest.mark.parametrize("chapter", EVERY)
def test_the_code_of_each_solution_runs_by_itself(chapter):
    for number, code in enumerate(solutions(chapter), start=1):
        exec(compile(code, f"{chapter}, solution {number}", "exec"), {"__name__": "solution"})
