"""A few points of a recorded result computed again: chosen by the change, compared to the last digit, never current."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from swept_project import sweep, trace, write_traced_chapter
from toy_project import PARAMETERS, edit_cell, write_chapter
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.parameters.types import plain
from workbench.recorded.confirm import _drawn, changed_defaults, is_time
from workbench.recorded.recording import record_result
from workbench.recorded.result import Recorded, read_recorded
from workbench.runs.store import find_run
from workbench.sweeps.ended import find_sweep
from workbench.sweeps.grid import points_of

MEASURES = """\
from workbench.chapter import Chapter
import time
chapter = Chapter({})
chapter.record("triple", 3 * size + seed / 10, n=size, low=0, high=99)
chapter.record("kind", mode)
chapter.record("loop_seconds", time.perf_counter())
chapter.claim("Size is small", size, below=2)
chapter.claim("Seed is a seed", seed, above=-1)
"""
CHANGED = "print('says more')"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Project:
    """A project with a recorded sweep over sizes and seeds, made once; its last cell computes nothing."""
    project = Project(tmp_path_factory.mktemp("recorded"))
    (project.root / "_toc.yml").touch()
    write_traced_chapter(project, MEASURES, "print('says little')")
    code, _, err = sweep(project, "-g", "size=1,2", "-g", "seed=0:3", "-p", "rate=0.25", "--workers", "2")
    assert code == 0, err
    record_result(project, find_sweep(project, "size-seed"), "toy-sizes")
    return project


@pytest.fixture
def recorded(project, made) -> Path:
    """The folder of that record, in a project of the test's own that has none of its runs; a cell has changed."""
    shutil.copytree(made.root / "book", project.root / "book", dirs_exist_ok=True)
    write_traced_chapter(project, MEASURES, CHANGED)
    return project.recorded / "toy-sizes"


def measures(project: Project, *changes: tuple[str, str]) -> None:
    """Change what the chapter measures."""
    text = MEASURES
    for old, new in changes:
        text = text.replace(old, new)
    write_traced_chapter(project, text, CHANGED)


def confirmed(folder: Path) -> dict:
    return json.loads((folder / "confirmed.json").read_text())


def places(record: dict) -> list[tuple[int, int]]:
    return [tuple(point["parameters"].values()) for point in record["points"]]


def test_points_that_come_out_the_same_confirm_it_and_it_stays_stale(project, recorded, command):
    before = {path.name: path.read_bytes() for path in recorded.iterdir()}
    done = command("confirm", "toy-sizes")
    assert done.returncode == 0, done.stderr
    assert "Confirmed on 2 of 6 points at no commit on 20" in done.stdout
    outcome = confirmed(recorded)
    assert (outcome["differences"], outcome["claims"], outcome["times"]) == ([], [], ["loop_seconds"])
    assert outcome["metrics"] == 3
    assert {path.name: path.read_bytes() for path in recorded.iterdir() if path.name != "confirmed.json"} == before
    assert len(trace(project)) == 2
    again = command("confirm", "toy-sizes", "--json")
    assert json.loads(again.stdout)["points"] == outcome["points"]
    assert len(trace(project)) == 2, "what is computed at today's code is not computed twice"
    assert command("recorded", "--json").stdout.count('"state": "stale"') == 1
    assert command("recorded").stdout.split()[-1] == "same"
    more = command("confirm", "toy-sizes", "--points", "3")
    assert more.returncode == 0
    assert places(confirmed(recorded))[:2] == places(outcome)
    fewer = command("confirm", "toy-sizes", "--points", "1")
    assert "Confirmed on 3 of 6 points" in fewer.stdout, "nobody drops a point that was compared"
    measures(project, ("3 * size", "3.5 * size"))
    assert command("recorded").stdout.split()[-1] == "outdated", "what was compared is not what stands there now"


def test_what_differs_is_named_with_its_size_and_is_no_confirmation(project, recorded, command):
    measures(project, ("3 * size", "3.5 * size"), ("below=2", "below=0"), ('"kind", mode', '"kind", "odd"'))
    done = command("confirm", "toy-sizes", "--points", "6")
    assert done.returncode == 1
    outcome = confirmed(recorded)
    (triple, kind) = outcome["differences"]
    assert (triple["metric"], triple["part"], triple["absolute"]) == ("triple", "value", pytest.approx(1))
    assert triple["point"].startswith("size=2, "), "the largest over the points"
    assert triple["relative"] == pytest.approx(1 / triple["recorded"])
    assert (kind["recorded"], kind["now"], kind["absolute"]) == ("fast", "odd", None)
    (small,) = outcome["claims"]
    assert (small["claim"], small["recorded"], small["now"]) == ("Size is small", "held in 3 of 6", "held in 0 of 6")
    assert "not the same: `triple` by 1" in done.stdout


def test_the_page_says_that_it_is_confirmed_and_never_that_it_is_current(project, recorded):
    from workbench.book.recorded_directive import provenance

    outcome = {
        "date": "2026-11-27T09:15:00Z",
        "change": "x",
        "of": 6,
        "points": [{}, {}],
        "metrics": 3,
        "claims": [],
        "differences": [],
        "git": {"commit": "0123456789", "dirty": False},
        "unmatched": {"recorded": {"claims": []}, "now": {"claims": [], "metrics": []}},
        "kept": [],
    }
    result = read_recorded(project, "toy-sizes")
    where = "on 2 of 6 points at commit 0123456 on 2026-11-27"
    text = provenance(replace(result, confirmed=outcome), ["a cell changed"]).astext()
    assert "Not current: a cell changed." in text
    assert f"Confirmed {where}: every metric and claim was the same." in text
    assert "More has changed since" in provenance(replace(result, confirmed=outcome), ["x"], outdated=True).astext()
    difference = {"metric": "double", "part": "low", "recorded": 0.5, "now": 0.75, "absolute": 0.25, "relative": 0.5}
    text = provenance(replace(result, confirmed=outcome | {"differences": [difference]}), ["a cell changed"]).astext()
    assert f"Compared {where}, and not the same: double (low) by 0.25 (0.5 → 0.75)." in text
    assert "Confirmed" not in text
    text = provenance(replace(result, confirmed=outcome | {"metrics": 0}), ["a cell changed"]).astext()
    assert "Confirmed" not in text
    assert "nothing says whether it is the same" in text


def test_a_claim_that_held_in_some_points_agrees_while_its_counts_may_be_the_same(project, recorded, command):
    done = command("confirm", "toy-sizes", "--points", "2")
    assert (done.returncode, confirmed(recorded)["claims"]) == (0, [])


def test_zero_is_a_choice_among_numbers_and_a_seed_is_none(project):
    contract = load_contract(project, "toy")
    points = points_of(contract, ["size=1,2", "seed=0:3"], [], [])
    for number, point in enumerate(points.points):
        points.points[number] = replace(
            point, values=point.values | {"rate": 0.0 if point.values["size"] == 1 else 0.5}
        )
    record = {"varied": ["rate", "seed"], "seeds": ["seed"], "chapter": "toy"}
    for seed in range(20):
        drawn = _drawn(Recorded(project.root, record), points, 2, str(seed))
        assert {points.points[place].values["rate"] for place in drawn} == {0.0, 0.5}


def test_a_claim_that_held_everywhere_and_fails_now_differs(project, recorded, command):
    measures(project, ("above=-1", "above=100"))
    done = command("confirm", "toy-sizes")
    assert done.returncode == 1
    outcome = confirmed(recorded)
    assert outcome["differences"] == []
    assert {(claim["claim"], claim["recorded"], claim["now"]) for claim in outcome["claims"]} == {
        ("Seed is a seed", "holds", "fails")
    }
    assert "“Seed is a seed” holds → fails" in done.stdout


def test_a_metric_that_is_gone_differs_and_a_new_one_is_said(project, recorded, command):
    measures(project, ('record("kind"', 'record("sort"'))
    done = command("confirm", "toy-sizes", "--points", "1")
    assert done.returncode == 1
    outcome = confirmed(recorded)
    rows = {row["metric"]: (row["recorded"], row["now"]) for row in outcome["differences"]}
    assert rows == {"kind": ("fast", "missing")}
    assert outcome["unmatched"]["now"] == {"claims": [], "metrics": ["sort"]}
    assert "sort" in done.stdout.partition("not compared")[2]


def test_a_claim_in_other_words_is_said_and_is_no_difference(project, recorded, command):
    measures(project, ('claim("Seed is', 'claim("A seed is'))
    done = command("confirm", "toy-sizes")
    assert done.returncode == 0, done.stdout
    outcome = confirmed(recorded)
    assert outcome["unmatched"] == {
        "recorded": {"claims": ["Seed is a seed"]},
        "now": {"claims": ["A seed is a seed"], "metrics": []},
    }
    words = "every metric and claim was the same, of those that both have (1 claim in the record alone, 1 claim today"
    assert words in done.stdout.replace("\n", " ")


def test_a_claim_that_some_points_no_longer_make_differs(project, recorded, command):
    claim = 'chapter.claim("Seed is a seed"'
    measures(project, (claim, f"if size == 1:\n    {claim}"))
    done = command("confirm", "toy-sizes", "--points", "6")
    assert done.returncode == 1
    assert {(claim["recorded"], claim["now"]) for claim in confirmed(recorded)["claims"]} == {("holds", "missing")}


def test_a_default_that_has_changed_keeps_its_recorded_value(project, recorded, command):
    parameters = PARAMETERS.replace('"slow"] = "fast"', '"slow"] = "slow"')
    edit_cell(project.notebooks / "toy.ipynb", "parameters", parameters)
    done = command("confirm", "toy-sizes", "--points", "1")
    assert done.returncode == 0, done.stdout
    assert confirmed(recorded)["kept"] == ["mode"]
    assert ", with the recorded `mode`: every metric and claim was the same" in done.stdout.replace("\n", " ")


def test_a_default_that_is_empty_then_and_now_is_no_request(project):
    write_chapter(project.root, "len(extra)", parameters=PARAMETERS + 'extra: str = ""  # perhaps\n')
    contract = load_contract(project, "toy")
    then = {name: plain(value) for name, value in contract.resolve({}).items()} | {"size": 5}
    record = {"parameters": {"given": {"seed": 1}, "resolved": then | {"seed": 1, "gone": 2}}, "public": {}}
    assert changed_defaults(contract, Recorded(project.root, record)) == {"size": 5}


def test_a_recorded_value_that_the_chapter_no_longer_takes_is_one_sentence(project, recorded, command):
    parameters = PARAMETERS.replace('Literal["fast", "slow"] = "fast"', 'Literal["slow"] = "slow"')
    edit_cell(project.notebooks / "toy.ipynb", "parameters", parameters)
    refused = command("confirm", "toy-sizes")
    assert refused.returncode == 2
    assert refused.stderr == "workbench: mode: fast is not one of slow\n"
    assert not trace(project)


@pytest.mark.parametrize(("change", "same"), [("* (1 + 1e-8)", True), ("* (1 + 1e-4)", False)])
def test_numbers_are_compared_to_six_digits(project, recorded, command, change, same):
    measures(project, ("3 * size", f"3 {change} * size"))
    done = command("confirm", "toy-sizes", "--points", "1")
    assert (done.returncode == 0) == same


def test_a_point_that_fails_is_exit_code_1_and_nothing_is_kept(project, recorded, command):
    measures(project, ("import time", "import time\n1 / 0"))
    done = command("confirm", "toy-sizes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("workbench: 2 of 2 points failed")
    assert not (recorded / "confirmed.json").exists()


def test_another_change_draws_other_points_and_a_larger_draw_has_those_of_a_smaller_one(project, recorded):
    contract = load_contract(project, "toy")
    points = points_of(contract, ["size=1,2", "seed=0:3"], ["rate=0.25"], [])
    result = read_recorded(project, "toy-sizes")
    draws = {tuple(_drawn(result, points, 2, f"change {number}")) for number in range(20)}
    assert len(draws) > 5
    assert _drawn(result, points, 4, "x")[:2] == _drawn(result, points, 2, "x")
    assert sorted(_drawn(result, points, 99, "x")) == list(range(6))


def test_every_value_of_a_choice_that_varies_is_among_the_points(project):
    write_chapter(project.root)
    points = points_of(load_contract(project, "toy"), ["mode=fast,slow", "flag=true,false", "seed=0:9"], [], [])
    result = Recorded(project.root, {"varied": ["mode", "flag", "seed"], "seeds": ["seed"]})
    for change in map(str, range(20)):
        values = [points.points[place].values for place in _drawn(result, points, 1, change)]
        assert {value["mode"] for value in values} == {"fast", "slow"}
        assert {value["flag"] for value in values} == {True, False}
        assert len(values) <= 3
        more = _drawn(result, points, 5, change)
        assert more[: len(values)] == _drawn(result, points, 1, change), "nobody loses a point that was compared"


@pytest.mark.parametrize(
    ("name", "time"),
    [("epoch_seconds", True), ("texts_per_second", True), ("whole_ms_batch", True), ("time_ratio", True)]
    + [("times_seen", False), ("accuracy", False), ("milliseconds", False), ("terms", False)],
)
def test_a_time_is_known_by_a_word_of_its_name(name, time):
    assert is_time(name) == time


def test_a_record_without_definitions_can_be_confirmed_by_today_s_ingredients(project, recorded, command):
    record = json.loads((recorded / "sweep.json").read_text())
    del record["ingredients"]["definitions"]
    record["ingredients"]["modules"] = {"lib/x.py": "0"}
    (recorded / "sweep.json").write_text(json.dumps(record))
    assert command("confirm", "toy-sizes", "--points", "1").returncode == 0
    assert len(confirmed(recorded)["change"]) == 64


def test_a_replacement_leaves_no_confirmation_of_what_it_replaces(project, made, command):
    for folder in ("book", "notebooks", "runs"):
        shutil.copytree(made.root / folder, project.root / folder, dirs_exist_ok=True)
    folder = project.recorded / "toy-sizes"
    refused = command("confirm", "toy-sizes")
    assert refused.returncode == 2
    assert "is current, and its runs are still here" in refused.stderr
    (folder / "confirmed.json").write_text("{")
    assert "confirmed.json: the record has no readable JSON" in command("recorded").stderr
    record_result(project, find_sweep(project, "size-seed"), "toy-sizes", replace=True)
    assert sorted(path.name for path in folder.iterdir()) == ["results.parquet", "sweep.json"]


def test_local_files_are_given_again_and_must_be_the_same(project, run, command):
    text, other = project.root / "text.txt", project.root / "other.txt"
    text.write_text("One sentence stands here.\n")
    other.write_text("Another sentence stands here.\n")
    parameters = "from workbench.types import Dataset\ncorpus: Dataset = 'pydocs'  # text"
    code = "from workbench.chapter import Chapter\nChapter({}).record('length', len(open(corpus).read()))"
    write_chapter(project.root, code, parameters=parameters, read=False)
    done, _ = run(corpus=str(text))
    record_result(project, done, "local", {"corpus": "a public text"})
    shutil.rmtree(project.runs)
    edit_cell(project.notebooks / "toy.ipynb", "cell-0", code + "\n1 + 1")
    for options, sentence in (
        ((), "local was computed from local files: -p corpus=PATH says where they are (corpus: a public text)"),
        (("-p", f"corpus={other}"), "-p corpus: it has the fingerprint "),
        (("-p", f"corpus={text}", "-p", "x=y"), "-p x: local was computed from no local file of that name"),
        (("-p", "corpus=nowhere.txt"), "corpus: nowhere.txt"),
    ):
        refused = command("confirm", "local", *options)
        assert refused.returncode == 2, refused
        assert refused.stderr.startswith(f"workbench: {sentence}")
    assert not project.runs.exists() or not list(project.runs.glob("*/*/run.json"))
    same = command("confirm", "local", "-p", f"corpus={text}")
    assert same.returncode == 0, same.stderr
    assert "Confirmed on 1 of 1 point at" in same.stdout
    assert "text.txt" not in (project.recorded / "local" / "confirmed.json").read_text()
    assert find_run(project, "latest").id in (project.recorded / "local" / "confirmed.json").read_text()
