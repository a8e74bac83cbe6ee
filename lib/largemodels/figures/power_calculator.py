"""Can my test set tell these two models apart? A calculator that works in a built page and in JupyterLab.

Its script is `comparisons.paired_power` in JavaScript, by the same exact enumeration. It works with keyboard and mouse,
follows the page's light or dark colours, and carries the designs that it offers as a table for readers without script.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from largemodels.figures.interactive import figure_html
from largemodels.statistics.comparisons import ALPHA, paired_power, smallest_difference

MOST = 100_000  # examples that a browser still enumerates within a second


@dataclass(frozen=True)
class PairedDesign:
    """Two models on one test set: what the power of McNemar's test depends on.

    Attributes:
        n: examples.
        discordant_share: the share of them that exactly one of the two models gets right.
        difference: of the accuracies, as a share.
    """

    n: int
    discordant_share: float
    difference: float


@dataclass(frozen=True)
class PowerCalculator:
    """A form for a test set and two models that says what McNemar's test (mid-p) would find; shown as HTML.

    Attributes:
        designs: what a click fills in, by name; the first is filled in from the start.
        alpha: the level of the test, from the start.
        power: the chance that the smallest difference is said for.
        caption: plain text under the form.

    Raises:
        ValueError: when there is no design, or one that cannot be.
    """

    designs: Mapping[str, PairedDesign]
    alpha: float = ALPHA
    power: float = 0.8
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.designs:
            raise ValueError("designs: there is none to fill in")
        for name, design in self.designs.items():
            if design.n > MOST:
                raise ValueError(f"designs: {name} has {design.n} examples, more than the {MOST} of the page")
            self._results(design)

    def _results(self, design: PairedDesign) -> tuple[str, str]:
        """The power of the test, and the smallest difference that it finds with the wanted power, as text."""
        power = paired_power(design.n, design.discordant_share, design.difference, self.alpha)
        try:
            least = smallest_difference(design.n, design.discordant_share, self.power, self.alpha)
        except ValueError:  # so few examples never give that power
            return f"{power:.2f}", "none"
        return f"{power:.2f}", f"{100 * least:.2f} points"

    def __repr__(self) -> str:
        """What the test finds in each design, as text."""
        return "\n".join(f"{name}: {self._sentence(design)}" for name, design in self.designs.items())

    def _sentence(self, design: PairedDesign) -> str:
        power, smallest = self._results(design)
        return (
            f"n = {design.n}, {design.discordant_share:.1%} discordant, difference "
            f"{100 * design.difference:.2f} points: power {power}, smallest difference {smallest}"
        )

    def _repr_html_(self) -> str:
        values = {name: self._values(design) for name, design in self.designs.items()}
        first = next(iter(self.designs))
        body = [
            _buttons(values),
            _fields(values[first]),
            f'<p class="says" role="status">{html.escape(self._sentence(self.designs[first]))}</p>',
            "<details><summary>What is offered, as a table</summary>",
            f'<div class="scroll">{self._table()}</div></details>',
        ]
        return figure_html(
            "power-calculator",
            {"power": self.power},
            body,
            content=[values, self.power, self.caption],
            caption=self.caption,
            style=Path(__file__).with_name("power_calculator.css").read_text(encoding="utf-8"),
            script=Path(__file__).with_name("power_calculator.js").read_text("utf-8").replace("MOST", str(MOST)),
        )

    def _values(self, design: PairedDesign) -> dict[str, float]:
        return {
            "n": design.n,
            "discordant": float(f"{100 * design.discordant_share:.4g}"),
            "difference": float(f"{100 * abs(design.difference):.4g}"),
            "alpha": self.alpha,
        }

    def _table(self) -> str:
        header = ("comparison", "examples", "discordant", "difference", "power", "smallest difference")
        rows = []
        for name, design in self.designs.items():
            cells = (
                f"{design.n:,}",
                f"{design.discordant_share:.1%}",
                f"{100 * design.difference:.2f} points",
                *self._results(design),
            )
            shown = "".join(f"<td>{cell}</td>" for cell in cells)
            rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{shown}</tr>')
        columns = "".join(f'<th scope="col">{name}</th>' for name in header)
        return f"<table><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _buttons(values: Mapping[str, Mapping[str, float]]) -> str:
    buttons = (
        f'<button type="button" data-values="{html.escape(json.dumps(filled))}">{html.escape(name)}</button>'
        for name, filled in values.items()
    )
    return f'<div class="offered" role="group" aria-label="Fill in">{"".join(buttons)}</div>'


def _fields(values: Mapping[str, float]) -> str:
    described = {
        "n": ("examples in the test set", f'min="1" max="{MOST}" step="1"'),
        "discordant": ("discordant pairs, % of them", 'min="0" max="100" step="any"'),
        "difference": ("difference of accuracy, points", 'min="0" max="100" step="any"'),
        "alpha": ("level of the test, α", 'min="0" max="1" step="any"'),
    }
    fields = (
        f'<label>{label}<input type="number" name="{name}" value="{_without_zeros(values[name])}" {limits} required>'
        "</label>"
        for name, (label, limits) in described.items()
    )
    return f'<div class="fields">{"".join(fields)}</div>'


def _without_zeros(value: float) -> str:
    """A number as people write it: 5, not 5.0."""
    return str(value).removesuffix(".0")
