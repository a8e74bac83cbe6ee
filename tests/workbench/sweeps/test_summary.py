"""Means over seeds, the picture that fits what varies, and the view of a sweep that runs."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from toy_project import write_chapter
from workbench.parameters.contract import load_contract
from workbench.sweeps import view as sweep_progress
from workbench.sweeps.grid import points_of
from workbench.sweeps.plot import chosen_metrics, kind_of, table, write_plot
from workbench.sweeps.summary import Summary, axes_of, shown_mean, summaries, write_results
from workbench.sweeps.sweep import Metric, Outcome, Sweep


def measured(project, *grids, metrics=lambda values: [("score", values["size"] + values["seed"])]) -> Sweep:
    """A sweep whose points are done, without anything having run."""
    write_chapter(project.root)
    contract = load_contract(project, "toy")
    sweep = Sweep.of(project, contract, points_of(contract, list(grids), [], []))
    for number, (key, point) in enumerate(zip(sweep.keys.keys, sweep.points, strict=True)):
        found = tuple(Metric(name, *rest, *[None] * (5 - len(rest))) for name, *rest in metrics(point.values))
        sweep.ledger.outcomes[key] = Outcome(f"run-{number}", "completed", 1.5, 10, found, None)
    return sweep


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"low": 0.25, "high": 0.75}, "0.5 (0.25 to 0.75)"),
        ({"low": 0.5, "high": 0.5}, "0.5"),
        ({"low": 0.49999, "high": 0.50001}, "0.5"),  # no difference in the digits that are shown
        ({"low": None, "high": None, "two": (0.25, 0.75)}, "0.5 (0.25 and 0.75)"),
        ({"low": None, "high": None, "two": (0.5, 0.5)}, "0.5"),
        ({"low": None, "high": None}, "0.5"),
    ],
)
def test_an_interval_is_shown_where_there_is_one(ends, said):
    assert shown_mean(Summary({}, "score", 3, 0.5, **ends)) == said


def test_runs_that_differ_in_the_seed_alone_are_repetitions(project):
    sweep = measured(project, "size=1,2", "seed=0:3")
    one, two = summaries(sweep)
    assert (one.setting, one.metric, one.runs, one.mean) == ({"size": 1}, "score", 3, 2.0)
    assert (one.low, one.high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)  # Student's t with 2 degrees: 4.303
    assert two.mean == 3


def test_a_failed_point_counts_in_no_mean_but_has_its_row(project):
    sweep = measured(project, "seed=0:3")
    sweep.ledger.outcomes[sweep.keys.keys[1]] = Outcome("run-1", "failed", 1.0, None, (), "ValueError: x")
    (found,) = summaries(sweep)
    assert (found.runs, found.mean) == (2, 4.0)
    rows = pd.read_parquet(write_results(sweep, [found], "workbench sweep") / "results.parquet")
    assert rows["status"].tolist() == ["completed", "failed", "completed"]
    assert rows["metric"].isna().tolist() == [False, True, False]


def test_text_and_missing_values_are_kept_in_the_table_and_out_of_the_means(project):
    sweep = measured(
        project, "size=1,2", metrics=lambda _: [("best", "adam"), ("none", None), ("score", 3, 3, 4, 0.1, 0.9)]
    )
    found = summaries(sweep)
    assert {summary.metric for summary in found} == {"score"}
    rows = pd.read_parquet(write_results(sweep, found, "") / "results.parquet")
    assert rows["text"].dropna().tolist() == ["adam", "adam"]
    score = rows[rows["metric"] == "score"].iloc[0]
    assert (score["value"], score["count"], score["n"], score["low"], score["high"]) == (3, 3, 4, 0.1, 0.9)


def test_whole_numbers_that_no_table_has_room_for_become_floats(project):
    sweep = measured(project, "size=1,2", metrics=lambda _: [("many", 10**30, 10**30, 2**62, -(10**30), 10**30)])
    (first, _) = found = summaries(sweep)
    assert first.mean == 1e30
    rows = pd.read_parquet(write_results(sweep, found, "") / "results.parquet")
    parts = ["value", "count", "n", "low", "high"]
    assert rows[parts].values.tolist() == [[1e30, 1e30, 2**62, -1e30, 1e30]] * 2


@pytest.mark.parametrize(
    ("grids", "kind", "words"),
    [
        (("rate=1e-4,1e-3,1e-2", "seed=0:2"), "line", "Line of score against rate; means of 2 runs"),
        (("size=1:4", "mode=fast,slow"), "heat map", "Heat map of score against size and mode; one run each"),
        (("mode=fast,slow", "seed=0:2"), "dots", "Dots of score against mode; means of 2 runs"),
        (("seed=0:3",), "dots", "Dots of score; means of 3 runs"),
        (("size=1:3", "share=0.1,0.2", "mode=fast,slow"), "dots", "Dots of score against size and share and mode"),
        (("size=1:99", "mode=fast,slow", "flag=true,false"), "dots", "the 40 highest of 392 settings"),
        (("depths=[1],[1,2]", "size=1,2"), "heat map", "Heat map of score against depths and size"),
        (("flag=true,false",), "dots", "Dots of score against flag"),
    ],
)
def test_the_picture_fits_what_varies(project, grids, kind, words):
    sweep = measured(project, *grids)
    found = summaries(sweep)
    folder = write_results(sweep, found, "")
    assert kind_of(axes_of(sweep), found) == kind
    assert words in write_plot(sweep, found, ["score"])
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "plot.md").read_text().count("\n| ") == len(
        {str(one.setting) for one in found}
    ) + 2  # and its heading


@pytest.mark.parametrize(
    ("grids", "of_point", "shown"),
    [
        (("size=1,2",), {}, ["flat0", "flat1", "flat2", "flat3"]),
        (("size=1,2", "seed=0:2"), {"by_seed": "seed"}, ["flat0", "flat1", "flat2", "flat3"]),
        (("size=1,2", "seed=0:2"), {"by_seed": "seed", "by_size": "size"}, ["by_size"]),
        (("seed=0:2",), {"by_seed": "seed"}, ["by_seed"]),
        (("size=1:9",), {f"by_size_{place}": "size" for place in range(9)}, [f"by_size_{place}" for place in range(4)]),
    ],
)
def test_a_sweep_is_shown_by_its_chapter_s_headline_or_by_what_varies(project, grids, of_point, shown):
    flat = [(f"flat{place}", 0.1 + 0.2) for place in range(6)]
    sweep = measured(
        project, *grids, metrics=lambda values: [*flat, *((name, values[part]) for name, part in of_point.items())]
    )
    means = summaries(sweep)
    assert chosen_metrics(means, [], []) == shown
    assert chosen_metrics(means, [], ["gone", "flat5", "flat0"]) == ["flat5", "flat0"]
    assert chosen_metrics(means, [], ["gone"]) == shown
    assert chosen_metrics(means, ["flat4", "unknown"], ["flat5"]) == ["flat4"]


def test_a_table_holds_the_metrics_that_are_asked_for(project):
    sweep = measured(project, "size=1,2", metrics=lambda _: [("other", 1), ("m7", 7)])
    assert table(["size"], summaries(sweep), ["m7"]) == (["size", "runs", "m7"], [["1", "1", "7"], ["2", "1", "7"]])


def test_where_many_parameters_vary_a_row_says_what_it_changes_in_the_first(project):
    sweep = measured(project, "size=1,2", "rate=0.1,0.2", "share=0.3", "mode=fast,slow", "name=a,b")
    axes, found = axes_of(sweep), summaries(sweep)
    headings, rows = table(axes, found, ["score"])
    assert headings == ["setting", "runs", "score"]
    assert [row[0] for row in rows[:4]] == [
        "size=1, rate=0.1, mode=fast, name=a",
        "name=b",
        "mode=slow",
        "mode=slow, name=b",
    ]
    assert len(rows) == 16


def test_many_metrics_of_few_settings_are_rows(project):
    metrics = [f"m{place}" for place in range(6)]
    sweep = measured(project, "size=1,2", metrics=lambda values: [(name, values["size"]) for name in metrics])
    headings, rows = table(["size"], summaries(sweep), metrics)
    assert headings == ["size", "1", "2"]
    assert rows == [["runs", "1", "1"], *([name, "1", "2"] for name in metrics)]
    sweep = measured(project, "size=1,2", "mode=fast,slow", metrics=lambda _: [(name, 1) for name in metrics])
    headings, _ = table(["size", "mode"], summaries(sweep), metrics)
    assert headings == ["", "size=1, mode=fast", "size=1, mode=slow", "size=2, mode=fast", "size=2, mode=slow"]


def terminal(monkeypatch, kind):
    """What a sweep shows on a terminal of this kind."""
    monkeypatch.setenv("TERM", kind)
    screen = io.StringIO()
    monkeypatch.setattr(sweep_progress, "err", Console(file=screen, force_terminal=True, width=120, color_system=None))
    return screen


def test_a_terminal_that_cannot_redraw_gets_a_line_for_each_point(monkeypatch):
    screen = terminal(monkeypatch, "dumb")
    with sweep_progress.SweepView(2, None) as view:
        view.changed({"size=1": 90.0}, done=0, failed=0, left=1)
        view.ended("size=1", Outcome("a", "completed", 30.0, None, (), None))
    assert screen.getvalue() == "  size=1 completed in 30.0 s\n"


def test_a_terminal_shows_what_runs_what_failed_and_how_long_it_will_take(monkeypatch):
    screen = terminal(monkeypatch, "xterm")
    now = SimpleNamespace(value=100.0)
    monkeypatch.setattr(sweep_progress.time, "monotonic", lambda: now.value)
    with sweep_progress.SweepView(6, None) as view:
        view.ended("size=1", Outcome("a", "completed", 30.0, None, (), None))
        view.ended("size=2", Outcome("b", "failed", 1.0, None, (), "ValueError: a reason"))
        view.changed({"size=3": 90.0, "size=4": 100.0}, done=1, failed=1, left=2)
    shown = screen.getvalue()
    assert "size=3" in shown
    assert "10 s" in shown
    assert "size=2: ValueError: a reason" in shown
    # Two are left at 30 s each, 20 s and 30 s of the two that run are left, and two run at a time.
    assert "1 done, 1 failed, 2 running, 2 to start of 6, about 55 s to go" in shown
