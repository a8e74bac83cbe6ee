"""Which metrics the directive `{recorded}` shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.book import recorded_directive
from workbench.book.recorded_directive import _in_a_row, _of_run
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
    with pytest.raises(RequestError, match="wide has no metric m9; there is m0, m1"):
        _of_run(Recorded(Path("wide"), {"metrics": METRICS}), ["m9"], [], str)


CONFIRMED = {"change": "now", "points": [0, 1], "of": 9, "metrics": 3, "differences": [], "claims": []}


@pytest.mark.parametrize(
    ("changes", "confirmed", "state"),
    [
        ([], None, "current"),
        (["a cell changed"], None, "not current"),
        (["a cell changed"], CONFIRMED, "not current; 2 of 9 points confirmed"),
        (["a cell changed"], {**CONFIRMED, "change": "before"}, "not current"),
        (["a cell changed"], {**CONFIRMED, "differences": ["one"]}, "not current"),
    ],
)
def test_the_table_of_all_results_says_whether_each_is_current(monkeypatch, changes, confirmed, state):
    monkeypatch.setattr(recorded_directive, "changed_since", lambda project, recorded: changes)
    monkeypatch.setattr("workbench.recorded.result.change", lambda project, recorded: "now")
    record = {"chapter": "attention", "seconds": 185.0, "started": "2026-11-28T09:15:00Z"}
    name, *cells = _in_a_row(None, Recorded(Path("wide"), record, confirmed))
    assert name.astext() == "wide"
    assert cells == [state, "attention", "1", "3 min 5 s", "28 November 2026"]
