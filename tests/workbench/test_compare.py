"""Runs side by side: what differs, by how much, and how sure that is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from made_runs import make_run, whole_record
from workbench.compare import compare
from workbench.project import RequestError
from workbench.records import find_run


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
