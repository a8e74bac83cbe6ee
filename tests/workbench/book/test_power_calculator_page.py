"""The calculator in a browser, opened from disk with the network off, computes what the library computes."""

from __future__ import annotations

import itertools

import pytest

from largemodels.figures.power_calculator import PairedDesign, PowerCalculator
from largemodels.statistics.comparisons import paired_power, smallest_difference

OFFERED = {"SST-2": PairedDesign(872, 0.05, 0.02), "small": PairedDesign(60, 0.25, 0.1)}


@pytest.fixture
def page(browser, tmp_path):
    """A page that holds nothing but the calculator; its visit must end without an error."""
    file = tmp_path / "calculator.html"
    body = PowerCalculator(OFFERED)._repr_html_()
    file.write_text(f"<!doctype html><meta charset='utf-8'><body>{body}</body>", encoding="utf-8")
    context = browser.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert errors == []


def fill(page, **values):
    for name, value in values.items():
        page.fill(f"input[name={name}]", str(value))


def computed(page):
    says = page.locator(".says")
    power, least = says.get_attribute("data-value"), says.get_attribute("data-smallest")
    return float(power), float(least) if least else None


def by_library(n, share, difference, alpha):
    try:
        least = smallest_difference(n, share, 0.8, alpha)
    except ValueError:
        least = None
    return paired_power(n, share, difference, alpha), least


def test_the_page_computes_what_the_library_computes(page):
    alphas = (0.05, 0.001, 0.0625)  # the last is a tail of five coins, where the test just rejects
    for n, percent, part, alpha in itertools.product((5, 60, 872, 5000), (1, 12.5, 100), (0, 0.3, 1), alphas):
        fill(page, n=n, discordant=percent, difference=percent * part, alpha=alpha)
        power, least = computed(page)
        expected, expected_least = by_library(n, percent / 100, percent * part / 100, alpha)
        assert power == pytest.approx(expected, abs=1e-9), (n, percent, part, alpha)
        assert (least is None) == (expected_least is None), (n, percent, part, alpha)
        if least is not None:
            assert least == pytest.approx(expected_least, abs=1e-8)


def test_the_largest_test_set_is_computed_in_the_page_too(page):
    fill(page, n=100_000, discordant=20, difference=0.5)
    power, least = computed(page)
    expected, expected_least = by_library(100_000, 0.2, 0.005, 0.05)
    assert power == pytest.approx(expected, abs=1e-8)
    assert least == pytest.approx(expected_least, abs=1e-8)


def test_it_begins_with_the_first_comparison_and_a_key_press_fills_in_another(page):
    assert computed(page)[0] == pytest.approx(paired_power(872, 0.05, 0.02), abs=1e-9)
    page.get_by_role("button", name="small").focus()
    page.keyboard.press("Enter")
    assert page.input_value("input[name=n]") == "60"
    assert computed(page)[0] == pytest.approx(paired_power(60, 0.25, 0.1), abs=1e-9)
    page.get_by_label("examples in the test set").focus()
    page.keyboard.press("ArrowUp")
    assert computed(page)[0] == pytest.approx(paired_power(61, 0.25, 0.1), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("n", "0", "whole number of examples"),
        ("n", "", "whole number of examples"),
        ("n", "2.5", "whole number of examples"),
        ("discordant", "0", "share of discordant pairs is above 0%"),
        ("difference", "6", "at most the share of discordant pairs"),
        ("alpha", "1", "between 0 and 1"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_forgotten_when_mended(page, name, value, sentence):
    good = page.input_value(f"input[name={name}]")
    fill(page, **{name: value})
    assert sentence in page.inner_text(".says")
    assert page.get_attribute(f"input[name={name}]", "aria-invalid") == "true"
    assert page.get_attribute(".says", "data-value") is None
    fill(page, **{name: good})
    assert page.get_attribute(f"input[name={name}]", "aria-invalid") == "false"
    assert computed(page)[0] == pytest.approx(paired_power(872, 0.05, 0.02), abs=1e-9)
