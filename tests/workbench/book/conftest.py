"""The book, built once for the tests of its pages."""

from __future__ import annotations

import os
from pathlib import Path

import filelock
import pytest

from small_book import build_small_book
from staged_book import build, stage


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
