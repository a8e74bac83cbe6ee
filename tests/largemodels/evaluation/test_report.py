"""Accuracy, F1 and pairs of models equal what scikit-learn and the statistics of the book give, with intervals."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from largemodels.evaluation.pairs import judged
from largemodels.evaluation.report import class_table, model_table, pair_table
from largemodels.statistics.comparisons import adjusted_p, mcnemar
from largemodels.statistics.intervals import proportion_interval
from largemodels.statistics.spread import bootstrap_interval

CLASSES = ["a", "b", "c"]
N = 150


def answered(model, accuracy, *, seed=0, document=1):
    """Answers of one model to the same examples, right so often and otherwise one of the first two classes."""
    truth = np.random.default_rng(7).choice(3, N, p=[0.6, 0.3, 0.1])
    random = np.random.default_rng(seed)
    answer = np.where(random.random(N) < accuracy, truth, random.integers(0, 2, N))
    names = np.array(CLASSES, dtype=object)
    columns = {"model": model, "example": np.arange(N), "label": names[truth], "answer": names[answer]}
    return pd.DataFrame(columns | {"right": truth == answer, "document": np.arange(N) // document})


def table(*models):
    return judged(pd.concat(models, ignore_index=True), models=1, probabilities=False)


def test_every_class_is_scored_as_scikit_learn_scores_it():
    answers = answered("one", 0.7)
    scored = class_table(table(answers), "one", CLASSES)
    expected = precision_recall_fscore_support(answers["label"], answers["answer"], labels=CLASSES)
    for name, values in zip(("precision", "recall", "f1", "n"), expected, strict=True):
        assert scored[name].to_numpy() == pytest.approx(values)
    assert scored["answered"].sum() == N
    row = scored.iloc[0]
    assert (row.recall, row.recall_low, row.recall_high) == proportion_interval(int(row.right), int(row.n))


@pytest.mark.parametrize("document", [1, 5])
def test_the_interval_of_an_f1_is_that_of_the_bootstrap_over_documents(document):
    answers = answered("one", 0.7, document=document)
    (row,) = model_table(table(answers), CLASSES, resamples=2000).itertuples()
    clusters = answers["document"] if document > 1 else None

    def macro(labels, answer):
        return f1_score(labels, answer, average="macro", labels=CLASSES, zero_division=0)

    expected = bootstrap_interval(
        macro, answers["label"], answers["answer"], clusters=clusters, method="percentile", resamples=300
    )
    assert row.macro_f1 == pytest.approx(expected[0])
    assert (row.macro_f1_low, row.macro_f1_high) == pytest.approx(expected[1:], abs=0.02)


def test_a_class_that_is_never_answered_has_no_precision_and_an_f1_of_nothing():
    scored = class_table(table(answered("one", 0.0)), "one", CLASSES).iloc[2]
    assert scored["answered"] == 0
    assert np.isnan(scored["precision"])
    assert scored["f1"] == scored["recall"] == 0


def test_pairs_have_the_exact_test_corrected_for_all_of_them():
    models = [answered("x", 0.9, seed=1), answered("y", 0.6, seed=2), answered("z", 0.3, seed=3)]
    pairs = pair_table(table(*models))
    assert list(pairs["better"] + pairs["other"]) == ["xy", "xz", "yz"]
    first = mcnemar(*(answers["right"].to_numpy() for answers in models[:2]))
    assert (pairs["only_better"][0], pairs["only_other"][0], pairs["p"][0]) == (first.only_a, first.only_b, first.p)
    assert pairs["holm"].to_numpy() == pytest.approx(adjusted_p(pairs["p"]))
    assert (pairs["low"] < pairs["difference"]).all()


def test_models_that_agree_everywhere_differ_by_nothing():
    pair = pair_table(table(answered("x", 0.7), answered("y", 0.7))).iloc[0]
    assert (pair["difference"], pair["low"], pair["high"], pair["p"], pair["holm"]) == (0, 0, 0, 1, 1)


def test_one_model_alone_is_judged_and_has_no_pair():
    alone = table(answered("one", 0.7))
    assert len(model_table(alone, CLASSES)) == 1
    assert pair_table(alone).empty


def test_examples_of_one_document_have_no_interval_of_a_difference():
    pair = pair_table(table(answered("x", 0.9, document=N), answered("y", 0.5, seed=1, document=N))).iloc[0]
    assert pair["low"] is None
    assert pair["difference"] > 0
