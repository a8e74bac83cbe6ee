"""The scores of a classifier written out from its counts and probabilities, a few lines each, as their formulas stand.

`largemodels.evaluation.metrics` has the same as metrics that can be combined, most of them by scikit-learn; the tests
hold each function here to scikit-learn. Confusion counts are `(classes, classes)`: row the true class, column the
predicted one, as `error_analysis.confusion_table` gives them.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike


def precision_recall_f1(confusion: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class, `(classes,)` each, from confusion counts; 0 where nothing can be divided.

    Examples:
        >>> precision, recall, f1 = precision_recall_f1([[8, 2], [4, 6]])
        >>> precision.round(3), recall, f1.round(3)
        (array([0.667, 0.75 ]), array([0.8, 0.6]), array([0.727, 0.667]))
    """
    confusion = np.asarray(confusion, dtype=float)
    hits, predicted, of_class = confusion.diagonal(), confusion.sum(0), confusion.sum(1)  # (classes,) each
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(of_class, 1)
    f1 = 2 * hits / np.maximum(predicted + of_class, 1)
    return precision, recall, f1


def averaged(scores: ArrayLike, confusion: ArrayLike, average: str) -> float:
    """The mean of the scores `(classes,)` over classes: "macro", all alike, or "weighted", by their true examples.

    Examples:
        >>> averaged([0.5, 1.0], [[3, 0], [0, 1]], "macro"), averaged([0.5, 1.0], [[3, 0], [0, 1]], "weighted")
        (0.75, 0.625)
    """
    if average not in ("macro", "weighted"):
        raise ValueError(f"average: {average!r} is not 'macro' or 'weighted'")
    weights = np.asarray(confusion).sum(1) if average == "weighted" else None
    return float(np.average(scores, weights=weights))


def matthews(confusion: ArrayLike) -> float:
    """Matthews' correlation of true and predicted classes, −1 to 1, from confusion counts (Gorodkin 2004).

    It is 0 where one of the two is always the same class, which leaves the correlation undefined.

    Examples:
        >>> matthews([[5, 0], [0, 5]]), matthews([[0, 5], [0, 5]])
        (1.0, 0.0)
    """
    confusion = np.asarray(confusion, dtype=float)
    n, of_class, predicted = confusion.sum(), confusion.sum(1), confusion.sum(0)
    covariance = n * confusion.trace() - of_class @ predicted
    spread = np.sqrt((n**2 - of_class @ of_class) * (n**2 - predicted @ predicted))
    return float(covariance / spread) if spread else 0.0


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean of −log p(true class), in nats: probabilities are `(n, classes)`, labels `(n,)`.

    Examples:
        >>> round(log_loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])), 4)
        0.4904
    """
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean over examples of Σ (p − one-hot)² over the classes, from 0 to 2 (Brier 1950).

    Examples:
        >>> brier_score(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1]))
        0.25
    """
    one_hot = np.eye(probabilities.shape[1])[labels]  # (n, classes)
    return float(((probabilities - one_hot) ** 2).sum(1).mean())


def brier_parts(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Murphy's parts of the Brier score, `(reliability, resolution, uncertainty)`: it is the first − second + third.

    Examples with the very same forecast are one group; with n_g of n in it, f_g the forecast, o_g the shares of the
    classes in the group and o those of all examples, they are `Σ n_g/n |f_g − o_g|²`, `Σ n_g/n |o_g − o|²`
    and `Σ o (1 − o)` (Murphy 1973). Round the forecasts beforehand to form groups; where each is alone in its group,
    the resolution is the uncertainty and says nothing.

    Examples:
        >>> forecasts = np.repeat([[0.9, 0.1], [0.6, 0.4]], [4, 6], axis=0)
        >>> labels = np.array([0, 0, 0, 1, 0, 0, 0, 1, 1, 1])
        >>> reliability, resolution, uncertainty = brier_parts(forecasts, labels)
        >>> bool(np.isclose(reliability - resolution + uncertainty, brier_score(forecasts, labels)))
        True
    """
    one_hot = np.eye(probabilities.shape[1])[labels]  # (n, classes)
    forecasts, group, sizes = np.unique(probabilities, axis=0, return_inverse=True, return_counts=True)
    shares = np.stack([np.bincount(group.ravel(), column) for column in one_hot.T], axis=1) / sizes[:, None]
    weights, overall = sizes / len(labels), one_hot.mean(0)
    reliability = weights @ ((forecasts - shares) ** 2).sum(1)
    resolution = weights @ ((shares - overall) ** 2).sum(1)
    return float(reliability), float(resolution), float((overall * (1 - overall)).sum())


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """The expected calibration error in bins of equal width (Guo et al. 2017): `statistics.calibration` in eight lines.

    Examples:
        >>> round(calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])), 2)
        0.4
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels  # (n,) each
    ends, error = np.arange(bins + 1) / bins, 0.0
    for low, high in itertools.pairwise(ends):
        inside = (low < confidence) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


def temperature_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The log loss of softmax(logits / temperature), which temperature scaling makes smallest (Guo et al. 2017).

    Examples:
        >>> surer_than_right = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        >>> labels = np.array([0, 0, 1, 1])
        >>> round(temperature_loss(surer_than_right, labels, 1.0), 2)
        1.02
        >>> round(temperature_loss(surer_than_right, labels, 3.64), 2)
        0.56
    """
    scaled = logits / temperature  # (n, classes)
    scaled = scaled - scaled.max(1, keepdims=True)  # no exponential overflows
    log_probabilities = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())
