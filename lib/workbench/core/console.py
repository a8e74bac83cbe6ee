"""The terminal: standard output and standard error as Rich writes to them."""

from __future__ import annotations

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def can_redraw(console: Console) -> bool:
    """Whether a console is a terminal that can change what it shows; others get a line for each event."""
    return console.is_terminal and not console.is_dumb_terminal
