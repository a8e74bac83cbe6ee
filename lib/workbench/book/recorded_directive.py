"""The directive `{recorded} NAME`: a recorded run or sweep on a page, with its command and whether it is current.

`{recorded-results}` lists all of them. Part of the Sphinx extension `workbench.book.extension`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from workbench.book.labels import labelled, metric_labels, words_of
from workbench.book.markup import box, keep_image, paragraph, row, table, when
from workbench.core.errors import RequestError
from workbench.core.machine import in_words
from workbench.core.project import Project
from workbench.core.text import duration, metric_cells, nearest_or_all
from workbench.recorded.confirm import agrees
from workbench.recorded.confirm import in_words as confirmation_in_words
from workbench.recorded.result import (
    Recorded,
    all_recorded,
    changed_since,
    is_outdated,
    misfit,
    read_recorded,
    recorded_axes,
    recorded_counts,
    recorded_summaries,
)
from workbench.runs.headline import headline_of, named_headline
from workbench.sweeps.plot import chosen_metrics, picture
from workbench.sweeps.plot import table as settings_table
from workbench.sweeps.summary import metric_names

FEW = 5  # so many runs that differ in the seed alone, or reasons of a result that is not current, are shown one by one


class RecordedResult(SphinxDirective):
    """What was recorded as a table, for a sweep also as a figure, and under it what is needed to judge and repeat it.

    `:metrics:` names those to show, in order; without it, they are those of the chapter's headline, or a few that vary.
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
            headline = named_headline(project, recorded.chapter)
            label_of = metric_labels(project, recorded.chapter)
            of = self._sweep if recorded.is_sweep else _of_run
            shown = of(recorded, wanted, headline, label_of)
            if problem := misfit(project, recorded):
                raise RequestError(problem)
        except RequestError as error:
            raise self.error(str(error)) from None
        self.env.note_reread()  # whether it is current depends on code and data that are no part of the page
        changes = changed_since(project, recorded)
        return [*shown, provenance(recorded, changes, is_outdated(project, recorded))]

    def _sweep(
        self, recorded: Recorded, wanted: list[str], headline: Sequence[str], label_of: Callable[[str], str]
    ) -> list[nodes.Node]:
        axes, means = recorded_axes(recorded), recorded_summaries(recorded)
        _refuse_unknown(recorded, metric_names(means), wanted)
        chosen = chosen_metrics(means, wanted, headline)
        axes, means, metrics = list(map(words_of, axes)), labelled(means, label_of), list(map(label_of, chosen))
        shown: list[nodes.Node] = [_table(*settings_table(axes, means, metrics))]
        if not axes and recorded.points <= FEW:  # a mean of a few runs says less than the runs
            counts = recorded_counts(recorded)
            if said := [f"{label_of(name)}: {', '.join(counts[name])}" for name in chosen if name in counts]:
                shown.append(nodes.paragraph("", f"Run by run, {'; '.join(said)}."))
        if "no-figure" not in self.options:
            png, words = picture(axes, means, metrics)
            image = nodes.image(uri=keep_image(self.env, png, recorded.name), alt=f"{words} The table holds the same.")
            shown.insert(0, nodes.figure("", image, nodes.caption("", words), classes=["workbench-recorded"]))
        return shown


class RecordedResults(SphinxDirective):
    """A table of all recorded results of the book's chapters: runs, time and day, and whether each is current."""

    _COLUMNS: ClassVar = {"Result": 24, "State": 24, "Chapter": 20, "Runs": 6, "Took": 12, "Recorded": 14}

    def run(self) -> list[nodes.Node]:
        """The nodes of the page; a record that cannot be read is an error of the page."""
        project = Project(Path(self.env.srcdir))
        self.env.note_reread()
        chapters = project.chapters()
        try:
            rows = [row(_in_a_row(project, each)) for each in all_recorded(project) if each.chapter in chapters]
        except RequestError as error:
            raise self.error(str(error)) from None
        return [table(self._COLUMNS, rows, "workbench-results")]


def _in_a_row(project: Project, recorded: Recorded) -> Iterator[str | nodes.Node]:
    """The cells of a result in the table of all."""
    state = "current"
    if changed_since(project, recorded):
        done, state = recorded.confirmed, "not current"
        if done and agrees(done) and not is_outdated(project, recorded):
            state += f"; {len(done['points'])} of {done['of']} points confirmed"
    yield paragraph(f"`{recorded.name}`")
    yield from (state, recorded.chapter, str(recorded.points), duration(recorded.record["seconds"]))
    yield when(recorded.record["started"]).partition(",")[0]


def _refuse_unknown(recorded: Recorded, known: Iterable[str], wanted: Iterable[str]) -> None:
    if unknown := [name for name in wanted if name not in known]:
        raise RequestError(f"{recorded.name} has no metric {', '.join(unknown)}{nearest_or_all(unknown[0], known)}")


def _of_run(
    recorded: Recorded, wanted: list[str], headline: Sequence[str], label_of: Callable[[str], str]
) -> list[nodes.Node]:
    metrics = recorded.record["metrics"]
    _refuse_unknown(recorded, [metric["name"] for metric in metrics], wanted)
    chosen = headline_of(wanted or headline, metrics)
    rows = [metric_cells({**metric, "name": label_of(metric["name"])}) for metric in chosen]
    return [_table(("Metric", "Value", "95% interval", "n"), rows)]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> nodes.table:
    return table(dict.fromkeys(columns, 1), map(row, rows), "workbench-recorded")


def provenance(recorded: Recorded, changes: list[str], outdated: bool = False) -> nodes.admonition:
    """The box under a recorded result: its command, the circumstances, the claims, and whether it is current.

    `changes` says in words what has changed since, and `outdated` whether more has changed since its confirmation.
    """
    record = recorded.record
    lines = [nodes.paragraph("", _facts(recorded)), nodes.literal_block(text=recorded.command, language="bash")]
    for claim in record["claims"] if recorded.is_sweep else ():
        if failed := claim["runs"] - claim["held"]:
            lines.append(nodes.paragraph("", f"✗ in {failed} of {claim['runs']} runs: {claim['statement']}."))
    read = {**record["ingredients"].get("data", {}), **record["ingredients"].get("checkpoints", {})}
    for name, public in record["public"].items():  # what others can get each local file by
        digests = [f"{each[:16]}…" for label, each in read.items() if label.partition("[")[0] == name]
        said = f"{name}: {public}; what was read has the fingerprint {', '.join(digests)}."
        lines.append(nodes.paragraph("", said))
    if changes:
        more = f"; and {len(changes) - FEW} more, which `workbench recorded --json` lists" if len(changes) > FEW else ""
        lines.append(paragraph(f"Not current: {'; '.join(changes[:FEW])}{more}.", "workbench-stale"))
    if recorded.confirmed:
        later = " More has changed since." if outdated else ""
        lines.append(paragraph(f"{confirmation_in_words(recorded.confirmed)}{later}", "workbench-confirmed"))
    return box("A recorded sweep" if recorded.is_sweep else "A recorded run", *lines)


def _facts(recorded: Recorded) -> str:
    """When, how long, where, and how many claims held."""
    record = recorded.record
    claims, machine = record["claims"], f"on {in_words(record['machine'])}, Python {record['python']}"
    if not recorded.is_sweep:
        took, every = f", in {duration(record['seconds'])}", ""
        held = sum(claim["holds"] for claim in claims)
    else:
        took, every = f": {record['points']} runs of {duration(record['seconds'])} in all", " in every run"
        held = sum(claim["held"] == claim["runs"] for claim in claims)
        if record["machines"] > 1:
            machine = f"on {record['machines']} machines, one of them {machine.removeprefix('on ')}"
    return f"Recorded {when(record['started'])}{took}, {machine}. {held} of {len(claims)} claims held{every}."
