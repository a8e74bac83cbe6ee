"""Signals that would raise KeyboardInterrupt are told to a loop, once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from workbench.core import processes
from workbench.sweeps.interrupts import Interrupts


def interrupt(name: str = "SIGINT") -> None:
    os.kill(os.getpid(), getattr(signal, name))


def test_the_first_is_told_the_second_raises_and_afterwards_all_do():
    told = []
    with Interrupts(lambda: told.append(1)):
        interrupt()
        assert told == [1]
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert told == [1]
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_none_is_heard_while_they_are_ignored():
    with Interrupts(lambda: pytest.fail("it was told")) as interrupts:
        interrupts.ignore()
        interrupt()


def test_it_is_for_the_signals_that_would_raise():
    told = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts(lambda: told.append("nohup")):
            interrupt("SIGHUP")
        signal.signal(signal.SIGHUP, processes.interrupt)
        with Interrupts(lambda: told.append("hung up")):
            interrupt("SIGHUP")
        interrupt("SIGHUP")  # while the command tidies up after the first
    finally:
        signal.signal(signal.SIGHUP, before)
    assert told == ["hung up"]


def test_another_thread_than_the_main_one_has_none():
    failures = []

    def enter():
        try:
            with Interrupts(lambda: None):
                pass
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not failures
