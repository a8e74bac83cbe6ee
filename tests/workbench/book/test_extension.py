"""What the extension reads from executed notebooks, and what it says where there is nothing or nonsense to read."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

import toy_chapter
from workbench.book.extension import provenance
from workbench.runs.executed import read_executed

COMMITTED = {"run": toy_chapter.RUN["run"], "started": toy_chapter.RUN["started"]}


def write(folder, notebook) -> Any:
    path = folder / "chapter.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_run_and_claims_are_read_in_order(tmp_path):
    executed = read_executed(write(tmp_path, toy_chapter.chapter()))
    assert executed.run == toy_chapter.RUN
    assert [claim["holds"] for claim in executed.claims] == [True, False]
    assert executed.problems == []


def test_a_notebook_that_was_never_executed_has_nothing_and_is_no_problem(tmp_path):
    notebook = toy_chapter.chapter(run=None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    executed = read_executed(write(tmp_path, notebook))
    assert (executed.run, executed.claims, executed.problems) == ({}, [], [])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"metadata": {}, "cells": 3}', '{"metadata": [], "cells": []}'])
def test_a_file_that_is_no_notebook_is_one_problem(tmp_path, content):
    path = tmp_path / "chapter.ipynb"
    path.write_text(content, encoding="utf-8")
    assert len(read_executed(path).problems) == 1


@pytest.mark.parametrize(
    "claim",
    [
        None,
        "holds",
        {},
        {"statement": "a"},
        {"statement": "a", "bound": "above 0", "holds": "yes"},
        {"bound": "above 0", "holds": True},
    ],
)
def test_a_malformed_claim_is_named_and_the_others_are_kept(tmp_path, claim):
    notebook = toy_chapter.chapter()
    cell = next(cell for cell in notebook.cells if "chapter.claim" in cell.source)
    cell.outputs[0].metadata["workbench"] = {"claim": claim}
    executed = read_executed(write(tmp_path, notebook))
    assert [claim["statement"] for claim in executed.claims] == ["A fair coin shows heads: frequency"]
    assert len(executed.problems) == 1
    assert executed.problems[0].startswith(f"cell {notebook.cells.index(cell)}: the claim ")


@pytest.mark.parametrize(
    "change",
    [{"run": None}, {"started": "yesterday"}, {"started": 3}, {"seconds": "long"}, {"parameters": [1]}],
)
def test_a_malformed_run_is_a_problem_and_is_not_shown(tmp_path, change):
    executed = read_executed(write(tmp_path, toy_chapter.chapter(run={**toy_chapter.RUN, **change})))
    assert executed.run == {}
    assert len(executed.problems) == 1
    assert len(executed.claims) == 2


def test_committed_outputs_are_named_as_such():
    assert (
        provenance(COMMITTED)
        .astext()
        .endswith("Outputs as committed, from run 20260102T030405Z-0badcafe of 2 January 2026, 03:04 UTC.")
    )


def test_facts_that_a_run_does_not_have_are_left_out():
    text = provenance({**COMMITTED, "machine": "a laptop", "commit": None, "seconds": None}).astext()
    assert "a laptop" in text
    assert "Commit" not in text
    assert "Took" not in text


@pytest.mark.parametrize(("seconds", "shown"), [(0.42, "0.4 s"), (41.2, "41.2 s"), (125, "2 min 5 s")])
def test_a_duration_is_given_as_a_person_would(seconds, shown):
    assert shown in provenance({**COMMITTED, "machine": "a laptop", "seconds": seconds}).astext()


def small_book(folder, notebook) -> subprocess.CompletedProcess:
    """Build a book of a ledger and one chapter with Sphinx alone."""
    (folder / "index.md").write_text(
        "# Ledger\n\n```{claims-ledger}\n```\n\n```{claims-ledger} checks\n```\n\n```{toctree}\nchapter\n```\n",
        encoding="utf-8",
    )
    nbformat.write(notebook, folder / "chapter.ipynb")
    settings = {
        "extensions": ["myst_nb", "workbench.book.extension"],
        "nb_execution_mode": "off",
        "numfig": True,
        "exclude_patterns": ["out"],
    }
    lines = [f"{name} = {value!r}" for name, value in settings.items()] + [
        "myst_enable_extensions = ['dollarmath', 'amsmath', 'colon_fence']"
    ]
    (folder / "conf.py").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(folder), str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_book_without_an_executed_chapter_says_so(tmp_path):
    notebook = toy_chapter.chapter(run=None)
    notebook.cells = [nbformat.v4.new_markdown_cell("# A chapter"), nbformat.v4.new_code_cell("1 + 1")]
    built = small_book(tmp_path, notebook)
    assert built.returncode == 0, built.stderr
    assert "No chapter of this book has been executed yet" in (tmp_path / "out" / "index.html").read_text(
        encoding="utf-8"
    )


def test_a_malformed_claim_fails_the_build_by_a_warning_and_not_by_a_crash(tmp_path):
    notebook = copy.deepcopy(toy_chapter.chapter())
    cell = next(cell for cell in notebook.cells if "chapter.claim" in cell.source)
    del cell.outputs[0].metadata["workbench"]["claim"]["holds"]
    built = small_book(tmp_path, notebook)
    assert built.returncode != 0
    assert "the claim 'Rows sum to one: largest error' has no holds" in built.stderr
    assert "Traceback" not in built.stderr
    assert "1 entry could not be read." in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_the_ledger_leads_to_the_claim_it_names_where_an_earlier_one_is_hidden(tmp_path):
    notebook = copy.deepcopy(toy_chapter.chapter())
    place = next(place for place, cell in enumerate(notebook.cells) if "chapter.claim" in cell.source)
    hidden = copy.deepcopy(notebook.cells[place])
    hidden.id, hidden.metadata["tags"] = "hidden", ["remove-output"]
    notebook.cells[place].outputs, hidden.outputs = hidden.outputs[1:], hidden.outputs[:1]
    notebook.cells.insert(place, hidden)
    built = small_book(tmp_path, notebook)
    assert built.returncode == 0, built.stderr
    ledger, page = ((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("index.html", "chapter.html"))
    ((anchor, statement),) = re.findall(r'href="chapter\.html#(claim-\d+)"><span[^>]*>([^<]+)', ledger)
    assert statement == "A fair coin shows heads: frequency"
    assert re.search(rf'<div id="{anchor}"[^>]*>✗ {statement}', page)
    assert "Rows sum to one" in ledger
    assert "Rows sum to one" not in re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL)


def test_the_configuration_lists_the_extension_and_keeps_execution_off():
    config = yaml.safe_load((Path(__file__).parents[3] / "_config.yml").read_text(encoding="utf-8"))
    assert "workbench.book.extension" in config["sphinx"]["extra_extensions"]
    assert config["execute"]["execute_notebooks"] == "off"
