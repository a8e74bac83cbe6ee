"""The book, built once for the tests of its pages."""

from __future__ import annotations

import os
from pathlib import Path

import filelock
import pytest

from small_book import build_small_book
from staged_book import build, stage
from workbench.book.chromium import NAMES, OPTIONS, find_chromium


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Path:
    """The folder of the built pages, which one of the processes that test builds, and the others wait for."""
    base = tmp_path_factory.getbasetemp()
    note = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built-book"
    with filelock.FileLock(f"{note}.lock"):
        if not note.exists():
            note.write_text(str(build(stage(tmp_path_factory.mktemp("book")))))
    return Path(note.read_text())


@pytest.fixture(scope="session")
def small_book(tmp_path_factory) -> Path:
    """The folder of the pages of a book that is built within seconds."""
    return build_small_book(tmp_path_factory.mktemp("small-book"))


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skipped where there is none."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium found (looked for " + ", ".join(NAMES) + ")")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", *OPTIONS])
        yield chromium
        chromium.close()
