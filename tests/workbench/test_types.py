"""A value keeps to its declared type, or one plain sentence says why not."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.types import Count, Dataset, Fraction, Rate, Seed, coerce, shown


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Count, "12", 12),
        (Count, 12, 12),
        (Rate, "1e-3", 1e-3),
        (Rate, 2, 2.0),
        (Fraction, "0.25", 0.25),
        (Seed, "0", 0),
        (bool, "false", False),
        (bool, "True", True),
        (bool, True, True),
        (str, "007", "007"),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (list[Count], "1,2, 3", [1, 2, 3]),
        (list[Count], "[4,5]", [4, 5]),
        (list[str], ["007", "no"], ["007", "no"]),
    ],
)
def test_text_and_values_become_what_the_type_says(annotation, value, expected):
    result = coerce(annotation, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (Count, "-1", "-1 is not at least 1"),
        (Count, "three", "three is not a whole number"),
        (Count, "1.5", "1.5 is not a whole number"),
        (Count, 1.5, "1.5 is not a whole number"),
        (Count, True, "true is not a whole number"),
        (Rate, True, "true is not a number"),
        (Rate, "0", "0 is not above 0"),
        (Rate, "nan", "nan is not a finite number"),
        (Rate, "inf", "inf is not a finite number"),
        (Fraction, "1", "1 is not below 1"),
        (Fraction, "nan", "nan is not a finite number"),
        (Seed, "-1", "-1 is not at least 0"),
        (Seed, str(2**32), "4294967296 is not below 4294967296"),
        (bool, "maybe", "maybe is not true or false"),
        (bool, 1, "1 is not true or false"),
        (str, 7, "7 is not text (with papermill, `-r` passes a value as text)"),
        (Literal["a", "b", "c"], "d", "d is not one of a, b, c"),
        (list[Count], "1,0", "0 (item 2) is not at least 1"),
        (list[Count], 3, "3 is not a list"),
    ],
)
def test_a_bad_value_is_refused_with_a_sentence(annotation, value, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        coerce(annotation, value)
    assert str(caught.value) == sentence


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text(), max_size=3)))
def test_whatever_is_given_the_result_is_in_range_or_the_message_is_one_line(value):
    for annotation, holds in (
        (Count, lambda x: x >= 1),
        (Rate, lambda x: x > 0 and math.isfinite(x)),
        (Seed, lambda x: x >= 0),
    ):
        try:
            result = coerce(annotation, value)
        except ValueError as error:
            said = str(error)
            assert len(said.splitlines()) == 1
        else:
            assert holds(result)


def test_a_data_set_is_a_shipped_name_or_something_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("A sentence.\n")
    assert coerce(Dataset, "pydocs").is_shipped
    local = coerce(Dataset, "text.txt")
    assert isinstance(local, Dataset)
    assert local.resolved() == str(tmp_path / "text.txt")
    with pytest.raises(ValueError, match=r"pydox is neither .* nor an existing file or folder; did you mean pydocs\?"):
        coerce(Dataset, "pydox")
    with pytest.raises(ValueError, match=r"missing\.txt is neither .* file or folder$"):
        coerce(Dataset, "missing.txt")


def test_the_fingerprint_of_a_local_file_follows_its_content(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("One sentence.\n")
    before = Dataset(path).fingerprint()
    assert Dataset(path).fingerprint() == before
    path.write_text("Another sentence.\n")
    assert Dataset(path).fingerprint() != before


def test_checking_a_data_set_imports_no_torch():
    code = (
        "import sys; from workbench.types import Dataset as D; D('pydocs').fingerprint(); print('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


@given(st.text())
def test_a_value_in_a_message_is_visible_and_on_one_line(text):
    assert shown(text).strip()
    assert len(shown(text).splitlines()) == 1
