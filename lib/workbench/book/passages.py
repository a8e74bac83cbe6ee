"""The sentences that search results show: the text of each page as a script, since no browser fetches pages from disk.

Part of the Sphinx extension `workbench.book.extension`. `search.js` loads the script of a page when the page is
among the results, finds the sentence around the hit, and leads to its section.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_BLOCKS = (nodes.paragraph, nodes.caption, nodes.term)


def write_passages(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write the passages of a page as a call of `workbenchPassages`."""
    if doctree is None or app.builder.format != "html":
        return
    path = Path(app.outdir) / "_static" / "passages" / f"{page}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps([page, list(passages(doctree))], ensure_ascii=False)
    path.write_text(f"workbenchPassages(...{content});\n", encoding="utf-8")


def passages(doctree: nodes.document) -> Iterator[tuple[str, str]]:
    """The anchor and the text of each paragraph, row of a table, caption and term of a page, in its order.

    Entries of a list of references come last, so that the first passage with a word is of the text where that has it.
    """
    found = [
        (node, list(_above(node))) for node in doctree.findall(lambda node: isinstance(node, (*_BLOCKS, nodes.row)))
    ]
    found.sort(key=lambda each: any(isinstance(above, nodes.citation) for above in each[1]))
    for node, within in found:
        if isinstance(node, nodes.row):
            text = " · ".join(cell.astext() for cell in node)
        elif any(isinstance(each, nodes.row) for each in within):
            continue
        else:
            text = node.astext()
        if text := " ".join(text.split()):
            yield next((each["ids"][0] for each in [node, *within] if _leads(each)), ""), text


def _leads(node: nodes.Node) -> bool:
    return isinstance(node, nodes.section | nodes.term) and bool(node["ids"])


def _above(node: nodes.Node) -> Iterator[nodes.Node]:
    """What a node stands in, from the inside; of a definition also the term that it defines."""
    while node := node.parent:
        if isinstance(node, nodes.definition):
            yield from (each for each in node.parent if isinstance(each, nodes.term))
        yield node
