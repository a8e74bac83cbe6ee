"""What the commands print while a chapter runs, and when it has ended. `workbench.cli.tables` prints the rest."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from workbench.core.console import can_redraw, err, out
from workbench.core.text import duration, measured, number, visible
from workbench.runs.headline import headline_of
from workbench.runs.store import Run

_MINUTE = 60.0
_SLOW = 1.0  # seconds; faster cells are not worth a line in a log


class RichReporter(Progress):
    """Progress on standard error: a live bar on a terminal, a line for each slow cell elsewhere."""

    def __init__(self) -> None:
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[title]}", style="dim"),
            console=err,
            transient=True,
            disable=not can_redraw(err),
        )
        self._ended = threading.Event()  # the cell that runs
        self._current: Any = None
        self._what = ""

    def preparing(self, done: int, total: int, what: str, *, unit: Literal["steps", "bytes"] = "steps") -> None:
        """Show how far the preparation of data is."""
        self._show(what, done, total, unit)

    def started(self, chapter: str, cells: int) -> None:
        """Show that a chapter starts."""
        self._show(chapter, 0, cells)

    def cell(self, number: int, title: str, seconds: float | None) -> None:
        """Show the cell that runs, or log one that took long."""
        self.update(self._current, completed=number - (seconds is None), title=escape(title))
        self._ended.set()
        if can_redraw(err):
            return
        if seconds is None:
            self._ended = threading.Event()
            threading.Thread(target=_say_that_it_runs, args=(number, title, self._ended), daemon=True).start()
        elif seconds >= _SLOW:
            err.print(f"  cell {number}: {seconds:.1f} s  {escape(title)}")

    def stop(self) -> None:
        """End the live bar, and what is said of a cell that an interruption has ended."""
        self._ended.set()
        super().stop()

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that something of unknown length goes on."""
        self._show(what, 0, None)
        start = time.perf_counter()
        yield
        err.print(f"{what}: {time.perf_counter() - start:.0f} s", style="dim")

    def _show(self, what: str, done: int, total: int | None, unit: str = "steps") -> None:
        if what != self._what:
            if self._current is not None:
                self.remove_task(self._current)
            self._what, self._current = what, self.add_task(escape(what), total=total, title="")
            if not can_redraw(err):
                if total is not None:
                    what += f": {decimal(total)}" if unit == "bytes" else f": {total} to do"
                err.print(f"{what} …")
        self.update(self._current, completed=done, total=total)


def _say_that_it_runs(number: int, title: str, ended: threading.Event) -> None:
    """Say each minute that a cell still runs, until it has ended."""
    for minutes in itertools.count(1):
        if ended.wait(_MINUTE):
            return
        err.print(f"  cell {number} still runs, {minutes} min  {escape(title)}")


def print_headline(metrics: Iterable[dict[str, Any]]) -> None:
    """A line for each of these metrics of a run's record."""
    lines = {visible(metric["name"]): visible(measured(metric, "95% interval ")) for metric in metrics}
    for name, value in lines.items():
        out.print(f"  {name:<{max(map(len, lines))}}  {value}", markup=False, soft_wrap=True)


def print_outcome(run: Run, reused: bool, *, headline: Sequence[str] | None = None, quiet: bool = False) -> None:
    """What became of a run, in a few lines; with `quiet`, only what went wrong.

    Where the chapter's `headline` is told, an empty one too, the metrics that it chooses are among them.
    """
    record = run.record
    if error := record["error"]:
        err.print(f"[red]{run.chapter} failed[/] in cell {error['number']} ({error['cell']}):")
        if len(error["traceback"]) > 1:
            err.print("\n".join(error["traceback"]), markup=False, soft_wrap=True)
        err.print(f"workbench: {error['name']}: {error['message']}", markup=False, soft_wrap=True)
    if quiet:
        return
    if run.status == "completed":
        claims = record["claims"]
        unsupported = [claim for claim in claims if not claim["holds"]]
        how = "is up to date, nothing was run" if reused else f"ran in {duration(record['seconds'])}"
        counted = f"{len(claims) - len(unsupported)} of {len(claims)} claims hold" if claims else "no claims"
        out.print(f"[bold]{run.chapter}[/] {how}; {counted}")
        for claim in unsupported:
            text = f"{claim['statement']} {claim['bound']}: {number(claim['value'])}"
            out.print(f"  [red]✗[/] {escape(text)}", soft_wrap=True)
        if headline is not None:
            print_headline(headline_of(headline, record["metrics"]))
    out.print(str(run.notebook), style="dim", soft_wrap=True)
