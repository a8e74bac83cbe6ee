"""What a chapter calls while it runs: `begin`, then `record`, `claim`, `check` and their like.

Everything a chapter records travels in the metadata of its notebook outputs. So the same cells work under `workbench
run`, under plain Papermill and in JupyterLab, and a run record or a ledger can be made from any executed notebook.
"""

from __future__ import annotations

import html
import math
import random
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.parameters.types import coerce

_FROZEN = "__workbench_parameters__"
_GLUE_PREFIX = "application/papermill.record/"  # myst-nb's prefix for glued values that are not displayed


class ParameterError(ValueError):
    """A parameter that does not fit its annotation. Jupyter shows its sentence without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"Parameter error: {self}"]


def begin(namespace: dict[str, Any] | None = None, *, headline: Sequence[str] = ()) -> Chapter:
    """The chapter, after its parameters are checked and coerced and every random generator is seeded.

    The values of the annotated names in `__main__` (or in `namespace`) are replaced by what their types make of them:
    plain Papermill passes `-p flag false` as the text `"false"`, which Python takes for true. A parameter named `seed`
    seeds Python, NumPy and PyTorch. Running the cell again is harmless: the new chapter has claimed nothing yet, and
    names that were first annotated after the first call are left alone.

    Args:
        namespace: where the parameters stand, by default `__main__`.
        headline: the metrics that a run, a sweep and a recorded result are shown by, as a literal list of names: the
            command line reads it in the notebook.

    Raises:
        ParameterError: one sentence for each value that does not fit its annotation.
        ValueError: for a headline that is no list of names that `record` takes.
    """
    if isinstance(headline, str):
        raise ValueError(f"headline: {headline!r} is one text; write a list of names")
    for name in headline:
        _check_name("headline", name)
    namespace = sys.modules["__main__"].__dict__ if namespace is None else namespace
    annotations = namespace.get("__annotations__", {})
    names = namespace.get(_FROZEN, tuple(name for name in annotations if name in namespace))
    values, mistakes = {}, []
    for name in names:
        try:
            annotation = annotations[name]
            if isinstance(annotation, str):  # `from __future__ import annotations` leaves its text
                annotation = eval(annotation, namespace)
            values[name] = coerce(annotation, namespace[name])
        except ValueError as mistake:
            mistakes.append(f"{name}: {mistake}")
    if mistakes:
        raise ParameterError("; ".join(mistakes))
    namespace.update(values)
    namespace[_FROZEN] = names
    if "seed" in values:
        _seed_everything(values["seed"])
    return Chapter(values)


def _seed_everything(seed: int) -> None:
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Chapter:
    """The parameters of a running chapter, and what it has recorded and claimed so far."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self._claims: dict[str, tuple[str | None, str | None]] = {}

    def record(
        self,
        name: str,
        value: float | str,
        *,
        count: int | None = None,
        n: int | None = None,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        """Store a measured value in the run and glue it for the prose.

        The prose shows the value, and where it has an interval a text such as "0.924 (806/872; 95% interval 0.905 to
        0.940)", by these roles::

            {glue:text}`name:.3f`
            {glue:text}`name_interval`

        Args:
            name: lower-case letters, digits and underscores.
            value: a number, or a short text.
            count: how many of `n` the value stands for, where it is a proportion.
            n: the size of the sample.
            low: lower end of the 95% interval.
            high: upper end of the 95% interval.

        Raises:
            ValueError: for a name that cannot be glued, or an interval with one end or that does not contain the value.
        """
        _check_name("record name", name)
        if (low is None) != (high is None):
            raise ValueError(f"{name}: an interval has two ends; give both low and high")
        value = value if isinstance(value, str) else _number(value)
        if low is not None and not low <= value <= high:
            raise ValueError(f"{name}: {value:.6g} is outside its own interval, {low:.6g} to {high:.6g}")
        count, n = (None if part is None else _number(part) for part in (count, n))
        low, high = (None if end is None else float(_number(end)) for end in (low, high))
        record = {"value": value, "count": count, "n": n, "low": low, "high": high}
        _glue(name, value, {"record": {"name": name} | {part: _finite(number) for part, number in record.items()}})
        if low is not None:
            _glue(f"{name}_interval", _interval_text(value, count, n, low, high), {})

    def record_interval(
        self, name: str, interval: tuple[float, float, float], *, count: int | None = None, n: int | None = None
    ) -> tuple[float, float, float]:
        """Record a value with its 95% interval, `(value, low, high)`, which is returned; see `record`."""
        value, low, high = interval
        self.record(name, value, count=count, n=n, low=low, high=high)
        return interval

    def record_share(self, name: str, count: int, n: int) -> tuple[float, float, float]:
        """Record the proportion `count / n` with its 95% interval (Wilson 1927), `(proportion, low, high)`, returned.

        Raises:
            ValueError: as `record` does, and where `count` is not between 0 and `n`, or `n` is 0.
        """
        from largemodels.statistics.intervals import proportion_interval  # here and not in the adapter: it counts

        count, n = _number(count), _number(n)
        return self.record_interval(name, proportion_interval(count, n), count=count, n=n)

    def record_source(self, name: str, description: Mapping[str, str]) -> None:
        """Show what was taken from a source as a small table, and store it in the run.

        Args:
            name: of the source, such as that of the parameter; of several descriptions of one name the last counts.
            description: the rows of the table, such as `Task.description`: what is described, and how it is.
        """
        rows = {str(row): str(value) for row, value in description.items()}
        source = {"name": name, "rows": [[row, value] for row, value in rows.items()]}  # texts: secrets are taken out
        _display(
            {"text/plain": source_text(name, rows), "text/html": source_html(name, rows)},
            {"workbench": {"source": source}},
        )

    def claim(
        self,
        statement: str,
        value: float,
        *,
        above: float | None = None,
        below: float | None = None,
        between: tuple[float, float] | None = None,
        about: float | None = None,
        within: float | None = None,
        n: int | None = None,
        kind: str = "finding",
    ) -> None:
        """Record whether a finding keeps to its one bound, and show it as one line.

        A finding is what another seed, model or data set might turn out otherwise. What must come out so, because it
        is an identity or tests a tool, is a `check`; the book's ledger keeps them apart.

        The line holds the statement and the bound, never the value, so that nbval can compare it exactly. A claim that
        does not hold is shown with ✗ and the chapter goes on.

        A statement belongs to one claim: records and comparisons tell claims apart by it. In JupyterLab a cell may be
        run again, and its claims replace those that it made before. A front end that does not say which cell it runs
        (plain Jupyter Console) has to run the cell of `begin` first.

        Raises:
            ValueError: unless exactly one of `above`, `below`, `between`, or `about` with `within`, is given; or where
                another claim has the statement.
        """
        one_bound = [above, below, between, about].count(None) == 3
        if not one_bound or (about is None) != (within is None):
            raise ValueError(f"claim {statement!r}: give exactly one of above, below, between, or about with within")
        value = _number(value)
        bound, holds = _bound(value, above, below, between, about, within)
        self._refuse_repeated(statement)
        claim = {"statement": statement, "bound": bound, "value": _finite(value), "holds": holds, "n": n, "kind": kind}
        _display({"text/plain": claim_line(claim), "text/html": claim_html(claim)}, {"workbench": {"claim": claim}})

    def check(self, statement: str, value: float, **bound: Any) -> None:
        """Record whether an identity, or a test of a tool, keeps to its bound, which is given as for `claim`."""
        self.claim(statement, value, **bound, kind="check")

    def _refuse_repeated(self, statement: str) -> None:
        """Remember a statement and its cell, unless another claim has it.

        What a cell claimed in an earlier execution is forgotten, as its output is gone from the notebook.
        """
        cell, execution = _place()
        if cell is not None:
            earlier = self._claims.items()
            self._claims = {claimed: place for claimed, place in earlier if place[0] != cell or place[1] == execution}
        if statement in self._claims:
            raise ValueError(
                f"claim {statement!r}: another claim has this statement; word them differently"
                " (if you moved or replaced its cell, run the cell of begin() again)"
            )
        self._claims[statement] = cell, execution


def claim_line(claim: dict[str, Any]) -> str:
    """The line that shows a claim as text: its mark, statement and bound."""
    return f"{'✓' if claim['holds'] else '✗'} {claim['statement']} {claim['bound']}"


def claim_html(claim: dict[str, Any]) -> str:
    """The element that shows a claim on a page."""
    kind = "holds" if claim["holds"] else "fails"
    return f'<div class="workbench-claim {kind}">{html.escape(claim_line(claim))}</div>'


def source_text(name: str, rows: Mapping[str, str]) -> str:
    """The lines that show a source as text: its name, then its rows, side by side."""
    width = max(map(len, rows), default=0)
    return "\n".join([name, *(f"  {row:<{width}}  {value}" for row, value in rows.items())])


def source_html(name: str, rows: Mapping[str, str]) -> str:
    """The table that shows a source on a page."""
    lines = (f"<tr><th>{html.escape(row)}</th><td>{html.escape(value)}</td></tr>" for row, value in rows.items())
    return f'<table class="workbench-source"><caption>{html.escape(name)}</caption>{"".join(lines)}</table>'


def _place() -> tuple[str | None, str | None]:
    """The id of the cell that runs, where the front end tells it (JupyterLab does), and the id of its execution."""
    from IPython import get_ipython

    shell = get_ipython()
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return request.get("metadata", {}).get("cellId"), request.get("header", {}).get("msg_id")


def _bound(value: float, above: Any, below: Any, between: Any, about: Any, within: Any) -> tuple[str, bool]:
    """The one bound that is set in words, and whether the value keeps to it. Nothing holds of NaN."""
    if above is not None:
        return f"above {above:g}", value > above
    if below is not None:
        return f"below {below:g}", value < below
    if between is not None:
        return f"between {between[0]:g} and {between[1]:g}", between[0] <= value <= between[1]
    return f"about {about:g}, within {within:g}", abs(value - about) <= within


def _check_name(what: str, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{what}: {name!r} is not lower-case letters, digits and underscores")


def _number(value: Any) -> int | float:
    """A plain number from a NumPy or PyTorch scalar; a ValueError for a whole one that no table has room for."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int) and value.bit_length() > 63:
        raise ValueError(f"a whole number of {value.bit_length()} bits cannot be recorded; 63 are the most")
    return value if isinstance(value, int) else float(value) + 0.0  # which makes 0 of −0


def _finite(value: Any) -> Any:
    """The value, or None where JSON has no number for it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _interval_text(value: float, count: int | None, n: int | None, low: float, high: float) -> str:
    sample = f"{count}/{n}; " if count is not None and n is not None else f"n = {n}; " if n is not None else ""
    return f"{value:.3g} ({sample}95% interval {low:.3g} to {high:.3g})"


def _glue(name: str, value: Any, workbench: dict[str, Any]) -> None:
    """Glue a value as `myst_nb.glue(name, value, display=False)` does, with our record beside it."""
    scrapbook = {"name": name, "mime_prefix": _GLUE_PREFIX}
    _display({f"{_GLUE_PREFIX}text/plain": repr(value)}, {"scrapbook": scrapbook, "workbench": workbench})


def _display(data: dict[str, str], metadata: dict[str, Any]) -> None:
    from IPython.display import display

    display(data, metadata=metadata, raw=True)
