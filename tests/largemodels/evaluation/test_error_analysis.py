"""Slices, confusions and collapsed classifiers are counted right and named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score

from largemodels.base.checks import class_ids
from largemodels.evaluation.error_analysis import collapsed_class, confusion_table, majority_baseline, slices
from largemodels.statistics.comparisons import adjusted_p
from largemodels.statistics.intervals import proportion_interval

MRPC = np.repeat([1, 0], [279, 129])  # validation: paraphrase or not


@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_the_baseline_scores_what_scikit_learns_does(labels):
    baseline = majority_baseline(labels)
    predicted = DummyClassifier().fit(np.zeros((len(labels), 1)), labels).predict(np.zeros((len(labels), 1)))
    assert (predicted == baseline.label).all()
    assert baseline.accuracy == pytest.approx(accuracy_score(labels, predicted))
    own = np.array(labels) == baseline.label
    assert baseline.f1 == pytest.approx(f1_score(own, np.ones_like(own)))


def test_a_collapse_on_mrpc_is_recognised_by_its_known_scores():
    found = collapsed_class(np.ones(408, dtype=int), MRPC, names=["different", "paraphrase"])
    assert (found.label, found.name, found.count, found.n, found.to_majority) == (1, "paraphrase", 408, 408, True)
    assert (round(found.baseline.accuracy, 3), round(found.baseline.f1, 3)) == (0.684, 0.812)
    expected = "paraphrase in 408/408 predictions; the majority class alone has accuracy 0.684 and F1 0.812"
    assert str(found) == f"majority-class collapse: {expected}"


def test_a_collapse_to_another_class_is_named_differently():
    found = collapsed_class(np.zeros(408, dtype=int), MRPC)
    assert (found.label, found.to_majority) == (0, False)
    assert str(found).startswith("collapse to one class: 0 in 408/408")


def test_a_classifier_that_sometimes_says_something_else_has_nearly_collapsed():
    predictions = np.ones(408, dtype=int)
    predictions[::50] = 0
    assert collapsed_class(predictions, MRPC).count == 408 - 9
    predictions[::15] = 0
    assert collapsed_class(predictions, MRPC) is None


def test_a_classifier_that_confuses_two_classes_has_not_collapsed():
    assert collapsed_class(1 - MRPC, MRPC) is None


def test_a_good_classifier_on_lopsided_labels_has_not_collapsed():
    labels = np.repeat([0, 1], [990, 10])
    assert collapsed_class(labels, labels) is None
    assert collapsed_class(np.zeros(1000, dtype=int), labels).to_majority


def test_labels_of_one_class_show_no_collapse():
    assert collapsed_class([1, 1, 1], [1, 1, 1]) is None


def test_a_confusion_has_names_and_true_labels_in_its_rows():
    table = confusion_table([0, 1, 1, 1], [0, 0, 0, 1], ["no", "yes", "perhaps"])
    assert table.loc["no"].tolist() == [1, 2, 0]
    assert table.loc["yes", "yes"] == 1
    assert table.loc["perhaps"].sum() == 0
    assert (table.index.name, table.columns.name) == ("label", "prediction")


def test_slices_have_counts_intervals_and_tests_against_all_others():
    counts = {"numpy": (90, 100), "scipy": (80, 100), "torch": (30, 60)}
    frame = pd.concat(
        pd.DataFrame({"library": library, "right": np.arange(n) < right}) for library, (right, n) in counts.items()
    ).sample(frac=1, random_state=0)
    table = slices(frame, "library")
    assert table.index.tolist() == ["numpy", "scipy", "torch"]
    assert table[["count", "n"]].apply(tuple, axis=1).to_dict() == counts
    assert table.loc["torch", ["accuracy", "low", "high"]].tolist() == pytest.approx(proportion_interval(30, 60))
    assert table.loc["torch", "difference"] == pytest.approx(0.5 - 170 / 200)
    assert table.loc["torch", "p"] == pytest.approx(stats.fisher_exact([[30, 30], [170, 30]]).pvalue)
    assert table["adjusted_p"].tolist() == pytest.approx(adjusted_p(table["p"], "holm").tolist())
    assert (table["adjusted_p"] > table["p"]).any()


def test_slices_by_two_columns_keep_missing_values_and_leave_out_what_does_not_occur():
    frame = pd.DataFrame(
        {
            "library": pd.Categorical(["a", "a", "b", None], categories=["a", "b", "c"]),
            "long": [True, False, True, True],
            "right": pd.array([True, False, True, True], dtype="boolean"),
        }
    )
    table = slices(frame, ["library", "long"])
    assert table["n"].tolist() == [1, 1, 1, 1]
    assert table.index.names == ["library", "long"]
    assert slices(frame, "library")["n"].sum() == 4


def test_a_single_slice_has_no_others_to_differ_from():
    table = slices(pd.DataFrame({"kind": ["x", "x"], "right": [True, False]}), "kind")
    assert table["difference"].isna().all()
    assert table[["p", "adjusted_p"]].to_numpy().tolist() == [[1.0, 1.0]]


EXAMPLES = pd.DataFrame({"kind": ["x"], "right": [1.0]})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_ids([], "labels"), "labels: there are none"),
        (lambda: class_ids([0.5], "labels"), r"labels: float64 of shape \(1,\) is not whole numbers of shape \(n,\)"),
        (lambda: class_ids([0, -1], "labels"), "labels: -1 is not at least 0"),
        (lambda: class_ids([0, 2], "labels", 2), "labels: 2 is not a class from 0 to 1"),
        (lambda: majority_baseline([]), "labels: there are none"),
        (lambda: collapsed_class([0], [0, 1]), "predictions: 1 for 2 labels"),
        (lambda: collapsed_class([0, 2], [0, 1], names=["a", "b"]), "predictions: 2 is not a class from 0 to 1"),
        (lambda: confusion_table([0], [1], ["a"]), "labels: 1 is not a class from 0 to 0"),
        (lambda: slices(EXAMPLES, "library"), "frame: it has no column 'library'"),
        (lambda: slices(EXAMPLES, []), "by: it names no column"),
        (lambda: slices(EXAMPLES, "kind"), "frame: its column 'right' is not one boolean an example"),
        (lambda: slices(EXAMPLES[:0], "kind"), "frame: its column 'right' is not one boolean an example"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
