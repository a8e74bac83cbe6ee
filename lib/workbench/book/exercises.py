"""The exercises of a chapter: a grade each, hints, a check where code is asked for, and a solution.

They stand in the chapter's cell `exercises`, so that a page folds what a reader wants to see later:

    ## Exercises

    **1.** *Medium.* Write `doubled(x)`.

    ```{dropdown} Hint
    What is added to itself?
    ```

    ````{dropdown} Check
    ```python
    assert doubled(3) == 6
    ```
    ````

    ````{dropdown} Solution
    It is a sum.

    ```python
    def doubled(x):
        return x + x
    ```
    ````

The check knows nothing of the solution but the names that the exercise asks for. So it judges any answer, and can be
handed out without the solution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from workbench.core.errors import RequestError
from workbench.parameters.cells import source

GRADES = ("Easy", "Medium", "Hard")
CELL = "exercises"
"""The id of the cell that holds a chapter's exercises."""
_BEGIN = re.compile(r"^\*\*(\d+)\.\*\* ", re.MULTILINE)
_GRADE = re.compile(rf"\*({'|'.join(GRADES)})\.\* ")
_HEADING = re.compile(r"^#{1,3} ", re.MULTILINE)
_FOLDED = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{dropdown\}[ ]+(?P<title>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ ]*$\n?",
    re.MULTILINE | re.DOTALL,
)
_CODE = re.compile(r"^```python\n(.*?)^```[ ]*$\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Exercise:
    """An exercise, its texts as Markdown and its code as Python."""

    number: int
    grade: str  # one of GRADES
    text: str  # what is asked, without number and grade
    hints: tuple[str, ...]
    check: str  # code that raises where the answer is wrong; "" for an exercise in words
    solution: str  # in words, "" where code says everything
    code: str  # of the solution, "" for an exercise in words


@dataclass(frozen=True)
class Exercises:
    """The exercises of a chapter, and what its cell has before and behind them."""

    before: str
    exercises: tuple[Exercise, ...]
    behind: str


def exercises_of(notebook: dict[str, Any], name: str) -> Exercises:
    """The exercises of a chapter called `name`, from its notebook as JSON has it.

    Raises:
        RequestError: a sentence for each exercise that has no grade or no solution, code without a check or a check
            without code, or that is out of turn; and for a chapter without exercises.
    """
    cells = [source(cell) for cell in notebook["cells"] if cell.get("id") == CELL]
    begins = list(_BEGIN.finditer(cells[0])) if len(cells) == 1 else []
    if not begins:
        raise RequestError(f"{name} has no exercises: no cell `{CELL}` with a line that begins with **1.**")
    (text,) = cells
    heading = _HEADING.search(_FOLDED.sub(lambda part: " " * len(part[0]), text), begins[-1].end())
    end = heading.start() if heading else len(text)
    ends = [*(begin.start() for begin in begins[1:]), end]
    found, mistakes = [], []
    for number, (begin, stop) in enumerate(zip(begins, ends, strict=True), start=1):
        try:
            if int(begin[1]) != number:
                raise ValueError(f"is out of turn; it stands where {number} is expected")
            found.append(_exercise(number, text[begin.end() : stop]))
        except ValueError as mistake:
            mistakes.append(f"{name}: exercise {begin[1]} {mistake}")
    if mistakes:
        raise RequestError(*mistakes)
    return Exercises(text[: begins[0].start()].strip(), tuple(found), text[end:].strip())


def _exercise(number: int, text: str) -> Exercise:
    """An exercise of its text behind the number.

    Raises:
        ValueError: for what it lacks, as the end of a sentence.
    """
    grade = _GRADE.match(text)
    if not grade:
        raise ValueError(f"has no grade; begin it with {', '.join(f'*{grade}.*' for grade in GRADES[:-1])} or *Hard.*")
    parts: dict[str, list[str]] = {"Hint": [], "Check": [], "Solution": []}
    for part in _FOLDED.finditer(text):
        if part["title"].strip() not in parts:
            raise ValueError(f"folds away a {part['title'].strip()!r}, which is no {', '.join(parts)}")
        parts[part["title"].strip()].append(part["body"].strip())
    if len(parts["Solution"]) != 1 or len(parts["Check"]) > 1:
        raise ValueError(f"has {len(parts['Solution']) or 'no'} solutions and {len(parts['Check']) or 'no'} checks")
    (solution,), check = parts["Solution"], "".join(parts["Check"])
    code, asserts = _code(solution), _code(check)
    if bool(code) != bool(asserts):
        raise ValueError(
            "has code in its solution and no check of it" if code else "has a check and no code to pass it"
        )
    asked = _FOLDED.sub("", text[grade.end() :]).strip()
    return Exercise(number, grade[1], asked, tuple(parts["Hint"]), asserts, _CODE.sub("", solution).strip(), code)


def _code(text: str) -> str:
    return "\n\n".join(block.strip() for block in _CODE.findall(text))
