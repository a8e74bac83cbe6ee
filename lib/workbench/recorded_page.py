"""The directive `{recorded} NAME`: a recorded run on a page, with its command, its machine and whether it is current.

Part of the Sphinx extension `workbench.sphinxext`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from workbench.project import Project, RequestError
from workbench.recorded import Recorded, changed_since, misfit, read_recorded


class RecordedRun(SphinxDirective):
    """The metrics of a recorded run as a table, and under it what is needed to judge and to repeat it.

    `:metrics:` names those to show, in order; all are shown if it is not given.
    """

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"metrics": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The table and the box; what cannot be read, or no longer fits its chapter, is an error of the page."""
        project = Project(Path(self.env.srcdir))
        try:
            recorded = read_recorded(project, self.arguments[0])
            metrics = _chosen(recorded, self.options.get("metrics", "").split())
            problem = misfit(project, recorded)
        except RequestError as error:
            raise self.error(str(error)) from None
        if problem:
            raise self.error(problem)
        self.env.note_dependency(str(project.recorded / recorded.name / "run.json"))
        return [_metrics_table(metrics), _box(recorded, changed_since(project, recorded))]


def _chosen(recorded: Recorded, names: list[str]) -> list[dict[str, Any]]:
    metrics = {metric["name"]: metric for metric in recorded.record["metrics"]}
    unknown = [name for name in names if name not in metrics]
    if unknown:
        raise RequestError(f"{recorded.name} has no metric {', '.join(unknown)}; it has {', '.join(metrics)}")
    return [metrics[name] for name in names or metrics]


def _metrics_table(metrics: list[dict[str, Any]]) -> nodes.table:
    columns = ("Metric", "Value", "95% interval", "n")
    body = nodes.tbody("", *(_row(_cells(metric)) for metric in metrics))
    widths = [nodes.colspec(colwidth=width) for width in (40, 20, 28, 12)]
    group = nodes.tgroup("", *widths, nodes.thead("", _row(columns)), body, cols=len(columns))
    return nodes.table("", group, classes=["workbench-recorded"])


def _cells(metric: dict[str, Any]) -> tuple[str, ...]:
    interval = "" if metric["low"] is None else f"{metric['low']:.3g} to {metric['high']:.3g}"
    sample = metric["n"] if metric["count"] is None else f"{metric['count']}/{metric['n']}"
    value = metric["value"]
    shown = f"{value:.3g}" if isinstance(value, (int, float)) else "not a number" if value is None else value
    return metric["name"], shown, interval, "" if sample is None else str(sample)


def _row(cells: tuple[str, ...]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def _box(recorded: Recorded, changes: list[str]) -> nodes.admonition:
    """The command, the circumstances, the claims, and what has changed since."""
    from workbench.machine import in_words

    record = recorded.record
    held = sum(claim["holds"] for claim in record["claims"])
    facts = f"Recorded {record['started'].replace('T', ' at ').removesuffix('Z')} UTC, in {record['seconds']:.0f} s, "
    facts += f"on {in_words(record['machine'])}, Python {record['python']}. "
    facts += f"{held} of {len(record['claims'])} claims held."
    box = nodes.admonition("", nodes.title(text="A recorded run"), classes=["workbench-provenance"])
    box += [nodes.paragraph("", facts), nodes.literal_block(text=recorded.command, language="bash")]
    for name, public in record["public"].items():
        digest = record["ingredients"]["data"][name][:16]
        box += nodes.paragraph("", f"{name}: {public}; the file that was read has the fingerprint {digest}….")
    if changes:
        box += nodes.paragraph("", f"Not current: since then {'; '.join(changes)}.", classes=["workbench-stale"])
    return box


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("recorded", RecordedRun)
