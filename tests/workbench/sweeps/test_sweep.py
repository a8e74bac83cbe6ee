"""Sweeps that go well: what is run, what is found again, and what is written."""

from __future__ import annotations

import json

import pandas as pd
import psutil
import pytest

from swept_project import ENVIRONMENT, Mute, results, statuses, sweep, trace, write_traced_chapter
from toy_project import edit_cell
from workbench.parameters.contract import load_contract
from workbench.runs.keys import content_key, ingredients
from workbench.runs.store import all_runs
from workbench.sweeps import cluster
from workbench.sweeps.cluster import Share
from workbench.sweeps.execute import run_sweeps
from workbench.sweeps.grid import points_of
from workbench.sweeps.sweep import Keys, Sweep

GRID = ("-g", "size=1,2", "-g", "seed=0:2")


def test_a_sweep_runs_every_point_once_and_the_same_line_finds_them_again(project):
    write_traced_chapter(project)
    code, out, err = sweep(project, *GRID)
    assert code == 0, err
    assert sorted(line[:2] for line in trace(project)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert statuses(project) == ["completed"] * 4
    assert "4 points to run" in err
    assert "2.05 (2 and 2.1)" in out
    facts = results(project)
    assert (facts["points"], facts["completed"], facts["varied"]) == (4, 4, ["size", "seed"])
    assert facts["command"] == "workbench sweep toy -g size=1,2 -g seed=0:2"
    table = pd.read_parquet(facts["folder"] / "results.parquet")
    assert table[["size", "seed", "metric", "value"]].values.tolist() == [
        [1, 0, "double", 2.0],
        [1, 1, "double", 2.1],
        [2, 0, "double", 4.0],
        [2, 1, "double", 4.1],
    ]
    assert set(table["status"]) == {"completed"}
    assert table["mode"].tolist() == ["fast"] * 4
    summary = pd.read_csv(facts["folder"] / "summary.csv")
    assert summary["mean"].tolist() == pytest.approx([2.05, 4.05])
    assert summary["low"].tolist() == pytest.approx([2.05 - 12.706 * 0.05, 4.05 - 12.706 * 0.05], abs=1e-3)
    assert (facts["folder"] / "plot.png").read_bytes().startswith(b"\x89PNG")
    words, table = (facts["folder"] / "plot.md").read_text().split("\n\n")
    assert words == "Line of double against size; means of 2 runs, which differ in the seed, with both values."
    assert "| 2 | 2 | 4.05 (4 and 4.1) |" in table

    edit_cell(project.notebooks / "toy.ipynb", "title", "# Another title")
    code, _, err = sweep(project, *GRID)
    assert (code, "all 4 points are done, nothing was run" in err) == (0, True)
    code, _, err = sweep(project, "-g", "size=1:4", "-g", "seed=0,1")
    assert (code, "2 points to run, 4 are done" in err) == (0, True)
    assert len(trace(project)) == 6


def test_a_point_is_found_by_run_and_a_run_by_sweep(project, workbench):
    write_traced_chapter(project)
    assert workbench("run", "toy", "-p", "size=2", "-p", "seed=0").returncode == 0
    assert sweep(project, *GRID)[0] == 0
    assert len(trace(project)) == 4
    assert "nothing was run" in workbench("run", "toy", "-p", "size=1", "-p", "seed=1").stdout
    assert len(trace(project)) == 4


def test_a_dry_run_lists_the_points_and_writes_nothing(project):
    write_traced_chapter(project)
    code, out, _ = sweep(project, *GRID, "--dry-run")
    assert (code, trace(project), project.runs.exists()) == (0, [], False)
    assert out.count("to do") == 4
    assert "4 points, 4 to run; no completed run says how long one takes" in out
    assert sweep(project, "-g", "size=1", "-g", "seed=0:2")[0] == 0
    code, out, _ = sweep(project, *GRID, "--dry-run", "--json", "--workers", "1")
    listed = json.loads(out)
    assert [point["status"] for point in listed["points"]] == ["completed", "completed", "to do", "to do"]
    seconds = sorted(point["seconds"] for point in listed["points"][:2])
    assert listed["estimated_seconds"] == pytest.approx(sum(seconds))


def test_the_results_are_printed_as_json(project):
    write_traced_chapter(project)
    code, out, _ = sweep(project, "-g", "size=1,2", "--json")
    answer = json.loads(out)
    assert code == 0
    assert [point["status"] for point in answer["points"]] == ["completed"] * 2
    assert [(row["setting"], row["mean"], row["runs"]) for row in answer["summary"]] == [
        ({"size": 1}, 2.0, 1),
        ({"size": 2}, 4.0, 1),
    ]
    assert answer["summary"][0]["own_high"] == 99, "one run alone has no spread, only its own interval"
    assert answer["summary"][0]["high"] is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "a sweep needs -g NAME=VALUES, or -f with a file of points"),
        ("-g size=0,1", "size: 0 is not at least 1"),
        ("-g sise=1", "toy has no parameter sise; did you mean size?"),
        ("-g size=1 -f nothing.yml", "nothing.yml: there is no such file"),
        ("-g size=1 --scheduler tcp://127.0.0.1:1 --workers 2", "--workers is for this machine"),
    ],
)
def test_a_bad_request_is_exit_code_2_and_nothing_is_written(project, line, sentence):
    code, out, err = sweep(project, *line.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"workbench: {sentence}")
    assert not project.runs.exists()


def test_duplicates_are_said(project):
    write_traced_chapter(project)
    _, out, err = sweep(project, "-g", "size=1,1,01", "--dry-run")
    assert "2 duplicate points are left out" in err
    assert "1 points, 1 to run" in out


def test_files_that_a_run_saves_come_back_with_it(project):
    write_traced_chapter(project, "os.mkdir('predictions')\nopen('predictions/all.txt', 'w').write(str(size))")
    assert sweep(project, "-g", "size=1,2")[0] == 0
    assert sorted(path.read_text() for path in project.runs.glob("toy/*/predictions/all.txt")) == ["1", "2"]


def test_the_keys_of_a_sweep_are_those_of_its_runs(project):
    write_traced_chapter(project)
    (project.root / "a.txt").write_text("some text")
    contract = load_contract(project, "toy")
    points = points_of(contract, ["size=1:4", "rate=1e-3,2e-3"], [], []).points
    keys = Keys(contract, points).keys
    assert keys == [content_key(ingredients(contract, contract.resolve(point.given))) for point in points]
    assert len(set(keys)) == len(points)


@pytest.fixture
def of_machine(monkeypatch):
    """The share of a machine with so many cores, GPUs and GiB free."""

    def of_machine(cores, gpus, gibibytes, **options):
        free = type("Memory", (), {"available": gibibytes * 2**30})
        monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
        monkeypatch.setattr(cluster, "machine", lambda: {"cores": cores, "gpus": ["a GPU"] * gpus})
        return Share.of_machine(**options)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return of_machine


def test_runs_share_the_cores_and_the_memory_of_a_machine(of_machine, monkeypatch):
    assert of_machine(8, 0, 100, points=100) == Share(8, 1)
    assert of_machine(8, 0, 100, points=3) == Share(3, 2)
    assert of_machine(8, 0, 100, points=100, workers=2) == Share(2, 4)
    assert of_machine(8, 0, 9, points=100, memory_each=2**31) == Share(3, 2)
    assert of_machine(8, 0, 1, points=100, memory_each=2**33) == Share(1, 8)
    assert of_machine(16, 2, 100, points=100, workers=8) == Share(2, 8, ("0", "1"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert of_machine(16, 4, 100, points=100) == Share(1, 16, ("3",))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert of_machine(16, 4, 100, points=100) == Share(16, 1)


def test_a_run_has_its_share_of_threads(project):
    write_traced_chapter(project, "print('threads', os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])")
    assert sweep(project, "-g", "size=1,2", "--workers", "2")[0] == 0
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count()
    for path in project.runs.glob("toy/*/toy.ipynb"):
        assert f"threads {max(1, cores // 2)} {max(1, cores // 2)}" in path.read_text()


def test_each_of_two_runs_at_a_time_has_a_gpu(project, monkeypatch):
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", ENVIRONMENT["JUPYTER_DEFAULT_PROVISIONER_NAME"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cluster, "machine", lambda: {"cores": 6, "gpus": ["a GPU"] * 2})
    write_traced_chapter(project, "open('gpu', 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])")
    contract = load_contract(project, "toy")
    run_sweeps([Sweep.of(project, contract, points_of(contract, ["size=1,2"], [], []))], Mute())
    runs = list(all_runs(project))
    assert sorted((run.folder / "gpu").read_text() for run in runs) == ["0", "1"]
    assert [run.record["machine"]["threads"] for run in runs] == [3, 3]
