"""The built pages in a browser, opened from disk with the network off."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from matplotlib.image import imread

from page_reader import DESKTOP, Reader
from staged_book import CHAPTERS


@pytest.fixture
def reader(browser, book):
    """A reader with a desktop screen, whose visit must end without an error or a request to another site."""
    context = browser.new_context(offline=True, viewport=DESKTOP, color_scheme="light")
    reader = Reader(context, book)
    yield reader
    context.close()
    assert reader.off_site == []
    assert reader.errors == []


def test_mathematics_is_rendered(reader):
    page = reader.open("notebooks/toy")
    page.wait_for_function("document.querySelectorAll('mjx-container').length >= 6")
    assert page.locator("mjx-merror").count() == 0
    assert "\\(" not in page.locator("article").inner_text()
    fonts = page.evaluate("document.fonts.ready.then(all => [...all].filter(font => font.status == 'loaded').length)")
    assert fonts > 0


def test_a_chapter_and_the_first_page_have_mathematics(reader):
    for name in ("notebooks/attention", "book/intro"):
        assert reader.open(name).locator("mjx-container").count() > 0


@pytest.mark.parametrize(("word", "place"), [("marsupial", "notebooks/toy"), ("papermill", "book/manual/parameters")])
def test_search_finds_a_word(reader, word, place):
    page = reader.open("book/intro")
    page.keyboard.press("Control+k")
    page.locator("#pst-search-dialog input[type=search], .search__container input").last.fill(word)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    result = page.locator(f"#search-results li a[href*='{place}']").first
    result.wait_for(timeout=10_000)


def test_the_reader_can_switch_to_the_dark(reader):
    page = reader.open("book/intro")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.locator("html").get_attribute("data-theme") == "light"
    light = page.evaluate(background)
    button = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        button.click()
        if page.locator("html").get_attribute("data-theme") == "dark":
            break
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate(background) != light


def test_the_book_is_dark_where_the_system_is(browser, book):
    context = browser.new_context(offline=True, color_scheme="dark")
    page = Reader(context, book).open("notebooks/toy")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    claim = "getComputedStyle(document.querySelector('.workbench-claim').parentElement).backgroundColor"
    assert page.evaluate(claim) == "rgba(0, 0, 0, 0)"  # not the pale ground that the theme puts under outputs
    context.close()


@pytest.mark.parametrize(("scheme", "darkest", "lightest"), [("light", 0.8, 1), ("dark", 0, 0.2)])
def test_a_figure_is_as_light_as_its_page(browser, book, scheme, darkest, lightest):
    context = browser.new_context(offline=True, color_scheme=scheme)
    page = Reader(context, book).open("notebooks/toy")
    shown = imread(io.BytesIO(page.locator("div.cell_output img").first.screenshot()))  # (height, width, colours)
    assert darkest <= shown[..., :3].mean() <= lightest
    context.close()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_executed_notebook_can_be_downloaded(reader, chapter):
    page = reader.open(f"notebooks/{chapter}")
    link = page.locator("a.btn-download-source-button")
    target = Path(unquote(urlsplit(link.evaluate("link => link.href")).path))
    assert target.name == f"{chapter}.ipynb"
    cells = json.loads(target.read_text(encoding="utf-8"))["cells"]
    assert any(cell.get("outputs") for cell in cells)


def test_a_claim_shows_by_its_mark_whether_it_holds(reader):
    page = reader.open("notebooks/toy")
    assert page.locator(".workbench-claim.holds").inner_text() == "✓ Rows sum to one: largest error below 1e-06"
    assert page.locator(".workbench-claim.fails").inner_text().startswith("✗ A fair coin")
    edge = "element => getComputedStyle(element).borderLeftColor"
    assert page.locator(".workbench-claim.holds").evaluate(edge) != page.locator(".workbench-claim.fails").evaluate(
        edge
    )


def test_the_ledger_lists_every_claim_apart_from_checks_and_leads_to_it(reader):
    page = reader.open("book/claims")
    notebooks = (reader.book / "_sources" / "notebooks" / f"{name}.ipynb" for name in CHAPTERS)
    kinds = Counter(claim.get("kind", "finding") for notebook in notebooks for claim in claims_of(notebook))
    for table, kind in enumerate(("finding", "check")):
        rows = page.locator("table.workbench-ledger").nth(table).locator("tr.holds, tr.fails")
        assert rows.count() == kinds[kind] > 0
        said = page.locator(".workbench-ledger-totals").nth(table).text_content()
        assert said.startswith(f"{kinds[kind]} {'claim' if kind == 'finding' else kind}s in ")
    row = page.locator("tr.fails", has_text="A fair coin").last
    assert row.locator("td").all_inner_texts()[1:] == ["about 0.5, within 0.1", "0.7325", "400", "–", "✗ fails"]
    row.locator("a").click()
    page.wait_for_url("**/notebooks/toy.html#claim-2")
    assert page.locator("#claim-2").inner_text().startswith("✗ A fair coin")


def test_a_chapter_begins_with_what_was_changed_and_ends_with_the_run_it_comes_from(reader):
    page = reader.open("notebooks/toy")
    assert "This page was run with d_k = 64." in page.locator(".admonition.note").first.inner_text()
    text = page.locator(".workbench-provenance").inner_text()
    for fact in (
        "20260102T030405Z-0badcafe",
        "2 January 2026, 03:04 UTC",
        "83.4 s",
        "no GPU",
        "abc1234",
        "d_k = 64",
    ):
        assert fact in text


def test_a_glued_number_and_a_figure_with_its_caption_are_shown(reader):
    page = reader.open("notebooks/toy")
    assert "The largest error is 3.0e-07." in page.locator("article").inner_text()
    figure = page.locator("figure#fig-toy")
    assert "The variance of a score grows" in figure.locator("figcaption").inner_text()
    assert figure.locator("img").get_attribute("alt").startswith("A line that rises")


def claims_of(notebook: Path) -> list[dict]:
    """The claims in a notebook's outputs."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    metadata = [output.get("metadata", {}) for cell in cells for output in cell.get("outputs", [])]
    return [entry["workbench"]["claim"] for entry in metadata if "claim" in entry.get("workbench", {})]


def test_a_citation_leads_to_the_references_of_its_own_chapter(reader):
    page = reader.open("notebooks/toy")
    citation = page.locator("article a.reference[href^='#']", has_text="20").first
    assert page.locator(citation.get_attribute("href")).is_visible()


def test_the_interactive_figure_follows_pointer_and_keyboard(reader):
    page = reader.open("notebooks/attention")
    view = page.locator(".attention-view").first
    if view.count() == 0:
        pytest.skip("the attention chapter has no committed outputs")
    says, words, heads = view.locator(".says"), view.locator(".words button"), view.locator(".heads button")
    words.nth(1).hover()
    assert says.inner_text().startswith(f"“{words.nth(1).get_attribute('data-word')}” looks at")
    words.nth(2).click()
    page.keyboard.press("ArrowRight")
    under_first = says.inner_text()
    assert under_first.startswith(f"“{words.nth(3).get_attribute('data-word')}” looks at")
    heads.nth(2).click()
    assert says.inner_text() != under_first, "another head looks elsewhere"
