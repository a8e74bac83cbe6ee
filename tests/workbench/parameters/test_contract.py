"""A chapter keeps to the contract, or is refused with a sentence before anything runs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from toy_project import PARAMETERS, write_chapter
from workbench.core.errors import RequestError
from workbench.parameters.contract import load_contract, read_contract


def test_the_parameters_cell_is_the_whole_contract(project):
    contract = load_contract(project, "toy")
    size = contract.parameters["size"]
    assert (size.type_text, size.default, size.comment) == ("Count", 3, "how many")
    assert contract.defaults["depths"] == [1, 2]
    assert list(contract.parameters) == ["size", "rate", "share", "seed", "flag", "mode", "name", "depths"]


def test_given_values_are_coerced_and_the_others_are_defaults(project):
    values = load_contract(project, "toy").resolve({"size": "9", "rate": "1e-2", "name": "010", "depths": ["3"]})
    assert (values["size"], values["rate"], values["name"], values["depths"]) == (9, 0.01, "010", [3])
    assert values["seed"] == 0
    for nothing in ("[]", []):
        assert load_contract(project, "toy").resolve({"depths": nothing})["depths"] == []


def test_every_mistake_of_a_request_has_its_sentence(project):
    with pytest.raises(RequestError) as caught:
        load_contract(project, "toy").resolve({"sise": "1", "rate": "fast", "seed": " "})
    assert set(caught.value.sentences) == {
        "toy has no parameter sise; did you mean size?",
        "rate: fast is not a number",
        "seed: the value is empty",
    }


def test_values_of_more_than_a_mebibyte_in_all_are_refused(project):
    contract = load_contract(project, "toy")
    assert len(contract.resolve({"name": "x" * 2**19})["name"]) == 2**19
    with pytest.raises(RequestError, match=r"^the values take 19 MiB, and 1 MiB is the most in all$"):
        contract.resolve({"name": "x" * 20_000_000})


def test_of_very_many_unknown_names_only_some_are_said(project):
    with pytest.raises(RequestError) as caught:
        load_contract(project, "toy").resolve({f"unknown_{number}": "1" for number in range(50_000)})
    assert len(caught.value.sentences) == 21
    assert caught.value.sentences[-1] == "toy has none of 49,980 more names either"


@pytest.mark.parametrize(
    ("kind", "default"), [("Dataset", "pydocs"), ("Model", "pydocs-small"), ("Predictions", "fine-tuning-seeds")]
)
def test_a_name_that_no_file_can_have_is_a_mistake_like_others(tmp_path, kind, default):
    cell = f"from workbench.types import {kind}\n\nof: {kind} = '{default}'  # what is looked at"
    contract = read_contract(write_chapter(tmp_path, "of", parameters=cell, read=False))
    with pytest.raises(RequestError, match=r"^of: a{60}… ") as caught:
        contract.resolve({"of": "a" * 5000})
    assert len(caught.value.sentences) == 1


def test_a_default_that_no_file_can_have_is_refused_like_any_other(tmp_path):
    cell = f"from workbench.types import Dataset\n\nof: Dataset = '{'a' * 5000}'  # what is looked at"
    with pytest.raises(RequestError, match=r"of: its own default is refused: a{60}… (cannot be looked up|is neither)"):
        read_contract(write_chapter(tmp_path, "of", parameters=cell, read=False))


@pytest.mark.parametrize("name", ["../toy", "/etc/passwd", "toy.ipynb", "", ".", "notebooks/toy", "TOY"])
def test_only_a_chapters_name_names_a_chapter(project, name):
    with pytest.raises(RequestError, match="no chapter"):
        load_contract(project, name)


@pytest.mark.parametrize(
    ("parameters", "code", "sentence"),
    [
        (None, "x = 1", "no cell is tagged `parameters`, and a chapter has exactly one"),
        ("size = 3", "size", "`size = 3` is not a parameter"),
        ("size: Count", "size", "`size: Count` is not a parameter"),
        ("from workbench.types import Count\nsize: Count = 1 + 2", "size", "its default `1 + 2` is computed"),
        (
            "from workbench.types import Count\nsize: Count = len('ab')",
            "size",
            "is computed, and a default is a literal",
        ),
        ("size: Count = 0", "size", "its own default is refused: 0 is not at least 1"),
        ("size: Count = 1\nsize: Count = 2", "size", "size is declared twice"),
        ("size: Tensor = 1", "size", "`Tensor` is not a type that a parameter can have"),
        ("size: __import__('os').system('true') = 1", "size", "is not a type that a parameter can have"),
        ("import os\nsize: Count = 1", "size", "`import os` is not a parameter"),
        ("size: Count = ", "size", "the parameters cell is not Python"),
        ("size: Count = 1", "other = 2", "the parameter size is declared and never read"),
        ("size: Count = 1", "size = size + 1", "binds the parameter size again"),
        ("size: Count = 1", "size += 1", "binds the parameter size again"),
        ("size: Count = 1", "for size in range(size): pass", "binds the parameter size again"),
        ("size: Count = 1", "print(size)\nimport os as size", "binds the parameter size again"),
        ("size: Count = 1", "def size(): return size", "binds the parameter size again"),
        ("size: Count = 1", "def f():\n    global size\n    size = 2\nprint(size)", "binds the parameter size again"),
        ("size: Count = 1", "print(size)\n[size := 2 for _ in range(3)]", "binds the parameter size again"),
        ("size: Count = 1", "print(size)\ndel size", "binds the parameter size again"),
        ("size: Count = 1", "print(size", "is not Python"),
    ],
)
def test_a_chapter_that_breaks_the_contract_is_refused(project, parameters, code, sentence):
    path = write_chapter(project.root, code, parameters=parameters, read=False)
    with pytest.raises(RequestError) as caught:
        read_contract(path)
    assert any(sentence in said for said in caught.value.sentences), caught.value.sentences


@pytest.mark.parametrize(
    "code",
    [
        "def f(size):\n    size = size + 1\n    return size\nf(size)",
        "sizes = [size for size in range(size)]",
        "%matplotlib inline\nprint(size)",
        "differ = (\n    size\n    != 2\n)",
        "rest = (\n    size\n    % 2\n)",
        "def f():\n    return size",
        "shown = f'{size}'",
    ],
)
def test_a_local_name_and_a_magic_are_no_breach(project, code):
    path = write_chapter(project.root, code, parameters="size: Count = 1", read=False)
    assert list(read_contract(path).parameters) == ["size"]


def test_two_parameters_cells_are_one_too_many(project):
    path = write_chapter(project.root)
    notebook = json.loads(path.read_text())
    notebook["cells"].append({**notebook["cells"][1], "id": "second"})
    path.write_text(json.dumps(notebook))
    with pytest.raises(RequestError, match="2 cells are tagged `parameters`"):
        read_contract(path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{}]}', "\x00\x01"])
def test_a_damaged_notebook_is_refused(project, content):
    path = project.notebooks / "toy.ipynb"
    path.write_text(content)
    with pytest.raises(RequestError, match="not a notebook that can be read"):
        read_contract(path)


def test_reading_a_contract_executes_nothing(project):
    path = write_chapter(project.root, "raise SystemExit('executed')", parameters=PARAMETERS)
    assert read_contract(path).parameters


METHODS = """\
from largemodels.domain_adaptation.remedies import Remedy as Choice

methods: list[Choice] = ["dapt"]  # to try
"""


def test_a_named_choice_of_the_library_is_the_choice_written_out(tmp_path):
    from largemodels.domain_adaptation.remedies import Remedy

    contract = read_contract(write_chapter(tmp_path, "methods", parameters=METHODS, read=False))
    methods = contract.parameters["methods"]
    assert methods.annotation == list[Remedy]
    assert methods.type_text == ast.unparse(ast.parse(str(list[Remedy]).replace("typing.", "")))
    with pytest.raises(RequestError, match=r"methods: prayer \(item 1\) is not one of dapt, tapt"):
        contract.resolve({"methods": ["prayer"]})


def test_a_named_choice_is_read_without_importing_its_module(tmp_path):
    path = write_chapter(tmp_path, "methods", parameters=METHODS, read=False)
    code = (
        "import sys; from pathlib import Path; from workbench.parameters.contract import read_contract\n"
        f"read_contract(Path({str(path)!r})).resolve({{'methods': 'dapt'}})\n"
        "assert 'torch' not in sys.modules and 'largemodels.domain_adaptation' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from largemodels.data.tasks import SHIPPED", "SHIPPED is no choice that largemodels.data.tasks names"),
        ("from largemodels.data.tasks import nothing", "nothing is no choice"),
        ("from largemodels.data.hub import *", r"\* is no choice"),
        ("from largemodels.prayers import Method", "there is no module largemodels.prayers"),
        ("from os import path", "`from os import path` is not a parameter"),
        ("from .largemodels import Method", "is not a parameter"),
        ("from workbench.chapter import begin", "`from workbench.chapter import begin` is not a parameter"),
    ],
)
def test_an_import_that_is_no_choice_is_refused(tmp_path, line, said):
    cell = f"from workbench.types import Count\n{line}\n\nsize: Count = 1  # how many"
    with pytest.raises(RequestError, match=said):
        read_contract(write_chapter(tmp_path, "size", parameters=cell, read=False))


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        ({"size": "246810"}, True),
        ({"size": 246810}, True),
        ({"size": "00246810"}, True),
        ({"size": 2468101}, False),
        ({"depths": "1,246810"}, True),
        ({"depths": [1, 2468101]}, False),
        ({"name": "of 246810"}, True),
        ({"name": "of 24681"}, False),
        ({"mode": "246810"}, True),
        ({"corpus": "texts.txt"}, True),
        ({"corpus": "elsewhere.txt"}, False),
        ({}, False),
    ],
)
def test_a_value_with_a_secret_of_the_environment_is_refused_without_being_shown(
    tmp_path, monkeypatch, given, is_refused
):
    cell = PARAMETERS + 'corpus: Dataset = "pydocs"  # to read\nlimit: Count = 246810  # a default is no secret\n'
    contract = read_contract(write_chapter(tmp_path, "corpus, limit", parameters=cell))
    (tmp_path / "246810").mkdir()
    (tmp_path / "246810" / "texts.txt").touch()
    (tmp_path / "texts.txt").symlink_to(tmp_path / "246810" / "texts.txt")
    (tmp_path / "elsewhere.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_PASSWORD", "246810")
    if not is_refused:
        contract.resolve(given)
        return
    with pytest.raises(RequestError) as refused:
        contract.resolve(given)
    (name,) = given
    assert refused.value.sentences == (
        f"{name}: its value holds the secret of the environment variable DATABASE_PASSWORD, "
        "which would stand in the run's record",
    )


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ('chapter = begin(headline=["accuracy", "gain"])', ("accuracy", "gain")),
        ('chapter = workbench.chapter.begin(globals(), headline=("accuracy",))', ("accuracy",)),
        ("chapter = begin()", ()),
        ("chapter = begin(headline=names_of(size))", ()),
        ('begin_with(headline=["accuracy"])', ()),
        ('%%html\nbegin(headline=["accuracy"])', ()),
    ],
)
def test_the_headline_of_a_chapter_is_read_from_its_call_of_begin(tmp_path, cell, names):
    assert read_contract(write_chapter(tmp_path, cell)).headline == names
