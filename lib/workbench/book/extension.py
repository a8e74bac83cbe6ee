"""The book's own Sphinx extension: the ledger of claims, and on each chapter's page the run behind its outputs.

Both are read from the executed notebooks themselves (`workbench.runs.executed`). What cannot be read is a warning,
which fails a `-W` build.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from workbench.book.markup import box, paragraph, row, table, when
from workbench.book.offline import copy_mathjax, leave_out_thebe
from workbench.book.recorded_directive import RecordedResult
from workbench.chapter import claim_html
from workbench.core.text import counted, duration, number
from workbench.runs.executed import Executed, read_executed

logger = logging.getLogger(__name__)


def chapters(env: BuildEnvironment) -> list[tuple[str, Executed]]:
    """The book's notebooks as `(docname, what it tells)`, in the order of the table of contents."""
    site_map = getattr(env.config, "external_site_map", None) or {}
    order = {name.removesuffix(".ipynb"): place for place, name in enumerate(site_map)}
    names = (name for name in env.found_docs if env.doc2path(name).endswith(".ipynb"))
    names = sorted(names, key=lambda name: (order.get(name, len(order)), name))
    return [(name, read_executed(Path(env.doc2path(name)))) for name in names]


# The ledger


class ClaimsLedger(SphinxDirective):
    """`{claims-ledger}`: one table of every claim of every chapter, under a sentence with the totals."""

    def run(self) -> list[nodes.Node]:
        """The totals and the table, or a sentence where no chapter has made a claim."""
        self.env.note_reread()  # any notebook may have changed, or be new
        executed_chapters = chapters(self.env)
        problems = [(docname, problem) for docname, executed in executed_chapters for problem in executed.problems]
        for docname, problem in problems:
            logger.warning("%s: %s", docname, problem, location=docname, type="workbench", subtype="metadata")
        claiming = [(docname, executed) for docname, executed in executed_chapters if executed.claims]
        if not claiming:
            return [paragraph("No chapter of this book has been executed yet, so there is nothing to list.")]
        rows = []
        for docname, executed in claiming:
            rows.append(_chapter_row(docname, executed))
            rows += [_claim_row(docname, place, claim) for place, claim in enumerate(executed.claims, start=1)]
        return [_totals(claiming, len(problems)), table(_COLUMNS, rows, "workbench-ledger")]


_COLUMNS = {"Claim": 46, "Bound": 20, "Measured": 12, "n": 8, "Result": 14}


def _totals(claiming: list[tuple[str, Executed]], problems: int) -> nodes.paragraph:
    """Such as "23 claims in 2 chapters: 22 hold, 1 does not."."""
    claims = [claim for _, executed in claiming for claim in executed.claims]
    fails = sum(not claim["holds"] for claim in claims)
    text = f"{counted(len(claims), 'claim')} in {counted(len(claiming), 'chapter')}: "
    text += f"{len(claims) - fails} hold, {fails} {'does' if fails == 1 else 'do'} not." if fails else "all hold."
    if problems:
        text += f" {counted(problems, 'entry', 'entries')} could not be read."
    return paragraph(text, "workbench-ledger-totals")


def _chapter_row(docname: str, executed: Executed) -> nodes.row:
    """A row across the table: the chapter's title, linked, and the run its claims come from."""
    title = _reference(docname, f"/{docname}", reftype="doc", refexplicit=False, refwarn=True)
    line = nodes.paragraph("", "", nodes.strong("", "", title))
    if executed.run:
        line += nodes.inline(text=f" {_origin(executed.run)}", classes=["workbench-ledger-run"])
    return nodes.row("", nodes.entry("", line, morecols=len(_COLUMNS) - 1), classes=["workbench-ledger-chapter"])


def _claim_row(docname: str, place: int, claim: dict[str, Any]) -> nodes.row:
    # Without a warning: a claim in a cell whose output the page hides is listed without a link.
    statement = _reference(claim["statement"], _label(docname, place), reftype="ref", refexplicit=True, refwarn=False)
    cells = [
        nodes.paragraph("", "", statement),
        claim["bound"],
        number(claim.get("value")),
        "–" if claim.get("n") is None else str(claim["n"]),
        "✓ holds" if claim["holds"] else "✗ fails",
    ]
    return row(cells, "holds" if claim["holds"] else "fails")


def _reference(text: str, target: str, **attributes: Any) -> addnodes.pending_xref:
    return addnodes.pending_xref("", nodes.inline(text=text), refdomain="std", reftarget=target, **attributes)


# The claims and the run on a chapter's own page


def note_chapter(app: Sphinx, doctree: nodes.document) -> None:
    """Number the claims of a chapter's page, so that the ledger can lead there, and end it with its run.

    It begins with what the run changed of the parameters, since the text was written for the defaults.
    """
    env = app.env
    path = Path(env.doc2path(env.docname))
    if path.suffix != ".ipynb":
        return
    executed = read_executed(path)
    for place, raw in _shown_claims(doctree, executed.claims):
        raw[:] = [nodes.Text(raw.astext().replace("<div", f'<div id="claim-{place}"', 1))]
        label = _label(env.docname, place)
        env.get_domain("std").note_hyperlink_target(label, env.docname, f"claim-{place}", "claim")
    if executed.run:
        section = next(doctree.findall(nodes.section), doctree)
        section += provenance(executed.run)
        if changed := executed.run.get("changed"):
            section.insert(1, _changed(changed, executed.run["parameters"]))


def _changed(names: list[str], parameters: dict[str, Any]) -> nodes.note:
    """The note that opens a page of other parameters than the defaults; the heading stands before it."""
    values = ", ".join(f"`{name} = {parameters[name]!r}`" for name in names)
    said = (
        f"This page was run with {values}. The numbers and claims are this run's. The sentences around them were "
        "written for the default parameters: where one says how something came out, go by the number."
    )
    return nodes.note("", paragraph(said))


def _shown_claims(doctree: nodes.document, claims: list[dict[str, Any]]) -> Iterator[tuple[int, nodes.raw]]:
    """The number of each claim that a page shows, from one, and its node.

    Both are in the notebook's order, but a page lacks the claims of cells whose output it hides. So a node is counted
    as the next claim that looks like it.
    """
    start = 0
    for raw in list(doctree.findall(nodes.raw)):
        text = raw.astext().strip()
        place = next((place for place in range(start, len(claims)) if claim_html(claims[place]) == text), None)
        if place is not None:
            start = place + 1
            yield start, raw


def provenance(run: dict[str, Any]) -> nodes.admonition:
    """The box that ends a chapter: when, where and with which parameters its outputs were made."""
    title = "How this page was made"
    if _is_committed(run):
        origin = _origin(run)
        return box(title, paragraph(f"{origin[0].upper()}{origin[1:]}."))
    facts = {
        "Run": f"`{run['run']}`",
        "Started": when(run["started"]) if run.get("started") else None,
        "Took": None if run.get("seconds") is None else duration(run["seconds"]),
        "Machine": run.get("machine"),
        "Python": run.get("python"),
        "Commit": run.get("commit"),
        "Parameters": ", ".join(f"`{name} = {value!r}`" for name, value in (run.get("parameters") or {}).items()),
    }
    fields = nodes.field_list()
    for name, value in facts.items():
        if value:
            fields += nodes.field("", nodes.field_name(text=name), nodes.field_body("", paragraph(value)))
    return box(title, fields)


def _origin(run: dict[str, Any]) -> str:
    """Such as "run 2026…, 23 November 2026" and, for a committed notebook, that its outputs are the committed ones."""
    origin = f"run {run['run']}"
    if run.get("started"):
        origin += f" of {when(run['started'])}"
    return f"outputs as committed, from {origin}" if _is_committed(run) else origin


def _is_committed(run: dict[str, Any]) -> bool:
    """Whether outputs are those of a commit, which keeps of their run the name and when and how long it ran."""
    return not run.keys() - {"run", "started", "seconds"}


def _label(docname: str, place: int) -> str:
    return f"claim-{nodes.make_id(docname)}-{place}"


# The pages of the reference


def list_members(app: Sphinx, what: str, name: str, module: Any, options: Any, lines: list[str]) -> None:
    """Put a table of the functions and classes of a module, each with its first sentence, under its docstring."""
    if what == "module":
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *(f"   {each}" for each in defined(module))]


def show_factories(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """The signature as Python can read it, which `<factory>` for a default of a dataclass is not."""
    return signature and signature.replace("<factory>", "..."), returns


def defined(module: ModuleType) -> list[str]:
    """The names of the public functions and classes that a module defines, in its order."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and isinstance(value, FunctionType | type) and value.__module__ == module.__name__
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the ledger, the end of each chapter, the reference, and what makes the pages read offline."""
    for extension in ("autodoc", "autosummary", "napoleon"):  # the reference
        app.setup_extension(f"sphinx.ext.{extension}")
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("recorded", RecordedResult)
    app.connect("doctree-read", note_chapter)
    app.connect("autodoc-process-docstring", list_members)
    app.connect("autodoc-process-signature", show_factories)
    app.connect("config-inited", leave_out_thebe)  # the first event at which every extension has been loaded
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
