"""One command computes what is stale again: in the right order, one result at a time, and nothing that it cannot."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from swept_project import sweep
from toy_project import Silent, write_chapter
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.recorded.again import in_order
from workbench.recorded.recording import record_result
from workbench.recorded.result import changed_since, read_recorded
from workbench.runs.runner import run_chapter
from workbench.runs.store import all_runs
from workbench.sweeps.ended import find_sweep

WRITER = """\
import numpy as np
import pandas as pd
from largemodels.data.predictions import predictions_table, save_predictions
from workbench.chapter import Chapter
examples = pd.DataFrame({"text": ["one", "two"], "label": [0, 1]})
logs = {"words": np.log(np.array([[0.9, 0.1], [0.9, 0.1]]))}
save_predictions(predictions_table(examples, logs, ("yes", "no")), "test")
Chapter({}).record("double", 2 * size + seed)
"""
BEGIN = "from workbench.chapter import begin\nchapter = begin()"
READER = """\
from largemodels.data.predictions import read_predictions
chapter.record("rows", len(read_predictions(answers.path)))
"""
SIZES = """\
from workbench.types import Count, Seed

size: Count = 3  # how many
seed: Seed = 0  # of everything random
"""
ANSWERS = """\
from workbench.types import Predictions

answers: Predictions = "answers"  # what to read
"""
LOCAL = "from workbench.types import Dataset\ncorpus: Dataset = 'pydocs'  # text"


def write_chapters(project: Project, toy: str = "", reader: str = "", local: str = "") -> None:
    """A chapter that answers, one that reads the answers, and one of a file; each with more code."""
    write_chapter(project.root, WRITER + toy, parameters=SIZES, read=False)
    write_chapter(project.root, BEGIN, READER + reader, parameters=ANSWERS, name="reader", read=False)
    write_chapter(project.root, BEGIN, "print(corpus)" + local, parameters=LOCAL, name="local", read=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Project:
    """A project with a recorded sweep with predictions, a shorter run that reads them, and a run of a local file."""
    project = Project(tmp_path_factory.mktemp("made"))
    (project.root / "_toc.yml").touch()
    (project.root / "text.txt").write_text("One sentence stands here.\n")
    write_chapters(project)
    code, _, err = sweep(project, "-g", "seed=0:2", "--workers", "1")
    assert code == 0, err
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(project.root)
        record_result(project, find_sweep(project, "seed"), "answers", predictions=True)
        done, _ = run_chapter(project, load_contract(project, "reader"), {}, Silent())
        record_result(project, done, "rows")
        corpus = str(project.root / "text.txt")
        done, _ = run_chapter(project, load_contract(project, "local"), {"corpus": corpus}, Silent())
        record_result(project, done, "of-a-file", {"corpus": "a-public-text"})
    record = json.loads((project.recorded / "rows" / "run.json").read_text())
    (project.recorded / "rows" / "run.json").write_text(json.dumps(record | {"seconds": 0.1}))
    return project


@pytest.fixture
def book(project, made) -> Project:
    """That book, in a project of the test's own that has none of its runs."""
    shutil.copytree(made.recorded, project.recorded)
    shutil.copy(made.root / "text.txt", project.root)
    write_chapters(project)
    return project


def states(project: Project) -> dict[str, bool]:
    """Whether each result is current."""
    return {each.name: not changed_since(project, each) for each in in_order(project)}


def test_stale_results_are_computed_in_order_and_recorded_as_they_were(book, command):
    assert [each.name for each in in_order(book)].index("answers") < [each.name for each in in_order(book)].index(
        "rows"
    )
    assert all(states(book).values())
    write_chapters(book, reader="1 + 1")
    done = command("recorded", "--again")
    assert done.returncode == 0, done.stderr
    assert "book/recorded/rows/run.json is recorded again" in done.stdout

    write_chapters(book, toy="1 + 1", reader="1 + 1", local="\n1 + 1")
    assert states(book) == {"answers": False, "rows": True, "of-a-file": False}
    planned = command("recorded", "--again", "--dry-run")
    assert re.search(r"1 of 2 would be computed, about \d+ s", planned.stdout)
    line = "workbench recorded of-a-file --again -p corpus=PATH    # corpus: a-public-text"
    assert line in planned.stdout.splitlines()
    assert not list(all_runs(book, "toy"))

    before = read_recorded(book, "answers")
    done = command("recorded", "--again")
    assert done.returncode == 0, done.stderr
    assert line in done.stdout.splitlines()
    assert len(list(all_runs(book, "toy"))) == 2
    after = read_recorded(book, "answers")
    assert after.command == before.command
    assert after.record["started"] > before.record["started"]
    assert sorted(path.name for path in after.folder.iterdir()) == [
        *("predictions.parquet", "results.parquet", "sweep.json"),
    ]
    assert states(book) == {"answers": True, "rows": True, "of-a-file": False}

    done = command("recorded", "of-a-file", "--again", "-p", f"corpus={book.root / 'text.txt'}")
    assert done.returncode == 0, done.stderr
    assert read_recorded(book, "of-a-file").record["public"] == {"corpus": "a-public-text"}
    assert states(book)["of-a-file"]


def test_a_failure_stops_no_other_result_and_leaves_the_old_one(book, command):
    write_chapters(book, toy="1 / 0", reader="1 + 1")
    before = {path.name: path.read_bytes() for path in (book.recorded / "answers").iterdir()}
    done = command("recorded", "--again")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == ("workbench: answers: 2 of 2 points failed; the same line tries them again")
    assert {path.name: path.read_bytes() for path in (book.recorded / "answers").iterdir()} == before
    assert states(book)["rows"], "the other one is recorded"
    write_chapter(book.root, WRITER.replace("seed", "grain"), parameters=SIZES.replace("seed:", "grain:"), read=False)
    done = command("recorded", "answers", "--again")
    assert done.returncode == 1
    assert "toy has no parameter seed" in done.stderr
    assert "misfit" in command("recorded").stdout
