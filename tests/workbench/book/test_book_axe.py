"""Every page in Chromium with the network off, at three widths, light or dark; what axe finds, on a sample.

axe takes half a minute for a long page: `make axe` has it look at all of them, in both schemes.
"""

from __future__ import annotations

import os

import pytest
from sphinx_external_toc.parsing import parse_toc_yaml

from page_reader import DESKTOP, PHONE, TABLET, Reader
from staged_book import ROOT

EVERY = (*parse_toc_yaml(ROOT / "_toc.yml"), "notebooks/toy", "search.html?q=attention")
SCHEMES = ("light", "dark")
VISITS = [(page, scheme) for page in EVERY for scheme in SCHEMES]
ONCE = [(page, SCHEMES[place % 2]) for place, page in enumerate(EVERY)]
SAMPLE = [
    ("notebooks/toy", "light"),  # what a chapter has: parameters, tables, figures, formulas, claims
    ("notebooks/toy", "dark"),
    ("notebooks/evaluation", "dark"),  # an interactive figure with fields
    ("notebooks/scaling", "dark"),  # and with choices
    ("book/intro", "light"),
    ("book/background", "dark"),  # a table that scrolls, a figure, a quiz
    ("book/questions", "light"),
    ("book/claims", "dark"),
    ("book/api/statistics", "light"),
    ("search.html?q=attention", "dark"),
]
"""A page of each kind."""
ALL = os.environ.get("WORKBENCH_AXE") == "all"
OPTIONS = {"preload": False, "resultTypes": ["violations"]}
"""No styles are fetched once more, which no browser does from disk, and what passes is not listed."""


@pytest.fixture
def axe():
    """The function that looks at a page and returns its serious and critical findings, by rule."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def findings(page) -> list[str]:
        return [
            f"{found['id']} ({found['impact']}): {len(found['nodes'])}, {found['nodes'][0]['html'][:200]}"
            for found in axe.run(page, options=OPTIONS).response["violations"]
            if found["impact"] in ("serious", "critical")
        ]

    return findings


def visit(browser, book, name, scheme):
    """The page in a new tab, of a desktop in the light and of a telephone in the dark, and what notes its errors."""
    size = DESKTOP if scheme == "light" else PHONE
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    reader = Reader(context, book)
    page = reader.open(name)
    if "?" in name:
        page.locator("#search-results p.context").first.wait_for()
    return page, reader


@pytest.mark.parametrize(("name", "scheme"), VISITS if ALL else ONCE)
def test_a_page_is_whole_and_as_wide_as_the_screen(browser, book, name, scheme):
    page, reader = visit(browser, book, name, scheme)
    title = page.title()
    without = page.eval_on_selector_all("img:not([alt]), img[alt='']", "images => images.map(image => image.outerHTML)")
    unread = page.locator("mjx-merror").count()  # formulas that could not be set
    too_wide = []
    for size in (PHONE, TABLET, DESKTOP):
        page.set_viewport_size(size)
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            too_wide.append(size["width"])
    page.context.close()
    assert "The Large Model Workbench" in title
    assert without == []
    assert unread == 0
    assert too_wide == []
    assert reader.errors == []
    assert reader.off_site == []


@pytest.mark.parametrize(("name", "scheme"), VISITS if ALL else SAMPLE)
def test_nothing_on_a_page_hinders_its_readers(browser, book, axe, name, scheme):
    page, reader = visit(browser, book, name, scheme)
    found = axe(page)
    page.context.close()
    assert found == []
    assert reader.errors == []
    assert reader.off_site == []


def test_the_sample_names_pages_that_there_are():
    assert set(SAMPLE) <= set(VISITS)
