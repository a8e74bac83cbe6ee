"""A chapter is stale when something that it uses has changed, and it is said what."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from made_runs import NOW, make_run, new_run_folder, whole_record
from toy_project import edit_cell, write_chapter
from workbench.cli.tables import print_states
from workbench.parameters.contract import load_contract
from workbench.runs.keys import content_key, ingredients
from workbench.runs.staleness import State, changes, state_of
from workbench.runs.store import notebook_facts, write_record

THEN = whole_record()["ingredients"]


def now_with(part, **values):
    now = copy.deepcopy(THEN)
    now[part] = {name: value for name, value in {**now[part], **values}.items() if value is not None}
    return now


@pytest.mark.parametrize(
    ("now", "reasons"),
    [
        (THEN, []),
        (now_with("definitions", **{"largemodels.attention.vectors:cosine": "x"}), ["`vectors.cosine` changed"]),
        (now_with("definitions", **{"largemodels.new:f": "x"}), ["`new.f` is used now"]),
        (
            now_with("definitions", **{"largemodels.attention.vectors:cosine": None}),
            ["`vectors.cosine` is not used any more"],
        ),
        (
            now_with(
                "definitions",
                **{"largemodels.attention.vectors:cosine": None, "largemodels.deep.similarity:cosine": "cc"},
            ),
            [],
        ),
        (
            now_with(
                "definitions", **{"largemodels.attention.vectors:cosine": None, "largemodels.similarity:cosine": "x"}
            ),
            ["`similarity.cosine` changed"],
        ),
        (
            now_with("definitions", **{"largemodels.attention.vectors:(statements)": "x"}),
            ["what `vectors` does on import is used now"],
        ),
        ({**THEN, "links": "12"}, ["a name in its code stands for another definition"]),
        (now_with("package_data", **{"largemodels/words.txt": "x"}), ["`words.txt` changed"]),
        (now_with("package_data", **{"largemodels/words.txt": None, "largemodels/deep/words.txt": "ee"}), []),
        (now_with("parameters", size=4), ["parameter size 3 → 4"]),
        (now_with("parameters", seed=0), ["parameter seed none → 0"]),
        (now_with("versions", torch="2.14.0"), ["torch 2.13.0 → 2.14.0"]),
        (now_with("versions", python="3.13"), ["Python 3.12 → 3.13"]),
        (now_with("versions", numpy="2.4"), ["numpy none → 2.4"]),
        (now_with("data", corpus="x"), ["data: corpus changed"]),
        ({**THEN, "code": [["parameters", "aa"], ["cell-0", "x"]]}, ["the code of cell cell-0 changed"]),
        ({**THEN, "code": [["parameters", "aa"]]}, ["cell cell-0 was removed"]),
        ({**THEN, "code": [*THEN["code"], ["more", "x"]]}, ["cell more is new"]),
        ({**THEN, "code": THEN["code"][::-1]}, ["the code cells stand in another order"]),
        ({**THEN, "checkpoints": {"model": "x"}}, ["model: model is used now"]),
        ({**THEN, "sensors": {"a": "x"}}, ["sensors changed"]),
    ],
)
def test_each_change_is_said_in_words(now, reasons):
    assert list(changes(THEN, now)) == reasons


def test_another_data_set_is_a_parameter_that_changed_and_not_data_that_did():
    then = {**THEN, "parameters": {"corpus": "pydocs"}}
    now = {**THEN, "parameters": {"corpus": "mine.txt"}, "data": {"corpus": "x"}}
    assert list(changes(then, now)) == ["parameter corpus pydocs → mine.txt"]


def test_a_record_with_one_digest_for_all_cells_still_says_that_code_changed():
    assert list(changes({**THEN, "code": "aa"}, THEN)) == ["the chapter's code changed"]


def test_a_record_of_modules_says_that_its_code_is_not_known_and_what_else_differs():
    then = {"modules": {"largemodels": "cc"}, "versions": {"torch": "2.12.0"}, "parameters": {"size": 2}}
    assert list(changes(then, THEN)) == [
        "its record is of an earlier form, which does not say what its code was",
        "parameter size 2 → 3",
    ]


def test_a_record_without_ingredients_says_so():
    assert list(changes({}, THEN)) == ["its record does not say what it depended on"]


# The state of a chapter, judged by runs that nothing has run


def complete(project, status="completed", after=0, **given):
    """A run of the chapter as it is now."""
    contract = load_contract(project, "toy")
    parts = ingredients(contract, contract.resolve(given))
    key = content_key(parts)
    parameters = {"given": given, "resolved": parts["parameters"]}
    return make_run(project, key=key, after=after, status=status, ingredients=parts, parameters=parameters)


def test_a_chapter_is_never_run_then_current_and_prose_keeps_it_so(project):
    assert state_of(project, "toy", {}).state == "never run"
    folder = complete(project)
    edit_cell(project.notebooks / "toy.ipynb", "title", "# Toy\n\nA corrected typo.")
    state = state_of(project, "toy", {})
    assert (state.state, state.run, state.reasons) == ("current", folder.name, ())


def test_a_paragraph_that_moves_keeps_a_chapter_current(project):
    complete(project)
    path = project.notebooks / "toy.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"].append(notebook["cells"].pop(0))
    path.write_text(json.dumps(notebook))
    assert state_of(project, "toy", {}).state == "current"


def test_the_cell_whose_code_changed_is_named(project):
    complete(project)
    edit_cell(project.notebooks / "toy.ipynb", "cell-1", "print('other code')")
    state = state_of(project, "toy", {})
    assert (state.state, state.reasons) == ("stale", ("the code of cell cell-1 changed",))


def test_of_several_runs_the_newest_of_the_same_parameters_says_why(project):
    same = complete(project)
    complete(project, after=60, size="9")
    edit_cell(project.notebooks / "toy.ipynb", "cell-1", "print('other code')")
    assert state_of(project, "toy", {}).run == same.name
    assert state_of(project, "toy", {"size": "7"}).reasons == (
        "the code of cell cell-1 changed",
        "parameter size 9 → 7",
    )


def test_a_chapter_whose_runs_all_failed_is_stale_with_the_failure(project):
    folder = complete(project, status="failed")
    assert state_of(project, "toy", {}).reasons == (
        f"no run has completed; the newest, {folder.name}, failed in cell cell-0: E: m",
    )


def test_a_run_whose_notebook_is_another_is_not_current(project):
    folder = complete(project)
    text = (folder / "toy.ipynb").read_text()
    (folder / "toy.ipynb").write_text(text.replace("nbformat_minor", "nbformat_MINOR"))
    state = state_of(project, "toy", {})
    assert (state.state, state.reasons) == ("stale", ("the notebook of its run is missing or another",))


def test_a_chapter_that_cannot_be_judged_is_broken_with_the_reason(project):
    write_chapter(project.root, "size = 4", parameters="size: Count = 3", read=False)
    state = state_of(project, "toy", {})
    assert state.state == "broken"
    assert "binds the parameter size again" in state.reasons[0]


# A copy of the library that may be changed, in processes that import it


@pytest.fixture
def library(project, root, monkeypatch) -> Path:
    """A copy of lib/ that stands first on the path of every process that the test starts."""
    copied = project.root / "copied" / "lib"
    shutil.copytree(root / "lib", copied, ignore=shutil.ignore_patterns("__pycache__", "weights", "*.egg-info"))
    monkeypatch.setenv("PYTHONPATH", str(copied))
    return copied


def test_a_used_module_makes_stale_what_uses_it_and_an_unrelated_one_nothing(project, library, workbench):
    write_chapter(
        project.root, "from largemodels.statistics.intervals import mean_interval\nprint(mean_interval([1, 2]))"
    )
    _complete_elsewhere(project)
    assert workbench("status").returncode == 0

    for unrelated in ("largemodels/attention/vectors.py", "workbench/cli/doctor.py", "workbench/runs/runner.py"):
        _touch(library / unrelated)
    (library / "largemodels" / "brand_new.py").write_text('"""A module of its own."""\n')
    current = workbench("status", "--json")
    assert (current.returncode, json.loads(current.stdout)[0]["state"]) == (0, "current")

    used = library / "largemodels" / "statistics" / "intervals.py"
    used.write_text(used.read_text().replace("CONFIDENCE = 0.95", "CONFIDENCE = 0.9"))
    stale = workbench("status", "--json")
    (state,) = json.loads(stale.stdout)
    assert (stale.returncode, state["reasons"]) == (1, ["`intervals.CONFIDENCE` changed"])


def test_a_module_that_is_reached_through_others_counts(project, library, workbench):
    write_chapter(project.root, "from largemodels.attention import layers as attention\nattention.attention")
    _complete_elsewhere(project)
    reached = library / "largemodels" / "attention" / "layers.py"
    imported = "from largemodels import helper_of_attention as _helper\n"
    changed = reached.read_text().replace("import torch\n", f"import torch\n\n{imported}", 1)
    reached.write_text(changed.replace("    scale =", "    _helper.helps()\n    scale =", 1))
    (library / "largemodels" / "helper_of_attention.py").write_text("def helps(): ...\n")
    (state,) = json.loads(workbench("status", "--json").stdout)
    assert state["reasons"] == ["`layers.attention` changed", "`helper_of_attention.helps` is used now"]


def _touch(path: Path) -> None:
    path.write_text(f"{path.read_text()}\n# touched\n")


def _complete_elsewhere(project) -> None:
    """A completed run of the chapter, with the ingredients that a process with the copied library sees."""
    code = (
        "import json\nfrom workbench.parameters.contract import load_contract\n"
        "from workbench.runs.keys import ingredients\n"
        "from workbench.core.project import find_project\ncontract = load_contract(find_project(), 'toy')\n"
        "print(json.dumps(ingredients(contract, contract.resolve({}))))"
    )
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=project.root, env=os.environ)
    parts = json.loads(printed.stdout)
    key = content_key(parts)
    folder = new_run_folder(project.runs, "toy", key, NOW)
    (folder / "toy.ipynb").write_text("{}")
    facts = notebook_facts(folder / "toy.ipynb")
    parameters = {"given": {}, "resolved": parts["parameters"]}
    write_record(folder, whole_record(key=key, ingredients=parts, parameters=parameters, notebook=facts))


def test_of_many_reasons_eight_are_printed_and_json_has_all(capsys):
    state = State("toy", "stale", "a-run", tuple(f"reason {number}" for number in range(11)))
    print_states([state])
    printed = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in printed[1:]] == [
        *(f"reason {number}" for number in range(8)), "and 3 more; --json lists them"
    ]  # fmt: skip
    assert len(state.reasons) == 11
