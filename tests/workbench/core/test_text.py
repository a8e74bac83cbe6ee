"""Values and suggestions as messages show them."""

from __future__ import annotations

import pytest

from workbench.core.text import measured, nearest


@pytest.mark.parametrize(
    ("name", "said"), [("nope", ""), ("mien", "; did you mean mine?"), ("hub2", "; did you mean hub?")]
)
def test_a_name_is_suggested_only_where_it_is_near(name, said):
    assert nearest(name, ["mine", "hub", "offline"]) == said


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ((0.5, None, None, None, None), "0.5"),
        ((0.5, 3, 6, None, None), "0.5 (3/6)"),
        ((0.5, None, 6, 0.2, 0.8), "0.5 (n = 6; 95% interval 0.2 to 0.8)"),
        (("adam", None, None, None, None), "adam"),
        ((None, None, None, None, None), "not a number"),
    ],
)
def test_a_metric_is_one_line(parts, line):
    metric = dict(zip(("value", "count", "n", "low", "high"), parts, strict=True))
    assert measured({"name": "accuracy", **metric}, "95% interval ") == line
