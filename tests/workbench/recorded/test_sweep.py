"""A recorded sweep holds what its runs measured and one command for all of them, and nothing of this machine."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest

from swept_project import results, sweep, write_traced_chapter
from toy_project import edit_cell, write_chapter
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.recorded.recording import _as_grids, record_result
from workbench.recorded.result import (
    Recorded,
    changed_since,
    misfit,
    read_recorded,
    recorded_counts,
    recorded_summaries,
)
from workbench.runs.store import all_runs, find_run
from workbench.sweeps.ended import find_sweep
from workbench.sweeps.grid import points_of
from workbench.sweeps.summary import write_results
from workbench.sweeps.sweep import Sweep, alone

CLAIM = "from workbench.chapter import Chapter\nChapter({}).claim('Size is small', size, below=2)"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Project:
    """A project with a completed sweep over a size and a seed, made once."""
    project = Project(tmp_path_factory.mktemp("swept"))
    (project.root / "_toc.yml").touch()
    write_traced_chapter(project, CLAIM)
    code, _, err = sweep(project, "-g", "size=1,2", "-g", "seed=0:3", "-p", "rate=0.25", "--workers", "2")
    assert code == 0, err
    return project


@pytest.fixture
def swept(project, made) -> Path:
    """That sweep's folder, in a project of the test's own."""
    for folder in ("notebooks", "runs"):
        shutil.copytree(made.root / folder, project.root / folder, dirs_exist_ok=True)
    return find_sweep(project, "size-seed")


def test_a_recorded_sweep_has_its_means_and_one_command_for_all_runs(project, swept):
    path = record_result(project, swept, "toy-sizes")
    assert path == project.root / "book" / "recorded" / "toy-sizes" / "sweep.json"
    recorded = read_recorded(project, "toy-sizes")
    assert recorded.is_sweep
    assert recorded.command == "workbench sweep toy -g size=1,2 -g seed=0:3 -p rate=0.25"
    assert (recorded.record["points"], recorded.record["seeds"]) == (6, ["seed"])
    one, two = recorded_summaries(recorded)
    assert (one.setting, one.metric, one.runs, one.mean) == ({"size": 1}, "double", 3, pytest.approx(2.1))
    assert one.low < 2.1 < one.high
    assert two.mean == pytest.approx(4.1)
    claim = {"statement": "Size is small", "bound": "below 2", "held": 3, "runs": 6, "values": 2}
    assert recorded.record["claims"] == [claim]
    assert misfit(project, recorded) is None
    assert changed_since(project, recorded) == []
    assert str(project.root) not in path.read_text()


def test_its_seconds_are_those_of_all_runs(project, swept):
    record = json.loads(record_result(project, swept, "toy-sizes").read_text())
    runs = list(all_runs(project, "toy"))
    assert record["seconds"] == pytest.approx(sum(run.record["seconds"] for run in runs), abs=0.01)
    assert record["started"] == min(run.record["started"] for run in runs)


def test_the_recorded_command_computes_the_same_points(project, swept):
    recorded_command = json.loads(record_result(project, swept, "toy-sizes").read_text())["command"]
    _, _, _, *words = shlex.split(recorded_command)
    code, _, err = sweep(project, *words)
    assert code == 0
    assert "all 6 points are done" in err
    assert results(project)["folder"] == swept


def test_a_change_is_named_and_a_misfit_found(project, swept):
    record_result(project, swept, "toy-sizes")
    recorded = read_recorded(project, "toy-sizes")
    edit_cell(project.notebooks / "toy.ipynb", "title", "# A corrected title")
    assert changed_since(project, recorded) == []
    edit_cell(project.notebooks / "toy.ipynb", "cell-2", "print(size)")
    assert changed_since(project, recorded) == ["the code of cell cell-2 changed"]
    write_chapter(project.root, "print(size)", parameters="size: Count = 1  # how many", read=False)
    assert "toy has no parameter" in misfit(project, recorded)


def test_another_version_is_a_change_and_an_extra_that_is_not_here_is_none(project, swept):
    path = record_result(project, swept, "toy-sizes")
    record = json.loads(path.read_text())
    versions = record["ingredients"]["versions"]
    versions["an-extra"] = "1.0"
    path.write_text(json.dumps(record))
    assert changed_since(project, read_recorded(project, "toy-sizes")) == []
    here = versions["python"]
    versions["python"] = "2.7.18"
    path.write_text(json.dumps(record))
    assert changed_since(project, read_recorded(project, "toy-sizes")) == [f"Python 2.7.18 → {here}"]


def test_an_incomplete_sweep_is_not_recorded(project, swept):
    facts = json.loads((swept / "sweep.json").read_text())
    (swept / "sweep.json").write_text(json.dumps(facts | {"completed": 4}))
    with pytest.raises(RequestError, match=r"2 of 6 points of size-seed-.* have not completed"):
        record_result(project, swept, "toy-sizes")
    (swept / "sweep.json").write_text(json.dumps(facts))
    shutil.rmtree(find_run(project, "latest").folder)
    with pytest.raises(RequestError, match=r"1 of the runs of size-seed-.* are gone"):
        record_result(project, swept, "toy-sizes")
    (swept / "sweep.json").write_text("{")
    with pytest.raises(RequestError, match="its results cannot be read"):
        record_result(project, swept, "toy-sizes")
    assert not project.recorded.exists()


def test_runs_of_different_code_are_not_one_result(project, swept):
    run = find_run(project, "latest")
    record = json.loads((run.folder / "run.json").read_text())
    record["ingredients"]["definitions"]["workbench.types:coerce"] = "0" * 64
    (run.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match="changed between the runs"):
        record_result(project, swept, "toy-sizes")


def test_a_run_takes_the_place_of_a_sweep_only_when_asked_and_leaves_nothing_of_it(project, swept):
    record_result(project, swept, "toy-sizes")
    run = find_run(project, "latest")
    with pytest.raises(RequestError, match="recorded already"):
        record_result(project, run, "toy-sizes")
    record_result(project, run, "toy-sizes", replace=True)
    assert [path.name for path in (project.recorded / "toy-sizes").iterdir()] == ["run.json"]
    assert not read_recorded(project, "toy-sizes").is_sweep
    record_result(project, swept, "toy-sizes", replace=True)
    assert sorted(path.name for path in (project.recorded / "toy-sizes").iterdir()) == ["results.parquet", "sweep.json"]


@pytest.mark.parametrize(
    ("grids", "written"),
    [
        (["seed=0:5"], ["seed=0:5"]),
        (["seed=1,3"], ["seed=1,3"]),
        (["rate=1e-4,1e-3", "mode=fast,slow"], ["rate=0.0001,0.001", "mode=fast,slow"]),
        (["name='a,b',c", "flag=true,false"], ['name="a,b",c', "flag=True,False"]),
        (["depths=[1,2],[3]"], ["depths=[1,2],[3]"]),
    ],
)
def test_points_of_a_grid_are_written_as_that_grid(project, grids, written):
    write_chapter(project.root)
    contract = load_contract(project, "toy")
    found = points_of(contract, grids, [], [])
    points = [{name: point.values[name] for name in found.varied} for point in found.points]
    assert _as_grids(contract, list(found.varied), points) == [word for grid in written for word in ("-g", grid)]
    assert _as_grids(contract, list(found.varied), points[1:]) is None or len(found.varied) == 1


def test_points_that_are_no_grid_are_kept_beside_the_results(project):
    write_traced_chapter(project)
    points = project.root / "private-points.yml"
    points.write_text("- {size: 1, mode: fast}\n- {size: 2, mode: slow}\n")
    code, _, err = sweep(project, "-f", str(points))
    assert code == 0, err
    record_result(project, find_sweep(project, "size-mode"), "two-points")
    recorded = read_recorded(project, "two-points")
    assert recorded.command == "workbench sweep toy -f book/recorded/two-points/points.yml"
    assert misfit(project, recorded) is None
    (recorded.folder / "points.yml").write_text("- {size: 0}\n")
    assert "size: 0 is not at least 1" in misfit(project, recorded)


def test_a_local_file_is_recorded_by_its_public_name_only(project):
    text = project.root / "secret-folder" / "text.txt"
    text.parent.mkdir()
    text.write_text("One sentence stands here.\n")
    parameters = "from workbench.types import Dataset, Seed\ncorpus: Dataset = 'pydocs'  # text\nseed: Seed = 0  # seed"
    code = "from workbench.chapter import Chapter\nChapter({}).record('length', len(open(corpus).read()) + seed)"
    write_chapter(project.root, code, parameters=parameters, read=False)
    assert sweep(project, "-g", "seed=0:2", "-p", f"corpus={text}")[0] == 0
    folder = find_sweep(project, "seed")
    with pytest.raises(RequestError, match="corpus was a local file; --public corpus="):
        record_result(project, folder, "local")
    record_result(project, folder, "local", {"corpus": "a public text"})
    recorded = read_recorded(project, "local")
    assert recorded.command == "workbench sweep toy -g seed=0,1 -p 'corpus=a public text'"
    assert misfit(project, recorded) is None
    assert changed_since(project, recorded) == []
    table = pd.read_parquet(recorded.folder / "results.parquet")
    assert set(table["corpus"]) == {"a public text"}
    kept = b"".join(path.read_bytes() for path in recorded.folder.iterdir())
    assert b"secret-folder" not in kept
    assert b"One sentence" not in kept


def test_the_command_line_records_a_sweep_by_the_start_of_its_name(project, swept, command):
    result = command("record", "size-se", "toy-sizes")
    assert result.returncode == 0, result.stderr
    assert "book/recorded/toy-sizes/sweep.json" in result.stdout
    assert command("record", "size-se", "toy-sizes").returncode == 2
    other = swept.with_name("size-seed-00000000")
    shutil.copytree(swept, other)
    result = command("record", "size-se", "toy-other")
    assert result.returncode == 2
    assert "fits 2 sweeps" in result.stderr
    assert command("record", str(other), "toy-other").returncode == 0


def test_counts_are_listed_run_by_run_and_only_for_what_is_counted(tmp_path):
    table = {
        "run": ["first", "first", "second"],
        "metric": ["right", "loss", "right"],
        "value": [735 / 872, 0.3, 741 / 872],
        "text": [None, None, None],
        "count": [735.0, None, 741.0],
        "n": [872.0, 872.0, 872.0],
        "low": [None, None, None],
        "high": [None, None, None],
        "seed": [0, 0, 1],
    }
    pd.DataFrame(table).to_parquet(tmp_path / "results.parquet")
    assert recorded_counts(Recorded(tmp_path, {"varied": ["seed"]})) == {"right": ["735/872", "741/872"]}


@pytest.mark.parametrize("name", ["toy", "toy/sweeps", "toy/sweeps/NAME"])
def test_a_sweep_reads_and_writes_nothing_through_a_link(project, swept, name):
    place = project.runs / name.replace("NAME", swept.name)
    place.rename(project.root / "elsewhere")
    place.symlink_to(project.root / "elsewhere")
    before = {path: path.stat().st_mtime_ns for path in (project.root / "elsewhere").rglob("*")}
    assert find_sweep(project, swept.name) is None
    contract = load_contract(project, "toy")
    again = Sweep.of(project, contract, points_of(contract, ["size=1,2", "seed=0:3"], ["rate=0.25"], []))
    with pytest.raises(RequestError, match="is a link, and links are not followed"), alone(again):
        pass
    with pytest.raises(RequestError, match="is a link, and links are not followed"):
        write_results(again, [], "workbench sweep")
    assert {path: path.stat().st_mtime_ns for path in (project.root / "elsewhere").rglob("*")} == before
