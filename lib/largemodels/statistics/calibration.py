"""Are probabilities worth what they say? Reliability, calibration error and its bias, and the temperature against it.

A model is calibrated when, of all answers that it gives with confidence 0.8, it gets 80% right. Rows that are no
distributions, labels that are not their classes, and numbers below their range are a `ValueError` with the argument.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, special

from largemodels.base.checks import as_distributions, class_ids
from largemodels.statistics.intervals import percentile_interval, portions, proportion_intervals

BINS = 15
"""Bins of Guo et al. 2017, and of most after them."""
TEMPERATURES = (0.01, 100.0)
"""The range that is searched for the best temperature."""


def reliability_table(
    probabilities: ArrayLike, labels: ArrayLike, *, bins: int = BINS, adaptive: bool = False
) -> pd.DataFrame:
    """How often answers are right, by how sure the model is of them: one row for each bin that holds some.

    An answer is the most probable class, and its probability is the confidence. Bins are equally wide, with their upper
    end but not their lower one (Guo et al. 2017); or, if `adaptive`, hold equally many answers, give or take one
    (Nguyen and O'Connor 2015; Nixon et al. 2019). Equal confidences always share a bin, so that the order of the
    examples does not matter.

    Columns: `low` and `high`, the ends of the bin (if adaptive, its least and greatest confidence); `n` answers; their
    mean `confidence` and their `accuracy`, with the ends `accuracy_low` and `accuracy_high` of its Wilson interval.

    Args:
        probabilities: `(n, classes)`, each row a distribution.
        labels: `(n,)`, the true classes.
        bins: their number at most.
        adaptive: bins of equal mass instead of equal width.

    Examples:
        >>> probabilities = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.4, 0.6]]
        >>> table = reliability_table(probabilities, labels=[0, 0, 1, 1], bins=2)
        >>> table[["low", "high", "n", "confidence", "accuracy"]]
           low  high  n  confidence  accuracy
        0  0.5   1.0  4       0.725      0.75
    """
    confidence, right = _answers(probabilities, labels)
    bin_of = _bin_of(confidence, bins, adaptive)
    answers = pd.DataFrame({"bin": bin_of, "confidence": confidence, "right": right})
    table = answers.groupby("bin").agg(
        low=("confidence", "min"),
        high=("confidence", "max"),
        n=("right", "size"),
        confidence=("confidence", "mean"),
        count=("right", "sum"),
    )
    if not adaptive:
        table["low"], table["high"] = table.index / bins, (table.index + 1) / bins
    table[["accuracy", "accuracy_low", "accuracy_high"]] = proportion_intervals(table["count"], table["n"])
    return table.drop(columns="count").reset_index(drop=True)


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, *, bins: int = BINS, adaptive: bool = False
) -> float:
    """The mean distance of confidence and accuracy, 0 to 1: Σ n_b/n · abs(accuracy_b − confidence_b) over the bins.

    Follows Guo et al. 2017; adaptive bins make it the adaptive calibration error of the most probable class (Nguyen and
    O'Connor 2015; Nixon et al. 2019). It is biased upwards: even a perfectly calibrated model has one above 0, the more
    so the more bins there are and the fewer examples; see `expected_ece_of_perfect_calibration`. Arguments and errors
    are those of `reliability_table`.

    Examples:
        >>> round(expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], labels=[0, 1]), 2)
        0.4
    """
    confidence, right = _answers(probabilities, labels)
    gaps = np.bincount(_bin_of(confidence, bins, adaptive), weights=right - confidence)  # n_b · (accuracy − confidence)
    return float(np.abs(gaps).sum()) / len(right)


def expected_ece_of_perfect_calibration(
    probabilities: ArrayLike, *, bins: int = BINS, adaptive: bool = False, draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """The calibration error that these confidences would show if they were perfectly calibrated: `(mean, low, high)`.

    By simulation: in each draw an answer of confidence c is right with probability c, and `low` and `high` hold 95% of
    the draws. So the mean is the bias of the error at this size and with these bins, and an error above `high` is more
    than chance (Bröcker and Smith 2007 draw reliability diagrams so; Vaicenavicius et al. 2019 test with it).

    Args:
        probabilities: `(n, classes)`, each row a distribution.
        bins: their number at most, as for `reliability_table`.
        adaptive: bins of equal mass instead of equal width.
        draws: test sets to simulate.
        seed: of the draws.
    """
    if draws < 1:
        raise ValueError(f"draws: {draws} is not at least 1")
    confidence = as_distributions(probabilities).max(1)
    bin_of = _bin_of(confidence, bins, adaptive)
    order = np.argsort(bin_of, kind="stable")
    confidence, starts = confidence[order], np.unique(bin_of[order], return_index=True)[1]
    random, errors = np.random.default_rng(seed), []
    for size in portions(draws, len(confidence)):
        right = random.random((size, len(confidence))) < confidence
        gaps = np.add.reduceat(right - confidence, starts, axis=1)  # (draws, bins)
        errors.append(np.abs(gaps).sum(1) / len(confidence))
    error = np.concatenate(errors)  # (draws,)
    low, high = percentile_interval(error)
    return float(error.mean()), float(low), float(high)


def fit_temperature(log_probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T for which softmax(log_probabilities / T) has the smallest log loss on these examples.

    Above 1 it makes a model less sure, below 1 surer; the most probable class stays the same. The loss is convex in
    1/T, so there is one best T. `TEMPERATURES` alone are searched: the result is their lower end where every answer is
    right (the surer the better), and nearly the upper end where the model knows no more than chance.

    Follows Guo et al. 2017, section 4.2. Fit it on validation examples: on the test set it would flatter the model.

    Args:
        log_probabilities: `(n, classes)`, logits or log-probabilities, finite.
        labels: `(n,)`, the true classes.

    Examples:
        >>> surer_than_right = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]  # logits
        >>> round(fit_temperature(surer_than_right, labels=[0, 0, 1, 1]), 2)
        3.64
    """
    logits = _logits(log_probabilities)
    labels = _labels_of(logits, labels, "log_probabilities")
    logits = logits - logits[np.arange(len(labels)), labels, None]  # how far each class is above the true one
    if logits.max() <= 0:
        return TEMPERATURES[0]

    def log_loss(log_temperature: float) -> float:
        return float(special.logsumexp(logits / np.exp(log_temperature), axis=1).mean())

    options = {"xatol": 1e-8, "maxiter": 500}
    best = optimize.minimize_scalar(log_loss, bounds=np.log(TEMPERATURES), method="bounded", options=options)
    return float(np.exp(best.x))


def apply_temperature(log_probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """The probabilities softmax(log_probabilities / temperature), `(n, classes)`; with 1, those of the model itself.

    Examples:
        >>> apply_temperature([[4.0, 0.0]], temperature=2.0).round(2)
        array([[0.88, 0.12]])
    """
    if not temperature > 0:
        raise ValueError(f"temperature: {temperature} is not above 0")
    return special.softmax(_logits(log_probabilities) / temperature, axis=1)


def _answers(probabilities: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each answer, and whether it is right, both `(n,)`."""
    rows = as_distributions(probabilities)
    return rows.max(1), rows.argmax(1) == _labels_of(rows, labels, "probabilities")


def _labels_of(rows: np.ndarray, labels: ArrayLike, name: str) -> np.ndarray:
    """The labels as class ids, `(n,)`, after a check that they fit the rows of this name, `(n, classes)`."""
    labels = class_ids(labels, "labels", rows.shape[1])
    if len(labels) != len(rows):
        raise ValueError(f"labels: {len(labels)} for {len(rows)} rows of {name}")
    return labels


def _bin_of(confidence: np.ndarray, bins: int, adaptive: bool) -> np.ndarray:
    """The number of each answer's bin, `(n,)`, from 0."""
    if bins < 1:
        raise ValueError(f"bins: {bins} is not at least 1")
    if adaptive:
        below = np.searchsorted(np.sort(confidence), confidence)  # answers less sure than this one
        return below * bins // len(confidence)
    ends = np.arange(1, bins + 1) / bins  # each the float nearest to k/bins, so that 0.7 ends the seventh of ten
    return np.searchsorted(ends, confidence)


def _logits(log_probabilities: ArrayLike) -> np.ndarray:
    """The log-probabilities as float64, `(n, classes)`, after a check that all are finite."""
    logits = np.asarray(log_probabilities, dtype=float)
    if logits.ndim != 2 or not logits.size:
        raise ValueError(f"log_probabilities: shape {logits.shape} is not (n, classes)")
    if not np.isfinite(logits).all():
        raise ValueError("log_probabilities: not all are finite")
    return logits
