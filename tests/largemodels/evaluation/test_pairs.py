"""Predictions of anybody are made comparable, or refused in a sentence; every pair of models is tested."""

import numpy as np
import pandas as pd
import pytest

from largemodels.base.errors import InputError
from largemodels.data.predictions import predictions_table, without_more
from largemodels.evaluation.pairs import all_pairs, answers_of, judged, resolution
from largemodels.statistics.comparisons import adjusted_p, mcnemar, paired_permutation

N = 120


def some(models=("a", "b", "c"), seeds=(0, 1), drop=()):
    """Predictions of models that are right about nine, eight and seven times in ten, two classes, without texts."""
    rng = np.random.default_rng(0)
    examples = pd.DataFrame({"text": [f"text {i}" for i in range(N)], "label": rng.integers(0, 2, N)})
    examples["document"] = [f"d{i // 3}" for i in range(N)]
    parts = []
    for seed in seeds:
        right = {model: rng.random(N) < 0.9 - 0.1 * place for place, model in enumerate(models)}
        logs = {
            model: np.log(np.where((np.arange(2) == examples.label.to_numpy()[:, None]) == good[:, None], 0.8, 0.2))
            for model, good in right.items()
        }
        parts.append(predictions_table(examples, logs, ("no", "yes")).assign(seed=seed))
    return pd.concat(parts, ignore_index=True).drop(columns=list(drop))


def test_all_models_and_seeds_have_the_same_examples_in_the_same_order():
    table = some()
    shuffled = table.sample(frac=1, random_state=1).drop(table.index[[3, N + 5]])  # two answers are missing
    kept = judged(shuffled)
    orders = {tuple(part["example"]) for _, part in kept.groupby(["model", "seed"])}
    assert len(orders) == 1
    assert len(next(iter(orders))) == N - 2


def test_log_probabilities_that_were_kept_short_are_computed_with_in_full():
    kept = judged(without_more(some(seeds=(0,))))
    assert set(kept[["log_p:no", "log_p:yes"]].dtypes) == {np.dtype(float)}
    assert (np.exp(kept["log_p:no"]) + np.exp(kept["log_p:yes"])).to_numpy() == pytest.approx(1, abs=2e-3)


def test_a_text_that_stands_twice_is_one_example():
    table = some()
    assert len(judged(pd.concat([table, table[table["example"] == table["example"][7]]]))) == len(table)


def test_without_seeds_or_documents_there_is_one_seed_and_each_example_is_its_own():
    kept = judged(some(seeds=(0,), drop=("seed", "document")))
    assert set(kept["seed"]) == {0}
    assert (kept["document"] == kept["example"]).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (some(models=("a",)), "a is one model only; a comparison needs two"),
        (some(drop=("seed",)), "answers an example in two ways with seed 0"),
        (some(drop=("log_p:yes",)), "1 classes have log-probabilities"),
        (some().replace({"label": {"yes": "perhaps"}}), "perhaps has no log-probabilities; there are those of no, yes"),
        (some().assign(**{"log_p:no": -np.inf}), "not all log-probabilities are finite"),
        (some().drop(index=range(N)), None),  # one model with one seed is missing: the others remain
        (some().assign(example=range(6 * N)), "no example that every model was asked about"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(table, message):
    if message is None:
        assert len(judged(table)) == 5 * N
        return
    with pytest.raises(InputError, match=message):
        judged(table)


def test_the_answers_of_a_model_are_those_of_its_first_seed():
    table = judged(some(seeds=(4, 2)))
    assert set(answers_of(table, "b")["seed"]) == {2}
    with pytest.raises(InputError, match="there is no model x; there is a, b, c"):
        answers_of(table, "x")


def test_each_pair_is_tested_on_its_first_seed_by_document_and_corrected_for_all():
    table = judged(some())
    pairs = all_pairs(table, resamples=500, seed=3)
    assert len(pairs) == 3
    assert (pairs["difference"] >= 0).all()
    assert pairs["permutation"].is_monotonic_increasing
    row = pairs.iloc[0]
    one, other = answers_of(table, row["better"]), answers_of(table, row["other"])
    assert row["difference"] == pytest.approx(one["right"].mean() - other["right"].mean())
    assert row["mcnemar"] == mcnemar(one["right"].to_numpy(), other["right"].to_numpy()).mid_p
    by_document = paired_permutation(one["right"], other["right"], clusters=one["document"], resamples=500, seed=3)
    assert row["permutation"] == by_document.p
    assert row["low"] <= row["difference"] <= row["high"]
    assert pairs["holm"].to_numpy() == pytest.approx(adjusted_p(pairs["permutation"], "holm"))
    assert (pairs["bh"] <= pairs["holm"]).all()
    assert pairs["mcnemar_holm"].to_numpy() == pytest.approx(adjusted_p(pairs["mcnemar"], "holm"))


@pytest.mark.parametrize(
    ("n", "share", "outcome"),
    [(500, 0.0, None), (5, 0.2, (True, True)), (872, 0.05, (False, True))],
    ids=["they agree everywhere", "too few examples", "SST-2"],
)
def test_what_a_test_set_resolves_is_nothing_where_models_agree_and_unknown_where_it_is_tiny(n, share, outcome):
    found = resolution(n, share, 0.0)
    assert (found and (np.isnan(found[0]), 0 <= found[1] < 0.1)) == outcome


@pytest.mark.parametrize(("column", "value"), [("label", None), ("answer", None)])
def test_a_row_without_a_label_or_an_answer_is_refused(column, value):
    with pytest.raises(InputError, match=f"a row has no {column}"):
        judged(some().assign(**{column: value}))


def test_predictions_without_rows_are_refused():
    with pytest.raises(InputError, match="the table has no rows"):
        judged(some().head(0))
