"""The terminal: standard output and standard error as Rich writes to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text


class _Console(Console):
    """A console that redacts what it lays out: in the lines of a cell that is wrapped no secret would be recognised."""

    def render(self, renderable: Any, options: Any = None) -> Iterable[Any]:
        """The segments of a text, or of anything else that can be shown."""
        return super().render(self._redacted(renderable) if isinstance(renderable, Text) else renderable, options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as a text."""
        return self._redacted(super().render_str(text, **options))

    def _redacted(self, text: Text) -> Text:
        secrets = getattr(self.file, "secrets", None)
        if secrets and (clean := secrets.redact(text.plain)) != text.plain:
            text = text.copy()
            text.plain = clean
        return text


out = _Console(highlight=False)
err = _Console(stderr=True, highlight=False)


def can_redraw(console: Console) -> bool:
    """Whether a console is a terminal that can change what it shows; others get a line for each event."""
    return console.is_terminal and not console.is_dumb_terminal
