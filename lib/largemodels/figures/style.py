"""The look of the book's figures: one style, a palette that colour-blind readers can tell apart, and common kinds.

Figures are drawn on white. In the dark their page turns light into dark and keeps the hues, so captions name hues and
shapes, and not black or white: see `book/_static/workbench.css`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

# Okabe and Ito's palette without its yellow, which vanishes on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # colour never stands alone
WIDTH = 7.2  # inches; every figure is as wide, so that a page scales all of them alike


def use_style() -> None:
    """Set Matplotlib's defaults for the book: its style sheet, width and palette."""
    plt.style.use(Path(__file__).with_name("book.mplstyle"))
    mpl.rcParams["figure.figsize"] = (WIDTH, 3.4)
    mpl.rcParams["axes.prop_cycle"] = mpl.cycler(color=PALETTE, marker=MARKERS)


def panels(columns: int, *, height: float = 3.0, rows: int = 1, **options: object) -> tuple[Figure, np.ndarray]:
    """A figure of the book's width and its axes, `(rows · columns,)`. `options` are those of `plt.subplots`."""
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, **options)
    return figure, axes.ravel()


def heatmap(
    weights: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    ax: Axes,
    title: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
) -> Axes:
    """The axes with a matrix as coloured cells with two digits each: row labels on the left, column labels above.

    Args:
        weights: `(len(rows), len(columns))`; of attention, the queries are the rows and the keys the columns.
        limits: the values at the two ends of the colour scale.

    Raises:
        ValueError: for weights of another shape than the labels.
    """
    weights = np.asarray(weights)
    if weights.shape != (len(rows), len(columns)):
        raise ValueError(f"weights: shape {weights.shape} is not that of the labels, {(len(rows), len(columns))}")
    ax.imshow(weights, vmin=limits[0], vmax=limits[1], cmap="Blues", aspect="auto")
    short = max(map(len, columns)) < 4
    ax.set_xticks(range(len(columns)), columns, rotation=0 if short else 55, ha="center" if short else "left")
    ax.set_yticks(range(len(rows)), rows)
    _frame_cells(ax, weights.shape)
    ax.set_title(title)
    for (row, column), value in np.ndenumerate(weights):
        colour = "white" if value > sum(limits) / 2 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    return ax


def mask_grid(mask: ArrayLike, *, ax: Axes, title: str = "") -> Axes:
    """The axes with a boolean mask, `(queries, keys)`: a filled cell is one that a query may attend to."""
    mask = np.asarray(mask)
    ax.imshow(mask, cmap=mpl.colors.ListedColormap(["white", PALETTE[0]]), vmin=0, vmax=1)
    ax.set_xticks([])
    ax.set_yticks([])
    _frame_cells(ax, mask.shape, colour="#bbbbbb")
    ax.set_title(title)
    return ax


def _frame_cells(ax: Axes, shape: tuple[int, ...], colour: str = "white") -> None:
    """Thin lines between the cells of an image, and no grid, frame or tick marks."""
    ax.grid(False)
    ax.set_xticks(np.arange(shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(shape[0] + 1) - 0.5, minor=True)
    ax.grid(which="minor", color=colour, linewidth=1)
    ax.tick_params(which="both", length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)


def bands(
    x: ArrayLike,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]],
    *,
    ax: Axes,
    title: str = "",
    xlabel: str = "",
) -> Axes:
    """The axes with curves drawn and their intervals: each name has `(middle, low, high)`, all as long as `x`.

    Error bars show an interval that is narrower than its line.
    """
    for place, (name, (middle, low, high)) in enumerate(curves.items()):
        ax.fill_between(x, low, high, color=PALETTE[place % len(PALETTE)], alpha=0.2, linewidth=0)
        error_bars(x, middle, low, high, place=place, label=name, ax=ax)
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    return ax


def error_bars(
    x: ArrayLike, middle: ArrayLike, low: ArrayLike, high: ArrayLike, *, place: int, label: str, ax: Axes
) -> None:
    """Draw a curve with its intervals as error bars, in the colour and with the marker of its place in the palette."""
    colour, marker = PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]
    errors = np.abs(np.stack([np.subtract(middle, low), np.subtract(high, middle)]))
    ax.errorbar(x, middle, errors, color=colour, marker=marker, capsize=2.5, elinewidth=1, label=label)
