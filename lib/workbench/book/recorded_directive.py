"""The directive `{recorded} NAME`: a recorded run or sweep on a page, with its command and whether it is current.

Part of the Sphinx extension `workbench.book.extension`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.recorded.run import Recorded, changed_since, misfit, read_recorded
from workbench.recorded.sweep import recorded_axes, recorded_counts, recorded_summaries
from workbench.sweeps.plot import PANELS, picture, table

FEW = 5  # runs that differ in the seed alone, whose counts are shown one by one


class RecordedResult(SphinxDirective):
    """What was recorded as a table, for a sweep also as a figure, and under it what is needed to judge and repeat it.

    `:metrics:` names those to show, in order; if it is not given, a run shows all and a sweep the first few.
    `:no-figure:` leaves the figure out.
    """

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"metrics": directives.unchanged, "no-figure": directives.flag}

    def run(self) -> list[nodes.Node]:
        """The nodes of the page; what cannot be read, or no longer fits its chapter, is an error of the page."""
        project = Project(Path(self.env.srcdir))
        try:
            recorded = read_recorded(project, self.arguments[0])
            wanted = self.options.get("metrics", "").split()
            shown = self._sweep(recorded, wanted) if recorded.is_sweep else [_of_run(recorded, wanted)]
            problem = misfit(project, recorded)
        except RequestError as error:
            raise self.error(str(error)) from None
        if problem:
            raise self.error(problem)
        self.env.note_dependency(str(recorded.file))
        return [*shown, _box(recorded, changed_since(project, recorded))]

    def _sweep(self, recorded: Recorded, wanted: list[str]) -> list[nodes.Node]:
        axes, found = recorded_axes(recorded), recorded_summaries(recorded)
        metrics = _chosen(recorded, list(dict.fromkeys(summary.metric for summary in found)), wanted, PANELS)
        shown: list[nodes.Node] = [_table(*table(axes, found, metrics))]
        if not axes and recorded.record["points"] <= FEW:  # a mean of a few runs says less than the runs
            counts = recorded_counts(recorded)
            said = [f"{name}: {', '.join(counts[name])}" for name in metrics if name in counts]
            if said:
                shown.append(nodes.paragraph("", f"Run by run, {'; '.join(said)}."))
        if "no-figure" not in self.options:
            image, words = picture(axes, found, metrics)
            reference = nodes.image(uri=self._kept(image, recorded.name), alt=f"{words} The table holds the same.")
            shown.insert(0, nodes.figure("", reference, nodes.caption("", words), classes=["workbench-recorded"]))
        return shown

    def _kept(self, image: bytes, name: str) -> str:
        """Where Sphinx finds a picture that was drawn for this page: beside what it keeps between builds."""
        folder = Path(self.env.doctreedir) / "recorded"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}-{hashlib.sha256(image).hexdigest()[:12]}.png"
        file.write_bytes(image)
        page = Path(self.env.doc2path(self.env.docname)).parent
        return Path(os.path.relpath(file, page)).as_posix()


def _chosen(recorded: Recorded, known: list[str], wanted: list[str], most: int | None = None) -> list[str]:
    if unknown := [name for name in wanted if name not in known]:
        raise RequestError(f"{recorded.name} has no metric {', '.join(unknown)}; it has {', '.join(known)}")
    return wanted or known[:most]


def _of_run(recorded: Recorded, wanted: list[str]) -> nodes.table:
    metrics = {metric["name"]: metric for metric in recorded.record["metrics"]}
    names = _chosen(recorded, list(metrics), wanted)
    return _table(("Metric", "Value", "95% interval", "n"), [_cells(metrics[name]) for name in names])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> nodes.table:
    body = nodes.tbody("", *map(_row, rows))
    widths = [nodes.colspec(colwidth=1) for _ in columns]
    group = nodes.tgroup("", *widths, nodes.thead("", _row(columns)), body, cols=len(columns))
    return nodes.table("", group, classes=["workbench-recorded"])


def _cells(metric: dict[str, Any]) -> tuple[str, ...]:
    interval = "" if metric["low"] is None else f"{metric['low']:.3g} to {metric['high']:.3g}"
    sample = metric["n"] if metric["count"] is None else f"{metric['count']}/{metric['n']}"
    value = metric["value"]
    shown = f"{value:.3g}" if isinstance(value, (int, float)) else "not a number" if value is None else value
    return metric["name"], shown, interval, "" if sample is None else str(sample)


def _row(cells: Sequence[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def _box(recorded: Recorded, changes: list[str]) -> nodes.admonition:
    """The command, the circumstances, the claims, and what has changed since."""
    record = recorded.record
    what = "A recorded sweep" if recorded.is_sweep else "A recorded run"
    box = nodes.admonition("", nodes.title(text=what), classes=["workbench-provenance"])
    box += [nodes.paragraph("", _facts(recorded)), nodes.literal_block(text=recorded.command, language="bash")]
    if recorded.is_sweep:
        broken = [claim for claim in record["claims"] if claim["held"] < claim["runs"]]
        box += [
            nodes.paragraph("", f"✗ in {claim['runs'] - claim['held']} of {claim['runs']} runs: {claim['statement']}.")
            for claim in broken
        ]
    parts = record["ingredients"]
    fingerprints = {**parts.get("data", {}), **parts.get("checkpoints", {})}
    for name, public in record["public"].items():
        own = [f"{found[:16]}…" for label, found in fingerprints.items() if label.partition("[")[0] == name]
        box += nodes.paragraph("", f"{name}: {public}; what was read has the fingerprint {', '.join(own)}.")
    if changes:
        said = _marked(f"Not current: since then {'; '.join(changes)}.")
        box += nodes.paragraph("", "", *said, classes=["workbench-stale"])
    return box


def _facts(recorded: Recorded) -> str:
    """When, how long, where, and how many claims held."""
    from workbench.core.machine import in_words
    from workbench.core.text import duration

    record = recorded.record
    when = record["started"][:19].replace("T", " at ")
    claims, machine = record["claims"], f"on {in_words(record['machine'])}, Python {record['python']}"
    if not recorded.is_sweep:
        held = sum(claim["holds"] for claim in claims)
        took = f"in {duration(record['seconds'])}"
        return f"Recorded {when} UTC, {took}, {machine}. {held} of {len(claims)} claims held."
    held = sum(claim["held"] == claim["runs"] for claim in claims)
    took = f"{record['points']} runs of {duration(record['seconds'])} in all"
    machine = machine if record["machines"] == 1 else f"on {record['machines']} machines, one of them {machine[3:]}"
    return f"Recorded {when} UTC: {took}, {machine}. {held} of {len(claims)} claims held in every run."


def _marked(text: str) -> list[nodes.Node]:
    """Text with what stands between backticks set as code."""
    parts = enumerate(text.split("`"))
    return [nodes.literal(text=part) if place % 2 else nodes.Text(part) for place, part in parts]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("recorded", RecordedResult)
