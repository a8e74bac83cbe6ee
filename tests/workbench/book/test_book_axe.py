"""Every page in Chromium with the network off: nothing hinders its readers, at three widths, light or dark.

Half of the pages are seen in the light and half in the dark; `make axe` sees all of them in both.
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


@pytest.mark.parametrize(("name", "scheme"), VISITS if os.environ.get("WORKBENCH_AXE") == "all" else ONCE)
def test_nothing_on_a_page_hinders_its_readers(browser, book, axe, name, scheme):
    size = DESKTOP if scheme == "light" else PHONE
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme, reduced_motion="reduce")
    reader = Reader(context, book)
    page = reader.open(name)
    if "?" in name:
        page.locator("#search-results p.context").first.wait_for()
    title, found = page.title(), axe(page)
    without = page.eval_on_selector_all("img:not([alt]), img[alt='']", "images => images.map(image => image.outerHTML)")
    unread = page.locator("mjx-merror").count()  # formulas that could not be set
    too_wide = []
    for size in (PHONE, TABLET, DESKTOP):
        page.set_viewport_size(size)
        if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
            too_wide.append(size["width"])
    context.close()
    assert "The Large Model Workbench" in title
    assert found == []
    assert without == []
    assert unread == 0
    assert too_wide == []
    assert reader.errors == []
    assert reader.off_site == []
