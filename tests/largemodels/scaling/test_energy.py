"""Energy and carbon: published numbers recomputed, units, and the book's own hours."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from largemodels.base.errors import InputError
from largemodels.scaling.energy import POUND, RECORDED, Consumption, consumption_of, recorded_seconds

BOOK = Path(__file__).parents[3] / "book" / "recorded"


def test_the_row_of_bert_base_in_strubells_table():
    row = Consumption(12_041.51, 79.2, overhead=1.58)
    assert round(row.kilowatt_hours) == 1507
    assert round(row.kilograms(0.954 * POUND * 1000) / POUND) == pytest.approx(1438, abs=0.5)


def test_gpt_3_as_patterson_et_al_have_it():
    training = consumption_of(3.14e23, 24.6e12, 330, overhead=1.1)
    assert training.kilowatt_hours / 1000 == pytest.approx(1287, abs=0.5)
    assert training.kilograms(429) / 1000 == pytest.approx(552.1, abs=0.1)


def test_grams_a_kilowatt_hour_are_kilograms_a_megawatt_hour():
    megawatt_hour = Consumption(1e6, 1)
    assert megawatt_hour.kilowatt_hours == 1000
    assert megawatt_hour.kilograms(57) == 57


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 1), "watts: 0 is not above 0"),
        ((1, -1), "hours: -1 is not above 0"),
        ((1, 1, 0.9), "overhead: 0.9 is less than 1"),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        Consumption(*values)


def test_the_seconds_of_a_result_are_those_of_its_runs(tmp_path):
    table = pd.DataFrame({"run": ["a", "a", "b"], "seconds": [10.0, 10.0, 5.2], "metric": ["x", "y", "x"]})
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        table.to_parquet(tmp_path / name / "results.parquet")
    assert recorded_seconds(tmp_path).to_dict() == {"one": 15, "two": 15}


def test_the_kept_seconds_are_of_the_order_of_those_in_the_book():
    kept = pd.read_csv(RECORDED, index_col="result")["seconds"]
    now = recorded_seconds(BOOK)
    assert 1 / 2 < kept.sum() / now.sum() < 2, "make recorded_seconds.csv again, see energy.recorded_seconds"
