"""What the scripts of the pages do: tables that sort, figures that enlarge, and the place where one was."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from largemodels.figures.attention_view import AttentionView
from workbench.book import extension

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAGE = """<!doctype html><html lang="en" data-content_root="../"><meta charset="utf-8"><title>A page</title>
<a class="navbar-brand" href="{brand}">The book</a>
<article class="bd-article"><section id="title"><h1>{title}<a class="headerlink" href="#title">#</a></h1>{body}
</section></article>{scripts}</html>"""


class Site:
    """A folder of pages with the scripts and styles of the book, and a tab on it."""

    def __init__(self, folder, context) -> None:
        self.folder = folder
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        for name in ("book", "notebooks"):
            (folder / name).mkdir()
        (folder / "dot.png").write_bytes(PIXEL)

    def write(self, name: str, body: str, title: str = "A page") -> None:
        of = Path(extension.__file__).with_name
        scripts = "".join(f'<script src="{of(each).as_uri()}" defer></script>' for each in extension.SCRIPTS)
        scripts += "".join(f'<link rel="stylesheet" href="{of(each).as_uri()}">' for each in extension.STYLES)
        brand = "#" if name == "book/intro" else "../book/intro.html"
        text = PAGE.format(brand=brand, title=title, body=body, scripts=scripts)
        (self.folder / f"{name}.html").write_text(text, encoding="utf-8")

    def open(self, name: str):
        self.page.goto((self.folder / f"{name}.html").as_uri())
        return self.page

    def shown(self, name: str, body: str):
        self.write(name, body)
        return self.open(name)


@pytest.fixture(scope="module")
def only_site(browser, tmp_path_factory):
    context = browser.new_context(offline=True, viewport={"width": 1000, "height": 600})
    yield Site(tmp_path_factory.mktemp("site"), context)
    context.close()


@pytest.fixture
def site(only_site):
    """The site, whose pages must not have an error."""
    only_site.errors.clear()
    yield only_site
    only_site.page.emulate_media(media="screen")
    assert only_site.errors == []


def table(*rows, head=("name", "value")) -> str:
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    return f"<table><thead>{line(head, 'th')}</thead><tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"


def named(*values) -> str:
    return table(*((f"row {place}", value) for place, value in enumerate(values)))


def column(page, number: int) -> list[str]:
    return page.locator(f"tbody td:nth-child({number})").all_inner_texts()


def test_a_click_sorts_up_another_down_and_a_third_restores_the_order(site):
    page = site.shown("book/page", named("12", "3", "100"))
    head = page.get_by_role("columnheader", name="value")
    orders = (
        ("ascending", ["3", "12", "100"]),
        ("descending", ["100", "12", "3"]),
        (None, ["12", "3", "100"]),
    )
    for state, order in orders:
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == state
        assert column(page, 2) == order
    assert page.get_by_role("columnheader", name="name").get_attribute("aria-sort") is None


def test_keys_sort_and_another_column_takes_the_mark(site):
    page = site.shown("book/page", table(("b", "1"), ("a", "2"), ("c", "3")))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert column(page, 1) == ["a", "b", "c"]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    assert column(page, 2) == ["3", "2", "1"]
    assert page.locator("th[aria-sort]").all_inner_texts() == ["value"]


ASCENDING = (
    ["−0.3", "-0.02", ".5", "1.5", "1,024"],
    ["0.7 (0.6 to 0.9)", "0.81 (0.79 to 0.83)", "0.9 (0.1 to 1)"],
    ["9/12", "721/872", "9/10"],
    ["340 million", "1.54 billion (3 a token)", "2.8 trillion"],
    ["3.14 · 10⁻²", "9.8 · 10²⁰", "3.14 · 10²³"],
    ["2e-05", "0.0015", "3e3"],
    ["800 µs", "12 ms", "1.5 s", "2 min 5 s", "2 min 50 s", "1 h"],
    ["900 KB", "15.2 MB", "1 GB"],
    ["5.3%", "12%", "100%"],
    ["2018-06", "2018-10", "2019-02"],
    ["1986", "2003", "2018", "–"],
    ["BERT", "GPT-2", "GPT-10", "ModernBERT"],
    ["3 of them", "20 of them", "few"],
)
"""Columns in their order."""


def test_numbers_sort_by_what_they_are_worth_and_what_is_missing_comes_last(site):
    page = site.shown("book/page", "".join(named(*order[::-2], *order[-2::-2]) for order in ASCENDING))
    sort = """table => {
        table.querySelectorAll("button")[1].click();
        return [...table.tBodies[0].rows].map(row => row.cells[1].textContent);
    }"""
    for each, order in zip(page.locator("table").all(), ASCENDING, strict=True):
        assert each.evaluate(sort) == order


def test_other_tables_stay_as_they_are(site):
    of_three = named("1", "2", "3")
    others = (
        named("1", "2"),
        of_three.replace("<td>row 1", '<td rowspan="2">row 1'),
        f"<figure>{of_three}</figure>",
        of_three.replace("thead>", "tbody>"),
        of_three.replace("<table", '<table class="unsorted"'),
    )
    page = site.shown("book/page", "".join(others) + of_three)
    assert page.locator("table").count() == 6
    assert page.locator("table", has=page.get_by_role("button")).count() == 1
    assert page.locator("table").last.get_by_role("button").count() == 2


def test_a_data_frame_with_a_name_of_its_index_sorts_by_each(site):
    body = table(("x", "3"), ("y", "1"), ("z", "2"), head=("", "value"))
    body = body.replace("<th>value", "<th><p>value</p>").replace("</thead>", "<tr><th>index</th><th></th></tr></thead>")
    page = site.shown("book/page", body)
    assert page.get_by_role("button").all_inner_texts() == ["value", "index"]
    page.get_by_role("button", name="value").click()
    assert column(page, 1) == ["y", "z", "x"]


FIGURE = """<figure><img src="../dot.png" alt="A dot" style="width: 200px">
<figcaption><span class="caption-number">Fig. 3 </span>A dot.<a class="headerlink">#</a></figcaption></figure>"""


def test_a_figure_enlarges_by_click_and_by_key_and_escape_leads_back(site):
    page = site.shown("book/page", FIGURE)
    button = page.get_by_role("button", name="Enlarge Fig. 3")
    for begin in (lambda: page.get_by_alt_text("A dot").click(), button.click, lambda: page.keyboard.press("Enter")):
        begin()
        dialog = page.get_by_role("dialog", name="Fig. 3 A dot.")
        assert dialog.is_visible()
        assert dialog.get_by_alt_text("A dot").bounding_box()["width"] > 400
        assert dialog.locator("p").inner_text() == "Fig. 3 A dot."
        page.keyboard.press("Escape")
        assert not dialog.is_visible()
        assert button.evaluate("button => button === document.activeElement")


def test_the_large_figure_closes_by_its_button_and_by_a_click_beside_it(site):
    page = site.shown("book/page", FIGURE)
    button = page.get_by_role("button", name="Enlarge Fig. 3")
    dialog = page.locator("dialog")
    button.click()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    button.click()
    page.mouse.click(2, 2)
    assert not dialog.is_visible()


def test_paper_shows_the_tables_of_interactive_figures_and_the_keyboard_scrolls_them(site):
    view = AttentionView(["all", "of", "it"], {"one": np.full((3, 3), 1 / 3), "other": np.eye(3)})
    page = site.shown("book/page", view._repr_html_())
    table, box = page.locator("figure table").last, page.locator("figure .scroll")
    assert not table.is_visible()
    page.get_by_text("All weights as tables").click()
    box.focus()
    assert box.evaluate("box => box === document.activeElement")
    page.get_by_text("All weights as tables").click()
    page.emulate_media(media="print")
    assert table.is_visible()
    assert page.locator(".heads button").evaluate_all("all => all.map(one => one.checkVisibility())") == [True, False]


def test_paper_shows_figures_and_tables_without_buttons(site):
    page = site.shown("book/page", FIGURE + named("1", "2", "3"))
    page.emulate_media(media="print")
    assert page.get_by_alt_text("A dot").is_visible()
    assert not page.locator(".workbench-enlarge button").is_visible()


def test_the_first_page_leads_back_to_the_section_that_was_read_last(site):
    section = '<section id="masks"><h2>Masks<a class="headerlink">#</a></h2><p style="height: 3000px">…</p></section>'
    site.write("book/intro", "<p>Welcome.</p>", title="The book")
    site.write("notebooks/attention", f'<p style="height: 2000px">…</p>{section}', title="1. Attention")
    page = site.open("book/intro")
    page.evaluate("localStorage.clear()")
    page.reload()
    assert page.get_by_text("You were last at").count() == 0
    page = site.open("notebooks/attention")
    page.evaluate("scrollTo(0, 2500)")
    page = site.open("book/intro")
    link = page.get_by_role("link", name="1. Attention › Masks")
    assert page.locator("p", has=link).inner_text() == "You were last at 1. Attention › Masks."
    link.click()
    page.wait_for_url("**/notebooks/attention.html#masks")


def test_what_is_kept_by_others_is_no_place(site):
    site.write("book/intro", "<p>Welcome.</p>")
    site.write("book/other", "<p>Other.</p>")
    for kept in ('{"page": "https://elsewhere.org/x.html"}', '{"page": "javascript:alert(1)"}', "[", "null"):
        page = site.open("book/other")
        page.evaluate(
            """kept => {
                const keep = () => { localStorage[Object.keys(localStorage)] = kept; };
                addEventListener("pagehide", keep);
                document.addEventListener("visibilitychange", keep);
            }""",
            kept,
        )
        page = site.open("book/intro")
        assert page.evaluate("Object.values(localStorage)") == [kept]
        assert page.get_by_text("You were last at").count() == 0
