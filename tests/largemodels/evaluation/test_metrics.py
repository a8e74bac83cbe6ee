"""The metrics are what they are by hand, work alone, in batches and combined, and touch neither network nor disk."""

import math
import os
import subprocess
import sys
import warnings

import evaluate
import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from largemodels.evaluation.metrics import (
    F1,
    Accuracy,
    AdaptiveCalibrationError,
    BrierScore,
    ExpectedCalibrationError,
    LogLoss,
    MatthewsCorrelation,
    Precision,
    Recall,
)
from largemodels.statistics.calibration import expected_calibration_error

CLASS_METRICS = [Accuracy, MatthewsCorrelation, Precision, Recall, F1]
PROBABILITY_METRICS = [LogLoss, BrierScore, ExpectedCalibrationError, AdaptiveCalibrationError]


def pairs(classes):
    one = st.integers(0, classes - 1)
    return st.lists(st.tuples(one, one), min_size=1, max_size=40).map(lambda drawn: tuple(zip(*drawn, strict=True)))


def forecasts(n, classes=4, seed=0):
    random = np.random.default_rng(seed)
    return random.dirichlet(np.ones(classes), n), random.integers(0, classes, n)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@settings(max_examples=20)
@given(pairs(4), st.sampled_from(["micro", "macro", "weighted"]))
def test_an_average_is_over_the_classes_that_occur_or_over_all_decisions(answers, average):
    predictions, references = (np.array(part) for part in answers)
    predicted, true = (part[:, None] == np.unique([predictions, references]) for part in (predictions, references))
    both, called, present = (predicted & true).sum(0), predicted.sum(0), true.sum(0)  # (classes,)
    if average == "micro":
        both, called, present = (counts.sum(keepdims=True) for counts in (both, called, present))
    by_class = {
        "precision": both / np.maximum(1, called),
        "recall": both / np.maximum(1, present),
        "f1": 2 * both / np.maximum(1, called + present),
    }
    weights = present if average == "weighted" else None
    for metric in (Precision, Recall, F1):
        found = metric(average=average).compute(predictions=predictions, references=references)
        assert found == {metric.key: pytest.approx(np.average(by_class[metric.key], weights=weights))}
        assert metric().compute(predictions=predictions, references=references, average=average) == found


@settings(max_examples=20)
@given(pairs(2))
def test_of_two_classes_the_second_counts(answers):
    predictions, references = (np.array(part) for part in answers)
    found = evaluate.combine([Precision(), Recall(), F1()]).compute(predictions=predictions, references=references)
    both = int((predictions & references).sum())
    assert found["precision"] == pytest.approx(both / max(1, predictions.sum()))
    assert found["recall"] == pytest.approx(both / max(1, references.sum()))
    assert found["f1"] == pytest.approx(2 * both / max(1, predictions.sum() + references.sum()))


@settings(max_examples=20)
@given(pairs(3))
def test_accuracy_is_a_share_and_matthews_a_correlation(answers):
    predictions, references = (np.array(part) for part in answers)
    found = evaluate.combine([Accuracy(), MatthewsCorrelation()]).compute(
        predictions=predictions, references=references
    )
    assert found["accuracy"] == pytest.approx((predictions == references).mean())
    one_hot = [np.eye(3)[part] - np.eye(3)[part].mean(0) for part in (predictions, references)]
    spread = math.sqrt((one_hot[0] ** 2).sum() * (one_hot[1] ** 2).sum())
    expected = (one_hot[0] * one_hot[1]).sum() / spread if spread > 1e-9 else 0.0
    assert found["matthews_correlation"] == pytest.approx(expected)


def test_a_class_that_is_never_predicted_has_precision_0_without_a_warning():
    assert Precision().compute(predictions=[0, 0], references=[1, 0]) == {"precision": 0.0}
    assert Precision(average="macro").compute(predictions=[0, 0], references=[1, 0]) == {"precision": 0.25}


def test_a_macro_average_is_over_all_classes_where_their_number_is_known():
    predictions, references = [0, 1], [0, 1]
    assert F1(average="macro").compute(predictions=predictions, references=references)["f1"] == 1
    assert F1(average="macro", classes=4).compute(predictions=predictions, references=references)["f1"] == 0.5


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 2**31))
def test_metrics_of_probabilities_are_sums_done_by_hand_and_the_calibration_errors_of_the_book(n, classes, seed):
    rows, labels = forecasts(n, classes, seed)
    scores = evaluate.combine([LogLoss(), BrierScore(), ExpectedCalibrationError(), AdaptiveCalibrationError(bins=5)])
    found = scores.compute(predictions=rows, references=labels)
    assert found["log_loss"] == pytest.approx(-np.log(rows[np.arange(n), labels]).mean())
    by_class = [np.mean((rows[:, k] - (labels == k)) ** 2) for k in range(classes)]
    assert found["brier_score"] == pytest.approx(sum(by_class))
    assert found["expected_calibration_error"] == expected_calibration_error(rows, labels)
    assert found["adaptive_calibration_error"] == expected_calibration_error(rows, labels, bins=5, adaptive=True)


def test_the_brier_score_of_two_classes_is_twice_scikit_learns():
    rows, labels = forecasts(30, classes=2)
    found = BrierScore().compute(predictions=rows, references=labels)["brier_score"]
    assert found == pytest.approx(2 * sklearn.metrics.brier_score_loss(labels, rows[:, 1]))
    assert BrierScore().compute(predictions=[[1, 0]], references=[1]) == {"brier_score": 2.0}


def test_the_log_loss_of_an_impossible_truth_is_finite():
    assert LogLoss().compute(predictions=[[1.0, 0.0]], references=[1])["log_loss"] == pytest.approx(-math.log(2**-52))


@pytest.mark.parametrize("kind", [list, np.asarray, torch.as_tensor])
@pytest.mark.parametrize("metrics", [CLASS_METRICS, PROBABILITY_METRICS])
def test_batches_and_single_examples_add_up_whatever_holds_them(metrics, kind):
    rows, labels = forecasts(50, classes=2)
    predictions = rows if metrics is PROBABILITY_METRICS else rows.argmax(1)
    expected = evaluate.combine([metric() for metric in metrics]).compute(predictions=predictions, references=labels)
    combined = evaluate.combine([metric() for metric in metrics])
    for start in range(0, 40, 8):
        part = slice(start, start + 8)
        combined.add_batch(predictions=kind(predictions[part].tolist()), references=kind(labels[part].tolist()))
    combined.add_batch(predictions=[], references=[])
    for prediction, reference in zip(predictions[40:].tolist(), labels[40:].tolist(), strict=True):
        combined.add(prediction=prediction, reference=reference)
    assert combined.compute() == pytest.approx(expected, abs=1e-6)  # PyTorch reads float32
    assert len(expected) == len(metrics)


def test_float32_probabilities_are_read_as_they_are():
    rows = torch.tensor([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
    found = LogLoss().compute(predictions=rows, references=[2, 0])["log_loss"]
    assert found == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 2, abs=1e-7)


def test_a_metric_goes_on_after_a_mistake():
    metric = Accuracy(classes=2)
    for wrong in ([2, 0], [0.5, 0.5], [0]):
        with pytest.raises(ValueError, match=r"^predictions: "):
            metric.compute(predictions=wrong, references=[1, 0])
    assert metric.compute(predictions=[1, 0], references=[1, 0]) == {"accuracy": 1.0}


@pytest.mark.parametrize("metric", [*CLASS_METRICS, *PROBABILITY_METRICS])
def test_without_examples_there_is_no_score(metric):
    with pytest.raises(ValueError, match=r"^predictions: there are none; give some, or add some first$"):
        metric().compute()
    with pytest.raises(ValueError, match=r"^predictions: there are none$"):
        metric().compute(predictions=[], references=[])
    with pytest.raises(ValueError, match=r"^references: there are none; give as many as of the other$"):
        metric().compute(predictions=[1])


@pytest.mark.parametrize(
    ("metric", "predictions", "references", "message"),
    [
        (Accuracy(), [-1], [0], "predictions: -1 is not at least 0"),
        (Accuracy(classes=2), [0], [2], "references: 2 is not a class from 0 to 1"),
        (Accuracy(), [0.9], [0], "predictions: float64 are not classes, which are whole numbers from 0"),
        (Accuracy(), [0], torch.tensor([0.9]), "references: float32 are not classes, which are whole numbers from 0"),
        (Accuracy(), ["a"], [0], "predictions: <U1 are not classes, which are whole numbers from 0"),
        (Accuracy(), [0, 1], [0], "predictions: 2 for 1 references"),
        (MatthewsCorrelation(), [0], [-100], "references: -100 is not at least 0"),
        (F1(), [0, 2], [0, 1], "predictions: 2 is not 0 or 1; for more classes choose another average"),
        (F1(average="macro", classes=3), [0, 3], [0, 1], "predictions: 3 is not a class from 0 to 2"),
        (LogLoss(), [[0.5, 0.5]], [2], "references: 2 is not a class from 0 to 1"),
        (LogLoss(), [[0.5, 0.5]], [0.5], "references: float64 are not classes, which are whole numbers from 0"),
        (LogLoss(), [0.5], [0], "predictions: they are not one row of probabilities an example"),
        (LogLoss(), [[0.5, 0.5], [1.0]], [0, 1], "predictions: they are not rows of as many numbers each"),
        (BrierScore(), [[0.5, 0.4]], [0], "predictions: row 0 sums to 0.9, not to 1"),
        (BrierScore(), [[0.5, None]], [0], "predictions: row 0 has nan, which is not between 0 and 1"),
        (ExpectedCalibrationError(), [[1.5, -0.5]], [0], "predictions: row 0 has 1.5, which is not between 0 and 1"),
        (AdaptiveCalibrationError(bins=0), [[0.5, 0.5]], [0], "bins: 0 is not at least 1"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(metric, predictions, references, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        metric.compute(predictions=predictions, references=references)


def test_an_unknown_average_is_refused():
    for call in (lambda: F1(average="mean"), lambda: F1().compute(predictions=[1], references=[1], average="mean")):
        with pytest.raises(ValueError, match=r"^average: 'mean' is not one of binary, micro, macro, weighted$"):
            call()


OFFLINE = """
import socket

def refuse(*arguments):
    raise AssertionError("a connection was tried")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import evaluate
from largemodels.evaluation.metrics import Accuracy, BrierScore, F1

scores = evaluate.combine([Accuracy(), F1()])
scores.add_batch(predictions=[1, 0], references=[1, 1])
print(scores.compute(), BrierScore().compute(predictions=[[0.5, 0.5]], references=[1]))
"""


def test_nothing_is_fetched_and_no_file_is_written(tmp_path):
    """Caches that would have to be made below a file cannot be made, even by a user who may write everywhere."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.write_text("not a folder")
    scratch.mkdir()
    homes = dict.fromkeys(["HOME", "HF_HOME", "XDG_CACHE_HOME"], str(home / "cache"))
    cleared = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        env={**cleared, **homes, "HF_HUB_OFFLINE": "1", "TMPDIR": str(scratch), "MPLCONFIGDIR": str(scratch)},
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "{'accuracy': 0.5, 'f1': 0.6666666666666666} {'brier_score': 0.5}" in ran.stdout
    left = [path for path in scratch.rglob("*") if "font" not in path.name and "matplotlib" not in path.name]
    assert left == []
    assert home.read_text() == "not a folder"
