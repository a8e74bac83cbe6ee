"""The table of all remedies is what its answers say, pair by pair, and nothing is counted twice."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

mpl.use("Agg")

from largemodels.base.errors import InputError
from largemodels.domain_adaptation.effects import (
    accuracy_and_f1,
    collapses,
    difference,
    effects,
    effects_figure,
    effects_table,
    means_beside,
    metric_name,
    parameters_beside,
    read_answers,
    targets_of,
)
from largemodels.figures import style
from largemodels.statistics.comparisons import adjusted_p
from largemodels.statistics.spread import seed_and_test_interval

SEEDS, EXAMPLES = 4, 120


def answers(gains, target="a", seed=0):
    """Predictions of methods that are right with probability 0.6 and their gain, two examples a document."""
    random = np.random.default_rng(seed)
    ease = random.random(EXAMPLES)
    rows = []
    for number in range(SEEDS):
        for method, gain in {"nothing": 0.0, **gains}.items():
            right = ease < 0.6 + gain + random.normal(0, 0.01)
            rows.append(
                pd.DataFrame(
                    {
                        "seed": number,
                        "target": target,
                        "model": method,
                        "example": [f"{target}{place}" for place in range(EXAMPLES)],
                        "label": "yes",
                        "answer": np.where(right, "yes", "no"),
                        "right": right,
                        "document": [f"{target}{place // 2}" for place in range(EXAMPLES)],
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def test_a_row_is_the_paired_difference_over_seeds_and_documents():
    table = answers({"better": 0.2, "same": 0.0})
    found = effects(table).set_index("method")
    assert list(found.index) == ["better", "same"]
    wide = table.pivot(index=["model", "seed"], columns="example", values="right").astype(float)
    documents = [name[0] + str(int(name[1:]) // 2) for name in wide.columns]
    expected = seed_and_test_interval(wide.loc["better"].to_numpy() - wide.loc["nothing"].to_numpy(), documents)
    row = found.loc["better"]
    assert (row["difference"], row["low"], row["high"], row["p"]) == pytest.approx(
        (expected.difference, expected.low, expected.high, expected.p)
    )
    assert row["accuracy"] - row["base_accuracy"] == pytest.approx(row["difference"])
    assert (row["seeds"], row["n"]) == (SEEDS, EXAMPLES)
    np.testing.assert_allclose(found["p_holm"], adjusted_p(found["p"]))
    assert found.loc["better", "p_holm"] < 0.05 < found.loc["same", "p_holm"]


def test_the_order_of_the_rows_does_not_matter():
    table = answers({"better": 0.2})
    mixed = pd.concat([table[table.model == "nothing"], table[table.model == "better"].sample(frac=1, random_state=0)])
    pd.testing.assert_frame_equal(effects(mixed), effects(table))


def test_several_targets_are_shown_apart_and_together_and_corrected_together():
    table = pd.concat([answers({"m": 0.2}), answers({"m": -0.2}, "b", 1), answers({"m": 0.2, "more": 0.1}, "c", 2)])
    found = effects(table)
    assert list(zip(found["target"], found["method"], strict=True)) == [
        ("a", "m"), ("b", "m"), ("c", "m"), ("c", "more"), ("all", "m"),
    ]  # fmt: skip
    by_target = found[found["method"] == "m"].set_index("target")["difference"]
    assert by_target["all"] == pytest.approx(by_target[["a", "b", "c"]].mean())
    np.testing.assert_allclose(found["p_holm"], adjusted_p(found["p"]))
    planned = difference(table, "m", "nothing")
    assert planned.difference == pytest.approx(by_target["all"])


def test_the_target_is_named_by_the_parameters_that_varied():
    table = answers({"m": 0.1})
    assert set(targets_of(table)) == {"a"}
    assert set(targets_of(table.drop(columns="target"))) == {""}
    lists = table.assign(target_libraries=[["a", "b"]] * len(table))
    assert set(targets_of(lists.drop(columns="target"))) == {"a,b"}
    assert set(targets_of(lists)) == {"a a,b"}
    assert list(targets_of(table.head(0))) == []
    assert list(targets_of(pd.DataFrame())) == []


def test_a_text_that_stands_twice_is_two_examples():
    table = answers({"m": 0.1})
    table["example"] = table["example"].where(table["example"] != "a1", "a0")
    assert effects(table)["n"].tolist() == [EXAMPLES]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.query("seed == 0"), "answers: they are of one seed"),
        (lambda table: table.drop(columns="seed"), "answers: they are of one seed"),
        (lambda table: table.query("model != 'nothing'"), "answers: none are those of 'nothing'; there are m"),
        (lambda table: table.query("model == 'nothing'"), "answers: all are those of 'nothing'; there is no method"),
        (lambda table: table.query("model != 'm' or seed != 1"), "answers: not every method was asked about every"),
        (lambda table: table.drop(index=5), "answers: not every method was asked about every example"),
    ],
    ids=["one seed", "no seed", "no base", "no method", "a seed is missing", "an answer is missing"],
)
def test_answers_that_cannot_be_compared_are_refused_in_one_sentence(change, said):
    with pytest.raises(InputError, match=f"^{said}"):
        effects(change(answers({"m": 0.1})))


def test_answers_and_seconds_are_read_from_what_is_recorded(tmp_path):
    kept = answers({"deep coral": 0.1})
    both = pd.concat([kept.assign(file="remedies"), kept.assign(file="pairs", model="numpy")])
    both.to_parquet(tmp_path / "predictions.parquet")
    found = read_answers([tmp_path / "predictions.parquet"], "remedies")
    assert set(found["model"]) == {"nothing", "deep coral"}
    assert read_answers([], "remedies").empty
    assert means_beside(tmp_path / "predictions.parquet", "_seconds") == {}
    pd.DataFrame(
        {
            "target": "corpus",
            "target_libraries": [["a"], ["a"], ["b"], ["a"], ["b"]],
            "metric": [*["deep_coral_seconds"] * 3, "judged", "dapt_reading_loss"],
            "value": [2.0, 4.0, 5.0, 9.0, 3.5],
        }
    ).to_parquet(tmp_path / "results.parquet")
    found = means_beside(tmp_path / "predictions.parquet", "_seconds")
    assert found == {("a", "deep_coral"): 3.0, ("b", "deep_coral"): 5.0}
    assert means_beside(tmp_path / "predictions.parquet", "_reading_loss") == {("b", "dapt"): 3.5}
    results = pd.read_parquet(tmp_path / "results.parquet").drop(columns="target_libraries")
    results.to_parquet(tmp_path / "results.parquet")
    assert means_beside(tmp_path / "predictions.parquet", "_seconds") == {("", "deep_coral"): pytest.approx(11 / 3)}
    assert metric_name("deep coral") == "deep_coral"


def test_the_table_as_people_read_it_marks_what_survives():
    table = effects(pd.concat([answers({"m": 0.25, "n": 0.0}), answers({"m": 0.0, "n": 0.0}, "b", 1)]))
    shown = effects_table(table, {("a", "m"): 2.0, ("b", "m"): 4.0, ("a", "n"): 1.0})
    assert list(shown) == ["a", "b", "all", "seconds"]
    row = table[(table["method"] == "m") & (table["target"] == "a")].iloc[0]
    assert shown.loc["m", "a"] == f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f}) *"
    assert not shown.loc["n", "a"].endswith(" *")
    assert shown["seconds"].tolist() == ["3", "1"]
    assert "seconds" not in effects_table(table, {})


def test_the_figure_fills_what_survives():
    table = effects(answers({"m": 0.25, "n": 0.0}))
    _, axes = style.panels(1)
    effects_figure(table, axes=axes)
    faces = [line.get_markerfacecolor() for line in axes[0].lines if len(line.get_xdata())]
    assert "white" in faces
    assert style.PALETTE[0] in faces
    assert not axes[0].texts
    effects_figure(effects(answers({"m": -0.4, "n": 0.0})), axes=axes)
    assert axes[0].texts[0].get_text().startswith("← \N{MINUS SIGN}")
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["n", "m"], "the first method is on top"


def test_every_source_on_every_target_is_the_mean_over_seeds():
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        [
            {"seed": seed, "model": source, "library": target, "label": random.choice(["x", "y"])}
            for seed in range(2)
            for source in ("one", "two")
            for target in ("one", "two")
            for _ in range(30)
        ]
    )
    rows["answer"] = random.choice(["x", "y"], len(rows))
    rows["right"] = rows["answer"] == rows["label"]
    accuracy, f1 = accuracy_and_f1(rows)
    own = rows.query("model == 'one' and library == 'two'")
    assert accuracy.loc["one", "two"] == pytest.approx(own["right"].mean())
    each = [f1_score(part["label"], part["answer"], average="macro") for _, part in own.groupby("seed")]
    assert f1.loc["one", "two"] == pytest.approx(np.mean(each))
    assert list(accuracy) == list(accuracy.index) == ["one", "two"]
    alone, _ = accuracy_and_f1(rows.query("seed == 0").drop(columns="seed"))
    assert alone.loc["two", "two"] == rows.query("seed == 0 and model == 'two' and library == 'two'")["right"].mean()


def test_an_answer_that_nearly_all_are_given_raises_an_alarm_and_a_frequent_class_does_not():
    labels = np.repeat(["common", "rare"], [95, 5])
    said = {"right": labels, "collapsed": np.repeat("rare", 100), "careless": np.repeat("common", 100)}
    table = pd.concat(
        pd.DataFrame({"model": model, "seed": 3, "label": labels, "answer": answer, "right": answer == labels})
        for model, answer in said.items()
    )
    found = collapses(table)
    assert found.method.tolist() == ["collapsed", "careless"]
    assert found.iloc[0].to_dict() == {
        "method": "collapsed",
        "target": "",
        "seed": 3,
        "answer": "rare",
        "share": 1.0,
        "accuracy": 0.05,
    }
    assert collapses(pd.DataFrame()).empty


def test_parameters_are_those_of_the_sweep_beside_the_answers(tmp_path):
    assert parameters_beside(tmp_path / "predictions.parquet") == {}
    (tmp_path / "sweep.json").write_text('{"parameters": {"resolved": {"reading_steps": 7}}}')
    assert parameters_beside(tmp_path / "predictions.parquet") == {"reading_steps": 7}
