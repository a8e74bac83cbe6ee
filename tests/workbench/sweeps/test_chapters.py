"""A book runs what is stale, several chapters at a time where there is room, and a failed one stops no other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from swept_project import ENVIRONMENT
from toy_project import Silent, write_chapter
from workbench.cli.console import RichReporter
from workbench.parameters.contract import load_contract
from workbench.runs.runner import run_chapter
from workbench.runs.store import all_runs
from workbench.sweeps.execute import run_chapters

COMMITTED = {"run": "20260102T030405Z-0badcafe", "started": "2026-01-02T03:04:05Z"}
PARAMETERS = "from workbench.types import Count\n\nsize: Count = 3  # how many"


@pytest.fixture
def chapters(project, monkeypatch):
    """Write two chapters and return their contracts; each also runs the code that is passed."""
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", ENVIRONMENT["JUPYTER_DEFAULT_PROVISIONER_NAME"])

    def write(first: str = "", second: str = ""):
        for name, code in (("one", first), ("two", second)):
            write_chapter(project.root, "print(size)", code, parameters=PARAMETERS, name=name, read=False)
        return [(load_contract(project, name), given) for name, given in (("one", {"size": "7"}), ("two", {}))]

    return write


def meeting(project, name: str, other: str) -> str:
    """Code that makes the file of this chapter and fails unless the other's appears while it waits."""
    mine, theirs = (str(project.root / f"{name}-is-here") for name in (name, other))
    return (
        f"import os, time\nopen({mine!r}, 'w').close()\ndeadline = time.time() + 60\n"
        f"while not os.path.exists({theirs!r}):\n    assert time.time() < deadline, 'nobody came'\n    time.sleep(0.05)"
    )


def test_two_stale_chapters_run_at_the_same_time_and_are_reused_then(project, chapters):
    staged = chapters(meeting(project, "one", "two"), meeting(project, "two", "one"))
    (one, _), (two, _) = run_chapters(project, staged, RichReporter, workers=2)
    assert [(run.chapter, run.status) for run in (one, two)] == [("one", "completed"), ("two", "completed")]
    assert one.record["parameters"] == {"given": {"size": 7}, "resolved": {"size": 7}}
    again = run_chapters(project, staged, RichReporter)
    assert [(run.id, reused) for run, reused in again] == [(one.id, True), (two.id, True)]
    assert len(list(all_runs(project))) == 2


def test_with_one_worker_they_follow_each_other_the_longest_first(project, chapters):
    staged = chapters()
    for (contract, _), seconds in zip(staged, (1.5, 60), strict=True):  # as where their committed outputs come from
        contract.notebook["metadata"]["workbench"] = {**COMMITTED, "seconds": seconds}
    one, two = (run for run, _ in run_chapters(project, staged, RichReporter, workers=1))
    assert [run.status for run in (one, two)] == ["completed"] * 2
    assert two.record["ended"] <= one.record["started"]


def test_a_run_of_the_book_is_the_run_of_the_command(project, chapters):
    staged = chapters()
    done, _ = run_chapters(project, staged, RichReporter, workers=2)[1]
    same, reused = run_chapter(project, staged[1][0], {}, Silent())
    assert reused
    assert same.id == done.id


@pytest.mark.parametrize("failing", ["first", "second"])
def test_a_failed_chapter_stops_no_other_and_the_book_names_it(project, chapters, failing):
    chapters(**{failing: "1 / 0"})
    (project.root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n- file: notebooks/one\n- file: notebooks/two\n"
    )
    project.editions.mkdir(parents=True)
    (project.editions / "offline.yml").write_text("chapters: {}\n")
    command = [sys.executable, "-m", "workbench.cli.app", "book", "--workers", "2"]
    done = subprocess.run(
        command, cwd=project.root, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False
    )
    name = {"first": "one", "second": "two"}[failing]
    assert done.returncode == 1
    assert f"the book is not built, because the run of {name} failed" in done.stderr
    assert "division by zero" in done.stderr
    assert sorted(run.status for run in all_runs(project)) == ["completed", "failed"]
    assert not (project.build / "html").exists()
