"""The book, built once for the tests of its pages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from staged_book import build, stage

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the built pages."""
    return build(stage(tmp_path_factory.mktemp("book")))


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skipped where there is none."""
    executable = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip("no Chromium found (looked for " + ", ".join(CHROMIUM) + ")")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = driver.chromium.launch(executable_path=executable, args=options)
        yield chromium
        chromium.close()
