"""A browser tab on the built pages, with the network off, that notes what goes wrong."""

from __future__ import annotations

from pathlib import Path

PHONE = {"width": 390, "height": 844}
TABLET = {"width": 1024, "height": 768}
DESKTOP = {"width": 1400, "height": 900}


class Reader:
    """A browser tab on the book that notes every error and every request that leaves the disk."""

    def __init__(self, context, book: Path) -> None:
        self.book = book
        self.errors: list[str] = []
        self.off_site: list[str] = []
        context.route("**/*", self._route)
        self.page = context.new_page()
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))

    def _route(self, route) -> None:
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            self.off_site.append(route.request.url)
            route.abort()

    def open(self, name: str):
        """The page of that name, which may have a query, once it and its mathematics are there."""
        file, _, query = name.partition("?")
        self.page.goto(f"{(self.book / file).with_suffix('.html').as_uri()}?{query}".rstrip("?"))
        self.page.wait_for_function("!window.MathJax || !MathJax.startup || !!MathJax.startup.promise")
        self.page.evaluate("window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true")
        return self.page
