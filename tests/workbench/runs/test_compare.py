"""Runs side by side: what differs, by how much, and how sure that is."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from made_runs import make_run, save_answers, whole_record
from workbench.core.errors import RequestError
from workbench.runs.compare import compare
from workbench.runs.store import find_run


def metric(name="accuracy", value=0.5, **more):
    return {"name": name, "value": value, "count": None, "n": None, "low": None, "high": None, **more}


def claim(holds=True, bound="above 0.5"):
    return {"statement": "It learns", "bound": bound, "value": 1, "holds": holds, "n": None}


def pair(project, first, second):
    folders = [make_run(project, **first), make_run(project, after=1, **second)]
    return compare([find_run(project, folder.name) for folder in folders])


def only_difference(project, first, second):
    comparison = pair(project, {"metrics": [first]}, {"metrics": [second]})
    none, found = comparison.differences["accuracy"]
    assert none is None
    return found


def test_only_parameters_that_differ_are_said_to(project):
    comparison = pair(
        project,
        {"parameters": {"given": {}, "resolved": {"size": 3, "seed": 0, "gone": 1}}},
        {"parameters": {"given": {}, "resolved": {"size": 4, "seed": 0, "new": [1]}}},
    )
    assert {row.name: row.values for row in comparison.parameters if row.differs} == {
        "size": (3, 4),
        "gone": (1, None),
        "new": (None, [1]),
    }


def test_the_difference_of_proportions_has_newcombe_s_interval(project):
    # Newcombe 1998, Statistics in Medicine 17, 873-890, example (a): 56/70 - 48/80, method 10.
    found = only_difference(project, metric(value=48 / 80, count=48, n=80), metric(value=56 / 70, count=56, n=70))
    assert (round(found.value, 4), round(found.low, 4), round(found.high, 4)) == (0.2, 0.0524, 0.3339)


def test_the_interval_of_a_difference_covers_it_as_often_as_it_says(project):
    random, covered, repeats = np.random.default_rng(0), 0, 400
    first, second = (find_run(project, make_run(project, after=after).name) for after in (0, 1))
    for _ in range(repeats):
        for run, mean in ((first, 1.0), (second, 1.5)):
            draws = random.normal(mean, 1, 60)
            margin = 2.0 * draws.std(ddof=1) / np.sqrt(draws.size)
            run.record["metrics"] = [metric(value=draws.mean(), low=draws.mean() - margin, high=draws.mean() + margin)]
        found = compare([first, second]).differences["accuracy"][1]
        covered += found.low <= 0.5 <= found.high
    assert 0.92 < covered / repeats < 0.98


@pytest.mark.parametrize("second", [metric(value=None), metric(value="good"), metric("another")])
def test_without_numbers_there_is_no_difference(project, second):
    assert only_difference(project, metric(), second) is None


def test_without_intervals_a_difference_has_none(project):
    found = only_difference(project, metric(value=0.5), metric(value=0.75, low=0.5, high=1))
    assert (found.value, found.low, found.high) == (0.25, None, None)


def test_a_count_that_is_not_what_the_value_is_makes_no_interval(project):
    assert only_difference(project, metric(value=7, count=1, n=3), metric(value=8, count=1, n=3)).low is None


def test_claims_that_fail_are_bounded_otherwise_or_are_missing_have_changed(project):
    def changed(second):
        comparison = pair(project, {"claims": [claim()]}, {"claims": second})
        return comparison.as_json()["claims"][0]["changed"]

    assert changed([claim(holds=False)])
    assert changed([claim(bound="above 0.6")])
    assert changed([])
    assert not changed([claim()])
    assert changed([claim(holds=False), claim()]), "of two with one statement the one that fails counts"


def test_other_code_and_versions_are_said(project):
    ingredients = whole_record()["ingredients"]
    other = {**ingredients, "versions": {"python": "3.12", "torch": "2.12.0"}}
    comparison = pair(project, {"ingredients": ingredients}, {"ingredients": other})
    assert comparison.otherwise == ((), ("torch 2.13.0 → 2.12.0",))


def test_runs_of_different_chapters_a_single_run_and_a_run_twice_are_refused(project):
    first, other = make_run(project), make_run(project, chapter="other", after=1)
    runs = [find_run(project, folder.name) for folder in (first, other)]
    with pytest.raises(RequestError, match="runs of different chapters cannot be compared: these are of other and toy"):
        compare(runs)
    with pytest.raises(RequestError, match="at least two"):
        compare(runs[:1])
    with pytest.raises(RequestError, match="named twice"):
        compare([runs[0], runs[0]])


def test_more_than_two_runs_are_each_compared_with_the_first(project):
    values = (0.5, 0.75, 0.25)
    folders = [make_run(project, after=at, metrics=[metric(value=value)]) for at, value in enumerate(values)]
    comparison = compare([find_run(project, folder.name) for folder in folders])
    assert [found and found.value for found in comparison.differences["accuracy"]] == [None, 0.25, -0.25]
    assert json.loads(json.dumps(comparison.as_json()))["metrics"][0]["differences"][2]["value"] == -0.25


def with_answers(project, *right):
    """Runs that have these answers of two models; None stands for a run that has kept none."""
    folders = [make_run(project, after=after) for after in range(len(right))]
    for folder, found in zip(folders, right, strict=True):
        if found is not None:
            save_answers(folder, {"network": found, "words": [True] * len(found)}, documents=list("aabbcc"))
    return folders, [find_run(project, folder.name) for folder in folders]


def test_each_model_is_compared_with_its_counterpart_in_the_first_run_example_by_example(project):
    _, runs = with_answers(project, [True] * 6, [True, False] * 3, [False] * 6)
    comparison = compare(runs)
    assert [(pair.model, pair.run, pair.right_first, pair.right) for pair in comparison.paired] == [
        ("network", 1, 6, 3),
        ("words", 1, 6, 6),
        ("network", 2, 6, 0),
        ("words", 2, 6, 6),
    ]
    assert comparison.not_paired == ()
    found = json.loads(json.dumps(comparison.as_json()))["paired"]
    assert [pair["run"] for pair in found] == [runs[1].id] * 2 + [runs[2].id] * 2
    last = found[2]
    assert (last["file"], last["model"], last["n"], last["documents"]) == ("test", "network", 6, 3)
    assert (last["right_first"], last["right"], last["only_first"], last["only_other"]) == (6, 0, 6, 0)
    assert (last["difference"], last["low"], last["high"]) == (-1, -1, -1)
    assert last["p"] == pytest.approx(2 / 2**6)
    assert last["mid_p"] == pytest.approx(1 / 2**6)
    assert last["p_holm"] == pytest.approx(4 * 2 / 2**6), "there are four pairs"


def test_runs_without_predictions_say_nothing_of_pairs(project):
    comparison = compare(with_answers(project, None, None)[1])
    assert (comparison.paired, comparison.not_paired) == ((), ())


def test_what_cannot_be_compared_pair_by_pair_is_said_in_a_sentence_each(project):
    folders, runs = with_answers(project, [True] * 6, None, [True] * 6, [True] * 6)
    (folders[2] / "predictions" / "test.parquet").rename(folders[2] / "predictions" / "other.parquet")
    (folders[3] / "predictions" / "damaged.parquet").write_text("no table")
    pd.DataFrame({"head": [1]}).to_parquet(folders[3] / "predictions" / "heads.parquet")
    comparison = compare(runs)
    assert {pair.run for pair in comparison.paired} == {3}
    damaged, heads, *others = comparison.not_paired
    assert damaged.startswith(f"{runs[3].id}/predictions/damaged.parquet: cannot be read as predictions")
    assert heads.startswith(f"{runs[3].id}/predictions/heads.parquet: holds no predictions; it lacks model")
    assert others == [
        f"{runs[1].id} has kept no predictions",
        f"{runs[2].id} shares no example of the same file and model with {runs[0].id}",
    ]
    assert compare([runs[1], runs[0]]).not_paired == (f"{runs[1].id} has kept no predictions",)


def test_the_table_shows_counts_and_says_what_the_numbers_are(project, workbench):
    folders, _ = with_answers(project, [True] * 6, [True, False] * 3)
    names = [folder.name for folder in folders]
    lines = workbench("compare", *names).stdout.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("pair by pair")))
    assert lines[start + 1].split() == ["model", "1", "2", "2", "−", "1", "95%", "interval", "p", "Holm", "p"]
    assert lines[start + 2].split() == ["network", "6/6", "3/6", "-0.5000", "-0.5000", "to", "-0.5000", "0.25", "0.5"]
    assert lines[start + 3].split() == ["words", "6/6", "6/6", "+0.0000", "–", "1", "1"]
    said = " ".join(lines[start + 4 :])
    for part in ("drawing whole documents anew", "McNemar's exact test", "corrected for all 2 pairs", "other seeds"):
        assert part in said
    (folders[0] / "predictions" / "test.parquet").write_text("no table")
    alone = workbench("compare", *names)
    assert alone.returncode == 0
    assert "pair by pair:" in alone.stdout
    assert "Traceback" not in alone.stdout + alone.stderr
    assert "95% interval" not in alone.stdout.partition("Not compared pair by pair:")[2]


def test_runs_without_predictions_are_compared_without_pandas(project):
    folders, _ = with_answers(project, None, None)
    code = (
        "import sys\nfrom workbench.cli import commands as cli\n"
        f"cli.app(['compare', {folders[0].name!r}, {folders[1].name!r}], standalone_mode=False)\n"
        "print('loaded', *({'pandas', 'torch', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "loaded"
