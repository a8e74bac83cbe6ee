"""`workbench new-chapter` makes a chapter that keeps every rule and runs, or changes nothing."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import sys

import pytest

import test_exercises
from workbench.book.contents import chapters_in_order
from workbench.cli import new_chapter
from workbench.core.errors import RequestError
from workbench.runs.executed import read_executed

pytestmark = pytest.mark.usefixtures("warm_server")
CONTENTS = """\
# What the book has, in its order
format: jb-book
root: book/intro
parts:
  - caption: Chapters  # numbered
    chapters:
      - file: notebooks/toy
        title: Toy
  - caption: Appendix
    chapters:
      - file: book/claims
"""


@pytest.fixture
def contents(project):
    """A table of contents with comments and an appendix."""
    path = project.root / "_toc.yml"
    path.write_text(CONTENTS)
    return path


def test_a_new_chapter_stands_behind_the_others_and_the_next_commands_are_printed(project, command, contents):
    done = command("new-chapter", "long-contexts", "--title", 'What "long" costs')
    assert done.returncode == 0, done.stderr
    assert "workbench run long-contexts\n    workbench accept long-contexts\n    workbench check" in done.stdout
    assert contents.read_text() == CONTENTS.replace(
        "        title: Toy\n", "        title: Toy\n      - file: notebooks/long-contexts\n"
    )
    title = json.loads((project.notebooks / "long-contexts.ipynb").read_text())["cells"][0]
    assert title["id"] == "title"
    assert "".join(title["source"]).startswith('# What "long" costs\n')
    assert sorted(path.name for path in project.notebooks.iterdir()) == ["long-contexts.ipynb", "toy.ipynb"]


def test_the_commands_of_the_guide_lead_to_a_chapter_that_is_in_order(project, root, command):
    guide = (root / "book" / "write-a-chapter.md").read_text(encoding="utf-8")
    lines = [shlex.split(line) for line in guide.partition("```bash\n")[2].partition("```")[0].splitlines()]
    commands = [line[1:] for line in lines if line[0] == "workbench"]
    assert [words[0] for words in commands] == ["new-chapter", "run", "accept", "check"]
    assert {words[1] for words in commands} == {"long-contexts"}
    assert command(*commands[0]).returncode == 0
    (contract,) = chapters_in_order(project, ["long-contexts"])
    assert contract.parameters["seed"].type_text == "Seed"
    assert command("check", "long-contexts").stderr == (
        "workbench: long-contexts.ipynb: never accepted: `workbench run long-contexts`, "
        "then `workbench accept long-contexts`\n"
    )
    for words in commands[1:]:
        done = command(*words)
        assert done.returncode == 0, done.stderr
    executed = read_executed(contract.path)
    assert [claim["holds"] for claim in executed.claims] == [True]
    prose = " ".join("".join(cell["source"]) for cell in contract.notebook["cells"] if cell["cell_type"] == "markdown")
    glued = {f"{metric['name']}{end}" for metric in executed.metrics for end in (":.2f", "_interval")}
    assert {part.partition("`")[0] for part in prose.split("{glue:text}`")[1:]} <= glued


def test_a_new_chapter_has_the_exercises_and_the_quiz_that_every_chapter_has(project, monkeypatch):
    notebook = json.loads(new_chapter.add_chapter(project, "long-contexts").read_text())
    monkeypatch.setattr(test_exercises, "NOTEBOOKS", project.notebooks)
    for name, test in vars(test_exercises).items():
        if name.startswith("test_"):
            test("long-contexts")
    (quiz,) = ("".join(cell["source"]) for cell in notebook["cells"] if cell["id"] == "quiz")
    assert ":::{quiz}\n\n1. " in quiz
    assert quiz.count("- [x] ") == 2


@pytest.mark.parametrize("action", [["check"], ["format", "--check"]])
def test_the_code_of_a_new_chapter_has_the_style_of_the_others(project, root, action):
    notebook = new_chapter.add_chapter(project, "long-contexts").read_bytes()
    command = [
        sys.executable,
        "-m",
        "ruff",
        *action,
        "--no-cache",
        "--stdin-filename",
        root / "notebooks" / "new.ipynb",
    ]
    done = subprocess.run([*command, "-"], input=notebook, capture_output=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["toy"], "there is a chapter toy already"),
        (["../toy"], "../toy cannot name a chapter; a name is lower-case letters, digits and hyphens"),
        (["Long"], "Long cannot name a chapter"),
        (["long--contexts"], "cannot name a chapter"),
        (["l" * 300], "cannot name a chapter"),
        (["latest"], "latest cannot name a chapter"),
        (["long", "--title", " "], "--title ' ': a title is one line of at most 80 characters"),
        (["long", "--title", "a\nb"], "a title is one line"),
    ],
)
def test_a_name_or_a_title_that_cannot_be_is_refused_and_nothing_is_written(project, command, arguments, said):
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    done = command("new-chapter", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before


def test_a_table_of_contents_without_a_chapter_is_refused(project):
    (project.root / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    with pytest.raises(RequestError, match="no line `- file: notebooks/…` stands in it"):
        new_chapter.add_chapter(project, "long", "Long")
    assert project.chapters() == ["toy"]


@pytest.mark.parametrize(("step", "call"), [("write_atomically", 1), ("write_atomically", 2), ("chapters_of_book", 2)])
def test_what_fails_midway_leaves_everything_as_it_was(project, monkeypatch, contents, step, call):
    takes, calls = getattr(new_chapter, step), itertools.count(1)

    def failing(*arguments):
        if next(calls) == call:
            raise OSError("No space left on device")
        return takes(*arguments)

    monkeypatch.setattr(new_chapter, step, failing)
    with pytest.raises(OSError, match="No space left"):
        new_chapter.add_chapter(project, "long", "Long")
    assert contents.read_text() == CONTENTS
    assert project.chapters() == ["toy"]
