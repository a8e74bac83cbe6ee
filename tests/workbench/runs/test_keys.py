"""The content key follows what a run depends on, and nothing else."""

from __future__ import annotations

import json

import pytest

from toy_project import edit_cell, write_chapter
from workbench.parameters.contract import load_contract
from workbench.runs.keys import content_key, ingredients, installed


def key(project, **given) -> str:
    contract = load_contract(project, "toy")
    return content_key(ingredients(contract, contract.resolve(given)))


def test_prose_and_outputs_are_no_part_of_the_key(project):
    before = key(project)
    edit_cell(project.notebooks / "toy.ipynb", "title", "# Toy\n\nA corrected typo.")
    assert key(project) == before


def test_code_tags_and_parameters_are(project):
    keys = {key(project), key(project, size="4")}
    edit_cell(project.notebooks / "toy.ipynb", "cell-1", "print('other code')")
    keys.add(key(project))
    path = project.notebooks / "toy.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["metadata"]["tags"] = ["quotes-corpus"]
    path.write_text(json.dumps(notebook))
    keys.add(key(project))
    assert len(keys) == 4


@pytest.mark.parametrize("end", ["\n1", "\n'a text'", "\nsize", ";"])
def test_what_a_cell_shows_at_its_end_is_part_of_the_key(project, end):
    edit_cell(project.notebooks / "toy.ipynb", "cell-1", "print(size)\nsize + 1")
    before = key(project)
    edit_cell(project.notebooks / "toy.ipynb", "cell-1", f"print(size)\nsize + 1{end}")
    assert key(project) != before


def test_each_code_cell_has_a_digest_of_its_own_in_the_order_of_the_chapter(project):
    def code():
        contract = load_contract(project, "toy")
        return ingredients(contract, contract.resolve({}))["code"]

    before = code()
    assert [cell for cell, _ in before] == ["parameters", "cell-0", "cell-1"]
    path = project.notebooks / "toy.ipynb"
    edit_cell(path, "cell-1", "print('other code')")
    assert [old == new for old, new in zip(before, code(), strict=True)] == [True, True, False]
    notebook = json.loads(path.read_text())
    notebook["cells"].append(notebook["cells"].pop(0))
    path.write_text(json.dumps(notebook))
    assert [cell for cell, _ in code()] == ["parameters", "cell-0", "cell-1"], "a paragraph that moves changes nothing"
    notebook["cells"].insert(1, notebook["cells"].pop(2))
    path.write_text(json.dumps(notebook))
    assert [cell for cell, _ in code()] == ["parameters", "cell-1", "cell-0"]


def test_the_name_of_a_code_cell_counts_because_pages_find_outputs_by_it(project):
    before = key(project)
    path = project.notebooks / "toy.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["id"] = "renamed"
    path.write_text(json.dumps(notebook))
    assert key(project) != before


def test_a_given_default_is_the_default(project):
    assert key(project, size="3") == key(project)


def test_the_definitions_and_versions_are_those_that_the_chapter_reaches(project):
    code = "from workbench.chapter import begin\nfrom largemodels.attention import layers\nbegin()\nlayers.attention"
    write_chapter(project.root, code)
    contract = load_contract(project, "toy")
    parts = ingredients(contract, contract.resolve({}))
    modules = {place.partition(":")[0] for place in parts["definitions"]}
    assert {"workbench.chapter", "workbench.parameters.types", "largemodels.models.losses"} <= modules
    assert not {"workbench.runs.runner", "workbench.cli.app", "largemodels.data.corpora"} & modules
    reached = {"largemodels.attention.layers:attention", "workbench.parameters.types:Count"}
    assert reached <= parts["definitions"].keys()
    assert "largemodels.attention.layers:entropy" not in parts["definitions"], "a neighbour that no cell uses"
    assert "torch" in parts["versions"]
    assert not {"jupyter-book", "jinja2"} & parts["versions"].keys(), "torch brings jinja2, and no cell uses it by name"
    assert "jinja2" in installed(contract)


def test_what_a_chapter_records_through_the_tool_counts_and_what_the_tool_asks_for_itself_does_not(project):
    dataset = "from workbench.types import Dataset\n\ncorpus: Dataset = 'pydocs'  # to read"
    code = "from workbench.chapter import begin\nbegin().record_share('a', 1, corpus.count(''))"
    write_chapter(project.root, code, parameters=dataset, read=False)
    contract = load_contract(project, "toy")
    reached = ingredients(contract, contract.resolve({}))["definitions"]
    assert "largemodels.statistics.intervals:proportion_interval" in reached
    assert "workbench.parameters.content:dataset_fingerprint" in reached
    assert "largemodels.data.corpora:fingerprint" not in reached


@pytest.mark.parametrize(
    "change", ["definitions", "links", "versions", "data", "checkpoints", "package_data", "code", "parameters"]
)
def test_every_ingredient_counts(project, change):
    contract = load_contract(project, "toy")
    parts = ingredients(contract, contract.resolve({}))
    assert content_key({**parts, change: {"something": "else"}}) != content_key(parts)


def test_data_are_fingerprinted(project):
    text = project.root / "text.txt"
    text.write_text("One sentence stands here.\n")
    parameters = 'from workbench.types import Dataset\ncorpus: Dataset = "pydocs"'
    write_chapter(project.root, "print(corpus)", parameters=parameters, read=False)
    shipped, local = key(project), key(project, corpus="text.txt")
    text.write_text("Another sentence stands here.\n")
    assert len({shipped, local, key(project, corpus="text.txt")}) == 3
