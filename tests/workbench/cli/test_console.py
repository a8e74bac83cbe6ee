"""Progress in a log: one line for what starts, with how much there is of it."""

from __future__ import annotations

import time

from workbench.cli import console
from workbench.cli.console import RichReporter


def test_a_log_says_bytes_as_a_size_and_all_else_as_a_count(capsys):
    with RichReporter() as reporter:
        for done in (0, 44_044_976):
            reporter.preparing(done, 440_449_768, "fetching google-bert/bert-base-uncased", unit="bytes")
        reporter.preparing(0, 7, "downloading a list of seven")
        reporter.started("pretraining", 48)
    assert capsys.readouterr().err.splitlines() == [
        "fetching google-bert/bert-base-uncased: 440.4 MB …",
        "downloading a list of seven: 7 to do …",
        "pretraining: 48 to do …",
    ]


def test_a_log_says_that_a_long_cell_still_runs_and_falls_silent_with_it(capsys, monkeypatch):
    monkeypatch.setattr(console, "_MINUTE", 0.02)
    with RichReporter() as reporter:
        reporter.started("pretraining", 48)
        reporter.cell(12, "Training", None)
        wait_for(capsys, "  cell 12 still runs, 2 min  Training")
        reporter.cell(12, "Training", 209.0)
        reporter.cell(13, "After it", None)
        wait_for(capsys, "  cell 13 still runs, 1 min  After it")
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def wait_for(capsys, line):
    deadline, said = time.monotonic() + 20, ""
    while line not in said.splitlines():
        assert time.monotonic() < deadline
        time.sleep(0.01)
        said += capsys.readouterr().err
