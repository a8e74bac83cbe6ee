"""What the built pages would load, read from the files themselves: nothing from another site, and no dead buttons."""

from __future__ import annotations

import re

import pytest
import yaml
from sphinx_external_toc.parsing import parse_toc_yaml

from small_book import CONFIG, build_small_book
from staged_book import ROOT
from workbench.book.publish import with_repository

LOADS = re.compile(
    r"""<(?:script|img|iframe|source|audio|video|embed|link)\b[^>]*?\b(?:src|href|srcset)=["']((?:https?:)?//[^"']+)["'][^>]*>""",
    re.IGNORECASE,
)
STYLE_LOADS = re.compile(r"""(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


@pytest.fixture(scope="module")
def book_with_repository(tmp_path_factory):
    """A small book with the buttons that the book's own configuration gets."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    of_the_book = {part: config[part] for part in ("repository", "launch_buttons")}
    config = with_repository(CONFIG | of_the_book, "https://github.com/OWNER/NAME")
    return build_small_book(tmp_path_factory.mktemp("repository"), config)


@pytest.mark.parametrize("edition", ["book", "book_with_repository"])
def test_no_page_loads_anything_from_another_site(edition, request):
    book = request.getfixturevalue(edition)
    pages = list(book.rglob("*.html"))
    assert len(pages) >= 5
    loaded = {f"{page.name}: {url}" for page in pages for url in LOADS.findall(page.read_text(encoding="utf-8"))}
    assert loaded == set()


def test_no_style_loads_anything_from_another_site(book):
    styles = list(book.rglob("*.css"))
    assert styles
    loaded = {
        f"{style.name}: {url}" for style in styles for url in STYLE_LOADS.findall(style.read_text(encoding="utf-8"))
    }
    assert loaded == set()


def test_every_file_that_a_page_loads_is_there(book):
    local = re.compile(r"""<(?:script|img|link)\b[^>]*?\b(?:src|href)=["'](?!https?:|data:|#)([^"'#?]+)""")
    for page in [page for page in book.rglob("*.html") if "_static" not in page.parts]:
        for url in local.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / url).exists(), f"{page.name} loads {url}"


def test_no_page_is_larger_than_a_megabyte_and_a_half_with_its_pictures(book):
    pictures = re.compile(r"""<(?:img|source)\b[^>]*?\bsrc(?:set)?=["'](?!https?:|data:)([^"'#? ]+)""")
    for page in [page for page in book.rglob("*.html") if "_static" not in page.parts]:
        shown = {(page.parent / url).resolve() for url in pictures.findall(page.read_text(encoding="utf-8"))}
        assert sum(path.stat().st_size for path in [page, *shown]) < 1_500_000, page.name


def test_only_the_used_parts_of_mathjax_come_with_the_book(book):
    mathjax = book / "_static" / "mathjax"
    assert (mathjax / "tex-chtml.js").is_file()
    assert len(list(mathjax.glob("output/chtml/fonts/woff-v2/*.woff"))) > 20
    size = sum(path.stat().st_size for path in mathjax.rglob("*") if path.is_file())
    assert size < 3_000_000


def test_thebe_leaves_no_trace(book):
    assert not [page for page in book.rglob("*.html") if "thebe" in page.read_text(encoding="utf-8").lower()]


def test_the_table_of_contents_alone_decides_what_is_a_page(book):
    made = {
        page.relative_to(book).with_suffix("").as_posix()
        for page in book.rglob("*.html")
        if "_static" not in page.parts
    }
    of_sphinx = {"index", "search", "genindex", "py-modindex"}
    assert made - of_sphinx == {
        *parse_toc_yaml(ROOT / "_toc.yml"),
        "notebooks/toy",
    }


def test_without_a_repository_there_are_no_buttons_to_one(book):
    for page in book.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "btn-source-" not in text
        assert "mybinder.org/v2" not in text
        assert "colab.research.google.com/github" not in text
        assert 'href=""' not in text


def test_with_a_repository_a_chapter_can_be_launched_and_its_source_reached(book_with_repository):
    text = (book_with_repository / "notebooks" / "toy.html").read_text(encoding="utf-8")
    assert "https://mybinder.org/v2/gh/OWNER/NAME/main?urlpath=lab/tree/notebooks/toy.ipynb" in text
    assert "https://colab.research.google.com/github/OWNER/NAME/blob/main/notebooks/toy.ipynb" in text
    assert "https://github.com/OWNER/NAME/edit/main/notebooks/toy.ipynb" in text
    assert "https://github.com/OWNER/NAME/issues/new" in text
    prose = (book_with_repository / "book" / "intro.html").read_text(encoding="utf-8")
    assert "mybinder.org" not in prose
    assert 'href="https://github.com/OWNER/NAME"' in prose
