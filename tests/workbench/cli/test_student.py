"""`workbench student` writes notebooks for a class, and nothing where one is there or an exercise is not in order."""

from __future__ import annotations

import json

import nbformat
import pytest

EXERCISES = """\
## Exercises

**1.** *Easy.* Why is the size what it is?

```{dropdown} Hint
Look above.
```

```{dropdown} Solution
Because it was chosen so.
```

**2.** *Medium.* Write `doubled(x)`.

````{dropdown} Check
```python
assert doubled(3) == 6
```
````

````{dropdown} Solution
```python
def doubled(x):
    return x + x
```
````
"""


def add_exercises(project, name="toy", text=EXERCISES):
    path = project.notebooks / f"{name}.ipynb"
    notebook = json.loads((project.notebooks / "toy.ipynb").read_text())
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "exercises"]
    notebook["cells"].append({"cell_type": "markdown", "id": "exercises", "metadata": {}, "source": text})
    path.write_text(json.dumps(notebook))
    return path


@pytest.fixture
def toy(project):
    """A project whose chapter has two exercises."""
    add_exercises(project)
    return project


def cells(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return {cell["id"]: cell["source"] for cell in notebook.cells}


def test_a_chapter_becomes_a_notebook_with_empty_cells(toy, command):
    before = (toy.notebooks / "toy.ipynb").read_bytes()
    done = command("student", "toy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "student/toy.ipynb\n", "")
    made = cells(toy.root / "student" / "toy.ipynb")
    assert list(made)[:2] == ["title", "student-guide"]
    assert list(made)[-6:] == ["exercises", "exercise-1", "exercise-1-answer", "exercise-2", *list(made)[-2:]]
    assert made["exercise-2-code"] == "# Exercise 2: your answer\n"
    assert made["exercise-2-check"] == 'assert doubled(3) == 6\nprint("Exercise 2 passes its check.")'
    assert "Look above." in made["exercise-1"]
    assert "chosen so" not in "".join(made.values())
    assert "x + x" not in "".join(made.values())
    assert (toy.notebooks / "toy.ipynb").read_bytes() == before


def test_the_teachers_version_has_the_solutions_and_a_folder_of_its_own(toy, command):
    assert command("student", "--solutions").stdout == "teacher/toy.ipynb\n"
    made = cells(toy.root / "teacher" / "toy.ipynb")
    assert made["exercise-1-answer"] == "**Solution.** Because it was chosen so."
    assert made["exercise-2-code"] == "def doubled(x):\n    return x + x"


def test_all_chapters_go_into_the_folder_that_is_named(toy, command, tmp_path_factory):
    add_exercises(toy, "other")
    folder = tmp_path_factory.mktemp("class") / "handouts"
    done = command("student", "--to", str(folder))
    assert done.stdout.splitlines() == [str(folder / "other.ipynb"), str(folder / "toy.ipynb")]
    assert sorted(path.name for path in folder.iterdir()) == ["other.ipynb", "toy.ipynb"]


def test_answers_are_written_over_with_replace_alone(toy, command):
    command("student")
    path = toy.root / "student" / "toy.ipynb"
    path.write_text("my answers")
    add_exercises(toy, "other")
    done = command("student")
    assert done.returncode == 2
    assert "student/toy.ipynb is there already" in done.stderr
    assert "--replace writes over it" in done.stderr
    assert [file.read_text() for file in path.parent.iterdir()] == ["my answers"]
    assert command("student", "--replace").returncode == 0
    assert "exercise-1" in cells(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tory"], "no chapter tory; did you mean toy?"),
        (["--to", "notebooks"], "notebooks holds the chapters themselves"),
        (["--to", "notebooks", "--replace"], "notebooks holds the chapters themselves"),
        (["toy", "--to", "_toc.yml/student"], "_toc.yml/student cannot be written"),
        (["bare"], "bare has no exercises"),
        ([], "bare has no exercises"),
    ],
)
def test_a_request_that_cannot_be_is_one_sentence_and_nothing_is_written(toy, command, arguments, said):
    add_exercises(toy, "bare", "## Exercises\n")
    before = {path: path.read_bytes() for path in toy.root.rglob("*") if path.is_file()}
    done = command("student", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in toy.root.rglob("*") if path.is_file()} == before
