"""Signals that end a command alike, and processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from workbench.core import processes
from workbench.core.processes import interrupt_on_signals, run_python

PARENT = "import sys; from workbench.core.processes import run_python; run_python(sys.argv[1], *sys.argv[2:])"
SLEEPS = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
TIDIES_UP = f"""
import pathlib, sys
try:
    {SLEEPS}
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).write_text("tidy")
"""


WATCHES = f"""
import os, sys
sys.platform = "another one"
from workbench.core import processes
if os.fork():
    os.wait()
else:
    processes.end_with_parent(os.getppid())
    {SLEEPS}
"""


@pytest.fixture
def signals():
    """The signals that end a command, each handled afterwards as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.default_int_handler)  # under nohup one is ignored
    yield list(before)
    for number, handler in before.items():
        signal.signal(number, handler)


def start(code: str, *arguments: object, parent: str = PARENT) -> tuple[subprocess.Popen, psutil.Process]:
    """A process that has started another one, which executes this code, and that one, which touches the first file."""
    line = [code, *map(str, arguments)] if parent == PARENT else map(str, arguments)
    started = subprocess.Popen([sys.executable, "-c", parent, *line])
    deadline = time.monotonic() + 30
    while not arguments[0].exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (child,) = psutil.Process(started.pid).children()
    return started, child


def test_every_signal_that_ends_a_command_interrupts_it(signals):
    for number in signals:
        interrupt_on_signals()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_a_second_signal_waits_until_the_first_is_tidied_up(signals, monkeypatch):
    interrupt_on_signals()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    for number in signals:
        os.kill(os.getpid(), number)
    monkeypatch.setattr(processes, "_deaf_until", time.monotonic())
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_what_nohup_ignores_stays_ignored(signals):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt_on_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("parent", [PARENT, WATCHES], ids=["here", "on another operating system"])
def test_a_child_dies_with_a_killed_parent(tmp_path, parent):
    parent, child = start(SLEEPS, tmp_path / "started", parent=parent)
    parent.kill()
    parent.wait()
    psutil.wait_procs([child], 5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_child_is_told_of_an_interruption_and_waited_for(tmp_path):
    parent, child = start(TIDIES_UP, tmp_path / "said")
    parent.send_signal(signal.SIGINT)
    parent.wait(10)
    assert not child.is_running()
    assert (tmp_path / "said").read_text() == "tidy"


def test_a_child_that_does_not_end_when_it_is_told_is_killed(tmp_path):
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEPS}"
    parent, child = start(code, tmp_path / "started")
    parent.send_signal(signal.SIGINT)
    parent.wait(10)
    assert not child.is_running()


def test_a_child_gets_no_secret_and_its_exit_code_is_returned(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnop")
    assert run_python("import os; raise SystemExit(3 if 'HF_TOKEN' in os.environ else 4)") == 4
