"""Accepted and staged notebooks: the source's prose with the run's outputs, and nothing volatile."""

from __future__ import annotations

import json

import pytest

from toy_project import edit_cell, write_chapter
from workbench.core.errors import RequestError
from workbench.parameters.contract import load_contract
from workbench.runs.notebooks import accept_run, staged

pytestmark = pytest.mark.usefixtures("warm_server")
BEGIN = "from workbench.chapter import begin\nchapter = begin()"


@pytest.fixture
def quoting(project):
    """A chapter with a claim, and a cell that quotes the corpus."""
    path = write_chapter(
        project.root, BEGIN, "print('somebody wrote this')", "chapter.claim('Size: size', size, above=0)"
    )
    notebook = json.loads(path.read_text())
    notebook["cells"][4]["metadata"]["tags"] = ["quotes-corpus"]
    path.write_text(json.dumps(notebook))
    return path


def test_an_accepted_notebook_has_outputs_and_nothing_volatile(project, run, quoting):
    done, _ = run()
    accept_run(project, load_contract(project, "toy"))
    notebook = json.loads(quoting.read_text())
    assert notebook["metadata"]["workbench"] == {
        "run": done.id,
        "started": done.record["started"],
        "seconds": done.record["seconds"],
    }
    assert "papermill" not in quoting.read_text()
    assert "somebody wrote this" not in json.dumps([cell.get("outputs") for cell in notebook["cells"]])
    assert notebook["cells"][-1]["outputs"][0]["data"]["text/plain"] == ["✓ Size: size above 0"]
    assert all(cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    before = quoting.read_bytes()
    accept_run(project, load_contract(project, "toy"), done.id)
    assert quoting.read_bytes() == before, "accepting twice changes nothing"
    assert run()[1], "accepting changes no ingredient of the key"


def test_a_warning_of_an_installed_file_is_not_kept_and_another_one_is(project, run):
    warn = "import sys\nprint('lib/site-packages/x.py:1: old', file=sys.stderr)"
    path = write_chapter(project.root, warn, "print('take care', file=sys.stderr)")
    run()
    accept_run(project, load_contract(project, "toy"))
    kept = [cell.get("outputs") for cell in json.loads(path.read_text())["cells"]]
    assert kept[3] == []
    assert "take care" in json.dumps(kept[4])


def test_a_run_that_was_given_a_default_leaves_no_cell_behind(project, run, quoting):
    cells = [cell["id"] for cell in json.loads(quoting.read_text())["cells"]]
    default = load_contract(project, "toy").defaults["size"]
    for _ in range(2):
        done, _ = run(size=str(default))
        accept_run(project, load_contract(project, "toy"), done.id)
        assert [cell["id"] for cell in json.loads(quoting.read_text())["cells"]] == cells
    assert "injected-parameters" in json.dumps(staged(load_contract(project, "toy"), done)), "the page shows it"


def test_only_a_completed_default_run_of_the_present_code_is_accepted(project, run, quoting):
    contract = load_contract(project, "toy")
    with pytest.raises(RequestError, match="no completed run of its default parameters"):
        accept_run(project, contract)
    other, _ = run(size="5")
    with pytest.raises(RequestError, match="other parameters"):
        accept_run(project, contract, other.id)
    run()
    edit_cell(quoting, "cell-2", "print('changed')")
    before = quoting.read_bytes()
    with pytest.raises(RequestError, match="the code of cell cell-2 has changed"):
        accept_run(project, load_contract(project, "toy"))
    assert quoting.read_bytes() == before


def test_a_staged_notebook_joins_corrected_prose_with_the_runs_outputs(project, run, quoting):
    done, _ = run(size="5")
    edit_cell(quoting, "title", "# A corrected title")
    notebook = staged(load_contract(project, "toy"), done)
    assert "".join(notebook["cells"][0]["source"]) == "# A corrected title"
    assert "injected-parameters" in notebook["cells"][2]["metadata"]["tags"]
    assert "somebody wrote this" in json.dumps(notebook)
    facts = notebook["metadata"]["workbench"]
    assert facts["run"] == done.id
    assert facts["parameters"]["size"] == 5
    assert "cores" in facts["machine"] or "core," in facts["machine"]


def test_a_number_that_only_the_default_run_computes_reads_so_and_an_unknown_one_stays(project, run):
    path = write_chapter(project.root, BEGIN, "chapter.record('size', size)", "if flag: chapter.record('more', size)")
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"] = "# {glue:text}`size` or {glue:text}`more:.1f`, never {glue:text}`mroe`"
    path.write_text(json.dumps(notebook))
    run()
    accept_run(project, load_contract(project, "toy"))
    done, _ = run(flag="false")
    prose = "".join(staged(load_contract(project, "toy"), done)["cells"][0]["source"])
    assert prose == "# {glue:text}`size` or *not computed in this run*, never {glue:text}`mroe`"


def test_a_page_says_what_was_changed_and_names_no_folder_of_this_machine(project, run, tmp_path):
    data = tmp_path / "private" / "reviews.csv"
    data.parent.mkdir()
    data.write_text("text,label\ngood,1\nbad,0\n")
    write_chapter(
        project.root,
        BEGIN,
        "print(data, size)",
        parameters="from workbench.types import Count, Dataset\n"
        "data: Dataset = 'pydocs'  # text\n"
        "size: Count = 3  # rows\n",
        read=False,
    )
    done, _ = run(data=str(data))
    notebook = staged(load_contract(project, "toy"), done)
    facts = notebook["metadata"]["workbench"]
    assert facts["changed"] == ["data"]
    assert facts["parameters"] == {"data": "reviews.csv", "size": 3}
    assert "private" not in json.dumps(notebook)
    assert notebook["cells"][-1]["outputs"][0]["text"] == ["reviews.csv 3\n"]
