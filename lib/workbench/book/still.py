"""The pages of the built book as paper and e-readers can show them: in order, each its article alone.

Both formats are made of the pages that are there, and not by another build: they show the same numbers of the same
runs, and cost seconds where the pages cost minutes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Comment, SoupStrainer, Tag
from sphinx_external_toc.api import SiteMap

_FOR_SCREENS = (
    "a.headerlink",  # the ¶ behind a heading
    ".toctree-wrapper",  # both formats have a table of contents
    "details.hide",  # code that only keeps books
    "img.only-dark",
)
_REFERRING = ("id", "for", "aria-labelledby", "aria-describedby", "aria-controls")


@dataclass(frozen=True)
class Page:
    """A page of the table of contents.

    `name` is its path without suffix, such as `notebooks/attention`, and `title` its heading, with a number where it
    has one. `part` is the caption above it where it is the first of a part, and `depth` its distance from the first
    page of the book.
    """

    name: str
    title: str
    part: str | None
    in_part: bool
    depth: int
    article: Tag
    head: Tag


def read_pages(html: Path, contents: SiteMap) -> list[Page]:
    """The pages of a built book in the order of its table of contents, without what only a screen can do."""
    return [_read(html, *place) for place in _places(contents)]


def _places(contents: SiteMap) -> Iterator[tuple[str, str | None, bool, int]]:
    """Name, part, whether there is one, and depth of each page."""

    def below(name: str, depth: int, in_part: bool) -> Iterator[tuple[str, str | None, bool, int]]:
        for tree in contents[name].subtrees:
            inside = in_part or (depth == 1 and bool(tree.caption))
            caption = tree.caption if depth == 1 else None
            for item in filter(None, map(str, tree.files())):
                yield item, caption, inside, depth
                yield from below(item, depth + 1, inside)
                caption = None

    yield contents.root.docname, None, False, 0
    yield from below(contents.root.docname, 1, False)


def _read(html: Path, name: str, part: str | None, in_part: bool, depth: int) -> Page:
    name = str(Path(name).with_suffix("")) if name.endswith((".ipynb", ".md")) else name
    text = (html / f"{name}.html").read_text(encoding="utf-8")
    parsed = BeautifulSoup(text, "html.parser", parse_only=SoupStrainer(["head", "article"]))
    article = parsed.select_one("article.bd-article")
    for element in article.select(", ".join(_FOR_SCREENS)):
        element.decompose()
    for comment in article.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    heading = article.find("h1")
    title = " ".join(heading.get_text().split()) if heading else name
    return Page(name, title, part, in_part, depth, article, parsed.head)


def lead(pages: Sequence[Page], address: Callable[[Page, Page, str], str]) -> None:
    """Let every link lead to where the page that it names is now; one that leads to no page becomes its text.

    Args:
        pages: all of the book.
        address: of a fragment, which may be "", of the second page, from the first.
    """
    by_name = {page.name: page for page in pages}
    ids = {page.name: {each["id"] for each in page.article.select("[id]")} for page in pages}
    for page in pages:
        for link in page.article.select("a[href]"):
            url = urlsplit(link["href"])
            if url.scheme or url.netloc:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page.name), unquote(url.path)))
            name = path.removesuffix(".html") if url.path else page.name
            if name in by_name and (not url.path or path.endswith(".html")):
                fragment = url.fragment if url.fragment in ids[name] else ""
                link["href"] = address(page, by_name[name], fragment)
            else:
                link.unwrap()


def rename_ids(article: Tag, renamed: Callable[[str], str]) -> None:
    """Give every id another name, and let labels follow; those of figures with a script stay, which know their own."""
    own = [figure for figure in article.find_all("figure") if figure.find("script")]
    kept = {id(element) for figure in own for element in (figure, *figure.find_all(True))}
    for attribute in _REFERRING:
        for element in article.select(f"[{attribute}]"):
            if id(element) not in kept:
                element[attribute] = " ".join(map(renamed, element[attribute].split()))


def pictures(pages: Iterable[Page]) -> Iterator[tuple[Page, Tag, str]]:
    """Each picture that is a file of the book: the page, the element, and the path of the file from the book."""
    for page in pages:
        for image in page.article.select("img[src]"):
            url = urlsplit(image["src"])
            if not url.scheme:
                yield page, image, posixpath.normpath(posixpath.join(posixpath.dirname(page.name), unquote(url.path)))
