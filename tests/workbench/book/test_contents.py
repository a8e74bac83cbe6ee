"""The table of contents is one of the rules of a chapter, for `run` and `check` alike."""

from __future__ import annotations

import pytest

from toy_project import write_chapter
from workbench.book.contents import with_chapter


@pytest.mark.parametrize("name", ["run", "check"])
def test_a_chapter_is_refused_with_every_rule_that_it_breaks_and_nothing_is_written(project, command, name):
    write_chapter(project.root, "print(1)", parameters="size: Count = 1", name="other", read=False)
    done = command(name, "other")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "workbench: other.ipynb: the parameter size is declared and never read",
        "workbench: other.ipynb: the parameter size has no comment; write behind it what it is: `# …`",
        "workbench: other.ipynb: it is not in _toc.yml; add the line `- file: notebooks/other`",
    ]
    assert not project.runs.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("chapters:\n- file: notebooks/a\n", "chapters:\n- file: notebooks/a\n- file: notebooks/new\n"),
        ("chapters:\n- file: notebooks/a", "chapters:\n- file: notebooks/a\n- file: notebooks/new\n"),
        (
            "chapters:\n  - file: 'notebooks/a'  # first\n    title: A\n  # and\n  - file: book/b\n",
            "chapters:\n  - file: 'notebooks/a'  # first\n    title: A\n  - file: notebooks/new\n  # and\n"
            "  - file: book/b\n",
        ),
    ],
)
def test_a_new_chapter_stands_behind_the_last_one(before, after):
    assert with_chapter(before, "new") == after
