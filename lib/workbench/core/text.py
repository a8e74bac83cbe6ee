"""Values, durations and lists as messages and tables show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
MARKUP = re.compile(rf"{COLOURS.pattern}|</?(?:span|b|i|em|strong|code|font|mark|a)\b[^<>]*>")
"""Colours of a terminal and tags within a line of HTML: a text may hold them, and a reader does not see them."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where a known name is near, otherwise nothing."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def nearest_or_all(name: str, known: Iterable[str]) -> str:
    """The nearest known name, or else all of them."""
    known = list(known)
    return nearest(name, known) or (f"; there is {', '.join(known)}" if known else "")


def shown(value: Any, limit: int = 60) -> str:
    """A value as an error message shows it: short, on one line, and visible when it is blank."""
    text = str(value)
    text = text if text.strip() and text.isprintable() else repr(text)
    return text if len(text) <= limit else f"{text[:limit]}…"


def visible(text: str) -> str:
    """Text on one line that can be printed: what would steer a terminal, or is no character, is shown as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def number(value: Any) -> str:
    """A measured value as a table shows it: four digits, and without an exponent below a billion.

    Examples:
        >>> number(20555.9), number(0.00123456), number(3.14e23)
        ('20,560', '0.001235', '3.14e+23')
    """
    if value is None:
        return "not a number"
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.4g}"
    return f"{float(text):,.0f}" if "e+" in text and abs(value) < 1e9 else text


def metric_cells(metric: dict[str, Any]) -> tuple[str, str, str, str]:
    """A recorded metric as a row of a table: name, value, interval, and the count or size of its sample."""
    interval = "" if metric["low"] is None else f"{number(metric['low'])} to {number(metric['high'])}"
    sample = metric["n"] if metric["count"] is None else f"{metric['count']}/{metric['n']}"
    return metric["name"], number(metric["value"]), interval, "" if metric["n"] is None else str(sample)


def measured(metric: dict[str, Any], interval: str = "") -> str:
    """A recorded metric on one line, such as `0.72 (158/219; 0.66 to 0.78)`; `interval` stands before the interval."""
    _, value, ends, sample = metric_cells(metric)
    sample = f"n = {sample}" if sample and metric["count"] is None else sample
    around = "; ".join(part for part in (sample, ends and interval + ends) if part)
    return f"{value} ({around})" if around else value


def duration(seconds: float) -> str:
    """A measured time, such as `12.3 s` or `2 min 5 s`."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def is_number(value: Any) -> bool:
    """Whether a value of a record is a number; Python takes true and false for numbers as well."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number of things, such as `1 claim` or `2,000 claims`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def few(items: Sequence[str], most: int = 5) -> str:
    """The first items of a list, and how many more there are."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def roughly(seconds: float) -> str:
    """An estimated time, such as `12 s`, `5 min` or `1.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
