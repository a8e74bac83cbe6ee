"""Notebooks for a class have a place for each answer and its check, and nothing of the solution.

That the checks judge answers, empty ones and the solutions, is in tests/test_exercises.py.
"""

from __future__ import annotations

import json
import re

import nbformat
import pytest

from staged_book import ROOT
from workbench.book.exercises import exercises_of
from workbench.book.student import student_notebook
from workbench.parameters.cells import source

EVERY = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=EVERY)
def chapter(request):
    """A chapter's notebook and its name."""
    return json.loads((ROOT / "notebooks" / f"{request.param}.ipynb").read_text(encoding="utf-8")), request.param


def by_id(notebook):
    return {cell["id"]: source(cell) for cell in notebook["cells"]}


def test_every_chapter_without_its_exercises_is_there_and_has_no_outputs(chapter):
    notebook, name = chapter
    made = student_notebook(notebook, name)
    nbformat.validate(nbformat.from_dict(made))
    kept = [cell for cell in made["cells"] if not cell["id"].startswith(("exercise", "student-guide"))]
    assert [(cell["id"], source(cell)) for cell in kept if cell["id"] != "quiz"] == [
        (cell["id"], source(cell)) for cell in notebook["cells"] if cell["id"] not in ("exercises", "quiz")
    ]
    code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_no_solution_is_in_a_students_notebook_and_every_one_in_the_teachers(chapter):
    notebook, name = chapter
    students, teachers = (
        "\n".join(by_id(student_notebook(notebook, name, solutions=solutions)).values()) for solutions in (False, True)
    )
    for exercise in exercises_of(notebook, name).exercises:
        for text in (exercise.solution, exercise.code):
            assert text in teachers
            sentences = [part.strip() for part in re.split(r"(?<=[.:])\s", text)]
            left = [part for part in sentences if len(part) > 40 and part in students and not part.startswith("import")]
            assert left == [], f"exercise {exercise.number}"
    assert "Solution" not in students


def test_each_exercise_has_its_text_hints_and_empty_places_in_order(chapter):
    notebook, name = chapter
    made = student_notebook(notebook, name)
    texts = by_id(made)
    places = [cell["id"] for cell in made["cells"] if cell["id"].startswith("exercise-")]
    expected = []
    for exercise in exercises_of(notebook, name).exercises:
        here = f"exercise-{exercise.number}"
        expected += [here, *([f"{here}-answer"] if exercise.solution else [])]
        expected += [f"{here}-code", f"{here}-check"] if exercise.code else []
        assert f"*{exercise.grade}.* {exercise.text}" in texts[here]
        assert all(f"<summary>Hint</summary>\n\n{hint}\n\n</details>" in texts[here] for hint in exercise.hints)
    assert places == expected


def test_the_answers_of_a_quiz_are_folded_and_its_boxes_empty(chapter):
    notebook, name = chapter
    quiz, made = by_id(notebook)["quiz"], by_id(student_notebook(notebook, name))["quiz"]
    assert not re.search(r"\[[xX]\]|:::", made)
    assert made.count("[ ]") == quiz.count("[ ]") + quiz.count("[x]")
    assert made.count("<summary>Answer</summary>") == quiz.count("[x]") > 2
    outside = re.sub(r"<details>.*?</details>", "", made, flags=re.DOTALL)
    right = [" ".join(option.split()) for option in re.findall(r"\[x\] ((?:.+\n)+?)(?=\s*- |\n)", quiz)]
    explained = re.findall(r"^   (?![-*+] | )(.+)$", quiz, re.MULTILINE)
    assert all(f"*{option}*" in made for option in right)
    assert [text for text in explained if text in outside] == []
