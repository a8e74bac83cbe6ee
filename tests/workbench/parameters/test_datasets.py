"""Local data are read before a kernel starts, as the chapter will read them, and once for a sweep."""

from __future__ import annotations

import json

import pytest

from toy_project import write_chapter
from workbench.core.errors import RequestError
from workbench.parameters import datasets
from workbench.parameters.contract import load_contract
from workbench.runs.notebooks import staged
from workbench.runs.store import find_run

PARAMETERS = """\
from workbench.types import Dataset, Seed

corpus: Dataset = "pydocs"  # text
dataset: Dataset = "pydocs-sections"  # a task
label_column: str = ""  # of the label
seed: Seed = 0  # of everything random
"""
BEGIN = "from workbench.chapter import begin\nchapter = begin()\nused = corpus, dataset, label_column, seed"
ROWS = "".join(f"it is number {n},{'ab'[n % 2]},{'xy'[n % 2]}\n" for n in range(60))


@pytest.fixture
def contract(project):
    """A chapter that reads a corpus and a task, and describes what it took."""
    tell = "chapter.record_source('dataset', {'source': 'a.csv', 'rows': '60'})\nprint(dataset)"
    write_chapter(project.root, BEGIN, tell, parameters=PARAMETERS, read=False)
    (project.root / "secret-folder").mkdir()
    (project.root / "secret-folder" / "a.csv").write_text(f"text,category,target\n{ROWS}")
    return load_contract(project, "toy")


def check(contract, **request):
    datasets.check_datasets(contract, contract.resolve(request), {})


DATA = "secret-folder/a.csv"


def test_data_are_judged_by_what_the_parameter_is_for_and_by_the_columns_that_are_named(contract):
    with pytest.raises(RequestError, match=r"^dataset: .*a\.csv: which of category, target is the label\?"):
        check(contract, dataset=DATA)
    check(contract, dataset=DATA, label_column="target")
    check(contract, corpus=DATA, label_column="target")
    assert datasets.data_parameters(contract) == ["corpus", "dataset", "label_column"]
    with pytest.raises(RequestError, match="label_column: there is no column none; there is text, category, target"):
        check(contract, dataset=DATA, label_column="none")


def test_large_data_are_left_to_the_chapter(contract, monkeypatch):
    monkeypatch.setattr(datasets, "LARGEST", 10)
    datasets._check.cache_clear()
    check(contract, dataset=DATA)


@pytest.mark.parametrize("line", [("run", "toy"), ("sweep", "toy", "-g", "seed=0:5")], ids=" ".join)
def test_a_mistake_in_the_data_is_one_sentence_before_anything_is_written(project, contract, command, line):
    refused = command(*line, "-p", f"dataset={DATA}")
    assert refused.returncode == 2
    assert refused.stderr.count("which of category, target is the label?") == 1
    assert not project.runs.exists()


def test_what_a_chapter_took_is_in_its_record_and_its_path_on_no_page(project, contract, command):
    ran = command("run", "toy", "-p", f"dataset={DATA}", "-p", "label_column=target")
    assert ran.returncode == 0, ran.stderr
    done = find_run(project, "latest")
    assert done.record["sources"] == {"dataset": {"source": "a.csv", "rows": "60"}}
    shown = command("show", "latest").stdout
    assert shown.count("taken from dataset") == 1
    assert json.loads(command("show", "latest", "--json").stdout)["sources"] == done.record["sources"]
    page = json.dumps(staged(contract, done))
    assert str(project.root / DATA) in done.notebook.read_text()
    assert "secret-folder" not in page
    assert page.count("a.csv") >= 3
