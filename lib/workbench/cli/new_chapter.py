"""The command `new-chapter`: a notebook that runs, can be checked, and stands in the table of contents at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from workbench.book.contents import chapters_of_book, with_chapter
from workbench.core.errors import RequestError
from workbench.core.files import write_atomically
from workbench.core.project import Project, find_project
from workbench.core.text import shown

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 80  # characters of a name or a title


def new_chapter(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as `long-contexts`.")],
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Its title; without it, its name in words.")] = None,
) -> None:
    """Make a chapter that runs, and put it into the table of contents, after the others.

    It asks a small question and answers it: parameters, a table, a record, a figure, a claim, a quiz, three
    exercises. Replace them one by one; the page *Write a chapter* says how.

    **Examples**

        workbench new-chapter long-contexts
        workbench new-chapter long-contexts --title "What a long context costs"
    """
    project = find_project()
    path = add_chapter(project, name, title)
    print(f"{path.relative_to(project.root)} is made, and stands in _toc.yml. Write it, and then:\n")
    for command in ("run", "accept", "check"):
        print(f"    workbench {command} {name}")
    print(f"    make lint && make test CHAPTER={name}")


def add_chapter(project: Project, name: str, title: str | None = None) -> Path:
    """The file of a new chapter, which the table of contents names after the others.

    Without a title, its name in words is that.

    Raises:
        RequestError: for a name or a title that no chapter can have, or a name that is taken. Nothing is written then.
    """
    if mistakes := [*_wrong_with_name(project, name), *_wrong_with_title(title)]:
        raise RequestError(*mistakes)
    path, contents = project.notebooks / f"{name}.ipynb", project.root / "_toc.yml"
    before = contents.read_text(encoding="utf-8")
    after = with_chapter(before, name)
    notebook = _notebook(name, title or name.replace("-", " ").capitalize())
    try:
        write_atomically(path, notebook)
        write_atomically(contents, after)
        chapters_of_book(project)  # it can still be read
    except BaseException:
        path.unlink(missing_ok=True)
        if contents.read_text(encoding="utf-8") != before:
            write_atomically(contents, before)
        raise
    return path


def _wrong_with_name(project: Project, name: str) -> list[str]:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or name == "latest":  # `show latest` is the newest run
        form = f"lower-case letters, digits and hyphens, at most {_LONGEST} in all, as in long-contexts"
        return [f"{shown(name)} cannot name a chapter; a name is {form}"]
    if name in project.chapters():
        return [f"there is a chapter {name} already"]
    if name in chapters_of_book(project):
        return [f"_toc.yml names {name} already, and there is no such notebook; take its line out first"]
    return []


def _wrong_with_title(title: str | None) -> list[str]:
    if title is None or (title.strip() and title.isprintable() and len(title) <= _LONGEST):
        return []
    return [f"--title {shown(title)}: a title is one line of at most {_LONGEST} characters"]


def _notebook(name: str, title: str) -> str:
    """The text of a chapter's notebook, made of the template beside this module.

    That is a notebook written as MyST Markdown, which Jupyter Book reads too.
    """
    import nbformat
    from myst_nb.core.read import read_myst_markdown_notebook

    template = Path(__file__).with_name("new_chapter.md").read_text(encoding="utf-8")
    notebook = read_myst_markdown_notebook(template.replace("{{name}}", name))
    for cell in notebook.cells:
        cell["id"] = cell.metadata.pop("id")
        cell.source = cell.source.replace("{{title}}", title.strip())
    notebook.metadata["language_info"] = {"name": "python"}
    return nbformat.writes(notebook) + "\n"
