"""Notebooks for a class: a chapter with a place for each answer, a cell that checks it, and no solution.

The teacher's version has the solutions in the places of the answers.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell

from workbench.book.exercises import CELL, Exercise, exercises_of
from workbench.core.errors import RequestError
from workbench.core.files import write_atomically
from workbench.core.project import Project
from workbench.core.text import shown
from workbench.parameters.cells import source
from workbench.parameters.contract import Contract

_QUIZ = re.compile(r"^:::\{quiz\}\n(.*?)^:::$\n?", re.MULTILINE | re.DOTALL)
_TICKED = re.compile(r"(?<=- )\[[xX]\] (.*)", re.DOTALL)
_ANSWER = "*Your answer in words, as far as the question asks for one:*"
_GUIDE = """\
This is a copy of the chapter *{name}* for a class. Run the cells from the top; the exercises are at the end. Answers
in code go into the empty cell below an exercise, answers in words into the cell that says so. The cell behind an answer
in code checks it: it prints that the answer passes, or ends with an error. Hints open on a click.
"""
_GUIDE_WITH_SOLUTIONS = """\
This is the teacher's copy of the chapter *{name}*: the solutions stand where the class's copies have empty cells, and
the cell behind each solution in code checks it.
"""


def student_notebook(notebook: dict[str, Any], name: str, *, solutions: bool = False) -> dict[str, Any]:
    """A chapter's notebook for a class, as JSON has it: its cells without outputs, and its exercises in cells.

    An exercise is a cell of text with its hints, a cell for an answer in words where the solution has words, and two of
    code, for the answer and for its check, where it asks for code. With `solutions` the answers are filled in. A quiz
    becomes a list whose answers are folded, since a notebook would show them ticked.

    Raises:
        RequestError: for a chapter whose exercises are not as they should be, one sentence each.
    """
    found = exercises_of(notebook, name)
    cells: list[dict[str, Any]] = []
    for cell in notebook["cells"]:
        if cell.get("id") == CELL:
            cells += [new_markdown_cell(found.before, id=CELL)] if found.before else []
            cells += [part for exercise in found.exercises for part in _cells(exercise, solutions)]
            cells += [new_markdown_cell(found.behind, id=f"{CELL}-end")] if found.behind else []
        else:
            cells.append(copy.deepcopy(cell))
            if cell["cell_type"] == "code":
                cells[-1] |= {"outputs": [], "execution_count": None}
            elif _QUIZ.search(source(cell)):
                cells[-1]["source"] = _QUIZ.sub(lambda quiz: _folded(quiz[1]), source(cell))
    guide = _GUIDE_WITH_SOLUTIONS if solutions else _GUIDE
    cells.insert(1, new_markdown_cell(guide.format(name=name), id="student-guide"))
    return {**notebook, "cells": cells}


def write_student_notebooks(
    contracts: list[Contract], project: Project, folder: Path, *, solutions: bool = False, replace: bool = False
) -> list[Path]:
    """The files of these chapters' notebooks for a class, which are written into a folder under the chapters' names.

    Raises:
        RequestError: for exercises that are not as they should be, the folder of the chapters themselves, files that
            are there and are not to be replaced (then nothing is written), or a folder that cannot be written.
    """
    if folder.resolve() == project.notebooks.resolve():
        raise RequestError(f"{shown(folder)} holds the chapters themselves; name another folder by --to")
    made, mistakes = {}, []
    for contract in contracts:
        try:
            made[folder / contract.path.name] = student_notebook(
                contract.notebook, contract.chapter, solutions=solutions
            )
        except RequestError as error:
            mistakes += error.sentences
    if there := [path for path in made if os.path.lexists(path) and not replace]:
        place = shown(from_checkout(project, there[0]))
        mistakes.append(
            f"{place} is there already, with the answers in it; --replace writes over it, --to names another folder"
        )
    if mistakes:
        raise RequestError(*mistakes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, notebook in made.items():
            write_atomically(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise RequestError(f"{shown(folder)} cannot be written: {error.strerror or error}") from None
    return list(made)


def from_checkout(project: Project, path: Path) -> Path:
    """A path from the checkout on, as far as it lies in that."""
    return path.relative_to(project.root) if path.is_relative_to(project.root) else path


def _cells(exercise: Exercise, solutions: bool) -> Iterator[dict[str, Any]]:
    """The cells of an exercise."""
    name = f"exercise-{exercise.number}"
    hints = (f"<details><summary>Hint</summary>\n\n{hint}\n\n</details>" for hint in exercise.hints)
    asked = "\n\n".join([f"**{exercise.number}.** *{exercise.grade}.* {exercise.text}", *hints])
    yield new_markdown_cell(asked, id=name)
    if exercise.solution:
        answer = f"**Solution.** {exercise.solution}" if solutions else _ANSWER
        yield new_markdown_cell(answer, id=f"{name}-answer")
    if exercise.code:
        code = exercise.code if solutions else f"# Exercise {exercise.number}: your answer\n"
        yield new_code_cell(code, id=f"{name}-code")
        passes = f'print("Exercise {exercise.number} passes its check.")'
        fixed = {"deletable": False, "editable": False}
        yield new_code_cell(f"{exercise.check}\n{passes}", id=f"{name}-check", metadata=fixed)


def _folded(quiz: str) -> str:
    """A quiz as a list whose boxes are empty, each answer folded away under its question."""
    blocks, right = [], ""
    for block in re.split(r"\n{2,}", quiz.strip("\n")):
        indent = block[: len(block) - len(block.lstrip())]
        if re.match(r"\s+[-*+] \[", block):
            options = re.split(r"\n(?=\s+[-*+] \[)", block)
            right = next((ticked[1] for option in options if (ticked := _TICKED.search(option))), "")
            block = "\n".join(_TICKED.sub(r"[ ] \1", option) for option in options)
        elif right and indent:
            answer = f"*{' '.join(right.split())}* {block.strip()}"
            block = f"{indent}<details><summary>Answer</summary>\n\n{indent}{answer}\n\n{indent}</details>"
            right = ""
        blocks.append(block)
    return "\n\n".join(blocks) + "\n"
