"""The calculator of parallelism: valid, escaped, self-contained HTML that says its numbers without script too."""

import json
import re

import pytest

from html_tags import Tags
from largemodels.base.errors import InputError
from largemodels.scaling.formulas import parameters_of
from largemodels.scaling.parallelism import Layout, needs
from largemodels.scaling.parallelism_calculator import SIZES, ParallelismCalculator, Plan, gigabytes
from largemodels.scaling.published import PUBLISHED

MODELS = {name: (PUBLISHED[name].shape, 2048) for name in ("GPT-3", "PaLM 540B")}
DIVIDED = Plan("GPT-3", Layout(data=4, tensor=8, pipeline=12, zero=1, micro_batches=24), 40)
PLANS = {"divided": DIVIDED, "alone": Plan("PaLM 540B", Layout())}


def test_every_field_has_a_label_and_the_values_of_the_first_plan():
    page = Tags(ParallelismCalculator(MODELS, PLANS)._repr_html_())
    assert page.open == []
    values = {attributes["name"]: attributes["value"] for tag, attributes in page.attributes if tag == "input"}
    assert values == {
        "data": "4", "tensor": "8", "pipeline": "12", "sequences": "1", "micro_batches": "24", "memory": "40",
    }  # fmt: skip
    selects = [attributes["name"] for tag, attributes in page.attributes if tag == "select"]
    assert selects == ["model", "zero", "recomputed"]
    chosen = [attributes["value"] for tag, attributes in page.attributes if "selected" in attributes]
    assert chosen == ["GPT-3", "1", "attention"]
    assert [tag for tag, _ in page.attributes].count("label") == len(SIZES) + 4


def test_what_a_plan_needs_stands_in_the_page_without_its_script_and_in_the_text_form():
    calculator = ParallelismCalculator(MODELS, PLANS)
    text = "".join(Tags(calculator._repr_html_()).text)
    found = needs(*MODELS["GPT-3"], DIVIDED.layout)
    said = f"384 devices with {gigabytes(found.memory)} each"
    assert said in text
    assert "which fits" in text
    first, second = repr(calculator).splitlines()
    assert said in first
    assert "alone: 1 device with" in second
    assert "does not fit" in second


def test_the_script_is_told_the_numbers_of_each_model():
    page = Tags(ParallelismCalculator(MODELS, PLANS)._repr_html_())
    told = [json.loads(attributes["data-numbers"]) for _, attributes in page.attributes if "data-numbers" in attributes]
    assert [model["parameters"] for model in told] == [parameters_of(shape) for shape, _ in MODELS.values()]
    assert [model["parallel"] for model in told] == [False, True]


def test_names_and_captions_are_escaped_and_nothing_is_fetched():
    nasty = "</script><b a='\"'>&"
    models, plans = {nasty: MODELS["GPT-3"]}, {nasty: Plan(nasty, Layout())}
    text = ParallelismCalculator(models, plans, caption=nasty)._repr_html_()
    page = Tags(text)
    assert page.open == []
    assert "b" not in {tag for tag, _ in page.attributes}
    assert not re.search(r"https?:|src=|@import|url\(", text)


def test_the_same_calculator_has_the_same_html_and_another_has_another_identity():
    one, same = (ParallelismCalculator(MODELS, PLANS)._repr_html_() for _ in range(2))
    other = ParallelismCalculator(MODELS, {"alone": PLANS["alone"]})._repr_html_()
    assert one == same
    assert Tags(one).attributes[0][1]["id"] != Tags(other).attributes[0][1]["id"]


def test_sizes_are_said_in_billions_of_bytes():
    assert [gigabytes(size) for size in (0, 1.26e9, 99.94e9, 2_793_600e6)] == [
        "0.0 GB",
        "1.3 GB",
        "99.9 GB",
        "2,794 GB",
    ]


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        ({}, "there is none"),
        ({"a": Plan("BERT", Layout())}, "a is for BERT, which is not among the models"),
        ({"a": Plan("GPT-3", Layout(tensor=7))}, "tensor: 7 does not divide the 96 heads"),
    ],
)
def test_a_calculator_of_what_cannot_be_is_refused(plans, message):
    with pytest.raises(InputError, match=message):
        ParallelismCalculator(MODELS, plans)
