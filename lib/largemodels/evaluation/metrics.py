"""The metrics of classification as `evaluate.Metric`, which need no hub: use them alone, in batches, or combined::

    scores = evaluate.combine([Accuracy(), F1(average="macro"), MatthewsCorrelation()])
    scores.compute(predictions=[1, 0, 1], references=[1, 1, 1])

Metrics of classes take a class for each example, metrics of probabilities (`LogLoss`, `BrierScore`,
`ExpectedCalibrationError`, `AdaptiveCalibrationError`) a row of probabilities; a combination holds metrics of one kind,
since the two read different predictions. What scikit-learn computes is computed there.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike
from sklearn import metrics

from largemodels.base.checks import as_distributions, class_ids
from largemodels.statistics.calibration import BINS, expected_calibration_error

AVERAGES = ("binary", "micro", "macro", "weighted")


class _InMemoryMetric(evaluate.Metric):
    """A metric that stays in memory and touches no file.

    With more than one process the examples have to meet in files, in `cache_dir`, as `evaluate` does it. A metric has a
    `key`, under which its score stands, and a `source`; the first line of its docstring is its description.
    """

    key: ClassVar[str]
    source: ClassVar[str]
    predicted: ClassVar[Any] = datasets.Value("int64")

    def __init__(self, config_name: str | None = None, *, keep_in_memory: bool | None = None, **options: Any) -> None:
        in_memory = options.get("num_process", 1) == 1 if keep_in_memory is None else keep_in_memory
        super().__init__(config_name, keep_in_memory=in_memory, **options)

    def _info(self) -> evaluate.MetricInfo:
        measures = inspect.getdoc(type(self)).partition("\n")[0]
        return evaluate.MetricInfo(
            description=measures,
            citation=self.source,
            inputs_description=f"\n{measures}",
            features=datasets.Features({"predictions": self.predicted, "references": datasets.Value("int64")}),
        )

    def _check_kind(self, predictions: Any) -> None:
        _check_whole("predictions", predictions)

    def _compute(self, *, predictions: ArrayLike, references: ArrayLike, **options: Any) -> dict[str, float]:
        return {self.key: float(self._score(*self._checked(predictions, references), **options))}

    def _build_data_dir(self) -> str:
        return "" if self.keep_in_memory else super()._build_data_dir()  # the folder of the files of `evaluate`

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> dict[str, float] | None:
        """The scores of these examples, or of those that were added before.

        Raises:
            ValueError: if there are no examples, or they are not what the metric reads.
        """
        if predictions is None and references is None and self.writer is None:
            raise ValueError("predictions: there are none; give some, or add some first")
        return super().compute(predictions=predictions, references=references, **options)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **others: Any) -> None:
        """Add some examples.

        Raises:
            ValueError: if they are not as many predictions as references, or not of the kind that the metric reads.
        """
        for name, values in (("predictions", predictions), ("references", references)):
            if values is None:
                raise ValueError(f"{name}: there are none; give as many as of the other")
        if len(predictions) != len(references):
            raise ValueError(f"predictions: {len(predictions)} for {len(references)} references")
        if len(references):
            self._check_kind(predictions)
            _check_whole("references", references)
        super().add_batch(predictions=predictions, references=references, **others)

    def add(self, *, prediction: Any = None, reference: Any = None, **others: Any) -> None:
        """Add one example; see `add_batch`."""
        # A combination names the two in the plural here too.
        example = {"predictions": prediction, "references": reference, **others}
        self.add_batch(**{name: [value] for name, value in example.items()})


def _check_whole(name: str, values: Any) -> None:
    """Refuse what is of another type than whole numbers: Arrow would cut 0.9 down to class 0 without a word."""
    kind = str(values.dtype if hasattr(values, "dtype") else np.asarray(values).dtype).removeprefix("torch.")
    if not kind.lower().startswith(("int", "uint", "bool")):
        raise ValueError(f"{name}: {kind} are not classes, which are whole numbers from 0")


class _ClassMetric(_InMemoryMetric):
    """A metric of predicted classes, which are those from 0 to below `classes`, or any from 0 without it."""

    def __init__(self, *, classes: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.classes = classes

    def _checked(self, predictions: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        predicted = class_ids(predictions, "predictions", self.classes)
        return predicted, class_ids(references, "references", self.classes)


class Accuracy(_ClassMetric):
    """The share of examples whose class is right: `accuracy`.

    Examples:
        >>> Accuracy().compute(predictions=[1, 0, 1, 1], references=[1, 0, 0, 1])
        {'accuracy': 0.75}
    """

    key = "accuracy"
    source = "Pedregosa et al. 2011, Scikit-learn: machine learning in Python"

    def _score(self, predictions: np.ndarray, references: np.ndarray) -> float:
        return metrics.accuracy_score(references, predictions)


class MatthewsCorrelation(_ClassMetric):
    """The correlation of predicted and true classes: `matthews_correlation`.

    From −1 to 1, and 0 for a classifier that always predicts the same class, whose correlation is undefined (Matthews
    1975; for several classes Gorodkin 2004).
    """

    key = "matthews_correlation"
    source = "Matthews 1975; Gorodkin 2004"

    def _score(self, predictions: np.ndarray, references: np.ndarray) -> float:
        if len(set(references)) == 1 and len(set(predictions)) == 1:  # scikit-learn warns where there is but one class
            return 0.0
        return metrics.matthews_corrcoef(references, predictions)


class _AveragedMetric(_ClassMetric):
    """A metric of one class, or its mean over classes.

    `average` is "binary" for the class 1 of two, "micro" for all decisions together, "macro" for the mean over classes,
    or "weighted" for the mean by how frequent each class is. The mean is over all `classes` where their number is
    known, and otherwise over those that occur. What has nothing to divide by is 0: the precision of a class that is
    never predicted, the recall of one that never occurs. `compute` takes `average` too, as the metrics of the Hub do.
    """

    source = "van Rijsbergen 1979, Information retrieval"

    def __init__(self, *, average: str = "binary", **options: Any) -> None:
        super().__init__(**options)
        self.average = _known_average(average)

    def _score(self, predictions: np.ndarray, references: np.ndarray, average: str | None = None) -> float:
        average = self.average if average is None else _known_average(average)
        for name, values in (("predictions", predictions), ("references", references)):
            if average == "binary" and values.max() > 1:
                raise ValueError(f"{name}: {values.max()} is not 0 or 1; for more classes choose another average")
        labels = None if self.classes is None or average == "binary" else range(self.classes)
        score = getattr(metrics, f"{self.key}_score")
        return score(references, predictions, average=average, labels=labels, zero_division=0)


def _known_average(average: str) -> str:
    if average not in AVERAGES:
        raise ValueError(f"average: {average!r} is not one of {', '.join(AVERAGES)}")
    return average


class Precision(_AveragedMetric):
    """Of the examples that are called a class, the share that is of it: `precision`."""

    key = "precision"


class Recall(_AveragedMetric):
    """Of the examples of a class, the share that is called so: `recall`."""

    key = "recall"


class F1(_AveragedMetric):
    """The harmonic mean of precision and recall: `f1`. The macro average is the mean of the classes' F1.

    Examples:
        >>> F1(average="macro").compute(predictions=[1, 0, 1, 1], references=[1, 0, 0, 1])
        {'f1': 0.7333333333333334}
    """

    key = "f1"


class _ProbabilityMetric(_InMemoryMetric):
    """A metric of the probabilities of all classes: predictions are `(n, classes)`, references the true classes."""

    predicted = datasets.Sequence(datasets.Value("float64"))

    def _check_kind(self, predictions: Any) -> None:
        if np.ndim(predictions[0]) != 1:
            raise ValueError("predictions: they are not one row of probabilities an example")

    def _checked(self, predictions: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        rows = as_distributions(predictions, "predictions")
        return rows, class_ids(references, "references", rows.shape[1])


class LogLoss(_ProbabilityMetric):
    """The mean of −log p(true class), in nats: `log_loss`. A 0 counts as the smallest step of a float64, 36 nats."""

    key = "log_loss"
    source = "Good 1952, Rational decisions"

    def _score(self, predictions: np.ndarray, references: np.ndarray) -> float:
        rows = predictions / predictions.sum(1, keepdims=True)  # scikit-learn warns of the rounding of float32
        return metrics.log_loss(references, rows, labels=range(rows.shape[1]))


class BrierScore(_ProbabilityMetric):
    """The mean of Σ (p − one-hot)² over all classes, from 0 to 2: `brier_score` (Brier 1950).

    With two classes it is twice what counts one class only, which scikit-learn gives there.

    Examples:
        >>> BrierScore().compute(predictions=[[0.5, 0.5], [0.0, 1.0]], references=[0, 1])
        {'brier_score': 0.25}
    """

    key = "brier_score"
    source = "Brier 1950, Verification of forecasts expressed in terms of probability"

    def _score(self, predictions: np.ndarray, references: np.ndarray) -> float:
        # Scikit-learn has had the form for several classes since 1.7 only.
        return ((predictions - np.eye(predictions.shape[1])[references]) ** 2).sum(1).mean()


class ExpectedCalibrationError(_ProbabilityMetric):
    """The distance of confidence and accuracy in bins of equal width: `expected_calibration_error`."""

    key = "expected_calibration_error"
    source = "Guo et al. 2017, On calibration of modern neural networks"
    adaptive: ClassVar[bool] = False

    def __init__(self, *, bins: int = BINS, **options: Any) -> None:
        super().__init__(**options)
        self.bins = bins

    def _score(self, predictions: np.ndarray, references: np.ndarray) -> float:
        return expected_calibration_error(predictions, references, bins=self.bins, adaptive=self.adaptive)


class AdaptiveCalibrationError(ExpectedCalibrationError):
    """The distance of confidence and accuracy in bins of equal mass: `adaptive_calibration_error`."""

    key = "adaptive_calibration_error"
    source = "Nguyen and O'Connor 2015; Nixon et al. 2019, Measuring calibration in deep learning"
    adaptive = True
