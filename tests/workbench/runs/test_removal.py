"""Runs are deleted whole or not at all, and nothing outside of the runs folder is touched."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import timedelta

import pytest

from made_runs import NOW, forge, make_run, outside_of
from workbench.core.errors import RequestError, RunError
from workbench.runs import removal
from workbench.runs.removal import Choice, chosen_runs, refuse_running, remove, working_copy
from workbench.runs.store import all_runs, find_run, lock_of


def ids(runs):
    return [run.id for run in runs]


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_named_runs_are_deleted_and_others_stay(project):
    gone, kept = make_run(project), make_run(project, after=60)
    remove(project, chosen_runs(project, [gone.name], Choice()))
    assert [run.folder for run in all_runs(project)] == [kept]
    assert not gone.exists()
    assert ids(all_runs(project, damaged=True)) == [kept.name]


def test_every_unknown_name_gets_its_sentence_and_nothing_is_deleted(project):
    folder = make_run(project)
    with pytest.raises(RequestError) as refused:
        chosen_runs(project, [folder.name, "nope", "../../etc"], Choice())
    assert refused.value.sentences == (
        "no run nope; `workbench runs` lists them",
        "no run ../../etc; `workbench runs` lists them",
    )
    assert folder.exists()


def test_a_run_that_is_under_way_is_refused(project):
    folder = make_run(project, status="running")
    with lock_of(folder):
        found = chosen_runs(project, [folder.name], Choice())
        with pytest.raises(RequestError, match=f"{folder.name} is running; nothing was deleted"):
            refuse_running(found)
        assert chosen_runs(project, [], Choice(older_than=0)) == []
        with pytest.raises(RunError, match="is running and was not deleted"):
            remove(project, found)  # as if it had been started after the question
    assert folder.exists()


def test_options_choose_by_status_and_age_and_chapter(project):
    make_run(project, chapter="other", status="failed")
    old, failed = make_run(project, after=-86400 * 40), make_run(project, status="failed")
    stopped, broken = make_run(project, after=1, status="interrupted"), make_run(project, after=2)
    make_run(project, after=3)
    (broken / "run.json").write_text("{")
    now = NOW + timedelta(days=1)

    def chosen(**choice):
        return ids(chosen_runs(project, [], Choice("toy", **choice), now))

    assert chosen(failed=True) == [stopped.name, failed.name]
    assert chosen(damaged=True) == [broken.name]
    assert chosen(failed=True, damaged=True) == [broken.name, stopped.name, failed.name]
    assert chosen(older_than=30) == [old.name]
    assert chosen(failed=True, older_than=30) == []
    assert len(chosen_runs(project, [], Choice(failed=True), now)) == 3, "without a chapter, those of all"


@pytest.mark.parametrize(("names", "choice"), [([], Choice()), (["latest"], Choice(failed=True)), ([], Choice("toy"))])
def test_a_request_either_names_runs_or_describes_them(project, names, choice):
    make_run(project)
    with pytest.raises(RequestError, match="rm takes the names of runs, or options"):
        chosen_runs(project, names, choice)


def test_links_are_deleted_and_not_followed(project):
    outside = outside_of(project)
    before = files_below(outside)
    forge(project, outside)
    inner = make_run(project)
    (inner / "predictions").symlink_to(outside)
    remove(project, chosen_runs(project, [], Choice(damaged=True)))
    remove(project, chosen_runs(project, [inner.name], Choice()))
    assert list(all_runs(project, damaged=True)) == []
    assert list((project.runs / "toy").iterdir()) == []
    assert files_below(outside) == before


def test_a_deletion_that_is_interrupted_leaves_no_run_and_the_next_one_finishes_it(project, monkeypatch):
    gone, other = make_run(project), make_run(project, after=60)

    def interrupted(folder):
        (folder / "toy.ipynb").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(removal.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remove(project, chosen_runs(project, [gone.name], Choice()))
    assert ids(all_runs(project, damaged=True)) == [other.name]
    assert len(list((project.runs / "toy").iterdir())) == 2
    remove(project, chosen_runs(project, [other.name], Choice()))
    assert list((project.runs / "toy").iterdir()) == []


def test_a_run_that_somebody_else_has_deleted_meanwhile_is_no_error(project):
    folder = make_run(project)
    found = chosen_runs(project, [folder.name], Choice())
    shutil.rmtree(folder)
    remove(project, found)


def test_one_who_looks_whether_a_run_is_locked_does_not_keep_it_from_being_deleted(project):
    fcntl = pytest.importorskip("fcntl")
    folder = make_run(project)
    with (folder / "lock").open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        remove(project, [find_run(project, folder.name)])
        assert not folder.exists()


def test_a_run_that_is_started_again_meanwhile_is_not_deleted(project):
    folder = make_run(project)
    with lock_of(folder), pytest.raises(RunError, match="is running and was not deleted"):
        remove(project, [find_run(project, folder.name)])
    assert folder.exists()


def test_the_copy_that_opens_is_beside_the_run_and_changing_it_leaves_the_run_whole(project):
    folder = make_run(project)
    copy = working_copy(find_run(project, "latest"))
    assert copy.parent == folder
    copy.write_text(json.dumps({"cells": [], "metadata": {"mine": 1}}))
    assert working_copy(find_run(project, "latest")) == copy
    assert json.loads(copy.read_text())["metadata"] == {"mine": 1}, "what somebody changed is kept"
    assert find_run(project, "latest").status == "completed"


def test_a_copy_is_never_written_through_a_link(project, tmp_path):
    folder = make_run(project)
    (folder / "toy-opened.ipynb").symlink_to(tmp_path / "elsewhere.ipynb")
    with pytest.raises(RequestError, match="is a link or no file"):
        working_copy(find_run(project, "latest"))
    assert not (tmp_path / "elsewhere.ipynb").exists()
