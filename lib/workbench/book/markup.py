"""What the book's directives build pages of: paragraphs, tables, pictures and times."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from docutils import nodes
from sphinx.environment import BuildEnvironment


def paragraph(text: str, *classes: str) -> nodes.paragraph:
    """A paragraph; what stands between backticks in its text is set as code."""
    parts = enumerate(text.split("`"))
    children = [nodes.literal(text=part) if place % 2 else nodes.Text(part) for place, part in parts if part]
    return nodes.paragraph("", "", *children, classes=list(classes))


def table(columns: dict[str, int], rows: Iterable[nodes.row], name: str) -> nodes.table:
    """A table of the class `name`, its columns as headings and relative widths."""
    head = nodes.thead("", row(columns))
    widths = [nodes.colspec(colwidth=width) for width in columns.values()]
    group = nodes.tgroup("", *widths, head, nodes.tbody("", *rows), cols=len(columns))
    return nodes.table("", group, classes=[name])


def row(cells: Iterable[str | nodes.Node], *classes: str) -> nodes.row:
    """A row of a table, a cell of text being a paragraph without any markup."""
    entries = (nodes.paragraph("", cell) if isinstance(cell, str) else cell for cell in cells)
    return nodes.row("", *(nodes.entry("", entry) for entry in entries), classes=list(classes))


def box(title: str, *content: nodes.Node) -> nodes.admonition:
    """The box in which a page says how its numbers were made."""
    return nodes.admonition("", nodes.title(text=title), *content, classes=["workbench-provenance"])


def when(started: str) -> str:
    """The time of a record, such as `27 November 2026, 09:15 UTC`."""
    time = datetime.fromisoformat(started)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def keep_image(env: BuildEnvironment, image: bytes, name: str) -> str:
    """Where Sphinx finds a picture that was drawn for the present page: beside what it keeps between builds."""
    file = Path(env.doctreedir) / "recorded" / f"{name}-{hashlib.sha256(image).hexdigest()[:12]}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(image)
    page = Path(env.doc2path(env.docname)).parent
    return Path(os.path.relpath(file, page)).as_posix()
