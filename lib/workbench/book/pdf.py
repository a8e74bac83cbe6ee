"""The book as one PDF: the built pages one after the other in one document, which Chromium prints.

As one document, a reference from one page to another leads there in the PDF, and pages are numbered through. Chromium
makes the outline of the headings, and tags what it prints for screen readers. It is printed twice: the first time says
on which sheet a page of the book begins, which the second one's contents show.
"""

from __future__ import annotations

import html
import io
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sphinx_external_toc.api import SiteMap

from workbench.book.chromium import OPTIONS, require_chromium
from workbench.book.still import Page, lead, pictures, read_pages, rename_ids
from workbench.core.errors import RunError
from workbench.core.files import temporary_folder, write_atomically

WIDTH = 657
"""CSS pixels between the margins that pdf.css gives a sheet of A4."""
_HEADINGS = """[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(each => each.checkVisibility())
    .map(each => each.textContent.split(/\\s+/).join(" ").trim())"""
_LONGEST = 600_000  # milliseconds that the pages may take to be there


def write_pdf(built: Path, contents: SiteMap, config: dict[str, Any], target: Path) -> None:
    """Print the pages of a built book into one file, which appears whole.

    Args:
        built: the folder of the pages.
        contents: their table of contents.
        config: the content of `_config.yml`, for the title page.
        target: the file.

    Raises:
        RequestError: without Chromium.
        RunError: where it fails.
    """
    chromium = require_chromium()
    pages = read_pages(built, contents)
    with temporary_folder() as folder:
        document = Path(folder) / "book.html"
        document.write_text(one_document(pages, built, config), encoding="utf-8")
        printed, headings = _print(document, chromium, [_anchor(page) for page in pages])
    write_atomically(target, _described(printed, headings, config))


def one_document(pages: Sequence[Page], built: Path, config: dict[str, Any]) -> str:
    """The HTML of the whole book; the pages are changed for it."""
    lead(pages, lambda _, page, fragment: f"#{_anchor(page)}{fragment and f'--{fragment}'}")
    for _, image, path in pictures(pages):
        image["src"] = (built / path).as_uri()
    title, author = (html.escape(str(config.get(key) or "")) for key in ("title", "author"))
    rights = html.escape(f"© {config['copyright']}" if config.get("copyright") else "")
    entries, sections, heads = [], [], []
    for page in pages:
        anchor, name = _anchor(page), html.escape(page.title)
        rename_ids(page.article, lambda old, anchor=anchor: f"{anchor}--{old}")
        part = f'<h1 class="part">{html.escape(page.part)}</h1>' if page.part else ""
        _lower_headings(page, max(page.depth - 1, 0) + page.in_part)
        if page.part:
            entries.append(f'<li class="part">{html.escape(page.part)}</li>')
        entries.append(
            f'<li class="depth-{page.depth}"><a href="#{anchor}">{name}</a><span data-of="{anchor}">000</span></li>'
        )
        heads.append(f"@page {anchor} {{ @top-left {{ content: {json.dumps(page.title, ensure_ascii=False)} }} }}")
        style = f"page: {anchor}"
        sections.append(f'<section class="page" id="{anchor}" style="{style}">{part}{page.article.decode()}</section>')
    styles = "\n".join([_beside("pdf.css"), *heads])
    return "\n".join(
        [
            f'<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><title>{title}</title>',
            '<meta charset="utf-8">',
            *_loaded(pages, built),
            f"<style>{styles}</style></head><body>",
            f'<header class="title-page"><p class="title">{title}</p><p>{author}</p><p>{rights}</p></header>',
            f"<nav><h1>Contents</h1><ol>{''.join(entries)}</ol></nav>",
            f'<main class="bd-content">{"".join(sections)}</main></body></html>',
        ]
    )


def _anchor(page: Page) -> str:
    return page.name.replace("/", "-").replace(".", "-")


def _lower_headings(page: Page, by: int) -> None:
    """Put the headings of a page below those that stand above it; each keeps the look of its own level."""
    for heading in page.article.find_all(["h1", "h2", "h3", "h4", "h5", "h6"]):
        level = int(heading.name[1])
        heading["class"] = [*heading.get("class", []), f"level-{level}"]
        heading.name = f"h{min(level + by, 6)}"


def _loaded(pages: Sequence[Page], built: Path) -> list[str]:
    """The styles that the first page loads, and MathJax with its settings where a page has mathematics."""
    found = [(pages[0], link) for link in pages[0].head.select("link[rel=stylesheet]")]
    for page in pages:
        if scripts := [script for script in page.head.find_all("script") if "mathjax" in str(script).lower()]:
            found += [(page, script) for script in scripts]
            break
    for page, element in found:
        attribute = "href" if element.name == "link" else "src"
        if path := element.get(attribute, "").partition("?")[0]:
            element[attribute] = (built / page.name).parent.joinpath(path).resolve().as_uri()
    return [str(element) for _, element in found]


def fitting() -> str:
    """The script that makes smaller what is wider than a sheet, and defines `number`, which fills in the contents."""
    return _beside("pdf.js")


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _print(document: Path, chromium: str, anchors: list[str]) -> tuple[bytes, list[str]]:
    """The PDF of a document, whose contents say on which sheets these anchors are, and its headings in order."""
    from playwright.sync_api import Error, sync_playwright

    options = {"prefer_css_page_size": True, "print_background": True, "outline": True, "tagged": True}
    with sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=chromium, args=list(OPTIONS))
            context = browser.new_context(offline=True, viewport={"width": WIDTH, "height": 1000})
            context.set_default_timeout(_LONGEST)
            page = context.new_page()
            page.emulate_media(media="print", color_scheme="light", reduced_motion="reduce")
            page.goto(document.as_uri(), timeout=_LONGEST)
            page.evaluate("() => window.MathJax?.startup?.promise?.then(() => true)")
            page.evaluate("() => document.fonts.ready.then(() => true)")
            page.evaluate(fitting())
            page.evaluate("numbers => number(numbers)", _sheets(page.pdf(**options), anchors))
            printed = page.pdf(**options)
            headings = page.evaluate(_HEADINGS)
            browser.close()
        except Error as error:
            raise RunError(f"Chromium did not print the book: {error.message.strip().splitlines()[0]}") from None
    return printed, headings


def _sheets(printed: bytes, anchors: list[str]) -> dict[str, int]:
    """The number of the sheet, from one, on which each of these anchors is."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(printed))
    places = reader.root_object.get("/Dests", {})  # Chromium names here whatever a link leads to
    found = {anchor: places[f"/{anchor}"][0].indirect_reference for anchor in anchors if f"/{anchor}" in places}
    sheets = {page.indirect_reference: number for number, page in enumerate(reader.pages, start=1)}
    return {anchor: sheets[place] for anchor, place in found.items()}


def _described(printed: bytes, headings: Sequence[str], config: dict[str, Any]) -> bytes:
    """The PDF with its author, and with the headings as they read for the titles of its outline.

    Chromium leaves out the formulas of a heading, and says one twice that stands at the top of a sheet.
    """
    from pypdf import PdfWriter
    from pypdf.generic import NameObject, TextStringObject

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns that Chromium counts its objects otherwise
    writer = PdfWriter(clone_from=io.BytesIO(printed))
    entries = list(_entries(writer.root_object["/Outlines"]))
    if len(entries) == len(headings):
        for entry, heading in zip(entries, headings, strict=True):
            entry[NameObject("/Title")] = TextStringObject(heading)
    if config.get("author"):
        writer.add_metadata({"/Author": str(config["author"])})
    writer.page_mode = "/UseOutlines"  # a viewer opens with it
    content = io.BytesIO()
    writer.write(content)
    return content.getvalue()


def _entries(above: Any) -> Iterator[Any]:
    """The entries of an outline in order, each before those below it."""
    entry = above.get("/First")
    while entry is not None:
        entry = entry.get_object()
        yield entry
        yield from _entries(entry)
        entry = entry.get("/Next")
