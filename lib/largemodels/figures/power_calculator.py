"""Can my test set tell these two models apart? A calculator that works in a built page and in JupyterLab.

Its script is `comparisons.paired_power` in JavaScript, by the same exact enumeration. It works with keyboard and mouse,
follows the page's light or dark colours, and carries the designs that it offers as a table for readers without script.
"""

from __future__ import annotations

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
        offered = {name: self._values(design) for name, design in self.designs.items()}
        first = next(iter(self.designs))
        values = {
            "values": offered,
            "first": offered[first],
            "says": self._sentence(self.designs[first]),
            "rows": {name: self._row(design) for name, design in self.designs.items()},
            "most": MOST,
        }
        return figure_html(
            "power-calculator",
            {"power": self.power},
            Path(__file__).with_name("power_calculator.html").read_text(encoding="utf-8"),
            values,
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

    def _row(self, design: PairedDesign) -> tuple[str, ...]:
        difference = f"{100 * design.difference:.2f} points"
        return f"{design.n:,}", f"{design.discordant_share:.1%}", difference, *self._results(design)
