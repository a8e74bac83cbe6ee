"""The picture of a sweep, chosen by what varies, and the same as a table for those who cannot see it.

One number varies: a line with its intervals. Two parameters: a heat map of the means. A choice, nothing but seeds, or
more than two parameters: dots with intervals.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.core.files import write_atomically
from workbench.core.text import is_number
from workbench.parameters import content
from workbench.runs.headline import headline_metrics
from workbench.sweeps.summary import Summary, axes_of, markdown_table, metric_names, shown_mean

if TYPE_CHECKING:
    from workbench.sweeps.sweep import Sweep

_MOST_AXES = 3  # parameters with a column each in a table
_MOST_COLUMNS = 5  # metrics, or settings, side by side in a table
_MOST_DOTS = 40
_MOST_CELLS = 400
_MOST_NUMBERS = 8  # columns of a heat map whose cells are numbered, or values along a logarithmic axis


def kind_of(axes: list[str], means: list[Summary]) -> str:
    """`line`, `heat map` or `dots`."""
    if len(axes) == 1 and all(is_number(summary.setting[axes[0]]) for summary in means):
        return "line"
    cells = math.prod(len(_levels(means, name)) for name in axes)
    return "heat map" if len(axes) == 2 and cells <= _MOST_CELLS else "dots"


def write_plot(sweep: Sweep, means: list[Summary], metrics: list[str]) -> str:
    """What was drawn, in words, after these metrics are in `plot.png` and as a table in `plot.md`."""
    axes = axes_of(sweep)
    image, words = picture(axes, means, metrics)
    write_atomically(sweep.folder / "plot.png", image)
    write_atomically(sweep.folder / "plot.md", f"{words}\n\n{markdown_table(*table(axes, means, metrics))}")
    return words


def picture(axes: list[str], means: list[Summary], metrics: list[str]) -> tuple[bytes, str]:
    """These metrics over the settings of `axes` as a PNG, and what it shows in words."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    content.figure_style().use_style()
    chosen = [summary for summary in means if summary.metric in metrics]
    kind = kind_of(axes, chosen)
    draw = {"line": _line, "heat map": _heat_map, "dots": _dots}[kind]
    columns = min(2, len(metrics))
    rows = -(-len(metrics) // columns)
    tall = 0.28 * min(_MOST_DOTS, len({str(summary.setting) for summary in chosen})) + 1 if kind == "dots" else 3.2
    figure, panels = plt.subplots(rows, columns, figsize=(7.2, max(2.2, tall) * rows), squeeze=False)
    for ax, metric in zip(panels.ravel(), metrics, strict=False):
        draw(ax, axes, [summary for summary in chosen if summary.metric == metric])
        ax.set_title(textwrap.fill(metric, 38 if columns > 1 else 80))
    for ax in panels.ravel()[len(metrics) :]:
        ax.set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png")
    plt.close(figure)
    return image.getvalue(), _words(axes, chosen, metrics, kind)


def _levels(means: list[Summary], name: str) -> list[Any]:
    """The different values of a parameter: numbers in their order, anything else in that of the request."""
    levels = list({repr(summary.setting[name]): summary.setting[name] for summary in means}.values())
    return sorted(levels) if all(map(is_number, levels)) else levels


def _errors(means: list[Summary]) -> Any:
    """The distances from the means to the ends of their intervals, `(2, settings)`; 0 without an interval."""
    import numpy as np

    ends = [summary.ends or (summary.mean, summary.mean) for summary in means]
    distances = [(summary.mean - low, high - summary.mean) for summary, (low, high) in zip(means, ends, strict=True)]
    return np.maximum(0, distances).T


def _line(ax: Any, axes: list[str], means: list[Summary]) -> None:
    (name,) = axes
    means = sorted(means, key=lambda summary: summary.setting[name])
    values = [summary.setting[name] for summary in means]
    ax.errorbar(values, [summary.mean for summary in means], _errors(means), capsize=3, elinewidth=1)
    if values[0] > 0 and values[-1] >= 10 * values[0]:
        ax.set_xscale("log")
        if len(values) <= _MOST_NUMBERS:  # powers of ten would stand between the values that were tried
            ax.set_xticks(values, [f"{value:g}" for value in values])
            ax.minorticks_off()
    ax.set_xlabel(name)


def _heat_map(ax: Any, axes: list[str], means: list[Summary]) -> None:
    import pandas as pd
    import seaborn as sns

    down, across = (_levels(means, name) for name in axes)
    at = {tuple(repr(summary.setting[name]) for name in axes): summary.mean for summary in means}
    cells = [[at.get((repr(row), repr(column)), math.nan) for column in across] for row in down]
    frame = pd.DataFrame(cells, map(str, down), map(str, across)).rename_axis(index=axes[0], columns=axes[1])
    sns.heatmap(frame, annot=len(across) <= _MOST_NUMBERS, fmt=".3g", cmap="viridis", annot_kws={"size": 8}, ax=ax)


def _dots(ax: Any, axes: list[str], means: list[Summary]) -> None:
    if len(means) > _MOST_DOTS:
        means = sorted(means, key=lambda summary: -summary.mean)[:_MOST_DOTS]
    means = means[::-1]
    places = range(len(means))
    ax.errorbar([summary.mean for summary in means], places, xerr=_errors(means), fmt="o", capsize=3, elinewidth=1)
    ax.set_yticks(places, [_name(summary.setting, axes) for summary in means])
    ax.set_ylim(-0.6, len(means) - 0.4)


def _name(setting: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}{' ' if ' ' in name else '='}{setting[name]}" for name in names) or "all runs"


def _words(axes: list[str], means: list[Summary], metrics: list[str], kind: str) -> str:
    against = f" against {' and '.join(axes)}" if axes else ""
    runs = sorted({summary.runs for summary in means})
    if runs[-1] == 1:
        bars = ", bars are the runs' own 95% intervals" if any(summary.ends for summary in means) else ""
        over = f"; one run each{bars}"
    else:
        each = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        shown = "with both values" if runs == [2] else "with 95% intervals"
        bars = "" if kind == "heat map" else f", {shown}"
        over = f"; means of {each} runs, which differ in the seed{bars}"
    count = len({str(summary.setting) for summary in means})
    left_out = f"; the {_MOST_DOTS} highest of {count} settings" if kind == "dots" and count > _MOST_DOTS else ""
    return f"{kind.capitalize()} of {', '.join(metrics)}{against}{over}{left_out}."


def table(axes: list[str], means: list[Summary], metrics: list[str]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: each setting, how many runs it had, and each metric's mean with its interval.

    Where more parameters vary than fit side by side, one column says what each setting changes in the first one. Where
    there are many metrics and few settings, the metrics are the rows.
    """
    by_setting: dict[str, dict[str, Summary]] = {}
    for summary in means:
        by_setting.setdefault(str(summary.setting), {})[summary.metric] = summary
    settings = [next(iter(of_metric.values())).setting for of_metric in by_setting.values()]
    runs = [str(max(summary.runs for summary in of_metric.values())) for of_metric in by_setting.values()]
    cells = [[shown_mean(of_metric.get(metric)) for metric in metrics] for of_metric in by_setting.values()]
    if len(metrics) > _MOST_COLUMNS and len(settings) <= _MOST_COLUMNS:
        rows = [["runs", *runs], *([metric, *row] for metric, *row in zip(metrics, *cells, strict=True))]
        if len(axes) == 1:
            return [*axes, *(str(setting[axes[0]]) for setting in settings)], rows
        return ["", *(_name(setting, axes) for setting in settings)], rows
    if len(axes) > _MOST_AXES:
        changed = [[name for name in axes if setting[name] != settings[0][name]] or axes for setting in settings]
        labels = [[_name(setting, names)] for setting, names in zip(settings, changed, strict=True)]
        headings = ["setting"]
    else:
        labels, headings = [[str(setting[name]) for name in axes] for setting in settings], axes
    return [*headings, "runs", *metrics], [
        [*label, number, *row] for label, number, row in zip(labels, runs, cells, strict=True)
    ]


def chosen_metrics(means: list[Summary], wanted: Sequence[str], headline: Sequence[str]) -> list[str]:
    """The metrics to show: the wanted ones, or those that the chapter's headline or what varies decides.

    Where there is one setting, a metric varies whose interval over the seeds has a width.
    """
    names = metric_names(means)
    if shown := [name for name in wanted if name in names]:
        return shown
    by_metric = {name: [summary for summary in means if summary.metric == name] for name in names}
    if len({str(summary.setting) for summary in means}) > 1:
        values = {name: [summary.mean for summary in each] for name, each in by_metric.items()}
    else:
        values = {name: [each[0].low, each[0].high] for name, each in by_metric.items()}
    return headline_metrics(headline, values)
