"""The book's own Sphinx extension: its directives, the claims and the run on each chapter's page, and the reference.

Claims and runs are read from the executed notebooks themselves (`workbench.runs.executed`). What cannot be read is a
warning, which fails a `-W` build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from workbench.book.commands_directive import Commands
from workbench.book.ledger import ClaimsLedger, WithdrawnClaims, is_committed, label, origin
from workbench.book.markup import box, paragraph, when
from workbench.book.models_directive import PublishedModels
from workbench.book.offline import copy_mathjax, leave_out_thebe
from workbench.book.passages import write_passages
from workbench.book.quiz import Quiz
from workbench.book.recorded_directive import RecordedResult, RecordedResults
from workbench.chapter import claim_html
from workbench.core.text import duration
from workbench.runs.executed import read_executed

SCRIPTS = ("contents.js", "figures.js", "place.js", "quiz.js", "search.js", "tables.js", "views.js")
STYLES = ("figures.css", "print.css", "quiz.css", "search.css", "tables.css", "views.css")
"""What every page loads, files beside this one."""
_PARAMETERS = re.compile(r'<dl>\n((?:<dd><em class="sig-param">.*</dd>\n)+)</dl>')
"""The parameters of a signature that is longer than a line."""

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
        anchor = f"claim-{place}"
        env.get_domain("std").note_hyperlink_target(label(env.docname, place), env.docname, anchor, "claim")
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
    if is_committed(run):
        said = origin(run)
        return box(title, paragraph(f"{said[0].upper()}{said[1:]}."))
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


# What pages do in the browser


def add_scripts(app: Sphinx, config: Config) -> None:
    """Copy scripts and styles beside the pages, load them on every one, and order search results."""
    here = Path(__file__)
    config.html_search_scorer = str(here.with_name("scorer.js"))
    config.html_static_path += [str(here.with_name(name)) for name in (*SCRIPTS, *STYLES)]
    for name in STYLES:
        app.add_css_file(name)
    for name in SCRIPTS:
        app.add_js_file(name, loading_method="defer")


def mend_markup(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Make lists of what screen readers would not take for some.

    Docutils gives the entries of a list of references a role that ARIA has given up; Sphinx writes the parameters of a
    long signature as definitions without a term.
    """
    if "body" in context:
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = _PARAMETERS.sub(_as_list, body)


def launch_elsewhere(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put Kaggle and Codespaces beside the theme's button for Colab, which is there for a book on GitHub."""
    for group in context.get("header_buttons", []):
        links = group.get("buttons", []) if group.get("label") == "launch-buttons" else []
        colab = next((link["url"] for link in links if link["text"] == "Colab"), None)
        if colab is not None:
            notebook = colab.partition("/github/")[2]  # OWNER/NAME/blob/main/…
            repository = notebook.partition("/blob/")[0]
            links += [
                _launch(
                    "Kaggle", "kaggle", f"https://www.kaggle.com/kernels/welcome?src=https://github.com/{notebook}"
                ),
                _launch("Codespaces", "github", f"https://codespaces.new/{repository}"),
            ]


def _launch(name: str, icon: str, url: str) -> dict[str, str]:
    return {"type": "link", "text": name, "tooltip": f"Launch on {name}", "icon": f"fab fa-{icon}", "url": url}


def _as_list(definitions: re.Match[str]) -> str:
    items = definitions[1].replace("<dd>", "<li>").replace("</dd>", "</li>")
    return f'<ul class="sig-params">\n{items}</ul>'


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
    app.add_directive("withdrawn-claims", WithdrawnClaims)
    app.add_directive("recorded", RecordedResult)
    app.add_directive("recorded-results", RecordedResults)
    app.add_directive("published-models", PublishedModels)
    app.add_directive("commands", Commands)
    app.add_directive("quiz", Quiz)
    app.connect("doctree-read", note_chapter)
    app.connect("autodoc-process-docstring", list_members)
    app.connect("autodoc-process-signature", show_factories)
    app.connect("config-inited", add_scripts)
    app.connect("config-inited", leave_out_thebe)  # the first event at which every extension has been loaded
    app.connect("html-page-context", write_passages)
    app.connect("html-page-context", mend_markup)
    app.connect("html-page-context", launch_elsewhere, priority=502)  # the theme's own come at 501
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
