"""What makes no ladder and no law is refused by the scaling chapter in one sentence, before anything is trained."""

from __future__ import annotations

from functools import partial

import pytest

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract


@pytest.fixture
def refused(refused_by):
    """What the real chapter says to these parameters."""
    return partial(refused_by, "scaling", "count-models")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"repetitions": 2}, "repetitions: 2 is not at least 3"),
        ({"speed_widths": "[64,100]"}, "width: 100 is not a multiple of 8, for 4 heads"),
        ({"key_value_heads": 3}, "key_value_heads: 3 does not divide num_heads, 4"),
        ({"hidden_size": 100}, "width: 100 is not a multiple of 8, for 4 heads"),
    ],
)
def test_numbers_that_make_no_model_or_no_timing(refused, parameters, said):
    assert said in refused(**parameters)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"ladder_widths": "[16,32,64,96]"}, "ladder_widths: 4 different ones are too few; give at least 5"),
        ({"ladder_widths": "[16,16,32,32,64,64]"}, "ladder_widths: 3 different ones are too few; give at least 5"),
        ({"ladder_widths": "[16,24,30,48,64]"}, "ladder_widths: [16, 24, 30, 48, 64] are not all multiples of 4"),
        ({"repeat_width": 30}, "repeat_width: 30 is not a multiple of 4"),
        ({"ladder_vocabulary": 200}, "ladder_vocabulary: 200 is not at least 257"),
        ({"held_out": 5}, "held_out: 5 is not at least 20"),
        ({"ladder_tokens": 32}, "ladder_tokens: 32 is less than ladder_batch, 512"),
        ({"ladder_batch": 32}, "ladder_batch: 32 is less than ladder_window, 64"),
        ({"ladder_window": 4}, "ladder_window: 4 is not at least 8"),
        ({"budget_widths": "[30]"}, "budget_widths: [30] are not all multiples of 4"),
        ({"budget_widths": "[24,24]"}, "budget_widths: [24, 24] has a width twice"),
        ({"iso_factors": "[1.0]"}, "iso_factors: [1.0] make fewer than 4 widths near one of budget_widths"),
        ({"repeats": "[8]"}, "repeats: 1 different ones are too few; give at least 2"),
        ({"speed_widths": "[]"}, "speed_widths: 0 different ones are too few; give at least 1"),
    ],
)
def test_numbers_that_make_no_ladder(refused, parameters, said):
    assert said in refused(**parameters)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("watts_a_core", "0", "0.* is not "),
        ("grams_a_kilowatt_hour", "-1", "-1.* is not "),
        ("ladder_seeds", "0", "0 is not at least 1"),
        ("ladder_rate", "nan", "nan is not "),
    ],
)
def test_what_its_type_refuses_is_seen_from_the_request_alone(root, name, value, said):
    with pytest.raises(RequestError, match=rf"^{name}: {said}"):
        load_contract(Project(root), "scaling").resolve({name: value})
