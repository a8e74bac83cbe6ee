"""The PDF is the whole book in order: with an outline, contents with the numbers of sheets, and nothing cut off."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from sphinx_external_toc.parsing import parse_toc_data

from small_book import CONFIG, CONTENTS, TITLES
from workbench.book.chromium import require_chromium
from workbench.book.pdf import WIDTH, fitting, one_document, write_pdf
from workbench.book.still import read_pages
from workbench.core.errors import RequestError

pypdf = pytest.importorskip("pypdf")
PAGES = ["book-intro", "book-prose", "book-below", "notebooks-toy", "notebooks-second"]


@pytest.fixture(scope="module")
def document(small_book, tmp_path_factory):
    """The pages as one document."""
    path = tmp_path_factory.mktemp("document") / "book.html"
    path.write_text(one_document(read_pages(small_book, parse_toc_data(CONTENTS)), small_book, CONFIG))
    return path


@pytest.fixture(scope="module")
def printed(small_book, browser, tmp_path_factory):
    """The PDF; `browser` skips where there is no Chromium."""
    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    with ThreadPoolExecutor() as elsewhere:  # in one thread Playwright drives one browser
        elsewhere.submit(write_pdf, small_book, parse_toc_data(CONTENTS), CONFIG, target).result()
    return pypdf.PdfReader(io.BytesIO(target.read_bytes()))


def outline(reader, entries=None, depth=0):
    """Depth, title and sheet of each entry."""
    for entry in reader.outline if entries is None else entries:
        if isinstance(entry, list):
            yield from outline(reader, entry, depth + 1)
        else:
            yield depth, entry.title.strip(), reader.get_destination_page_number(entry) + 1


def test_its_outline_has_the_parts_and_below_them_the_pages_in_order(printed):
    entries = [(depth, title) for depth, title, _ in outline(printed)]
    pages = [(depth, title) for depth, title in entries if title in TITLES]
    assert pages == [(0, TITLES[0]), (1, TITLES[1]), (2, TITLES[2]), (1, TITLES[3]), (1, TITLES[4])]
    assert [title for depth, title in entries if depth == 0] == ["Contents", TITLES[0], "Before & after", "Chapters"]
    assert [title for depth, title in entries if title.endswith("What it shows")] == [
        "1.1. What it shows",
        "2.1. What it shows",
    ]
    assert printed.metadata.author == "Its authors"


def test_its_contents_say_on_which_sheet_a_page_begins_and_lead_there(printed):
    sheets = [sheet for _, title, sheet in outline(printed) if title in TITLES]
    assert sheets == sorted(set(sheets)), "each page begins a sheet"
    lines = printed.pages[1].extract_text().splitlines()
    for title, sheet in zip(TITLES, sheets, strict=True):
        assert f"{title} {sheet}" in lines
    links = [note.get_object()["/Dest"] for note in printed.pages[1]["/Annots"]]
    assert links == [f"/{name}" for name in PAGES]
    places = printed.root_object["/Dests"]
    assert "/notebooks-second--what-it-shows" in places, "the place of a link into a chapter"


def test_every_sheet_but_the_first_has_its_number_and_the_title_of_its_page(printed):
    for number, sheet in enumerate(printed.pages[1:], start=2):
        assert str(number) in sheet.extract_text().splitlines()[:2]
    (start,) = (sheet for depth, title, sheet in outline(printed) if title == TITLES[4])
    assert printed.pages[start - 1].extract_text().startswith(TITLES[4])


def test_the_code_that_teaches_is_there_and_the_code_that_keeps_books_is_not(printed):
    text = " ".join(sheet.extract_text() for sheet in printed.pages)
    assert "d_k: Count = 64" in text
    assert "keeps_books" not in text
    assert "It is forty-two." in text, "the solution"
    assert "b) It is, for" in text, "the answer under the question"


def test_its_fonts_are_in_it(printed):
    fonts = {}
    for sheet in printed.pages:
        for font in sheet["/Resources"].get("/Font", {}).values():
            font = font.get_object()
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            drawn = font["/Subtype"] == "/Type3"  # its letters are in it as drawings
            fonts[font["/BaseFont"] if "/BaseFont" in font else id(font)] = drawn or any(
                key.startswith("/FontFile") for key in inner["/FontDescriptor"]
            )
    assert fonts
    assert all(fonts.values()), fonts


def test_what_is_wider_than_a_sheet_is_made_smaller(browser, document):
    context = browser.new_context(offline=True, viewport={"width": WIDTH, "height": 1000})
    page = context.new_page()
    page.emulate_media(media="print")
    page.goto(document.as_uri(), timeout=120_000)
    page.evaluate("() => window.MathJax.startup.promise.then(() => true)")
    before = page.evaluate("document.documentElement.scrollWidth")
    page.evaluate(fitting())
    after = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert before > WIDTH
    assert after <= WIDTH


def test_ids_are_each_one_elements_and_labels_follow(document):
    from bs4 import BeautifulSoup

    parsed = BeautifulSoup(document.read_text(), "html.parser")
    ids = [element["id"] for element in parsed.body.select("[id]")]
    figures = {element["id"] for element in parsed.select("figure.attention-view")}
    assert len(set(ids)) == len(ids) - len(figures), "an interactive figure that two pages show knows its own"
    assert [link["href"] for link in parsed.select('a[href^="#"]') if link["href"][1:] not in ids] == []


def test_without_chromium_one_sentence_says_what_to_install_before_anything_is_built(project, command):
    project.editions.mkdir(parents=True)
    (project.editions / "offline.yml").write_text("chapters: {}\n")
    result = command("book", "--format", "pdf", PATH="")
    assert result.returncode == 2
    assert "Chromium prints the PDF and was not found" in result.stderr
    assert "apt install chromium" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not project.runs.exists()
    assert not project.build.exists()


def test_a_browser_that_is_there_is_found_by_its_usual_names(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="install it: `apt install chromium`"):
        require_chromium()
    (tmp_path / "google-chrome").write_text("#!/bin/sh\n")
    (tmp_path / "google-chrome").chmod(0o755)
    assert require_chromium() == str(tmp_path / "google-chrome")
