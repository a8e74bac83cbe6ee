"""Progress in a log: one line for what starts, with how much there is of it."""

from __future__ import annotations

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
