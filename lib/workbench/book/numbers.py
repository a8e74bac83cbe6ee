"""Numbers that are typed into the prose of chapters, where a run should have put them.

    python -m workbench.book.numbers

What a run measures is glued, so that the text cannot disagree with it. A digit in the prose is therefore part of a
formula, of code, of a name (SST-2, table 5) or a year, or is 0 or 1; or it stands in a paragraph or a row that cites a
source, in an exercise, which sets its numbers, or in a phrase of `book/typed-numbers.yml`, which says why. Captions and
alternative texts of figures are prose as well, and so are the sentences that code puts together, apart from claims,
which name their settings.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_it.token import Token
from pydantic import TypeAdapter, ValidationError

from workbench.book import prose
from workbench.book.exercises import CELL
from workbench.core.code import parse
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.cells import PARAMETERS, python_of, source, tags
from workbench.parameters.yaml_files import read_yaml
from workbench.runs.record import Part

EXCEPTIONS = "typed-numbers.yml"
_NUMBERED = "table|tables|section|sections|chapter|step|steps|figure|part|version|appendix|equation|exercise|Python"
_NAMES = re.compile(
    rf"\b(?:{_NUMBERED})\s\d[\d.]*|[\w./+-]*[^\W\d][\w./+-]*"  # table 5; SST-2, BERT-base, float32
    r"|\b(?:1[89]|20)\d\d\b"  # years
    r"|(?<![\d.,−-])[01](?![\d.,]*\d|%)",  # the least and the most that a probability can be
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[−-]?\d(?:[\d,.]*\d)?%?")
_WORD = re.compile(r"\b[a-z]{3,}\b")
_SENTENCE = 4  # words that make a sentence of a string, and no label or key


class Allowed(Part):
    """A phrase whose number may be typed, and the reason."""

    phrase: str
    reason: str


def typed_numbers(text: str) -> Iterator[tuple[str, str]]:
    """Each number that is typed into a Markdown text, with the paragraph or the row of a table that it stands in."""
    for passage in _passages(prose.parse(text)):
        parts = [part for token in passage for part in token.children or ()]
        if any(part.type == "myst_role" and part.meta["name"].startswith("cite") for part in parts):
            continue
        cells = ("".join(map(_in_prose, token.children or ())) for token in passage)
        read = " | ".join(cells)
        for number in _NUMBER.findall(_NAMES.sub(" ", read)):
            yield number, " ".join(read.split())


def _in_prose(part: Token) -> str:
    """A text as it is; a dot for a role, code, a formula or a mark."""
    return part.content if part.type == "text" else " · "


def _passages(tokens: list[Token]) -> Iterator[list[Token]]:
    """The texts of each paragraph and heading, of a quiz as well, and together those of each row of a table."""
    row: list[Token] | None = None
    for token in tokens:
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield row or []
            row = None
        elif token.type == "colon_fence" and token.info.startswith("{quiz}"):
            yield from _passages(prose.parse(token.content))
        elif token.type == "inline" and row is None:
            yield [token]
        elif token.type == "inline":
            row.append(token)


def check(project: Project, notebooks: list[Path]) -> Iterator[str]:
    """A sentence for each typed number of these notebooks, and for each exception that no text needs.

    Raises:
        RequestError: for a list of exceptions that cannot be read.
    """
    unused = {" ".join(each.phrase.split()) for each in read_exceptions(project.root / "book" / EXCEPTIONS)}
    numbers = {phrase: _NUMBER.findall(phrase) for phrase in unused}
    for path in notebooks:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for number, passage in (found for text in _texts(cell) for found in typed_numbers(text)):
                phrases = {phrase for phrase in numbers if phrase in passage and number in numbers[phrase]}
                unused -= phrases
                if not phrases:
                    at = passage.find(number)
                    around = passage[max(0, at - 40) : at + 40]
                    yield f"{path.name}: cell {cell.get('id')}: {number} is typed: …{around}…"
    yield from (f"{EXCEPTIONS}: no text needs “{phrase}”" for phrase in sorted(unused))


def _texts(cell: dict[str, Any]) -> list[str]:
    """The prose of a cell: its text, or its sentences and the caption and the alternative text of its figure."""
    if cell["cell_type"] == "markdown":
        return [] if cell.get("id") == CELL else [source(cell)]
    texts = prose.texts_of_figure(cell)
    return texts if PARAMETERS in tags(cell) else [*texts, *_sentences(python_of(cell))]


def _sentences(code: str) -> Iterator[str]:
    """The strings of some code that are sentences, a dot for each value that is formatted into one; none of a claim."""
    try:
        left: list[ast.AST] = [parse(code)]
    except (SyntaxError, ValueError):  # the check of chapters says so
        return
    while left:
        node = left.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("claim", "check"):
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else " · " for part in node.values]
        else:
            left += ast.iter_child_nodes(node)
            parts = [node.value] if isinstance(node, ast.Constant) else []
        text = "".join(part for part in parts if isinstance(part, str))
        if len(_WORD.findall(text)) >= _SENTENCE:
            yield text


def read_exceptions(path: Path) -> list[Allowed]:
    """The phrases of `book/typed-numbers.yml`; none without the file.

    Raises:
        RequestError: for a file that is malformed.
    """
    try:
        return TypeAdapter(list[Allowed]).validate_python(read_yaml(path)) if path.exists() else []
    except ValidationError as error:
        raise RequestError(f"{path}: expected a list of `phrase:` and `reason:` ({error.errors()[0]['msg']})") from None


def main() -> int:
    """Print what is wrong; 1 where something is."""
    return prose.report(
        lambda project: check(project, sorted(project.notebooks.glob("*.ipynb"))),
        "Glue what a run measures, and cite what others did.",
    )


if __name__ == "__main__":
    sys.exit(main())
