"""The few metrics that a run, a sweep or a recorded result is shown by, where nobody names others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.core.text import is_number
from workbench.parameters.contract import load_contract

MOST = 4
"""As many as one figure has panels."""
_NOISE = 1e-12  # relative difference of two floats that were computed alike


def named_headline(project: Project, chapter: str) -> tuple[str, ...]:
    """The metrics that a chapter calls its headline; none where it is no longer here, or breaks its contract."""
    try:
        return load_contract(project, chapter).headline
    except RequestError:
        return ()


def headline_metrics(named: Sequence[str], values: Mapping[str, Sequence[Any]]) -> list[str]:
    """The names of the metrics to show: those of `named` that there are, else those that vary, else the first few.

    Args:
        named: what the chapter calls its headline.
        values: of each metric, in the order of the chapter, what was measured at each setting, or in each run.
    """
    return (
        [name for name in named if name in values]
        or [name for name, each in values.items() if any(not is_same(each[0], other) for other in each[1:])][:MOST]
        or list(values)[:MOST]
    )


def headline_of(named: Sequence[str], metrics: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The metrics of one run's record that it is shown by."""
    known = {metric["name"]: metric for metric in metrics}
    return [known[name] for name in headline_metrics(named, {name: [known[name]["value"]] for name in known})]


def is_same(one: Any, other: Any) -> bool:
    """Whether two measured values are equal, or differ by no more than floating-point noise."""
    if is_number(one) and is_number(other):
        return math.isclose(one, other, rel_tol=_NOISE, abs_tol=1e-15)
    return one == other
