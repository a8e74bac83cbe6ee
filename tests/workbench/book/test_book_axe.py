"""What hinders readers, in Chromium with the network off, over a sample of the pages; over all by `make axe`."""

from __future__ import annotations

import os

import pytest
from sphinx_external_toc.parsing import parse_toc_yaml

from page_reader import DESKTOP, PHONE, Reader
from staged_book import ROOT

EVERY = (*parse_toc_yaml(ROOT / "_toc.yml"), "notebooks/toy", "search.html?q=attention")
VISITS = [(page, scheme) for page in EVERY for scheme in ("light", "dark")]
"""Each page in each scheme: light on a desktop, dark on a telephone, so that both widths are seen."""
SAMPLE = [
    ("notebooks/toy", "light"),  # what a chapter has: parameters, tables, figures, formulas, claims
    ("notebooks/toy", "dark"),
    ("notebooks/evaluation", "dark"),  # an interactive figure with fields
    ("book/intro", "light"),
    ("book/background", "dark"),  # a table that scrolls, a figure, a quiz
    ("book/questions", "light"),
    ("book/claims", "dark"),
    ("book/api/statistics", "light"),
    ("search.html?q=attention", "dark"),
]
"""A page of each kind."""
OPTIONS = {"preload": False}
"""No styles are fetched once more, which no browser does from disk."""


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


@pytest.mark.parametrize(("name", "scheme"), VISITS if os.environ.get("WORKBENCH_AXE") == "all" else SAMPLE)
def test_nothing_on_a_page_hinders_its_readers(browser, book, axe, name, scheme):
    size = DESKTOP if scheme == "light" else PHONE
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    reader = Reader(context, book)
    page = reader.open(name)
    if "?" in name:
        page.locator("#search-results p.context").first.wait_for()
    found = axe(page)
    without = page.eval_on_selector_all("img:not([alt]), img[alt='']", "images => images.map(image => image.outerHTML)")
    width = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert found == []
    assert without == []
    assert width <= size["width"]
    assert reader.errors == []
    assert reader.off_site == []


def test_the_sample_names_pages_that_there_are():
    assert set(SAMPLE) <= set(VISITS)
