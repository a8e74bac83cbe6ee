"""What a sweep shows: a live table of running, done and failed points on a terminal, a line for each end elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from workbench.core.console import can_redraw, err, out
from workbench.core.text import roughly, visible
from workbench.sweeps.ended import Ended
from workbench.sweeps.summary import Summary, shown_mean
from workbench.sweeps.sweep import Outcome, Sweep

_MOST_ROWS = 16
_STYLES = {"completed": "green", "failed": "red", "interrupted": "yellow", "running": "cyan", "to do": "dim"}


class SweepView:
    """Tells a user on standard error how `total` points go, of which one usually takes `usual` seconds."""

    def __init__(self, total: int, usual: float | None) -> None:
        self._total, self._usual = total, usual
        self._live = Live(console=err, refresh_per_second=2, transient=True) if can_redraw(err) else None
        self._seconds: list[float] = []
        self._failures: list[str] = []

    def __enter__(self) -> SweepView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def changed(self, running: dict[str, float], done: int, failed: int, left: int) -> None:
        """Draw the table, where there is a terminal."""
        if self._live:
            self._live.update(self._table(running, done, failed, left))

    def ended(self, label: str, outcome: Outcome) -> None:
        """Remember how long a point took; without a terminal, say so."""
        if outcome.seconds and outcome.status == "completed":
            self._seconds.append(outcome.seconds)
        if outcome.status == "failed":
            self._failures.append(f"{label}: {outcome.error}")
        if not self._live:
            took = f" in {outcome.seconds:.1f} s" if outcome.seconds else ""
            why = f": {outcome.error}" if outcome.error else ""
            err.print(f"  {label} {outcome.status}{took}{why}", markup=False, soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Print a sentence."""
        err.print(sentence, markup=False, soft_wrap=True)

    def _table(self, running: dict[str, float], done: int, failed: int, left: int) -> Any:
        now = time.monotonic()
        rows = [
            ["[cyan]running[/]", escape(label), f"[dim]{roughly(now - since)}[/]"] for label, since in running.items()
        ]
        rows = rows[:_MOST_ROWS] + [["[red]failed[/]", escape(failure[:120]), ""] for failure in self._failures[-3:]]
        each = sum(self._seconds) / len(self._seconds) if self._seconds else self._usual
        remaining = ""
        if each is not None and running:
            under_way = sum(max(0.0, each - (now - since)) for since in running.values())
            remaining = f", about {roughly((left * each + under_way) / len(running))} to go"
        counts = f"{done} done, {failed} failed, {len(running)} running, {left} to start of {self._total}{remaining}"
        return Group(_table((), rows), Text(counts))


def print_points(sweep: Sweep) -> None:
    """List the points and what is known of each."""
    rows = []
    for number, point in enumerate(sweep.points):
        outcome = sweep.outcome(number)
        status, run = (outcome.status, outcome.run) if outcome else ("to do", "")
        values = [escape(str(point.values[name])) for name in sweep.varied]
        rows.append([f"[{_STYLES[status]}]{status}[/]", *values, run])
    out.print(_table(("", *sweep.varied, "run"), rows))


def print_ended(sweeps: Sequence[Ended]) -> None:
    """Sweeps that have ended, a line each."""
    if not sweeps:
        out.print("No sweep has ended yet; `workbench sweep CHAPTER` makes one.")
        return
    rows = [
        (
            *(sweep.name, sweep.chapter, ", ".join(sweep.facts.varied)),
            *(str(sweep.facts.completed), str(sweep.facts.failed), str(sweep.facts.points)),
            f"{sweep.written:%Y-%m-%d %H:%M}",
        )
        for sweep in sweeps
    ]
    columns = ("sweep", "chapter", "varies", "done", "failed", "points", "when (UTC)")
    out.print(_table(columns, [[escape(visible(cell)) for cell in row] for row in rows]))


def print_side_by_side(axes: list[str], pairs: Sequence[tuple[Summary | None, Summary | None]]) -> None:
    """The means of two sweeps, a line for each setting and metric."""
    rows = []
    for one, other in pairs:
        first = one or other
        difference = f"{other.mean - one.mean:+.3g}" if one and other else ""
        cells = [*(str(first.setting[name]) for name in axes), first.metric, shown_mean(one), shown_mean(other)]
        rows.append([*cells, difference])
    print_summary([*axes, "metric", "1", "2", "2 − 1"], rows)


def print_summary(columns: list[str], rows: list[list[str]], words: str = "", most: int = 40) -> None:
    """The means, of many settings the first."""
    out.print(_table(columns, [[escape(visible(cell)) for cell in row] for row in rows[:most]]))
    if len(rows) > most:
        out.print(f"… and {len(rows) - most:,} more settings in summary.csv")
    if words:
        out.print(words, style="dim", soft_wrap=True)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    table = Table(*map(escape, columns), box=None, pad_edge=False, show_header=bool(columns))
    for row in rows:
        table.add_row(*row)
    return table
