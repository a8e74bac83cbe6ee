"""A small book: prose in one part and two chapters in another, with all that paper and e-readers cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

import toy_chapter
from largemodels.figures.attention_view import AttentionView
from staged_book import ROOT, build

CONFIG = {
    "title": "A small book",
    "author": "Its authors",
    "copyright": "2026",
    "only_build_toc_files": True,
    "execute": {"execute_notebooks": "off"},
    "parse": {"myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"]},
    "sphinx": {
        "extra_extensions": ["workbench.book.extension"],
        "config": {
            "mathjax_path": "mathjax/tex-chtml.js",
            "myst_heading_anchors": 3,
            "numfig": True,
            "nb_ipywidgets_js": {},
            "html_css_files": ["workbench.css"],
            "html_static_path": [str(ROOT / "book" / "_static")],
        },
    },
}
CONTENTS = {
    "format": "jb-book",
    "root": "book/intro",
    "parts": [
        {"caption": "Before & after", "chapters": [{"file": "book/prose", "sections": [{"file": "book/below"}]}]},
        {"caption": "Chapters", "numbered": 2, "chapters": [{"file": "notebooks/toy"}, {"file": "notebooks/second"}]},
    ],
}
TITLES = ["A small book", "Prose", "Below it", "1. A toy chapter", "2. A second chapter"]
"""The titles of its pages, in order."""

PROSE = """\
# Prose

[A page](below.md), [a section of a chapter](../notebooks/second.ipynb#what-it-shows), [outside](https://example.org/<a>),
[a file](book.csv).

:::{quiz}

1. Which is right?

   - [ ] The first.
   - [x] The second.

   It is, for $x < 1$.
:::
"""
INTERACTIVE = AttentionView(["wombats", "dig"], {"head 1": [[0.25, 0.75], [0.5, 0.5]]}, "Where each word looks.")
WIDE = "<table><tr>" + "".join(f"<td>a-column-of-number-{number}</td>" for number in range(24)) + "</tr></table>"


def build_small_book(folder: Path, config: dict[str, Any] = CONFIG) -> Path:
    """The folder of its built pages."""
    (folder / "book").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "_toc.yml").write_text(yaml.safe_dump(CONTENTS, sort_keys=False), encoding="utf-8")
    (folder / "book" / "intro.md").write_text("# A small book\n\nIt begins.\n", encoding="utf-8")
    (folder / "book" / "prose.md").write_text(PROSE, encoding="utf-8")
    (folder / "book" / "book.csv").write_text("a,b\n", encoding="utf-8")
    (folder / "book" / "below.md").write_text("# Below it\n\nSee [prose](prose.md).\n", encoding="utf-8")
    for name, title in (("toy", "A toy chapter"), ("second", "A second chapter")):
        chapter = toy_chapter.chapter(name)
        chapter.cells[0]["source"] = chapter.cells[0]["source"].replace("# A toy chapter", f"# {title}")
        chapter.cells += [
            new_code_cell("keeps_books()", metadata={"tags": ["hide-input"]}),
            new_code_cell("view", outputs=[_shown(INTERACTIVE._repr_html_())]),
            new_code_cell("wide", outputs=[_shown(WIDE)]),
            new_markdown_cell(":::{dropdown} Solution\nIt is forty-two.\n:::"),
        ]
        nbformat.write(chapter, folder / "notebooks" / f"{name}.ipynb")
    return build(folder)


def _shown(html: str) -> nbformat.NotebookNode:
    return new_output("display_data", {"text/html": html, "text/plain": "it"})
