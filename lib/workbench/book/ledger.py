"""The ledger: the claims of every chapter, apart from its checks, and the claims that failed or were withdrawn.

Part of the Sphinx extension `workbench.book.extension`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from pydantic import TypeAdapter, ValidationError
from sphinx import addnodes
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from workbench.book.markup import paragraph, row, table, when
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.core.text import counted, number
from workbench.parameters.yaml_files import read_yaml
from workbench.recorded.result import Recorded, all_recorded, changed_since
from workbench.runs.executed import Executed, read_executed
from workbench.runs.record import Part

logger = logging.getLogger(__name__)

FINDING, CHECK = "finding", "check"
WITHDRAWN = "withdrawn.yml"


def notebooks(env: BuildEnvironment) -> list[str]:
    """The documents of the book that are notebooks, in the order of the table of contents."""
    site_map = getattr(env.config, "external_site_map", None) or {}
    order = {name.removesuffix(".ipynb"): place for place, name in enumerate(site_map)}
    names = (name for name in env.found_docs if env.doc2path(name).endswith(".ipynb"))
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


class ClaimsLedger(SphinxDirective):
    """`{claims-ledger}`: one table of every claim of every chapter, under a sentence with the totals.

    `{claims-ledger} checks` lists the identities and the tests of tools, which had to come out as they did.
    """

    optional_arguments = 1
    _COLUMNS: ClassVar = {
        FINDING: {"Claim": 42, "Bound": 18, "Measured": 12, "n": 8, "Seeds": 9, "Result": 11},
        CHECK: {"Check": 50, "Bound": 20, "Measured": 12, "n": 8, "Result": 10},
    }

    def run(self) -> list[nodes.Node]:
        """The totals and the table, or a sentence where no chapter has made a claim."""
        kind = directives.choice((self.arguments or ["findings"])[0], ("findings", "checks")).removesuffix("s")
        self.env.note_reread()  # any notebook may have changed, or be new
        executed_chapters = [(name, read_executed(Path(self.env.doc2path(name)))) for name in notebooks(self.env)]
        problems = [(docname, problem) for docname, executed in executed_chapters for problem in executed.problems]
        for docname, problem in problems if kind == FINDING else ():
            logger.warning("%s: %s", docname, problem, location=docname, type="workbench", subtype="metadata")
        claiming = [(docname, executed, of_kind(executed, kind)) for docname, executed in executed_chapters]
        claiming = [each for each in claiming if each[2]]
        if not claiming:
            return [paragraph("No chapter of this book has been executed yet, so there is nothing to list.")]
        columns, rows = self._COLUMNS[kind], []
        seeds = over_seeds(Project(Path(self.env.srcdir))) if kind == FINDING else {}
        for docname, executed, claims in claiming:
            recorded = seeds.get(docname.rpartition("/")[2])
            rows.append(_chapter_row(docname, executed, recorded, len(columns)))
            held = {(claim["statement"], claim["bound"]): in_seeds(claim) for claim in _claims(recorded)}
            for place, claim in claims:
                cells = [held.get((claim["statement"], claim["bound"]), "–")] if kind == FINDING else []
                rows.append(_claim_row(docname, place, claim, cells))
        return [_totals(claiming, kind, len(problems)), table(columns, rows, "workbench-ledger")]


def of_kind(executed: Executed, kind: str) -> list[tuple[int, dict[str, Any]]]:
    """A chapter's claims of a kind, each with its number among all claims of the chapter, from one."""
    numbered = enumerate(executed.claims, start=1)
    return [(place, claim) for place, claim in numbered if claim.get("kind", FINDING) == kind]


def over_seeds(project: Project) -> dict[str, Recorded]:
    """For each chapter the recorded sweep of its default parameters over the most seeds.

    Raises:
        RequestError: for a record that cannot be read.
    """
    of_defaults = [
        each for each in all_recorded(project) if each.varied == ["seed"] and not each.given.keys() - {"seed"}
    ]
    return {each.chapter: each for each in sorted(of_defaults, key=lambda each: each.points)}


def _claims(recorded: Recorded | None) -> list[dict[str, Any]]:
    return recorded.record["claims"] if recorded else []


def in_seeds(claim: dict[str, Any]) -> str:
    """In how many recorded runs a claim held; where all of them measured the same, the seed has no say in it."""
    same = claim["runs"] > 1 and claim.get("values") == 1  # results recorded earlier do not say how many there are
    return "same value" if same else f"{claim['held']} of {claim['runs']}"


def _totals(claiming: list[tuple[str, Executed, list]], kind: str, problems: int) -> nodes.paragraph:
    """Such as "23 claims in 2 chapters: 22 hold, 1 does not."."""
    claims = [claim for _, _, numbered in claiming for _, claim in numbered]
    fails = sum(not claim["holds"] for claim in claims)
    text = f"{counted(len(claims), 'claim' if kind == FINDING else kind)} in {counted(len(claiming), 'chapter')}: "
    text += f"{len(claims) - fails} hold, {fails} {'does' if fails == 1 else 'do'} not." if fails else "all hold."
    if problems:
        text += f" {counted(problems, 'entry', 'entries')} could not be read."
    return paragraph(text, "workbench-ledger-totals")


def _chapter_row(docname: str, executed: Executed, recorded: Recorded | None, width: int) -> nodes.row:
    """A row across the table: the chapter's title, linked, the run its claims come from, and the sweep over seeds."""
    title = _reference(docname, f"/{docname}", reftype="doc", refexplicit=False, refwarn=True)
    line = nodes.paragraph("", "", nodes.strong("", "", title))
    said = [origin(executed.run)] if executed.run else []
    if recorded:
        stale = ", whose code or data have changed since" if _has_changed(recorded) else ""
        said.append(f"seeds: recorded {recorded.name}, {recorded.points} runs{stale}")
    if said:
        line += nodes.inline(text=f" {'; '.join(said)}", classes=["workbench-ledger-run"])
    return nodes.row("", nodes.entry("", line, morecols=width - 1), classes=["workbench-ledger-chapter"])


def _has_changed(recorded: Recorded) -> bool:
    return bool(changed_since(Project(recorded.folder.parents[2]), recorded))


def _claim_row(docname: str, place: int, claim: dict[str, Any], seeds: list[str]) -> nodes.row:
    # Without a warning: a claim in a cell whose output the page hides is listed without a link.
    statement = _reference(claim["statement"], label(docname, place), reftype="ref", refexplicit=True, refwarn=False)
    cells = [
        nodes.paragraph("", "", statement),
        claim["bound"],
        number(claim.get("value")),
        "–" if claim.get("n") is None else str(claim["n"]),
        *seeds,
        "✓ holds" if claim["holds"] else "✗ fails",
    ]
    return row(cells, "holds" if claim["holds"] else "fails")


def _reference(text: str, target: str, **attributes: Any) -> addnodes.pending_xref:
    return addnodes.pending_xref("", nodes.inline(text=text), refdomain="std", reftarget=target, **attributes)


def label(docname: str, place: int) -> str:
    """The label of a claim on its chapter's page."""
    return f"claim-{nodes.make_id(docname)}-{place}"


def origin(run: dict[str, Any]) -> str:
    """Such as "run 2026…, 23 November 2026" and, for a committed notebook, that its outputs are the committed ones."""
    said = f"run {run['run']}"
    if run.get("started"):
        said += f" of {when(run['started'])}"
    return f"outputs as committed, from {said}" if is_committed(run) else said


def is_committed(run: dict[str, Any]) -> bool:
    """Whether outputs are those of a commit, which keeps of their run the name and when and how long it ran."""
    return not run.keys() - {"run", "started", "seconds"}


class Withdrawn(Part):
    """A claim of an earlier edition of the book that failed, was restated or was withdrawn."""

    chapter: str
    claim: str
    """Its statement and bound."""
    measured: str
    reason: str
    now: str
    """What the book says in its place."""


class WithdrawnClaims(SphinxDirective):
    """`{withdrawn-claims}`: a table of `book/withdrawn.yml`, the oldest of a chapter first."""

    def run(self) -> list[nodes.Node]:
        """The table of the chapters that the edition has; a file that cannot be read is an error of the page."""
        path = Path(self.env.srcdir) / "book" / WITHDRAWN
        self.env.note_dependency(str(path))
        try:
            rows = list(self._rows(read_withdrawn(path)))
        except RequestError as error:
            raise self.error(str(error)) from None
        return [table({"Claim": 28, "Measured": 18, "Why it went": 32, "Now": 22}, rows, "workbench-withdrawn")]

    def _rows(self, entries: list[Withdrawn]) -> Iterator[nodes.row]:
        for docname in notebooks(self.env):
            if of_chapter := [entry for entry in entries if entry.chapter == docname.rpartition("/")[2]]:
                yield _chapter_row(docname, Executed(), None, 4)
            for entry in of_chapter:
                yield row(map(paragraph, (entry.claim, entry.measured, entry.reason, entry.now)))


def read_withdrawn(path: Path) -> list[Withdrawn]:
    """The claims of `book/withdrawn.yml`.

    Raises:
        RequestError: for a file that is missing or malformed.
    """
    try:
        return TypeAdapter(list[Withdrawn]).validate_python(read_yaml(path))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise RequestError(f"{path}: {place or 'it'}: {error.errors()[0]['msg']}") from None
