"""What can be read back from a runs folder, whatever state it is in."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.table import Table

from made_runs import NOW, forge, make_run, new_run_folder, outside_of, places_in, replaced, whole_record
from workbench.cli.tables import print_comparison, print_run, print_runs
from workbench.core.errors import RequestError
from workbench.runs import store
from workbench.runs.compare import compare
from workbench.runs.staleness import changes
from workbench.runs.store import (
    all_runs,
    completed_run,
    find_run,
    folder_under_way,
    lock_of,
    read_notebook,
    write_record,
)
from workbench.sweeps.sweep import Ledger


def make(project, key="1a2b3c4d5e", status="completed", chapter="toy", now=NOW):
    folder = new_run_folder(project.runs, chapter, key, now)
    write_record(folder, {"format": 1, "status": status, "key": key, "parameters": {}, "started": now.isoformat()})
    (folder / f"{chapter}.ipynb").write_text("{}")
    return folder


def damaged(project):
    return [run for run in all_runs(project, damaged=True) if run.status == "damaged"]


def test_a_run_is_named_by_its_time_and_key(project):
    assert make(project).name == "20261123T184500Z-1a2b3c4d"


def test_runs_of_one_second_get_different_names(project):
    assert [make(project).name[25:] for _ in range(3)] == ["", "-2", "-3"]
    assert len(list(all_runs(project))) == 3


def test_of_runs_that_started_in_one_second_the_latest_is_the_one_that_started_last(project):
    starts = {"c": 0.1, "a": 0.2, "d": 0.3, "b": 0.4}
    for digit, after in starts.items():
        make_run(project, key=digit * 10, after=after, chapter="toy" if digit < "c" else "other")
    make_run(project, key="e" * 10, after=-1)
    assert [run.record["key"][0] for run in all_runs(project)] == ["b", "d", "a", "c", "e"]
    assert find_run(project, "latest").record["key"] == "b" * 10
    assert find_run(project, "latest", "other").record["key"] == "d" * 10


def test_of_many_runs_of_one_key_in_one_second_the_newest_is_the_one_that_started_last(project):
    folders = [make_run(project, after=count / 20) for count in range(12)]
    assert completed_run(project, "toy", "1a2b3c4d5e").folder == folders[-1]


def test_a_record_without_fractions_of_a_second_is_older_than_one_of_the_same_second_with_them(project):
    make_run(project, key="bbbbbbbb", started="2026-11-23T18:45:00Z")
    make_run(project, key="aaaaaaaa", after=0.25)
    assert find_run(project, "latest").record["key"] == "aaaaaaaa"


def test_a_running_record_whose_lock_nobody_holds_was_interrupted(project):
    folder = make(project, status="running")
    with lock_of(folder):
        assert find_run(project, "latest").status == "running"
    assert find_run(project, "latest").status == "interrupted"


def test_a_completed_run_is_found_by_its_key_and_others_are_not(project):
    make(project, key="aaaaaaaa", status="failed")
    assert completed_run(project, "toy", "aaaaaaaa") is None
    done = make(project, key="aaaaaaaa")
    assert completed_run(project, "toy", "aaaaaaaa").folder == done
    (done / "toy.ipynb").unlink()
    assert completed_run(project, "toy", "aaaaaaaa") is None


def test_a_run_is_found_by_the_start_of_its_name_when_that_is_unique(project):
    first = make(project, key="aaaaaaaa")
    make(project, key="bbbbbbbb", now=datetime(2026, 11, 24, tzinfo=UTC))
    assert find_run(project, "20261123").folder == first
    assert find_run(project, "latest").id.endswith("bbbbbbbb")
    with pytest.raises(RequestError, match="fits 2 runs"):
        find_run(project, "2026")


@pytest.mark.parametrize("name", ["nope", "../..", "", "*", "/"])
def test_an_unknown_run_is_refused(project, name):
    make(project)
    with pytest.raises(RequestError, match="no run"):
        find_run(project, name)


def test_a_record_of_an_earlier_version_reads_as_a_whole_one_with_empty_parts(project):
    make(project)
    (run,) = all_runs(project)
    assert run.record.keys() == whole_record().keys()
    assert (run.record["metrics"], run.record["cpu_seconds"]) == ([], None)
    assert run.record["parameters"] == {"given": {}, "resolved": {}}


def test_parts_that_this_version_does_not_know_are_kept(project):
    guess = {"watt_hours": 0.1, "assumption": "of an earlier version"}
    make_run(project, sweep={"point": 3}, energy=guess)
    record = find_run(project, "latest").record
    assert (record["sweep"], record["energy"]) == ({"point": 3}, guess)


def test_over_a_hundred_forged_folders_are_damaged_and_only_the_whole_run_is_a_run(project):
    good = make_run(project, after=-1e8)
    outside = outside_of(project)
    count = forge(project, outside)
    assert count > 100
    assert [run.folder for run in all_runs(project)] == [good]
    assert len(damaged(project)) == count
    assert all(run.problem and run.problem.isprintable() for run in damaged(project))
    assert find_run(project, "latest").folder == good
    assert completed_run(project, "toy", "1a2b3c4d5e").folder == good
    assert (outside / "lock").read_text() == "not empty"


def test_a_chapter_folder_that_is_a_link_is_one_damaged_entry_and_is_not_looked_into(project):
    make_run(project, chapter="elsewhere")
    (project.runs / "elsewhere").rename(project.root / "elsewhere")
    (project.runs / "toy").symlink_to(project.root / "elsewhere")
    assert list(all_runs(project)) == []
    assert [(run.id, run.chapter, run.problem) for run in damaged(project)] == [
        ("*", "toy", "the chapter's folder is a link, and links are not followed")
    ]


def test_a_link_among_the_runs_is_damaged_whatever_it_is_called(project):
    good = make_run(project)
    (good.parent / "best").symlink_to(good)
    assert [(run.id, run.problem) for run in damaged(project)] == [("best", "it is a link, and links are not followed")]


@pytest.mark.parametrize(
    "wrong", [{"seconds": "9.5"}, {"peak_memory_bytes": "1"}, {"git": {"commit": None, "dirty": 1}}, {"format": "1"}]
)
def test_a_value_that_only_looks_like_its_type_is_not_of_it(project, wrong):
    make_run(project, **wrong)
    assert (
        damaged(project)[0].problem
        == f"its run.json has a wrong {'git.dirty' if 'git' in wrong else next(iter(wrong))}"
    )


def test_a_folder_that_may_not_be_looked_into_is_damaged_and_stops_no_list(project, monkeypatch):
    folder, stat = make_run(project), Path.stat

    def refused(path, **options):
        if path.is_relative_to(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
    assert [run.problem for run in damaged(project)] == ["it cannot be looked into: Permission denied"]
    assert list(all_runs(project)) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(project):
    folder = make_run(project)
    (folder / "run.json").unlink()
    os.mkfifo(folder / "run.json")
    assert [run.problem for run in damaged(project)] == ["its run.json is not a file"]


def test_a_record_too_large_to_be_one_is_not_read(project, monkeypatch):
    make_run(project)
    monkeypatch.setattr(store, "LARGEST_RECORD", 2**10)
    assert "is larger than" in damaged(project)[0].problem


def test_whatever_stands_anywhere_in_a_record_no_command_stumbles(project, capsys):
    folder = make_run(project)
    other = find_run(project, "latest")
    good = whole_record()
    whole = 0
    for place in places_in(good):
        for value in (None, True, -1, 0.5, 2**70, "", "\x1b[2J[red]\n", [], [[]], {}, {"x": "y"}, ["x", 1]):
            (folder / "run.json").write_text(json.dumps(replaced(good, place, value)))
            (run,) = all_runs(project, damaged=True)
            print_runs([run], ["toy"])
            json.dumps(run.as_json())
            if run.status != "damaged":
                whole += 1
                assert find_run(project, "latest").id == run.id
                print_run(run, ["accuracy"])
                list(changes(run.record["ingredients"], good["ingredients"]))
                print_comparison(compare([other, type(run)(folder.with_name("other"), run.record)]), everything=True)
    assert whole > 100, "some of these values are what a record may hold"
    assert "\x1b" not in capsys.readouterr().out


def test_another_notebook_in_the_place_of_the_run_s_own_is_never_used(project):
    folder = make_run(project)
    run = find_run(project, "latest")
    same_size = (folder / "toy.ipynb").read_text().replace("nbformat_minor", "nbformat_MINOR")
    (folder / "toy.ipynb").write_text(same_size)
    assert find_run(project, "latest").status == "completed", "listing does not read notebooks"
    assert completed_run(project, "toy", run.record["key"]) is None
    with pytest.raises(RequestError, match=r"its toy.ipynb is not the one that the run wrote"):
        read_notebook(run)
    (folder / "toy.ipynb").write_text("{}")
    assert [found.problem for found in damaged(project)] == ["its toy.ipynb is not the one that the run wrote"]


@pytest.mark.parametrize("content", ["", "[]", '{"cells": {}}', '{"cells": [{"cell_type": "code", "source": ""}]}'])
def test_what_is_no_notebook_is_refused_where_the_record_says_nothing_of_it(project, content):
    folder = make_run(project, notebook=None)
    (folder / "toy.ipynb").write_text(content)
    with pytest.raises(RequestError, match=r"its toy.ipynb is not a notebook that can be read"):
        read_notebook(find_run(project, "latest"))


def test_a_damaged_run_is_named_where_it_is_asked_for(project):
    folder = make_run(project)
    (folder / "run.json").write_text("{")
    with pytest.raises(RequestError, match=r"is damaged: its run.json is not JSON"):
        find_run(project, folder.name)
    assert find_run(project, folder.name, damaged=True).folder == folder


def test_only_folders_whose_name_fits_are_read(project, monkeypatch):
    for place in range(20):
        make_run(project, key=f"{place:08x}77", after=place)
    read = []
    monkeypatch.setattr(store, "_record", lambda folder, really=store._record: read.append(folder) or really(folder))
    assert completed_run(project, "toy", "0000000577").record["key"] == "0000000577"
    assert completed_run(project, "toy", "0000000677").record["key"] == "0000000677"
    name = f"{NOW:%Y%m%dT%H%M}07Z"
    assert find_run(project, name).record["key"] == "0000000777"
    assert find_run(project, "latest").record["key"] == "0000001377"
    assert len(read) == 4


def test_keys_that_share_their_first_digits_are_kept_apart(project):
    make_run(project, key="aaaaaaaa00")
    assert completed_run(project, "toy", "aaaaaaaa11") is None


def test_a_run_that_has_not_come_to_write_its_record_is_under_way_and_not_damaged(project):
    folder = new_run_folder(project.runs, "toy", "1a2b3c4d5e", NOW)
    with lock_of(folder):
        assert folder_under_way(project, "toy", "1a2b3c4d5e") == folder
        assert list(all_runs(project, damaged=True)) == []
    assert folder_under_way(project, "toy", "1a2b3c4d5e") is None
    assert [run.problem for run in damaged(project)] == ["it has no run.json"]


@pytest.mark.parametrize(
    "place", [("metrics", 0, "value"), ("seconds",), ("peak_memory_bytes",), ("cells", 0, "seconds")]
)
def test_a_run_with_a_number_that_no_float_holds_is_damaged_and_stops_no_other(project, place):
    whole = make_run(project)
    record = json.loads((whole / "run.json").read_text())
    write_record(make_run(project, after=1), replaced(record, place, 10**400))
    (run,) = damaged(project)
    assert run.problem.startswith("its run.json has a wrong ")
    ledger = Ledger(project, "toy", ["1a2b3c4d5e"])
    assert ledger.outcomes["1a2b3c4d5e"].run == whole.name


def test_of_a_run_of_very_many_metrics_the_first_are_laid_out(project, capsys, monkeypatch):
    metrics = [{"name": f"m{number}", "value": number} for number in range(300_000)]
    folder = make_run(project)
    record = json.loads((folder / "run.json").read_text()) | {"metrics": metrics}
    (folder / "run.json").write_text(json.dumps(record))
    rows, add_row = [], Table.add_row
    monkeypatch.setattr(Table, "add_row", lambda table, *cells: rows.append(cells) or add_row(table, *cells))
    print_run(find_run(project, "latest"), [])
    assert len(rows) < 1100  # laying out all of them would take half a minute
    shown = capsys.readouterr().out
    assert "m999" in shown
    assert "m1000" not in shown
    assert "and 299,000 more; --json lists them" in shown


def test_a_notebook_that_is_too_large_to_be_one_is_not_read_and_its_run_is_not_reused(project):
    real = make_run(project)
    forged = make_run(project, after=1, notebook={"bytes": 3 * 2**30, "sha256": "0" * 64})
    with (forged / "toy.ipynb").open("wb") as file:
        file.truncate(3 * 2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert completed_run(project, "toy", "1a2b3c4d5e").folder == real
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**19  # kibibytes on Linux, bytes on macOS
    with pytest.raises(RequestError, match="is larger than 512 MiB"):
        read_notebook(find_run(project, "latest"))


def test_a_lock_that_is_a_link_is_no_lock_and_what_it_points_to_stays_as_it_is(project):
    outside = outside_of(project)
    folder = make_run(project, status="running")
    (folder / "lock").symlink_to(outside / "lock")
    with lock_of(outside).acquire():
        assert find_run(project, "latest").status == "interrupted"
    (outside / "lock").write_text("not empty")
    assert find_run(project, "latest").status == "interrupted"
    assert (outside / "lock").read_text() == "not empty"


def test_two_who_ask_at_once_whether_a_run_is_locked_hear_the_same(project):
    folder = make_run(project, status="running")
    lock_of(folder).acquire().lock.release()
    with (folder / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as one who looks holds it
        assert find_run(project, "latest").status == "interrupted"


def test_a_record_is_strict_json(project):
    folder = make(project)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_record(folder, {"value": float("nan")})
    assert json.loads((folder / "run.json").read_text())["status"] == "completed"
    assert not list(folder.glob("*.tmp"))


def test_a_run_goes_by_its_name_its_key_its_chapter_and_how_many_are_newer(project):
    old, new = make_run(project), make_run(project, key="1aff000000", after=60)
    other = make_run(project, chapter="other", key="7bad000000", after=120)
    for name, folder in {
        "latest": other,
        "latest~2": old,
        "toy/latest": new,
        "toy/latest~1": old,
        "toy/20261123T1845": old,
        f"runs/other/{other.name}/": other,
        "1a2b": old,
        "1aff0000": new,
        "7": other,
        "toy/1af": new,
    }.items():
        assert find_run(project, name).folder == folder, name
    for name, said in {
        "latest~3": "there is no run before the last 3; ",
        "toy/latest~2": "there is no run of toy before the last 2; ",
        "tyo/latest": "no chapter tyo; did you mean toy?",
        "1a": "1a fits 2 runs; ",
        "other/1a": "no run other/1a; ",
        "toy/": "no run toy/; ",
        "latest~": "no run latest~; ",
    }.items():
        with pytest.raises(RequestError, match=f"^{re.escape(said)}"):
            find_run(project, name)
    with pytest.raises(RequestError, match="toy/latest is no run of other"):
        find_run(project, "toy/latest", "other")
