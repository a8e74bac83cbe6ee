"""What is printed has no secrets in it, wherever they begin and end, and is otherwise as it was printed."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from rich.table import Table

from workbench.core import console, printed
from workbench.core.printed import print_json, redact_output, redacted_log
from workbench.core.secrets import REDACTED, Secrets

TOKEN = "averysecretone"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEabc/def+gh\nqrst\\uvwx==\n-----END PRIVATE KEY-----\n"
LONG = "0123456789" * 4
SECRETS = Secrets(
    {"LONG_TOKEN": LONG, "HF_TOKEN": TOKEN, "DEPLOY_KEY": KEY, "OTHER_TOKEN": "aaabaaac", "SHORT_PASS": "x\nyz\nuv\nw"}
)


def test_a_secret_is_redacted_wherever_the_pieces_of_a_text_are_cut():
    source = random.Random(0)
    text = (
        f"it is {TOKEN}, aaaabaaacaaabaaac\n{KEY}{TOKEN[:9]} x\nyz\nuv\nw \x1b[31m{TOKEN[:4]}\x1b[0m{TOKEN[4:]}\navery"
    )
    whole = SECRETS.redact(text)
    assert whole.count(REDACTED) >= 6
    for _ in range(300):
        cuts = sorted(source.choices(range(len(text) + 1), k=source.randrange(8)))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert "".join(SECRETS.redact_pieces(pieces)) == whole


def test_a_line_that_does_not_end_is_not_kept_back_for_ever_and_hides_no_secret():
    pieces = ["=" * 40_000] * 3 + [TOKEN[:5], TOKEN[5:]] + ["=" * 40_000] * 3
    came = list(SECRETS.redact_pieces(pieces))
    assert sum(map(len, came[:-1])) > 150_000
    assert "".join(came) == "=" * 120_000 + REDACTED + "=" * 120_000


def test_a_whole_line_is_passed_on_at_once():
    came = SECRETS.redact_pieces(iter(["one\n", f"two {TOKEN}\nthr", "ee"]))
    assert [next(came), next(came), next(came)] == ["one\n", f"two {REDACTED}\n", ""]


def test_a_log_holds_what_was_printed_without_secrets_also_bytes_that_are_no_text(tmp_path):
    with redacted_log(tmp_path / "log", SECRETS) as log:
        subprocess.run(["echo", f"é {TOKEN}"], stdout=log, check=True)
        for part in (b"\xff\xc3", b"\xa9 ", TOKEN[:5].encode(), TOKEN[5:].encode()):
            os.write(log, part)
    assert (tmp_path / "log").read_bytes() == f"é {REDACTED}\n".encode() + b"\xff\xc3\xa9 " + REDACTED.encode()


def test_no_descriptor_and_no_thread_of_a_log_stays(tmp_path):
    process = psutil.Process()
    before = process.num_fds(), threading.active_count()
    for _ in range(5):
        with redacted_log(tmp_path / "log", SECRETS):
            pass
    assert (process.num_fds(), threading.active_count()) == before


def test_a_log_is_bounded_and_whoever_prints_more_is_not_held_up(tmp_path, monkeypatch):
    monkeypatch.setattr(printed, "MOST", 2**20)
    with redacted_log(tmp_path / "log", SECRETS) as log:
        subprocess.run([sys.executable, "-c", "for _ in range(5): print('x' * 2**20)"], stdout=log, check=True)
    text = (tmp_path / "log").read_text()
    assert text == "x" * 2**20 + "\n[more was left out: a log has at most 1 MiB]\n"


def test_a_log_ends_although_a_process_that_was_left_behind_holds_it_open(tmp_path):
    started = time.monotonic()
    with redacted_log(tmp_path / "log", SECRETS) as log:
        left = subprocess.Popen(["sleep", "60"], stdout=log)
        os.write(log, b"before the end")
    assert time.monotonic() - started < 10
    assert (tmp_path / "log").read_text() == "before the end"
    left.kill()
    left.wait()


def test_a_link_in_the_place_of_a_log_is_removed_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "log").symlink_to("precious")
    with redacted_log(tmp_path / "log", SECRETS) as log:
        os.write(log, b"line\n")
    assert (tmp_path / "log").read_text() == "line\n"
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_disk_that_is_full_ends_a_log_and_not_what_prints(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr(Path, "open", lambda *_, **__: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", buffering=0))
    with redacted_log(tmp_path / "log", SECRETS) as log:
        for _ in range(4):
            os.write(log, b"line\n" * 10_000)


def test_nothing_of_a_secret_is_on_the_disk_where_the_process_that_redacts_is_killed(tmp_path):
    code = (
        "import os, subprocess, sys, time; from pathlib import Path; from workbench.core.printed import redacted_log;"
        "from workbench.core.secrets import Secrets\n"
        "with redacted_log(Path('log'), Secrets()) as log:\n"
        "    os.write(log, b'of ' + os.environ['HF_TOKEN'].encode() + b'\\n' + os.environ['HF_TOKEN'][:9].encode())\n"
        "    while not Path('log').stat().st_size: time.sleep(0.01)\n"
        "    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "HF_TOKEN": TOKEN}, check=False)
    assert (tmp_path / "log").read_text() == f"of {REDACTED}\n"


def redacted_screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What comes to stand on standard output from now on, redacted."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    redact_output(SECRETS)
    return screen


def test_a_table_that_wraps_its_cells_shows_no_part_of_a_secret(monkeypatch):
    screen = redacted_screen(monkeypatch)
    monkeypatch.setenv("COLUMNS", "24")
    table = Table("name", "value")
    table.add_row(f"of {TOKEN}", f"[bold]{TOKEN}[/]")
    console.out.print(table)
    console.out.print(f"a sentence with [red]{TOKEN}[/] in it")
    console.out.print(LONG)
    text = "".join(character for character in screen.getvalue() if character.isalnum())
    assert text.count("redact") == 4
    assert not any(each[start : start + 4] in text for each in (TOKEN, LONG) for start in range(len(each) - 3))


def test_the_terminal_is_what_it_was_but_for_the_secrets(monkeypatch):
    screen = redacted_screen(monkeypatch)
    print(f"{TOKEN}", TOKEN, file=sys.stdout)
    sys.stdout.writelines([TOKEN, "\n"])
    assert screen.getvalue() == f"{REDACTED} {REDACTED}\n{REDACTED}\n"
    code = (
        "import sys; from workbench.core.printed import redact_output; from workbench.core.secrets import Secrets\n"
        "before = [(s.encoding, s.fileno(), s.isatty(), s.line_buffering) for s in (sys.stdout, sys.stderr)]\n"
        "redact_output(Secrets())\n"
        "assert before == [(s.encoding, s.fileno(), s.isatty(), s.line_buffering) for s in (sys.stdout, sys.stderr)]\n"
        "print('é')\n"
        "import os; raise ValueError(os.environ['HF_TOKEN'])"
    )
    environment = {**os.environ, "HF_TOKEN": TOKEN}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (1, "é\n")
    assert done.stderr.endswith(f"ValueError: {REDACTED}\n")


def test_json_on_the_terminal_keeps_its_numbers_whatever_a_secret_is(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    redact_output(Secrets({"PIN_TOKEN": "100000"}))
    print_json({"value": 100000, "text": ["it is 100000"]})
    print("it is", 100000)
    assert screen.getvalue() == f'{{"value": 100000, "text": ["it is {REDACTED}"]}}\nit is {REDACTED}\n'
