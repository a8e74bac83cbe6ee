"""The table of contents, `_toc.yml`: which chapters the book has, in its order, and the place of a new one."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import Contract, load_contract

CHAPTERS = PurePosixPath("notebooks")
"""The folder that chapters stand in, from the root of a checkout."""
_ENTRY = re.compile(r"(?P<indent> *)- file: *[\"']?notebooks/")


def chapters_of_book(project: Project) -> list[str]:
    """The chapters that the table of contents names, in its order.

    Raises:
        RequestError: for a table of contents that cannot be read, or that names chapters in a folder of `notebooks/`
            or by a pattern.
    """
    import yaml  # here, so that a command line starts without YAML
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    from workbench.parameters.yaml_files import read_mapping

    path = project.root / "_toc.yml"
    read_mapping(path)
    try:
        contents = parse_toc_yaml(path)
    except (MalformedError, yaml.YAMLError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(f"{path}: it is not a table of contents: {error}") from None
    chapters = [page for page in map(PurePosixPath, contents) if CHAPTERS in page.parents]
    patterns = [PurePosixPath(glob) for page in contents.values() for glob in page.child_globs()]
    nested = [page for page in chapters if page.parent != CHAPTERS]
    mistakes = [f"{page} is not in {CHAPTERS}/ itself, where chapters are" for page in nested]
    mistakes += [f"{each} is a pattern; name each chapter" for each in patterns if CHAPTERS in each.parents]
    if mistakes:
        raise RequestError(*(f"_toc.yml: {mistake}" for mistake in mistakes))
    return [page.name.removesuffix(".ipynb") for page in chapters]


def chapters_in_order(project: Project, names: list[str]) -> list[Contract]:
    """The contracts of chapters that keep every rule of a chapter, the place in the table of contents among them.

    Raises:
        RequestError: with a sentence for each rule that one of them breaks.
    """
    listed, known = chapters_of_book(project), project.chapters()
    contracts, mistakes = [], []
    for name in names:
        try:
            contracts.append(load_contract(project, name, every_rule=True))
        except RequestError as error:
            mistakes += error.sentences
        if name in known and name not in listed:
            mistakes.append(f"{name}.ipynb: it is not in _toc.yml; add the line `- file: {CHAPTERS / name}`")
    if mistakes:
        raise RequestError(*mistakes)
    return contracts


def with_chapter(contents: str, name: str) -> str:
    """The text of a table of contents with a chapter behind the last one that it has; its comments stay.

    Raises:
        RequestError: where no chapter stands in it yet, on a line of its own.
    """
    lines = contents.splitlines(keepends=True)
    entries = [(place, match["indent"]) for place, line in enumerate(lines) if (match := _ENTRY.match(line))]
    if not entries:
        raise RequestError("_toc.yml: no line `- file: notebooks/…` stands in it, behind which another could")
    place, indent = entries[-1]
    place += 1
    while place < len(lines) and lines[place].startswith(f"{indent}  "):  # what belongs to that entry
        place += 1
    if not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    return "".join([*lines[:place], f"{indent}- file: {CHAPTERS / name}\n", *lines[place:]])
