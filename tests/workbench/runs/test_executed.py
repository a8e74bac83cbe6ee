"""Metrics and claims are read from the metadata of a notebook's outputs."""

from __future__ import annotations

import pytest

from workbench.runs.executed import Executed, parse_executed


def claim(statement="Small", holds=True):
    return {"statement": statement, "bound": "below 1", "holds": holds}


def notebook(*entries):
    """An executed notebook with one cell for each entry."""
    outputs = [{"output_type": "display_data", "metadata": {"workbench": entry}} for entry in entries]
    return {"metadata": {}, "cells": [{"source": "prose"}, *({"outputs": [output]} for output in outputs)]}


def test_of_a_metric_that_is_recorded_twice_the_last_value_counts():
    entries = [{"record": {"name": "a", "value": 1}}, {"record": {"name": "b"}}, {"record": {"name": "a", "value": 2}}]
    assert parse_executed(notebook(*entries)) == Executed(metrics=[{"name": "a", "value": 2}, {"name": "b"}])


def test_of_a_source_that_is_described_twice_the_last_description_counts_and_a_damaged_one_is_a_problem():
    one, two = ({"name": "data", "rows": [["rows", number]]} for number in "12")
    executed = parse_executed(notebook(*({"source": each} for each in (one, two, {"name": "x", "rows": 7}))))
    assert executed.sources == {"data": {"rows": "2"}}
    assert executed.problems == ["cell 3: the source 'x' has no rows"]


def test_a_claim_that_fails_does_not_disappear_behind_one_of_the_same_statement_that_holds():
    claims = [claim(holds=False), claim(holds=True)]
    assert parse_executed(notebook(*({"claim": one} for one in claims))).claims == claims


def test_outputs_without_our_metadata_are_passed_over():
    outputs = [{"output_type": "stream", "text": "x"}, {"metadata": {"workbench": "x"}}, {"metadata": {}}]
    assert parse_executed({"metadata": {}, "cells": [{"outputs": outputs}]}) == Executed()


@pytest.mark.parametrize("metric", [None, 3, {}, {"name": 3}])
def test_a_malformed_metric_is_a_problem_and_the_others_are_kept(metric):
    executed = parse_executed(notebook({"record": metric}, {"record": {"name": "a"}}))
    assert executed.metrics == [{"name": "a"}]
    assert len(executed.problems) == 1
    assert executed.problems[0].startswith("cell 1: ")
