"""What is wrong where: slices, confusions, and classifiers that collapsed to one class.

Intervals of the numbers are in `largemodels.statistics.intervals` and `largemodels.statistics.spread`, comparisons of
two models in `largemodels.statistics.comparisons`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from largemodels.base.checks import class_ids
from largemodels.statistics.comparisons import adjusted_p
from largemodels.statistics.intervals import proportion_intervals

NEARLY_ALWAYS = 0.95  # the share of predictions that makes a collapse


@dataclass(frozen=True)
class MajorityBaseline:
    """What always predicting the most frequent class scores.

    Attributes:
        label: that class, the first of several as frequent.
        count: examples of it.
        n: examples.
    """

    label: int
    count: int
    n: int

    @property
    def accuracy(self) -> float:
        """The share of the most frequent class."""
        return self.count / self.n

    @property
    def f1(self) -> float:
        """The F1 of that class: its recall is 1 and its precision `accuracy`."""
        return 2 * self.accuracy / (1 + self.accuracy)


@dataclass(frozen=True)
class Collapse:
    """A classifier that predicts one class whatever it reads; as a string, one sentence that says so.

    Attributes:
        label: that class.
        name: its name, or its number where classes have no names.
        count: predictions of that class.
        n: predictions.
        baseline: what always predicting the most frequent class scores.
    """

    label: int
    name: str
    count: int
    n: int
    baseline: MajorityBaseline

    @property
    def to_majority(self) -> bool:
        """Whether the class is the most frequent one, so that the accuracy looks better than chance."""
        return self.label == self.baseline.label

    def __str__(self) -> str:
        kind = "majority-class collapse" if self.to_majority else "collapse to one class"
        baseline = f"accuracy {self.baseline.accuracy:.3f} and F1 {self.baseline.f1:.3f}"
        return f"{kind}: {self.name} in {self.count}/{self.n} predictions; the majority class alone has {baseline}"


def majority_baseline(labels: ArrayLike) -> MajorityBaseline:
    """What always predicting the most frequent of the labels `(n,)` scores: the least that a classifier has to beat.

    Examples:
        >>> majority_baseline([0, 1, 1, 1])
        MajorityBaseline(label=1, count=3, n=4)
    """
    counts = np.bincount(class_ids(labels, "labels"))
    return MajorityBaseline(int(counts.argmax()), int(counts.max()), int(counts.sum()))


def collapsed_class(
    predictions: ArrayLike, labels: ArrayLike, *, names: Sequence[str] | None = None
) -> Collapse | None:
    """The class that a classifier predicts nearly always, whatever the label; None where there is no such class.

    A class counts when it is predicted for at least 95% of its examples and of all others. So a good classifier
    on labels of which nearly all are one class has not collapsed, and labels of one class alone show nothing.
    Predictions and labels are `(n,)`, classes from 0; names are in the order of the classes.

    Raises:
        ValueError: for what are no classes, or unequal lengths.

    Examples:
        >>> collapsed_class([1, 1, 1, 1], labels=[0, 1, 0, 1], names=("no", "yes"))
        Collapse(label=1, name='yes', count=4, n=4, baseline=MajorityBaseline(label=0, count=2, n=4))
    """
    predictions, labels = _answers(predictions, labels, None if names is None else len(names))
    label = int(np.bincount(predictions).argmax())
    predicted, of_class = predictions == label, labels == label
    if of_class.all() or any(predicted[group].mean() < NEARLY_ALWAYS for group in (of_class, ~of_class) if group.any()):
        return None
    name = str(label) if names is None else names[label]
    return Collapse(label, name, int(predicted.sum()), len(predicted), majority_baseline(labels))


def confusion_table(predictions: ArrayLike, labels: ArrayLike, names: Sequence[str]) -> pd.DataFrame:
    """How often each class (rows, by name) was taken for each (columns); the diagonal is what was right.

    Arguments and errors are those of `collapsed_class`.

    Examples:
        >>> confusion_table([0, 1, 1], labels=[0, 0, 1], names=("no", "yes"))
        prediction  no  yes
        label
        no           1    1
        yes          0    1
    """
    from sklearn.metrics import confusion_matrix

    predictions, labels = _answers(predictions, labels, len(names))
    counts = confusion_matrix(labels, predictions, labels=range(len(names)))
    return pd.DataFrame(counts, index=pd.Index(names, name="label"), columns=pd.Index(names, name="prediction"))


def _answers(predictions: ArrayLike, labels: ArrayLike, classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true classes as class ids, `(n,)` each, after a check that they go together."""
    predictions, labels = class_ids(predictions, "predictions", classes), class_ids(labels, "labels", classes)
    if len(predictions) != len(labels):
        raise ValueError(f"predictions: {len(predictions)} for {len(labels)} labels")
    return predictions, labels


def slices(frame: pd.DataFrame, by: str | Sequence[str]) -> pd.DataFrame:
    """The accuracy of each slice of the examples, one row a slice, in the order of the slices' names.

    Columns: `n`; `count`, how many are right; `accuracy` with the ends `low` and `high` of its Wilson interval;
    `difference` from the accuracy of all other examples; `p`, of Fisher's exact test of that difference; `adjusted_p`,
    which is Holm's for as many slices as there are. The tests take the examples as independent. With one slice there
    are no others: its difference is NaN, its p 1.

    Args:
        frame: one row an example, with the boolean column `right`.
        by: the column that names the slice, or several; a missing value is a slice too.

    Raises:
        ValueError: for columns that are not there, answers that are not boolean, or an empty table.
    """
    columns = [by] if isinstance(by, str) else list(by)
    if not columns:
        raise ValueError("by: it names no column")
    for column in (*columns, "right"):
        if column not in frame:
            raise ValueError(f"frame: it has no column {column!r}")
    if not len(frame) or not pd.api.types.is_bool_dtype(frame["right"]) or frame["right"].isna().any():
        raise ValueError("frame: its column 'right' is not one boolean an example")
    grouped = frame["right"].astype(bool).groupby([frame[column] for column in columns], dropna=False, observed=True)
    table = grouped.agg(n="size", count="sum")
    n, count = len(frame), int(frame["right"].sum())
    table[["accuracy", "low", "high"]] = proportion_intervals(table["count"], table["n"])
    others = pd.DataFrame({"n": n - table["n"], "count": count - table["count"]})
    table["difference"] = table["accuracy"] - others["count"] / others["n"].where(others["n"] > 0)
    table["p"] = [
        float(stats.fisher_exact([[c, size - c], [o, rest - o]]).pvalue)
        for c, size, o, rest in zip(table["count"], table["n"], others["count"], others["n"], strict=True)
    ]
    return table.assign(adjusted_p=adjusted_p(table["p"]))
