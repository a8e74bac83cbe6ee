"""The book as an EPUB 3: the built pages as XHTML, with their mathematics as MathML and no script.

E-readers run no MathJax, and most show MathML themselves. `latex2mathml` turns the formulas into it; a formula that it
does not know stops the book, so that none is published half read.
"""

from __future__ import annotations

import io
import mimetypes
import posixpath
import re
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from bs4 import BeautifulSoup, NavigableString, Tag
from sphinx_external_toc.api import SiteMap

from workbench.book.still import Page, lead, pictures, read_pages
from workbench.core.errors import RunError
from workbench.core.files import write_atomically

_TYPE = "application/epub+zip"
_FORMULA = re.compile(r"\\\((?P<inline>.*?)\\\)|\\\[(?P<display>.*?)\\\]", re.DOTALL)
_UNKNOWN = {r"\arg": r"\operatorname{arg}"}
"""Commands of the book that `latex2mathml` does not know, in words that it does."""

_NEEDS_A_SCRIPT = (
    "script",
    "button.copybtn",
    ".offered",  # of the calculators
    '.heads button[aria-pressed="false"]',  # of the attention view
    ".next-token-view :is(.live, details)",  # whose still table stands beside them
    ".quiz-verdict",
    ".says:empty",
    "svg[aria-hidden]",  # the arrows of what opens
)
_STYLE = "styles/epub.css"


def write_epub(built: Path, contents: SiteMap, config: dict[str, Any], target: Path) -> None:
    """Write the pages of a built book as one file, which appears whole.

    Args:
        built: the folder of the pages.
        contents: their table of contents.
        config: the content of `_config.yml`, for title, author, rights and language.
        target: the file.

    Raises:
        RunError: for a formula that cannot be turned into MathML, or a page that cannot be made XHTML.
    """
    pages = read_pages(built, contents)
    lead(pages, lambda start, page, fragment: _from(start, f"{page.name}.xhtml") + (fragment and f"#{fragment}"))
    files: dict[str, bytes] = {path: (built / path).read_bytes() for _, _, path in pictures(pages)}
    files[_STYLE] = (Path(__file__).with_name("epub.css").read_text(encoding="utf-8") + _highlighting(built)).encode()
    for page in pages:
        files[f"{page.name}.xhtml"] = _xhtml(page).encode()
    files["nav.xhtml"] = _navigation(pages).encode()
    files["content.opf"] = _package(pages, files, config).encode()
    write_atomically(target, _packed(files))


def _packed(files: dict[str, bytes]) -> bytes:
    """The archive, which names its type first and uncompressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", _TYPE, zipfile.ZIP_STORED)
        archive.writestr(
            "META-INF/container.xml",
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>",
        )
        for name, data in files.items():
            archive.writestr(f"book/{name}", data)
    return content.getvalue()


# A page as XHTML


def _xhtml(page: Page) -> str:
    """A page that reads without a script, as XML."""
    styles = _still(page.article)
    for element in page.article.select(".math"):
        _as_mathml(element, page.name)
    _mend(page.article)
    own = f"<style>{escape(chr(10).join(styles), quote=False)}</style>" if styles else ""
    return _document(page.title, page.article.decode(formatter="minimal"), _from(page, _STYLE), page.name, own)


def _document(title: str, body: str, style: str, name: str, own: str = "") -> str:
    """An XHTML document.

    Raises:
        RunError: where it is not XML.
    """
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en" data-theme="light"><head>'
        f'<meta charset="utf-8"/><title>{escape(title)}</title>'
        f'<link rel="stylesheet" type="text/css" href="{style}"/>{own}</head><body>{body}</body></html>\n'
    )
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise RunError(f"{name}: the page cannot be made XHTML: {error}") from None
    return text


def _still(article: Tag) -> list[str]:
    """Turn what waits for a reader's hand into what it shows before that; return the styles of figures."""
    for element in article.select(", ".join(_NEEDS_A_SCRIPT)):
        element.decompose()
    styles = [element.extract().get_text() for element in article.find_all("style")]
    for field in article.select('input[type="number"]'):
        field.replace_with(f" {field['value']}")
    for element in article.find_all("input"):
        element.decompose()
    for summary in article.find_all("summary"):
        summary.name, summary["class"] = "p", ["summary"]
    for element in article.find_all(["details", "fieldset", "legend", "label", "button"]):
        element["class"] = [*element.get("class", []), element.name]
        element.name = "span" if element.name == "button" else "div"
        for attribute in ("open", "type", "for", "aria-pressed"):
            del element[attribute]
    return list(dict.fromkeys(styles))


def _as_mathml(element: Tag, page: str) -> None:
    """Put MathML in the place of the TeX in an element, which MathJax would look for.

    Raises:
        RunError: for a formula that is not known.
    """
    for text in list(element.find_all(string=_FORMULA)):
        parts, end = [], 0
        for match in _FORMULA.finditer(text):
            parts += [NavigableString(text[end : match.start()]), mathml(match["inline"], match["display"], page)]
            end = match.end()
        text.replace_with(*parts, NavigableString(text[end:]))


def mathml(inline: str | None, display: str | None, page: str) -> Tag:
    """The `math` element of a formula in TeX, which stands in the line or by itself; its TeX is the text alternative.

    Raises:
        RunError: where a command is not known, with the page and the formula.
    """
    from latex2mathml.converter import convert

    source = (display if inline is None else inline).strip()
    known = re.sub(r"\\[A-Za-z]+", lambda command: _UNKNOWN.get(command[0], command[0]), source)
    try:
        made = convert(known, display="inline" if display is None else "block")
    except Exception as error:  # its own kinds, and IndexError or KeyError for what it did not expect
        raise RunError(f"{page}: the formula {source!r} has no MathML: {type(error).__name__} {error}") from None
    element = BeautifulSoup(made, "html.parser").math
    if "\\" in element.get_text():
        raise RunError(f"{page}: the formula {source!r} has a command without MathML: {element.get_text()!r}")
    element["alttext"] = " ".join(source.split())
    return element


def _mend(article: Tag) -> None:
    """Take away what browsers let pass, and the rules of an EPUB do not."""
    for element in article.find_all(True):
        for attribute in ("border", "align", "halign", "valign", "tabindex"):
            del element[attribute]
        if width := element.name == "col" and element.attrs.pop("width", None):
            element["style"] = f"width: {width}"
    for link in article.select("a[href]"):
        link["href"] = quote(link["href"], safe="%/:=&?~#+!$,;'@()*[]")  # a DOI may hold < and >
    for block in article.select("p :is(p, ul, ol, dl, div, table)"):  # of the reference
        for around in block.find_parents("p"):
            around.name = "div"
    for listed in article.select("dl:not(:has(> dt))"):  # the parameters of a long signature
        for element in [listed, *listed.find_all("dd", recursive=False)]:
            element.name = "div"


def _from(page: Page, path: str) -> str:
    """The path of a file from a page."""
    return posixpath.relpath(path, posixpath.dirname(page.name) or ".")


def _highlighting(built: Path) -> str:
    """The colours of code, those for light pages."""
    lines = (built / "_static" / "pygments.css").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if "dark" not in line)


# What holds the pages together


def _navigation(pages: Sequence[Page]) -> str:
    """The table of contents, which e-readers show."""

    def entries(pages: Sequence[Page], depth: int) -> Iterator[str]:
        starts = [place for place, page in enumerate(pages) if page.depth == depth] + [len(pages)]
        for start, end in pairwise(starts):
            page, below = pages[start], pages[start + 1 : end]
            nested = f"<ol>{''.join(entries(below, depth + 1))}</ol>" if below else ""
            yield f'<li><a href="{page.name}.xhtml">{escape(page.title)}</a>{nested}</li>'

    first, *rest = pages
    starts = [place for place, page in enumerate(rest) if page.part] + [len(rest)]
    items = [*entries([first], 0), *entries(rest[: starts[0]], 1)]
    for start, end in pairwise(starts):
        inside = "".join(entries(rest[start:end], 1))
        items.append(f"<li><span>{escape(rest[start].part)}</span><ol>{inside}</ol></li>")
    body = f'<nav epub:type="toc" id="toc"><h1>Contents</h1><ol>{"".join(items)}</ol></nav>'
    return _document("Contents", body, _STYLE, "the table of contents")


def _package(pages: Sequence[Page], files: dict[str, bytes], config: dict[str, Any]) -> str:
    """The list of all files and their order, with title, author and rights."""
    title, author = str(config.get("title") or "Untitled"), config.get("author")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ids = {name: f"file-{place}" for place, name in enumerate(files)}
    items = []
    for name, data in files.items():
        is_page = name.endswith(".xhtml")
        kind = "application/xhtml+xml" if is_page else mimetypes.guess_type(name)[0]
        held = "nav" if name == "nav.xhtml" else "mathml" if is_page and b"<math" in data else ""
        given = f' properties="{held}"' if held else ""
        items.append(f'<item id="{ids[name]}" href="{escape(name)}" media-type="{kind}"{given}/>')
    spine = "".join(f'<itemref idref="{ids[f"{page.name}.xhtml"]}"/>' for page in pages)
    said = {
        "dc:title": title,
        "dc:creator": author,
        "dc:rights": config.get("copyright") and f"© {config['copyright']}",
        "dc:language": "en",
    }
    metadata = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in said.items() if value)
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{title} {author}").urn
    accessibility = "".join(
        f'<meta property="schema:{name}">{value}</meta>'
        for name, value in (
            ("accessMode", "textual"),
            ("accessMode", "visual"),
            ("accessModeSufficient", "textual"),
            ("accessibilityFeature", "alternativeText"),
            ("accessibilityFeature", "MathML"),
            ("accessibilityFeature", "tableOfContents"),
            ("accessibilityHazard", "none"),
        )
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="identity" xml:lang="en">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="identity">{identity}</dc:identifier>{metadata}'
        f'<meta property="dcterms:modified">{now}</meta>{accessibility}</metadata>'
        f"<manifest>{''.join(items)}</manifest><spine>{spine}</spine></package>\n"
    )
