"""What the commands show of runs and sweeps: their headline, the runs that fit, sweeps that have ended."""

from __future__ import annotations

import json
import os

import pytest

from made_runs import make_run
from toy_project import write_chapter
from workbench.parameters.contract import load_contract
from workbench.sweeps.grid import points_of
from workbench.sweeps.summary import summaries, write_results
from workbench.sweeps.sweep import Metric, Outcome, Sweep

pytestmark = pytest.mark.usefixtures("warm_server")
OTHERS = "1 at a time, as runs with other parameters took"
DEFAULTS = {
    "size": 3,
    "rate": 1e-3,
    "share": 0.5,
    "seed": 0,
    "flag": True,
    "mode": "fast",
    "name": "007",
    "depths": [1, 2],
}


def metric(name, value, count=None, n=None, low=None, high=None):
    return {"name": name, "value": value, "count": count, "n": n, "low": low, "high": high}


def run_with(project, after=0, metrics=(), given=None, **changes):
    """A run of these metrics and parameters."""
    resolved = DEFAULTS | (given or {})
    parameters = {"given": given or {}, "resolved": resolved}
    return make_run(project, after=after, metrics=list(metrics), parameters=parameters, error=None, **changes)


def ended_sweep(project, *grids, scores, fixed=(), code="0", name="toy"):
    """A sweep whose points have these scores, without anything having run."""
    write_chapter(project.root, code, name=name)
    contract = load_contract(project, name)
    sweep = Sweep.of(project, contract, points_of(contract, list(grids), list(fixed), []))
    for number, (key, point) in enumerate(zip(sweep.keys.keys, sweep.points, strict=True)):
        measured = tuple(Metric(each, value, *[None] * 4) for each, value in scores(point.values).items())
        sweep.ledger.outcomes[key] = Outcome(f"run-{number}", "completed", 1.5, 10, measured, None)
    return write_results(sweep, summaries(sweep), f"workbench sweep {name} -g {' -g '.join(grids)}")


MEASURED = [
    metric("steps", 48),
    metric("accuracy", 158 / 219, 158, 219, 0.6585, 0.7767),
    metric("gain", 0.0917, None, 219, 0.04, 0.14),
    metric("best", "adam"),
]
RECORD = "from workbench.chapter import begin\nchapter = begin(globals(){})\n" + "\n".join(
    f"chapter.record({m['name']!r}, {m['value']!r}, count={m['count']}, n={m['n']}, low={m['low']}, high={m['high']})"
    for m in MEASURED
)


@pytest.mark.parametrize(
    ("headline", "shown"),
    [
        (
            ', headline=["gain", "gone", "accuracy"]',
            [
                "  gain      0.0917 (n = 219; 95% interval 0.04 to 0.14)",
                "  accuracy  0.7215 (158/219; 95% interval 0.6585 to 0.7767)",
            ],
        ),
        ("", ["  steps     48", "  accuracy  0.7215 (158/219; 95% interval 0.6585 to 0.7767)"]),
    ],
)
def test_run_and_show_begin_with_the_headline_of_the_chapter(project, command, headline, shown):
    write_chapter(project.root, RECORD.format(headline))
    said = command("run", "toy").stdout.splitlines()
    assert said[0].endswith("; no claims")
    assert said[1:][: len(shown)] == shown
    assert said[-1].endswith("toy.ipynb")
    assert command("show").stdout.splitlines()[1:][: len(shown)] == shown


def test_a_run_of_a_chapter_that_is_gone_is_shown_by_its_first_metrics(project, command):
    run_with(project, chapter="gone", metrics=MEASURED)
    assert "  steps     48" in command("show", "gone/latest").stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        ("", [3, 2, 1, 0]),
        ("--status failed", [1]),
        ("-p size=7", [2, 1]),
        ("-p rate=0.001 -p size=7", [2, 1]),
        ("-p depths=1,2 --status completed", [3, 2, 0]),
        ("-p size=9", []),
        ("toy --since 2026-11-23T18:46", [3, 2, 1]),
        ("--since 2026-11-24", [3]),
        ("--since 2026-11-24 --status failed", []),
    ],
)
def test_runs_are_listed_that_fit_every_option(project, command, options, places):
    folders = [
        run_with(project),
        run_with(project, after=60, given={"size": 7}, status="failed"),
        run_with(project, after=120, given={"size": 7}),
        run_with(project, after=24 * 3600),
    ]
    listed = json.loads(command("runs", *options.split(), "--json").stdout)
    assert [run["id"] for run in listed] == [folders[place].name for place in places]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("runs --status done", "'done' is not one of"),
        ("runs --since yesterday", "'yesterday' does not match the formats"),
        ("runs -p sise=3", "toy has no parameter sise; did you mean size?"),
        ("runs -p size=many", "size: many is not a whole number"),
        ("show latest toy", "show takes one run or chapter; write `workbench show toy/latest`"),
        ("show toy latest~1", "write `workbench show toy/latest~1`"),
        ("show notebooks/toy.ipynb latest", "write `workbench show toy/latest`"),
        ("show latest 2026", "show takes one run or chapter; `workbench compare` takes several"),
        ("compare latest", "toy has no other completed run of its default parameters to compare 2026"),
        ("sweeps nothing", "no sweep nothing; `workbench sweeps` lists those that have ended"),
        ("sweeps toy/latest", "no sweep toy/latest;"),
    ],
)
def test_what_names_no_run_and_no_sweep_is_refused(project, command, line, said):
    run_with(project)
    result = command(*line.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_run_that_is_named_alone_is_compared_with_the_newest_of_the_defaults(project, command):
    run_with(project, metrics=[metric("loss", 3.0)])
    default = run_with(project, after=60, metrics=[metric("loss", 1.0)])
    run_with(project, after=90, status="failed")
    other = run_with(project, after=120, given={"size": 7}, metrics=[metric("loss", 1.5)])
    said = command("compare", "toy/latest").stdout
    assert said.index(default.name) < said.index(other.name)
    assert "+0.5" in said


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [(0.3, 0.1 + 0.2, "="), (0.0, 1e-19, "="), (1.0, 1 + 1e-9, "+1e-09"), ("adam", "adam", "="), ("adam", "sgd", "–")],
)
def test_a_difference_below_the_noise_of_floats_is_none(project, command, one, other, shown):
    run_with(project, metrics=[metric("loss", one)])
    run_with(project, after=60, metrics=[metric("loss", other)])
    (line,) = (line for line in command("compare", "latest~1", "latest").stdout.splitlines() if line.startswith("loss"))
    assert line.split()[-1] == shown


def test_sweeps_that_have_ended_are_listed_and_shown_again(project, command):
    assert "No sweep has ended yet" in command("sweeps").stdout
    begin = 'chapter = begin(headline=["double"])'

    def scores(values):
        return {"flat": 3, "double": 2 * values["size"]}

    first = ended_sweep(project, "size=1,2", "seed=0:2", code=begin, scores=scores)
    second = ended_sweep(project, "rate=0.1,0.2", code=begin, scores=scores)
    for place, folder in enumerate((first, second)):
        os.utime(folder / "sweep.json", (1_800_000_000 + place, 1_800_000_000 + place))
    listed = command("sweeps").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == [second.name, first.name]
    assert listed[2].split()[1:] == ["toy", "size,", "seed", "4", "0", "4", "2027-01-15", "08:00"]
    assert [each["name"] for each in json.loads(command("sweeps", "--json").stdout)] == [second.name, first.name]

    shown = command("sweeps", "size-seed").stdout.splitlines()
    assert shown[0] == "workbench sweep toy -g size=1,2 -g seed=0:2: 4 of 4 points completed"
    assert [line.split() for line in shown[1:-1]] == [
        ["size", "runs", "double"],
        ["1", "2", "2"],  # both runs measured the same
        ["2", "2", "4"],
    ]
    assert shown[-1] == str(first)
    assert "rate" in command("sweeps", "toy/latest").stdout
    assert "flat" in command("sweeps", "latest", "--metric", "flat").stdout
    refused = command("sweeps", "latest", "--metric", "dobule").stderr
    assert "toy has recorded no metric dobule; did you mean double?" in refused
    assert json.loads(command("sweeps", str(first), "--json").stdout)[0]["summary"][0]["mean"] == 3

    facts = json.loads((first / "sweep.json").read_text())
    del facts["seeds"]  # which earlier versions did not write
    (first / "sweep.json").write_text(json.dumps(facts))
    assert command("sweeps", "size-seed").stdout.splitlines() == shown
    (second / "sweep.json").write_text("{}")
    assert f"{second.name}: its results cannot be read" in command("sweeps").stderr
    assert command("sweeps", second.name).returncode == 2


def test_the_means_of_two_sweeps_stand_side_by_side(project, command):
    ended_sweep(project, "size=1,2", "seed=0:2", scores=lambda v: {"loss": v["size"] + v["seed"], "flat": 0})
    ended_sweep(project, "size=2,5", fixed=["mode=slow"], scores=lambda v: {"loss": v["size"] + 2, "flat": 0})
    names = [each["name"] for each in json.loads(command("sweeps", "--json").stdout)]
    first, second = sorted(names, key=lambda name: "seed" not in name)
    said = [line.split() for line in command("sweeps", first, second, "--metric", "loss").stdout.splitlines()]
    assert said[2] == ["size", "metric", "1", "2", "2", "−", "1"]
    assert [(row[0], row[1], row[2], row[-1]) for row in said[3:5]] == [
        ("1", "loss", "1.5", "2)"),
        ("2", "loss", "2.5", "+1.5"),
    ]
    assert said[5] == ["5", "loss", "7"]
    write_chapter(project.root, "0", name="other")
    ended_sweep(project, "size=1,2", scores=lambda v: {"loss": 1}, name="other")
    assert "is a sweep of toy, and" in command("sweeps", first, "other/latest").stderr
    assert command("sweeps", first, first).returncode == 2


def test_a_mistyped_metric_is_refused_before_a_sweep_runs(project, command):
    line = ("sweep", "toy", "-g", "size=1,2", "--dry-run", "--metric")
    assert command(*line, "anything").returncode == 0, "nothing is known yet"
    path = write_chapter(project.root, "0")
    notebook = json.loads(path.read_text())
    entry = {"record": metric("accuracy", 0.5)}
    notebook["cells"][-1]["outputs"] = [{"output_type": "display_data", "data": {}, "metadata": {"workbench": entry}}]
    path.write_text(json.dumps(notebook))
    assert command(*line, "accuracy").returncode == 0
    refused = command(*line[:4], *line[5:], "acuracy")
    assert (refused.returncode, project.runs.exists()) == (2, False)
    assert "toy has recorded no metric acuracy; did you mean accuracy?" in refused.stderr


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([({}, 10, 5), ({"seed": 5}, 20, 5), ({"mode": "slow"}, 500, 5)], "about 60 s, 1 at a time"),
        (
            [({"mode": "slow"}, 35, 5), ({"flag": False}, 105, 5)],
            f"perhaps 2 min to 7 min, {OTHERS}",
        ),
        ([({"mode": "slow"}, 10, 5)], f"perhaps 40 s, {OTHERS}"),
        ([], "no completed run says how long one takes"),
    ],
)
def test_the_estimate_of_a_dry_run_says_what_it_rests_on(project, command, runs, said):
    for place, (given, seconds, cpu) in enumerate(runs):
        run_with(project, after=60 * place, given=given, seconds=seconds, cpu_seconds=cpu, key=f"{place}a2b3c4d")
    result = command("sweep", "toy", "-g", "size=1,2,4,5", "--dry-run", "--workers", "1")
    assert result.stdout.splitlines()[-1] == f"4 points, 4 to run; {said}"


def test_runs_at_a_time_share_the_cores_that_one_alone_kept_busy(project, command, monkeypatch):
    from workbench.sweeps import cluster

    monkeypatch.setattr(cluster.Share, "of_machine", lambda *_: cluster.Share(2, 1))
    run_with(project, seconds=100, cpu_seconds=190)
    result = command("sweep", "toy", "-g", "size=1,2,4,5", "--dry-run", "--json")
    assert json.loads(result.stdout)["estimated_seconds"] == 190 * 4 / 2
