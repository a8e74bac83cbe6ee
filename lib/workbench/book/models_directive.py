"""The directive `{published-models} FILE`: models of the literature as a figure over time and as a table.

Both are made from the file whenever the page is built, so neither can drift from what readers download.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from workbench.book.markup import keep_image
from workbench.book.published_models import Model, picture, read_models

HEAD = "| model | month | parameters | tokens read | operations | kind | text | source |\n" + "| --- " * 8 + "|\n"
POWERS = ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1, ""))


class PublishedModels(SphinxDirective):
    """The figure, which `{numref}` knows as `fig-models`, and under it the table with the source of each row."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes of the page; a file that cannot be read is an error of the page."""
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        try:
            models = read_models(Path(path))
        except (OSError, ValueError) as error:
            raise self.error(f"{relative}: {error}") from None
        words = (
            "Published models by month: their size, what they read in training, and its operations, where published."
        )
        alt = f"{words} Dots with names; vertical axes are logarithmic. The table below has the numbers."
        image = nodes.image(uri=keep_image(self.env, picture(models), "models"), alt=alt)
        figure = nodes.figure("", image, nodes.caption("", words), classes=["workbench-recorded"], names=["fig-models"])
        self.state.document.note_explicit_target(figure, figure)
        (table,) = self.parse_text_to_nodes(HEAD + "".join(map(_row, models)))
        table["classes"].append("workbench-models")
        return [figure, table]


def _row(model: Model) -> str:
    """A line of the table; a source is a key of the bibliography and a place in the work, or this book."""
    size = in_words(model.parameters)
    if model.active_parameters:
        size += f" ({in_words(model.active_parameters)} a token)"
    mantissa, _, exponent = f"{model.operations or 0:.3g}".partition("e+")
    operations = f"{mantissa} · 10{exponent.translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}" if exponent else "–"
    cited = (source.partition(": ") for source in model.source.split("; "))
    sources = "; ".join(f"{{cite:t}}`{key}`{', ' * bool(place)}{place}" for key, _, place in cited)
    if model.source == "this book":
        sources = "{doc}`this book </notebooks/pretraining>`"
    tokens, text = model.tokens_read and in_words(model.tokens_read), model.training_text
    cells = (model.name, f"{model.released:%Y-%m}", size, tokens or "–", operations, model.kind, text or "–", sources)
    return f"| {' | '.join(cells)} |\n"


def in_words(value: float) -> str:
    """A large number in three digits: `1.54 billion`."""
    power, name = next((power, name) for power, name in POWERS if value >= power)
    return f"{value / power:.3g}{name}"
