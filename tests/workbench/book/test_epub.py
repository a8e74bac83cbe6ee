"""The EPUB is one by the standard and reads without a script: formulas are MathML, and nothing waits for a hand."""

from __future__ import annotations

import io
import posixpath
import zipfile
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from sphinx_external_toc.parsing import parse_toc_data

from small_book import CONFIG, CONTENTS, TITLES
from workbench.book.epub import mathml, write_epub
from workbench.core.errors import RunError

XHTML = "{http://www.w3.org/1999/xhtml}"
MATH = "{http://www.w3.org/1998/Math/MathML}math"
OPF = "{http://www.idpf.org/2007/opf}"
TOY, PROSE = "book/notebooks/toy.xhtml", "book/book/prose.xhtml"


@pytest.fixture(scope="module")
def archive(small_book, tmp_path_factory):
    target = tmp_path_factory.mktemp("epub") / "book.epub"
    write_epub(small_book, parse_toc_data(CONTENTS), CONFIG, target)
    return zipfile.ZipFile(io.BytesIO(target.read_bytes()))


@pytest.fixture(scope="module")
def pages(archive):
    """Every page by its path, parsed as XML."""
    return {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist() if name.endswith(".xhtml")}


def text_of(page) -> str:
    return " ".join("".join(page.find(f"{XHTML}body").itertext()).split())


def _beside(name: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path)))


def test_it_begins_with_its_type_which_is_not_compressed(archive):
    first = archive.infolist()[0]
    assert (first.filename, first.compress_type, first.extra) == ("mimetype", zipfile.ZIP_STORED, b"")
    assert archive.read("mimetype") == b"application/epub+zip"
    assert b'full-path="book/content.opf"' in archive.read("META-INF/container.xml")


def test_its_list_of_files_is_that_of_the_archive_and_every_page_has_its_turn(archive):
    package = ElementTree.fromstring(archive.read("book/content.opf"))
    items = {item.get("id"): item for item in package.iter(f"{OPF}item")}
    listed = {f"book/{item.get('href')}" for item in items.values()}
    assert listed | {"mimetype", "META-INF/container.xml", "book/content.opf"} == set(archive.namelist())
    assert all("/" in item.get("media-type") for item in items.values())
    turns = [items[turn.get("idref")].get("href") for turn in package.iter(f"{OPF}itemref")]
    assert turns == [
        *("book/intro.xhtml", "book/prose.xhtml", "book/below.xhtml"),
        *("notebooks/toy.xhtml", "notebooks/second.xhtml"),
    ]
    with_math = {item.get("href") for item in items.values() if item.get("properties") == "mathml"}
    assert with_math == {"book/prose.xhtml", "notebooks/toy.xhtml", "notebooks/second.xhtml"}


def test_its_contents_are_those_of_the_book(pages):
    def entries(listed):
        for item in listed:
            yield item[0].text, list(entries(item[1])) if len(item) > 1 else []

    assert list(entries(pages["book/nav.xhtml"].find(f".//{XHTML}ol"))) == [
        (TITLES[0], []),
        ("Before & after", [(TITLES[1], [(TITLES[2], [])])]),
        ("Chapters", [(TITLES[3], []), (TITLES[4], [])]),
    ]


def test_formulas_are_mathml_with_their_tex_as_text_alternative(pages):
    formulas = list(pages[TOY].iter(MATH))
    assert len(formulas) == 6
    assert r"\sqrt{d_k}" in {formula.get("alttext") for formula in formulas}
    assert [formula.get("display") for formula in formulas].count("block") == 2
    for name, page in pages.items():
        assert "\\" not in text_of(page), name


def test_nothing_waits_for_a_script_or_a_hand(pages):
    used = {element.tag.removeprefix(XHTML) for page in pages.values() for element in page.iter()}
    assert not used & {"script", "button", "input", "details", "fieldset", "iframe", "object"}
    assert "head 1" in text_of(pages[TOY])
    assert "0.75" in text_of(pages[TOY]), "the weights of the figure, as a table"
    assert "b) It is, for" in text_of(pages[PROSE]), "the answer under the question"
    assert "It is forty-two." in text_of(pages[TOY]), "the solution"


def test_the_code_that_teaches_is_there_and_the_code_that_keeps_books_is_not(pages):
    assert "d_k: Count = 64" in text_of(pages[TOY])
    assert "keeps_books" not in text_of(pages[TOY])


def test_pictures_are_there_with_their_text_alternatives(archive, pages):
    images = [(name, image) for name, page in pages.items() for image in page.iter(f"{XHTML}img")]
    assert images
    for name, image in images:
        assert _beside(name, image.get("src")) in archive.namelist()
        assert image.get("alt")


def test_links_lead_to_places_that_there_are_or_out_of_the_book(pages):
    ids = {name: {element.get("id") for element in page.iter()} for name, page in pages.items()}
    led = set()
    for name, page in pages.items():
        for link in page.iter(f"{XHTML}a"):
            url = urlsplit(link.get("href"))
            if url.scheme:
                assert not set(link.get("href")) & set("<> ")
                continue
            target = _beside(name, url.path) if url.path else name
            assert target in pages
            assert not url.fragment or url.fragment in ids[target]
            led.add((target, url.fragment))
    assert ("book/notebooks/second.xhtml", "what-it-shows") in led


def test_ids_are_each_one_elements(pages):
    for name, page in pages.items():
        ids = [element.get("id") for element in page.iter() if element.get("id")]
        assert len(ids) == len(set(ids)), name


def test_a_formula_without_mathml_is_refused_by_its_page():
    with pytest.raises(RunError, match=r"book/notation: the formula '\\\\wombat x' has a command without MathML"):
        mathml(r"\wombat x", None, "book/notation")
