"""Chromium, or a browser that is made of it: it prints the book, and the tests of the built pages look with it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

from workbench.core.errors import RequestError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
"""What the program is called where it is on the path."""
PROGRAMS = (
    *NAMES,
    "/Applications/Chromium.app/Contents/MacOS/Chromium",  # macOS has them on no path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
OPTIONS = ("--disable-gpu", "--disable-dev-shm-usage")  # a container has little shared memory
INSTALL = "`apt install chromium` on Debian and Ubuntu, `brew install --cask chromium` on macOS"


def find_chromium() -> str | None:
    """The path of the program, or nothing where none is found."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def require_chromium() -> str:
    """The path of a Chromium that can be driven.

    Raises:
        RequestError: where there is none, or Playwright is lacking.
    """
    chromium = find_chromium()
    if chromium is None:
        looked = ", ".join(NAMES)
        raise RequestError(f"Chromium prints the PDF and was not found (looked for {looked}); install it: {INSTALL}")
    if find_spec("playwright") is None:
        raise RequestError("Playwright, which drives Chromium, is not installed: pip install playwright")
    return chromium
