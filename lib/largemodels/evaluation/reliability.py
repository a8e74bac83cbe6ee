"""The reliability diagram: accuracy against confidence, from the tables of `largemodels.statistics.calibration`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from largemodels.figures.style import error_bars


def reliability_figure(tables: Mapping[str, pd.DataFrame], *, ax: Axes, title: str = "") -> Axes:
    """The axes with accuracy drawn against confidence and the accuracies' intervals; the diagonal is calibration.

    Tables are those of `calibration.reliability_table`, by a name such as "raw" or "scaled".
    """
    ax.plot([0, 1], [0, 1], color="#888888", linestyle="--", marker="", linewidth=1, label="calibrated")
    for place, (name, table) in enumerate(tables.items()):
        ends = table["accuracy_low"], table["accuracy_high"]
        error_bars(table["confidence"], table["accuracy"], *ends, place=place, label=name, ax=ax)
    lowest = min((float(table["low"].min()) for table in tables.values()), default=0.0)
    ax.set(xlim=(lowest, 1.01), ylim=(-0.02, 1.02), xlabel="confidence", ylabel="accuracy")
    ax.set_title(title)
    ax.legend()
    return ax
