"""`workbench check` turns red for what is wrong with a committed chapter."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from toy_project import Silent, write_chapter
from workbench.book.check import nbval, problems_of
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.runs.notebooks import accept_run
from workbench.runs.runner import run_chapter

pytestmark = pytest.mark.usefixtures("warm_server")
BEGIN = "from workbench.chapter import begin\nchapter = begin()"
CLAIM = "chapter.claim('Size is below ten: size', size, below=10)"


@pytest.fixture(scope="module")
def accepted_text(tmp_path_factory) -> str:
    """A chapter with one claim and accepted outputs, made once."""
    project = Project(tmp_path_factory.mktemp("accepted"))
    path = write_chapter(project.root, BEGIN, "import sys\nprint('noise', file=sys.stderr)", CLAIM)
    run_chapter(project, load_contract(project, "toy"), {}, Silent())
    accept_run(project, load_contract(project, "toy"))
    return path.read_text()


@pytest.fixture
def accepted(project, accepted_text) -> Path:
    """The accepted chapter, to be damaged."""
    path = project.notebooks / "toy.ipynb"
    path.write_text(accepted_text)
    return path


def change(path: Path, edit) -> None:
    notebook = json.loads(path.read_text())
    edit(notebook)
    path.write_text(json.dumps(notebook))


def problems(project) -> str:
    try:
        return "\n".join(problems_of(load_contract(project, "toy", every_rule=True)))
    except RequestError as refusal:
        return str(refusal)


def test_an_accepted_chapter_is_in_order_and_runs_under_nbval(project, accepted):
    assert problems(project) == ""
    assert nbval([accepted], cell_limit=60) == 0


@pytest.mark.parametrize(("made", "problem"), [(CLAIM, False), ("print(size)", True)])
def test_a_claim_may_depend_on_a_parameter_and_nothing_else_may_stand_beside_it(project, accepted, made, problem):
    change(accepted, lambda notebook: notebook["cells"][-1].update(source=f"if flag:\n    {made}"))
    assert ("something else than claims" in problems(project)) == problem


def test_a_hand_edited_claim_is_red(project, accepted):
    def edit(notebook):
        data = notebook["cells"][-1]["outputs"][0]["data"]
        data["text/plain"] = [line.replace("below 10", "below 9") for line in data["text/plain"]]

    change(accepted, edit)
    assert "what it shows is not the claim that it holds" in problems(project)
    assert nbval([accepted], cell_limit=60) == 1


def test_a_failing_claim_is_red_where_a_later_one_of_the_same_statement_holds(project, accepted):
    def edit(notebook):
        outputs = notebook["cells"][-1]["outputs"]
        fails = json.loads(json.dumps(outputs[0]))
        fails["metadata"]["workbench"]["claim"]["holds"] = False
        outputs.insert(0, fails)

    change(accepted, edit)
    assert "the committed claim does not hold: Size is below ten: size below 10" in problems(project)


def test_a_claim_that_no_longer_holds_is_red_under_nbval(project, accepted):
    def edit(notebook):
        notebook["cells"][1]["source"] = "".join(notebook["cells"][1]["source"]).replace(
            "size: Count = 3", "size: Count = 30"
        )

    change(accepted, edit)
    assert nbval([accepted], cell_limit=60) == 1


def test_a_cell_that_raises_is_red_under_nbval(project, accepted):
    change(accepted, lambda notebook: notebook["cells"][4].update(source="1 / 0"))
    assert nbval([accepted], cell_limit=60) == 1


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda cells: cells[-1]["metadata"].update(tags=[]), "makes a claim and is not tagged nbval-check-output"),
        (lambda cells: cells[4]["metadata"].update(tags=["nbval-check-output"]), "holds something else than claims"),
        (lambda cells: cells[-1]["metadata"]["tags"].append("quotes-corpus"), "it records or claims"),
        (lambda cells: cells[4]["metadata"].update(tags=["quotes-corpus"]), "tagged quotes-corpus and has outputs"),
        (lambda cells: cells[4].update(execution_count=None), "no execution count"),
        (lambda cells: cells[4]["metadata"].update(papermill={}), "Papermill's metadata"),
        (
            lambda cells: cells[4]["outputs"].append(
                {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}}
            ),
            "no caption or no text alternative",
        ),
        (
            lambda cells: cells[4]["outputs"].append(
                {"output_type": "error", "ename": "", "evalue": "", "traceback": []}
            ),
            "its output is an error",
        ),
        (lambda cells: cells[4]["outputs"][0].update(text=str(Path.home() / "x")), "names the home folder"),
        (lambda cells: cells[4]["outputs"][0].update(text="lib/site-packages/x.py: warns"), "file of the installation"),
        (
            lambda cells: cells[-1]["outputs"][0]["metadata"]["workbench"]["claim"].update(holds=False),
            "the committed claim does not hold",
        ),
        (
            lambda cells: cells[-1]["outputs"][0]["metadata"]["workbench"].update(claim={"statement": "Size"}),
            "the claim 'Size' has no bound",
        ),
        (
            lambda cells: cells[1].update(source="".join(cells[1]["source"]).replace("# how many", "")),
            "the parameter size has no comment",
        ),
    ],
)
def test_what_is_wrong_with_a_committed_chapter_is_named(project, accepted, edit, sentence):
    change(accepted, lambda notebook: edit(notebook["cells"]))
    assert sentence in problems(project)


def test_a_chapter_without_committed_outputs_is_red_and_so_is_a_claim(project, accepted):
    def unaccepted(cell):
        cell.update(outputs=[], execution_count=None)

    how = "`workbench run toy`, then `workbench accept toy`"
    change(accepted, lambda notebook: unaccepted(notebook["cells"][-1]))
    assert problems(project) == f"toy.ipynb: the claims of cell cell-3 were never accepted: {how}"
    change(accepted, lambda notebook: [unaccepted(cell) for cell in notebook["cells"][1:]])
    assert problems(project) == f"toy.ipynb: never accepted: {how}"


def test_a_check_ends_within_seconds_of_the_end_of_a_kernel_and_says_it(project, accepted, capfd):
    died = "import os, time\nopen('died', 'w').write(str(time.time()))\nos.kill(os.getpid(), 9)"
    change(accepted, lambda notebook: notebook["cells"][3].update(source=died))
    assert nbval([accepted], cell_limit=600) == 1
    assert time.time() - float((project.notebooks / "died").read_text()) < 10
    output = capfd.readouterr().out
    assert "Cell 2: its kernel was killed (SIGKILL" in output
    assert "1 failed, 2 passed, 2 skipped" in output


def test_two_chapters_are_checked_at_the_same_time_and_race_for_no_port(project, monkeypatch):
    monkeypatch.setattr("workbench.sweeps.cluster.machine", lambda: {"cores": 2, "gpus": []})

    def meeting(mine, theirs):
        return (
            f"import os, time\nopen('{mine}', 'w').close()\ndeadline = time.time() + 60\n"
            f"while not os.path.exists('{theirs}'):\n    assert time.time() < deadline, 'alone'\n    time.sleep(0.05)\n"
            "from ipykernel.connect import get_connection_info\n"
            "assert get_connection_info(unpack=True)['transport'] == 'ipc'"
        )

    pairs = (("one", "two"), ("two", "one"))
    chapters = [write_chapter(project.root, meeting(mine, theirs), name=mine) for mine, theirs in pairs]
    assert nbval(chapters, cell_limit=90) == 0
