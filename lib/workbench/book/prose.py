"""The prose of a page, as Markdown's parser sees it: what a reader reads, without code, formulas, names of works."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from workbench.core.errors import RequestError
from workbench.core.project import Project, find_project

_MYST = MdParserConfig(enable_extensions={"dollarmath", "amsmath", "colon_fence"})
_OF_A_FIGURE = (("figure", "caption"), ("image", "alt"))
_DIRECTIVE = re.compile(r"\{(?P<name>[\w:-]+)\}\s*(?P<title>.*)")
_HOLD_PROSE = {"admonition", "dropdown", "figure", "glossary", "note", "quiz", "seealso", "tip", "warning"}
_OPTION = re.compile(r"^:(?!alt:|caption:)[\w-]+:.*$|^:(?:alt|caption):", re.MULTILINE)


def report(check: Callable[[Project], Iterable[str]], advice: str) -> int:
    """Print what a check finds in this checkout, and what to do; 1 where it finds something, or cannot look."""
    try:
        problems = list(check(find_project(Path.cwd())))
    except RequestError as error:
        print(error)
        return 1
    if problems:
        print(*problems, advice, sep="\n")
    return bool(problems)


def parse(text: str) -> list[Token]:
    """The tokens of a Markdown text, as the book's pages are parsed."""
    return create_md_parser(_MYST, RendererHTML).parse(text)


def texts_of_figure(cell: dict[str, Any]) -> list[str]:
    """The caption and the alternative text of the figure that a code cell makes, as far as it has them."""
    figure = cell["metadata"].get("mystnb", {})
    return [text for part, name in _OF_A_FIGURE if (text := figure.get(part, {}).get(name))]


def passages(text: str, line: int = 1) -> Iterator[tuple[int, str]]:
    """The prose of each paragraph, heading and cell of a table, behind the number of the line where it begins.

    Code, formulas, roles such as citations, and HTML each become a dot, and addresses nothing. Of directives the
    content is read where that is prose: folded solutions, quizzes, figures, the glossary.
    """
    for token in parse(text):
        here = line + (token.map[0] if token.map else 0)
        if token.type == "inline":
            yield here, "".join(_prose(token.children or []))
            continue
        directive = _DIRECTIVE.match(token.info) if token.type in ("fence", "colon_fence") else None
        if directive and directive["name"] in _HOLD_PROSE:
            yield here, directive["title"]
            yield from passages(_OPTION.sub("", token.content), here + 1)


def _prose(parts: list[Token]) -> Iterator[str]:
    address = False
    for part in parts:
        if part.type == "link_open":
            address = part.info == "auto"
        elif part.type == "link_close":
            address = False
        elif part.type == "image":
            yield from _prose(part.children or [])
        elif part.type == "text" and not address:
            yield part.content
        elif part.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif part.type not in ("em_open", "em_close", "strong_open", "strong_close"):
            yield "·"
