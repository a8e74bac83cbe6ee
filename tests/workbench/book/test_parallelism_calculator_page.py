"""The calculator of parallelism in a browser, opened from disk with the network off, computes what the library does."""

from __future__ import annotations

import itertools
import json

import pytest

from largemodels.scaling.parallelism import Layout, needs
from largemodels.scaling.parallelism_calculator import ParallelismCalculator, Plan
from largemodels.scaling.published import PUBLISHED

MODELS = {name: (PUBLISHED[name].shape, 2048) for name in ("GPT-3", "PaLM 540B")}
PLANS = {
    "divided": Plan("GPT-3", Layout(data=4, tensor=8, pipeline=12, zero=1, micro_batches=24), 40),
    "as trained": Plan("PaLM 540B", Layout(data=512, tensor=12, zero=3, sequences=4, recomputed="blocks"), 32),
}
NAMES = {
    "states": "states",
    "activations": "activations",
    "data": "data_traffic",
    "tensor": "tensor_traffic",
    "pipeline": "pipeline_traffic",
    "bubble": "bubble",
}  # in the script, and in the library


@pytest.fixture
def page(browser, tmp_path):
    """A page that holds nothing but the calculator; its visit must end without an error."""
    file = tmp_path / "calculator.html"
    body = ParallelismCalculator(MODELS, PLANS)._repr_html_()
    file.write_text(f"<!doctype html><meta charset='utf-8'><body>{body}</body>", encoding="utf-8")
    context = browser.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert errors == []


def fill(page, model, layout):
    page.select_option("select[name=model]", model)
    for name in ("zero", "recomputed"):
        page.select_option(f"select[name={name}]", str(getattr(layout, name)))
    for name in ("data", "tensor", "pipeline", "sequences", "micro_batches"):
        page.fill(f"input[name={name}]", str(getattr(layout, name)))


def computed(page):
    found = page.locator(".says").get_attribute("data-needs")
    return found and json.loads(found)


def test_the_page_computes_what_the_library_computes(page):
    for model, zero, again in itertools.product(MODELS, range(4), ("nothing", "attention", "blocks")):
        for sizes in ((1, 1, 1, 1, 1), (64, 4, 7, 2, 16), (512, 12, 1, 4, 1), (3, 2, 96, 1, 5)):
            data, tensor, pipeline, sequences, micro = sizes
            layout = Layout(data, tensor, pipeline, zero, sequences, micro, again)
            fill(page, model, layout)
            expected, found = needs(*MODELS[model], layout), computed(page)
            for ours, theirs in NAMES.items():
                assert found[ours] == pytest.approx(getattr(expected, theirs), rel=1e-12), (model, layout, ours)


def test_the_page_says_what_stands_in_it_without_script(page):
    calculator = ParallelismCalculator(MODELS, PLANS)
    for name, line in zip(PLANS, repr(calculator).splitlines(), strict=True):
        page.get_by_role("button", name=name).click()
        assert page.locator(".says").inner_text() == line.removeprefix(f"{name}: ")


def test_a_bad_value_is_marked_and_explained_and_mended(page):
    page.get_by_label("devices that share each matrix").fill("7")
    assert "divide the 96 heads" in page.locator(".says").inner_text()
    assert page.locator("[aria-invalid=true]").get_attribute("name") == "tensor"
    assert computed(page) is None
    page.get_by_label("devices that share each matrix").fill("8")
    assert page.locator("[aria-invalid=true]").count() == 0
    for label, value in (("copies that read", "0"), ("stages that share", "97"), ("memory of a device", "0")):
        before = page.get_by_label(label).input_value()
        page.get_by_label(label).fill(value)
        assert page.locator("[aria-invalid=true]").count() == 1
        page.get_by_label(label).fill(before)


def test_the_keyboard_reaches_every_field_in_order(page):
    page.get_by_role("button", name="as trained").focus()
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name"))
    sizes = ["data", "tensor", "pipeline", "sequences", "micro_batches"]
    assert reached == ["model", *sizes, "zero", "recomputed", "memory"]
