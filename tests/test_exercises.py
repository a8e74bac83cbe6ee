"""Every exercise has a grade and a solution, and where code is asked for a check that judges it by itself."""

from __future__ import annotations

import ast
import builtins
import json
from pathlib import Path

import pytest

from workbench.book.exercises import exercises_of
from workbench.book.student import student_notebook
from workbench.parameters.cells import code_cells, python_of, source

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
EVERY = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def notebook(chapter: str) -> dict:
    return json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))


def with_code(chapter: str) -> list:
    """The exercises of a chapter that ask for code."""
    return [exercise for exercise in exercises_of(notebook(chapter), chapter).exercises if exercise.code]


def cells_of(chapter: str, *, solutions: bool) -> dict[str, str]:
    """The cells of a chapter's notebook for a class, or of the teacher's."""
    made = student_notebook(notebook(chapter), chapter, solutions=solutions)
    return {cell["id"]: source(cell) for cell in made["cells"]}


def run(cells: dict[str, str], exercise: str) -> None:
    """Run the cell of an exercise's answer, and the cell that checks it."""
    namespace = {"__name__": "__main__"}
    for name in (f"{exercise}-code", f"{exercise}-check"):
        exec(compile(cells[name], name, "exec"), namespace)


def bound(code: str) -> set[str]:
    """The names that some code gives a value at its top level."""
    names = set()
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.add(statement.name)
        else:
            names |= {node.id for node in ast.walk(statement) if _is(node, ast.Store)}
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in getattr(statement, "names", [])}
    return names


def read(code: str) -> set[str]:
    """The names that some code reads."""
    return {node.id for node in ast.walk(ast.parse(code)) if _is(node, ast.Load)}


def _is(node: ast.AST, context: type) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, context)


@pytest.mark.parametrize("chapter", EVERY)
def test_every_exercise_has_a_grade_and_a_solution_and_three_have_code_that_is_checked(chapter):
    exercises = exercises_of(notebook(chapter), chapter).exercises
    assert all(exercise.grade and (exercise.solution or exercise.code) for exercise in exercises)
    assert len({exercise.grade for exercise in exercises}) > 1
    assert any(exercise.hints for exercise in exercises)
    asserting = [
        one for one in exercises if any(isinstance(part, ast.Assert) for part in ast.walk(ast.parse(one.check)))
    ]
    assert len(asserting) >= 3


@pytest.mark.parametrize("chapter", EVERY)
def test_the_checks_of_a_students_notebook_fail_on_empty_answers_and_pass_with_the_solutions_put_in(chapter):
    empty, filled = (cells_of(chapter, solutions=solutions) for solutions in (False, True))
    for exercise in with_code(chapter):
        with pytest.raises(NameError):
            run(empty, f"exercise-{exercise.number}")
        run(filled, f"exercise-{exercise.number}")


@pytest.mark.parametrize("chapter", EVERY)
def test_a_check_calls_what_the_exercise_names_and_the_chapter_has_nothing_of_that_name(chapter):
    in_chapter = set().union(*(bound(python_of(cell)) for cell in code_cells(notebook(chapter))))
    for exercise in with_code(chapter):
        asked = read(exercise.check) - bound(exercise.check) - set(dir(builtins))
        asked -= {node.arg for node in ast.walk(ast.parse(exercise.check)) if isinstance(node, ast.arg)}
        asked &= bound(exercise.code)
        assert asked, f"exercise {exercise.number}"
        assert not asked & in_chapter, f"exercise {exercise.number}"
        assert [name for name in asked if f"`{name}" not in exercise.text] == [], f"exercise {exercise.number}"


@pytest.mark.parametrize("chapter", EVERY)
def test_no_hint_and_no_check_says_what_the_solution_says(chapter):
    for exercise in exercises_of(notebook(chapter), chapter).exercises:
        lines = {line.strip() for line in exercise.code.splitlines() if len(line.strip()) > 20}
        lines -= {line for line in lines if line.startswith(("import ", "from "))}
        shown = "\n".join([*exercise.hints, exercise.check])
        assert [line for line in lines if line in shown] == [], f"exercise {exercise.number}"
