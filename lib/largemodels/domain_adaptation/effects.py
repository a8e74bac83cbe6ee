"""What each remedy changes on each target, over seeds and test examples: the one table of the chapter on adaptation.

It is made from kept answers (`largemodels.data.predictions`) of runs that differ in the seed and perhaps in the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.metrics import f1_score

from largemodels.base.errors import InputError
from largemodels.data.predictions import read_predictions
from largemodels.figures.style import MARKERS, PALETTE
from largemodels.statistics.comparisons import PairedDifference, adjusted_p
from largemodels.statistics.spread import seed_and_test_interval

_METHOD, _EXAMPLE = ["seed", "model"], ["example", "occurrence"]


def read_answers(paths: Sequence[Path], file: str) -> pd.DataFrame:
    """The predictions at these places, one after the other; of runs that kept several files, those of one name."""
    tables = [read_predictions(path) for path in paths]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return whole[whole["file"] == file] if "file" in whole else whole


def targets_of(table: pd.DataFrame) -> pd.Series:
    """The name of each row's target, `(rows,)`: what the columns of the chapter's parameters hold that begin with it.

    A list of libraries is joined by commas. It is "" throughout where no such parameter varied, in runs of one target.
    """
    columns = [table[column].map(_joined) for column in table if column.startswith("target")]
    names = pd.Series("", index=table.index, dtype=object)
    return columns[0].str.cat(columns[1:], sep=" ") if columns else names


def _joined(value: object) -> str:
    return ",".join(value) if isinstance(value, (list, np.ndarray)) else str(value)


def effects(answers: pd.DataFrame, *, base: str = "nothing") -> pd.DataFrame:
    """Every method on every target compared with `base`: one row each, in the order of the answers.

    `targets_of` tells targets apart; where there are several, a last one, "all", has the examples of all of them.
    Columns: target, method, seeds, n (examples), base_accuracy and accuracy (means over seeds), difference with low and
    high (95%, over seeds and documents: `evaluation.seed_and_test_interval`), p, and p_holm, corrected for all rows.

    Args:
        answers: predictions whose model is the method, with a seed in each row.
        base: what the others are compared with.

    Raises:
        InputError: for answers without `base`, of fewer than two seeds, or of a method that lacks a seed or an example.
    """
    parts = _by_target(answers)
    rows = [
        _compared(name, method, base, [part]) for name, part in parts.items() for method in part.right if method != base
    ]
    if len(parts) > 1:
        everywhere = [method for method in next(iter(parts.values())).right if method != base]
        everywhere = [method for method in everywhere if all(method in part.right for part in parts.values())]
        rows += [_compared("all", method, base, list(parts.values())) for method in everywhere]
    table = pd.DataFrame(rows)
    return table.assign(p_holm=adjusted_p(table["p"]))


def difference(answers: pd.DataFrame, method: str, base: str) -> PairedDifference:
    """One method compared with another over all targets, without correction: for a comparison planned before.

    Arguments and errors are those of `effects`.
    """
    row = _compared("all", method, base, list(_by_target(answers).values()))
    return PairedDifference(row["difference"], row["p"], row["low"], row["high"])


@dataclass(frozen=True)
class RightAnswers:
    """Whether each method was right with each seed.

    Attributes:
        right: by method, 0 or 1, `(seeds, examples)`.
        documents: of each example, `(examples,)`.
    """

    right: dict[str, np.ndarray]
    documents: np.ndarray


def _by_target(answers: pd.DataFrame) -> dict[str, RightAnswers]:
    if "seed" not in answers or answers["seed"].nunique() < 2:
        raise InputError("answers: they are of one seed; an interval over seeds needs two or more")
    return {name: right_answers(group) for name, group in answers.groupby(targets_of(answers), sort=False)}


def _compared(target: str, method: str, base: str, parts: Sequence[RightAnswers]) -> dict:
    """A row of `effects`, from the examples of one target or of several."""
    for name in (method, base):
        if not all(name in part.right for part in parts):
            raise InputError(f"answers: none are those of {name!r}; there are {', '.join(parts[0].right)}")
    first, second = (np.hstack([part.right[name] for part in parts]) for name in (method, base))
    documents = np.concatenate([part.documents for part in parts])
    found = seed_and_test_interval(first - second, documents)
    row = {"target": target, "method": method, "seeds": len(first), "n": first.shape[1]}
    row |= {"base_accuracy": second.mean(), "accuracy": first.mean()}
    return row | {"difference": found.difference, "low": found.low, "high": found.high, "p": found.p}


def right_answers(answers: pd.DataFrame) -> RightAnswers:
    """The answers of one target, by method, seed and example.

    Raises:
        InputError: for a method that was not asked about the same examples with every seed.
    """
    table = answers.assign(occurrence=answers.groupby([*_METHOD, "example"]).cumcount())
    wide = table.pivot(index=_METHOD, columns=_EXAMPLE, values="right")
    methods = list(dict.fromkeys(answers["model"]))
    if wide.isna().to_numpy().any() or len(wide) != len(methods) * answers["seed"].nunique():
        raise InputError("answers: not every method was asked about every example with every seed")
    document = table["document" if "document" in table else "example"].fillna(table["example"])
    documents = table.assign(own=document).drop_duplicates(_EXAMPLE).set_index(_EXAMPLE)["own"].reindex(wide.columns)
    right = {method: wide.xs(method, level="model").to_numpy(dtype=float) for method in methods}
    return RightAnswers(right, documents.to_numpy(dtype=str))


def seconds_beside(answers: Path) -> dict[tuple[str, str], float]:
    """The mean seconds of each method, by target and method, from the results that are recorded beside the answers.

    Empty where none are: answers may come from elsewhere. Targets are named as by `targets_of`, and the metric is
    called METHOD_seconds, see `metric_name`.
    """
    results = answers.with_name("results.parquet")
    if not results.is_file():
        return {}
    table = pd.read_parquet(results)
    table = table[table["metric"].str.endswith("_seconds")]
    means = table["value"].groupby([targets_of(table), table["metric"]]).mean()
    return {(name, metric.removesuffix("_seconds")): float(mean) for (name, metric), mean in means.items()}


def metric_name(method: str) -> str:
    """A method's name as metrics have it: "deep coral" becomes deep_coral."""
    return "".join(letter if letter.isalnum() else "_" for letter in method)


def readable(table: pd.DataFrame, seconds: Mapping[tuple[str, str], float], alpha: float = 0.05) -> pd.DataFrame:
    """The table of `effects` as people read it: methods down, for each target the difference in points, with its ends.

    A star stands where p, corrected for all rows, is at most `alpha`; the last column is the cost of a method in
    seconds, the mean over targets.
    """
    cells = [
        f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
        f"{' *' if row.p_holm <= alpha else ''}"
        for row in table.itertuples()
    ]
    shown = table.assign(cell=cells).pivot(index="method", columns="target", values="cell")
    shown = shown.loc[list(dict.fromkeys(table["method"])), list(dict.fromkeys(table["target"]))]
    if seconds:
        cost = {
            method: np.mean([own for (_, name), own in seconds.items() if name == metric_name(method)])
            for method in shown.index
        }
        shown = shown.assign(seconds=[f"{cost[method]:.0f}" for method in shown.index])
    return shown


def effects_figure(table: pd.DataFrame, *, axes: Sequence[Axes], lowest: float = -0.2) -> None:
    """Draw the differences of `effects` with their intervals, one panel a target; filled where they survive correction.

    Args:
        table: as `effects` gives it.
        axes: as many as there are targets, side by side.
        lowest: where the panels begin; a difference below is written at the edge.
    """
    methods = list(dict.fromkeys(table["method"]))[::-1]
    for place, (ax, (target, own)) in enumerate(zip(axes, table.groupby("target", sort=False), strict=True)):
        own = own.set_index("method").reindex(methods)
        survives = (own["p_holm"] <= 0.05).to_numpy()
        heights, colour = np.arange(len(methods)), PALETTE[place]
        ax.hlines(heights, own["low"], own["high"], color=colour, linewidth=1.4)
        for filled in (True, False):
            some = survives == filled
            face = colour if filled else "white"
            ax.plot(
                own["difference"][some], heights[some], MARKERS[place], color=colour, markerfacecolor=face, linestyle=""
            )
        for height in heights[(own["difference"] < lowest).to_numpy()]:
            ax.text(lowest, height, f" ← {own['difference'].iloc[height]:.2f}", color=colour, va="center", fontsize=8)
        ax.axvline(0, color="grey", linestyle="--", linewidth=1, marker="")
        ax.set(yticks=heights, yticklabels=methods, xlim=(lowest, None))
        ax.set_title(target)


def accuracy_and_f1(pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy and macro F1 of every source (rows) on every target (columns), the mean over seeds.

    Args:
        pairs: predictions whose model is the source and whose library is the target; with or without a seed.
    """
    pairs = pairs if "seed" in pairs else pairs.assign(seed=0)
    names = list(dict.fromkeys(pairs["model"]))
    rows = [
        {
            "source": source,
            "target": target,
            "accuracy": own["right"].mean(),
            "f1": f1_score(own["label"], own["answer"], average="macro", zero_division=0),
        }
        for (source, target, _), own in pairs.groupby(["model", "library", "seed"], sort=False)
    ]
    means = pd.DataFrame(rows).groupby(["source", "target"]).mean()
    targets = list(dict.fromkeys(pairs["library"]))
    accuracy, f1 = (means[what].unstack().loc[names, targets] for what in ("accuracy", "f1"))
    return accuracy, f1
