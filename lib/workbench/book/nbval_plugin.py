"""A pytest plugin that lets nbval judge chapters by their claims.

Warnings of libraries on standard error differ between machines and say nothing about a result, so nbval's comparison
leaves the stream out.
"""

from __future__ import annotations

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Extend what nbval skips in the file of a collected cell."""
    skipped = getattr(item.parent, "skip_compare", None)
    if skipped is not None and "stderr" not in skipped:
        item.parent.skip_compare = (*skipped, "stderr")
