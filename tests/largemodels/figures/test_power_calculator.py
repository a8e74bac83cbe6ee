"""The calculator: valid, escaped, self-contained HTML that says its numbers without script too."""

import re

import pytest

from html_tags import Tags
from largemodels.figures.power_calculator import PairedDesign, PowerCalculator
from largemodels.statistics.comparisons import paired_power, smallest_difference

SST2 = PairedDesign(872, 0.05, 0.02)


def test_every_field_has_a_label_and_the_values_of_the_first_comparison():
    page = Tags(PowerCalculator({"SST-2": SST2, "other": PairedDesign(50, 0.2, 0.1)})._repr_html_())
    assert page.open == []
    values = {attributes["name"]: float(attributes["value"]) for tag, attributes in page.attributes if tag == "input"}
    assert values == {"n": 872, "discordant": 5, "difference": 2, "alpha": 0.05}
    assert [tag for tag, _ in page.attributes].count("label") == 4


def test_what_is_found_stands_in_the_page_without_its_script_and_in_the_text_form():
    calculator = PowerCalculator({"SST-2": SST2, "too few": PairedDesign(20, 0.1, 0.1)})
    text = "".join(Tags(calculator._repr_html_()).text)
    power, least = paired_power(872, 0.05, 0.02), smallest_difference(872, 0.05)
    said = f"power {power:.2f}, smallest difference {100 * least:.2f} points"
    assert said in text
    assert said in repr(calculator).splitlines()[0]
    assert repr(calculator).endswith("smallest difference none")


def test_names_and_captions_are_escaped_and_nothing_is_fetched():
    nasty = "</script><b a='\"'>&"
    text = PowerCalculator({nasty: SST2}, caption=nasty)._repr_html_()
    page = Tags(text)
    assert page.open == []
    assert "b" not in {tag for tag, _ in page.attributes}
    assert not re.search(r"https?:|src=|@import|url\(", text)


def test_the_same_calculator_has_the_same_html_and_another_has_another_identity():
    one, same, other = (PowerCalculator({"a": SST2}, power=power)._repr_html_() for power in (0.8, 0.8, 0.9))
    assert one == same
    assert Tags(one).attributes[0][1]["id"] != Tags(other).attributes[0][1]["id"]


@pytest.mark.parametrize(
    ("designs", "message"),
    [
        ({}, "there is none"),
        ({"a": PairedDesign(10, 0.1, 0.2)}, "difference: 0.2 is more than"),
        ({"a": PairedDesign(100_001, 0.1, 0.01)}, "a has 100001 examples, more than the 100000"),
    ],
)
def test_a_calculator_of_what_cannot_be_is_refused(designs, message):
    with pytest.raises(ValueError, match=message):
        PowerCalculator(designs)
