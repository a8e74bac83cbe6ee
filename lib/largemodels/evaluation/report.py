"""Models by the numbers that a report needs: accuracy, macro F1, and each class, with intervals; and their pairs.

`largemodels.evaluation.pairs` makes a table of predictions ready for it, and compares every pair.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from largemodels.evaluation.pairs import answers_of
from largemodels.statistics.comparisons import adjusted_p, mcnemar, paired_bootstrap
from largemodels.statistics.intervals import clustered_mean_interval, percentile_interval, portions, proportion_interval


def model_table(table: pd.DataFrame, classes: list[str], *, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """One row for each model, with its first seed, the most accurate first.

    Columns: model, seeds (how many there are), n, right, accuracy with accuracy_low and accuracy_high (Wilson's, or by
    documents where one has several examples), and macro_f1 with macro_f1_low and macro_f1_high (bootstrap over
    documents). Arguments are those of `class_table`.
    """
    rows = []
    for model, of_model in table.groupby("model", sort=False):
        answers = answers_of(table, model)
        right, documents = answers["right"].to_numpy(), answers["document"].to_numpy()
        values = {"accuracy": accuracy_interval(right, documents)}
        values["macro_f1"] = tuple(each[-1] for each in _f1(answers, classes, resamples, seed))
        row = {"model": model, "seeds": of_model["seed"].nunique(), "n": len(right), "right": int(right.sum())}
        for name, (value, low, high) in values.items():
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, kind="stable", ignore_index=True)


def class_table(
    table: pd.DataFrame, model: str, classes: list[str], *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """One row for each class, as one model with its first seed answers it.

    Columns: label, n (examples of the class), answered (how often it was the answer), right; precision, the share of
    the answers that are right, and recall, the share of the examples that are, each with _low and _high (Wilson's); and
    f1, their harmonic mean, with f1_low and f1_high (bootstrap over documents). A precision of no answers and a recall
    of no examples are NaN; an F1 without either is 0.

    Args:
        table: predictions of `pairs.judged`.
        model: its name.
        classes: their names.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    answers = answers_of(table, model)
    f1, low, high = _f1(answers, classes, resamples, seed)
    rows = []
    for place, label in enumerate(classes):
        is_label, answered = answers["label"] == label, answers["answer"] == label
        right = int((is_label & answered).sum())
        row = {"label": label, "n": int(is_label.sum()), "answered": int(answered.sum()), "right": right}
        for name, of in (("precision", row["answered"]), ("recall", row["n"])):
            interval = proportion_interval(right, of) if of else (np.nan,) * 3
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))
        rows.append(row | {"f1": f1[place], "f1_low": low[place], "f1_high": high[place]})
    return pd.DataFrame(rows)


def pair_table(table: pd.DataFrame, *, resamples: int = 2000, seed: int = 0) -> pd.DataFrame:
    """One row for each pair of models, each with its first seed: the better one by accuracy, and the other.

    Columns: better, other, n, only_better and only_other (examples that one alone gets right), difference with low and
    high (paired bootstrap over documents), p (McNemar's exact test) and holm (p, corrected for all pairs). Where two
    models agree everywhere, the difference and its interval are 0 and p is 1.
    """
    rows = []
    answers = {model: answers_of(table, model) for model in table["model"].unique()}
    names = sorted(answers, key=lambda model: -answers[model]["right"].mean())
    for place, better in enumerate(names):
        for other in names[place + 1 :]:
            first, second = (answers[name]["right"].to_numpy() for name in (better, other))
            test, gain = mcnemar(first, second), None
            documents = answers[better]["document"].to_numpy()
            if len(np.unique(documents)) > 1:
                gain = paired_bootstrap(first, second, clusters=documents, resamples=resamples, seed=seed)
            row = {"better": better, "other": other, "n": test.n}
            row |= {"only_better": test.only_a, "only_other": test.only_b, "difference": test.difference}
            rows.append(row | {"low": gain and gain.low, "high": gain and gain.high, "p": test.p})
    pairs = pd.DataFrame(rows)
    return pairs.assign(holm=adjusted_p(pairs["p"])) if rows else pairs


def accuracy_interval(right: ArrayLike, documents: ArrayLike) -> tuple[float, float, float]:
    """The accuracy and the ends of its 95% interval, by documents where one has several examples, else Wilson's."""
    right = np.asarray(right, dtype=bool)
    if 1 < len(np.unique(documents)) < len(right):
        return clustered_mean_interval(right, documents)
    return proportion_interval(int(right.sum()), len(right))


def _f1(
    answers: pd.DataFrame, classes: list[str], resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The F1 of each class and, last, their mean, with the ends of the bootstrap's intervals, `(classes + 1,)` each."""
    number, place = len(classes), {name: place for place, name in enumerate(classes)}
    cells = (answers["label"].map(place) * number + answers["answer"].map(place)).to_numpy()
    _, document = np.unique(answers["document"].to_numpy(), return_inverse=True)
    by_document = _counts(document, cells, number**2)
    random, resampled = np.random.default_rng(seed), []
    for size in portions(resamples, by_document.shape[0] + number**2):
        documents = by_document.shape[0]
        drawn = random.multinomial(documents, np.full(documents, 1 / documents), size)  # (size, documents)
        resampled.append(_f1_of((by_document.T @ drawn.T).T.reshape(size, number, number)))
    low, high = percentile_interval(np.concatenate(resampled))
    observed = np.bincount(cells, minlength=number**2).reshape(1, number, number)
    return _f1_of(observed)[0], low, high


def _counts(document: np.ndarray, cells: np.ndarray, number: int):
    """How often each document has each cell of the confusion table, sparse, `(documents, cells)`."""
    from scipy.sparse import coo_array

    ones = np.ones(len(cells), dtype=np.int64)
    return coo_array((ones, (document, cells)), shape=(document.max() + 1, number)).tocsr()


def _f1_of(confusions: np.ndarray) -> np.ndarray:
    """The F1 of each class and their mean, `(tables, classes + 1)`, from tables `(tables, classes, classes)`."""
    right = np.diagonal(confusions, axis1=1, axis2=2)
    f1 = 2 * right / np.maximum(confusions.sum(1) + confusions.sum(2), 1)
    return np.column_stack([f1, f1.mean(1)])
