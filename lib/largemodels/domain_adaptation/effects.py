"""The effect of each remedy on each target, over seeds and test examples.

It is computed from recorded answers (`largemodels.data.predictions`) of runs that differ in the seed and perhaps in the
target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.metrics import f1_score

from largemodels.base.errors import InputError
from largemodels.data.predictions import read_predictions
from largemodels.evaluation.error_analysis import collapsed_class
from largemodels.figures.style import MARKERS, PALETTE
from largemodels.statistics.comparisons import ALPHA, PairedDifference, adjusted_p
from largemodels.statistics.spread import seed_and_test_interval

LOWEST = -20.0  # points of accuracy, where the panels of the figure begin


def read_answers(paths: Sequence[Path], file: str) -> pd.DataFrame:
    """The predictions at these places, one after the other; of runs that kept several files, those of one name."""
    tables = [read_predictions(path) for path in paths]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return whole[whole["file"] == file] if "file" in whole else whole


def targets_of(table: pd.DataFrame) -> pd.Series:
    """The name of each row's target, `(rows,)`, from the columns of parameters that begin with "target".

    A list of libraries is joined by commas. The name is "" where no such parameter varied, in runs of one target.
    """
    columns = [table[column].map(_joined) for column in table if column.startswith("target")]
    names = pd.Series("", index=table.index, dtype=object)
    return columns[0].str.cat(columns[1:], sep=" ") if columns else names


def _joined(value: object) -> str:
    return ",".join(value) if isinstance(value, (list, np.ndarray)) else str(value)


def effects(answers: pd.DataFrame) -> pd.DataFrame:
    """Every method on every target compared with "nothing": one row each, in the order of the answers.

    `targets_of` tells targets apart; where there are several, a last one, "all", has the examples of all of them.
    Columns: target, method, seeds, n (examples), base_accuracy and accuracy (means over seeds), difference with low and
    high (95%, over seeds and documents: `spread.seed_and_test_interval`), p, and p_holm, corrected for all rows. The
    model of the answers is the method.

    Raises:
        InputError: for answers without "nothing" or of "nothing" alone, of fewer than two seeds, or of a method that
            lacks a seed or an example.
    """
    parts, base = _by_target(answers), "nothing"
    rows = [_compared(name, method, base, [part]) for name, part in parts.items() for method in part if method != base]
    if len(parts) > 1:
        everywhere = [method for method in next(iter(parts.values())) if all(method in part for part in parts.values())]
        rows += [_compared("all", method, base, list(parts.values())) for method in everywhere if method != base]
    if not rows:
        raise InputError(f"answers: all are those of {base!r}; there is no method to compare with it")
    table = pd.DataFrame(rows)
    return table.assign(p_holm=adjusted_p(table["p"]))


def difference(answers: pd.DataFrame, method: str, base: str) -> PairedDifference:
    """One method compared with another over all targets, without correction: for a comparison planned before.

    Arguments and errors are those of `effects`.
    """
    row = _compared("all", method, base, list(_by_target(answers).values()))
    return PairedDifference(row["difference"], row["p"], row["low"], row["high"])


def _by_target(answers: pd.DataFrame) -> dict[str, dict[str, pd.DataFrame]]:
    """The `_right_answers` about each target, by its name."""
    if "seed" not in answers or answers["seed"].nunique() < 2:
        raise InputError("answers: they are of one seed; an interval over seeds needs two or more")
    return {name: _right_answers(group) for name, group in answers.groupby(targets_of(answers), sort=False)}


def _right_answers(answers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Whether each method was right with each seed (rows) about each example and its document (columns): 0 or 1."""
    table = answers.assign(
        occurrence=answers.groupby(["seed", "model", "example"]).cumcount(),
        document=answers["document" if "document" in answers else "example"].fillna(answers["example"]).astype(str),
    )
    wide = table.pivot(index=["model", "seed"], columns=["example", "occurrence", "document"], values="right")
    methods = list(dict.fromkeys(answers["model"]))
    if wide.isna().to_numpy().any() or len(wide) != len(methods) * answers["seed"].nunique():
        raise InputError("answers: not every method was asked about every example with every seed")
    return {method: wide.loc[method].astype(float) for method in methods}


def _compared(target: str, method: str, base: str, parts: Sequence[Mapping[str, pd.DataFrame]]) -> dict:
    """A row of `effects`, from the `_right_answers` about one target or about several."""
    for name in (method, base):
        if not all(name in part for part in parts):
            raise InputError(f"answers: none are those of {name!r}; there are {', '.join(parts[0])}")
    first, second = (np.hstack([part[name].to_numpy() for part in parts]) for name in (method, base))
    documents = np.concatenate([part[base].columns.get_level_values("document") for part in parts])
    interval = seed_and_test_interval(first - second, documents)
    row = {"target": target, "method": method, "seeds": len(first), "n": first.shape[1]}
    row |= {"base_accuracy": second.mean(), "accuracy": first.mean()}
    return row | {"difference": interval.difference, "low": interval.low, "high": interval.high, "p": interval.p}


def means_beside(answers: Path, ending: str) -> dict[tuple[str, str], float]:
    """The mean of a metric of each method, by target and method, from the results that are recorded beside the answers.

    Empty where there are none: answers may come from elsewhere. `targets_of` names the targets, as in the answers.
    The metric of a method is that named METHOD and the ending, "_seconds" or "_reading_loss", see `metric_name`.
    """
    results = answers.with_name("results.parquet")
    if not results.is_file():
        return {}
    table = pd.read_parquet(results)
    same = [column for column in table if column.startswith("target") and table[column].map(_joined).nunique() < 2]
    table = table.drop(columns=same)  # as in the answers, which have what varied
    table = table[table["metric"].str.endswith(ending)]
    means = table["value"].groupby([targets_of(table), table["metric"]]).mean()
    return {(name, metric.removesuffix(ending)): float(mean) for (name, metric), mean in means.items()}


def parameters_beside(answers: Path) -> dict[str, object]:
    """The parameters of the sweep that is recorded beside the answers; empty where there is none."""
    sweep = answers.with_name("sweep.json")
    return json.loads(sweep.read_text(encoding="utf-8"))["parameters"]["resolved"] if sweep.is_file() else {}


def collapses(answers: pd.DataFrame) -> pd.DataFrame:
    """The alarm: where a method gives nearly all examples one answer, whatever their class; a row each, perhaps none.

    Columns: method, target, seed, answer, share (of the examples that get it) and accuracy. See
    `error_analysis.collapsed_class`, which says what counts.
    """
    rows, names = [], sorted(set(answers["label"]) | set(answers["answer"])) if len(answers) else []
    seeds = answers["seed"] if "seed" in answers else pd.Series(0, index=answers.index)
    keys = {"method": "model", "target": targets_of(answers), "seed": seeds} if len(answers) else {}
    for key, group in answers.groupby(list(keys.values()), sort=False) if len(answers) else ():
        codes = (pd.Categorical(group[column], names).codes for column in ("answer", "label"))
        if found := collapsed_class(*codes, names=names):
            said = {"answer": found.name, "share": found.count / found.n, "accuracy": float(group["right"].mean())}
            rows.append(dict(zip(keys, key, strict=True)) | said)
    return pd.DataFrame(rows, columns=["method", "target", "seed", "answer", "share", "accuracy"])


def metric_name(method: str) -> str:
    """A method's name as metrics have it: "deep coral" becomes deep_coral."""
    return "".join(letter if letter.isalnum() else "_" for letter in method)


def effects_table(table: pd.DataFrame, seconds: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """The result of `effects` as text: a row a method, for each target the difference in points, with its ends.

    A star stands where p, corrected for all rows, is at most 0.05; the last column is the cost of a method in
    seconds, the mean over targets.
    """
    cells = [
        f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
        f"{' *' if row.p_holm <= ALPHA else ''}"
        for row in table.itertuples()
    ]
    shown = table.assign(cell=cells).pivot(index="method", columns="target", values="cell")
    shown = shown.loc[table["method"].unique(), table["target"].unique()]
    if seconds:
        costs = pd.Series(seconds).groupby(level=1).mean()
        shown = shown.assign(seconds=[f"{costs.get(metric_name(method), np.nan):.0f}" for method in shown.index])
    return shown


def effects_figure(table: pd.DataFrame, *, axes: Sequence[Axes]) -> None:
    """Draw the differences of `effects` in points with their intervals, one panel a target.

    Markers are filled where a difference survives correction; one below `LOWEST` is written at the edge, above its bar.
    """
    methods = list(dict.fromkeys(table["method"]))[::-1]
    heights = np.arange(len(methods))
    for place, (ax, (target, rows)) in enumerate(zip(axes, table.groupby("target", sort=False), strict=True)):
        rows, colour = rows.set_index("method").reindex(methods), PALETTE[place]
        rows[["difference", "low", "high"]] *= 100
        survives = (rows["p_holm"] <= ALPHA).to_numpy()
        ax.hlines(heights, rows["low"], rows["high"], color=colour, linewidth=1.4)
        for some, face in ((survives, colour), (~survives, "white")):
            look = {"color": colour, "marker": MARKERS[place], "markerfacecolor": face, "linestyle": ""}
            ax.plot(rows["difference"][some], heights[some], **look)
        for height in heights[(rows["difference"] < LOWEST).to_numpy()]:
            said = f"← {rows['difference'].iloc[height]:.1f}".replace("-", "\N{MINUS SIGN}")
            beside = {"textcoords": "offset points", "xytext": (3, 3), "fontsize": 8}
            ax.annotate(said, (LOWEST, height), color=colour, va="bottom", **beside)
        ax.axvline(0, color="grey", linestyle="--", linewidth=1, marker="")
        ax.set(yticks=heights, yticklabels=methods, xlim=(LOWEST, None))
        ax.set_title(target)


def accuracy_and_f1(pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy and macro F1 of every source (rows) on every target (columns), the mean over seeds.

    Args:
        pairs: predictions whose model is the source and whose library is the target; with or without a seed.
    """
    pairs = pairs if "seed" in pairs else pairs.assign(seed=0)
    groups = pairs.groupby(["model", "library", "seed"], sort=False)
    f1 = [f1_score(rows["label"], rows["answer"], average="macro", zero_division=0) for _, rows in groups]
    by_seed = groups[["right"]].mean().assign(f1=f1)
    means = by_seed.groupby(["model", "library"], sort=False).mean().unstack()
    sources, targets = pairs["model"].unique(), pairs["library"].unique()
    return means["right"].loc[sources, targets], means["f1"].loc[sources, targets]
