"""Which metrics the directive `{recorded}` shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.book.recorded_directive import _of_run
from workbench.core.errors import RequestError
from workbench.recorded.result import Recorded

METRICS = [
    {"name": f"m{place}", "value": place, "count": None, "n": None, "low": None, "high": None} for place in range(6)
]


@pytest.mark.parametrize(
    ("wanted", "headline", "shown"),
    [
        ([], [], ["M0", "M1", "M2", "M3"]),
        ([], ["m5", "gone", "m1"], ["M5", "M1"]),
        (["m2"], ["m5"], ["M2"]),
    ],
)
def test_a_recorded_run_is_shown_by_what_the_page_names_or_its_chapter_s_headline(wanted, headline, shown):
    (table,) = _of_run(Recorded(Path("wide"), {"metrics": METRICS}), wanted, headline, str.upper)
    assert [line for line in table.astext().split() if line.startswith("M") and line != "Metric"] == shown


def test_a_metric_that_a_page_names_and_the_result_lacks_is_refused():
    with pytest.raises(RequestError, match="wide has no metric m9; it has m0, m1"):
        _of_run(Recorded(Path("wide"), {"metrics": METRICS}), ["m9"], [], str)
