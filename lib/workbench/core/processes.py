"""How processes end: this one on any signal as on Ctrl-C, and those that it has started with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from workbench.core.secrets import secrets_of_process

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TIDYING = 10.0  # seconds that an interrupted command has for tidying up; kernels end within them
_GRACE = 4.0  # seconds for an interrupted child to end
_PR_SET_PDEATHSIG = 1  # has a process killed the moment its parent ends

_deaf_until = 0.0


def interrupt_on_signals() -> None:
    """Have a polite end and a closed terminal do what Ctrl-C does. What is ignored, as under `nohup`, stays so."""
    global _deaf_until
    _deaf_until = 0.0
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(*_: Any) -> None:
    """Raise KeyboardInterrupt, as a handler of signals; while a command tidies up after one, further ones do nothing.

    After a while they are heard again: the first may have been swallowed by a library, or the tidying may hang.
    """
    if time.monotonic() >= _deaf_until:
        tidying_up()
        raise KeyboardInterrupt


def tidying_up() -> None:
    """From now on and for a while `interrupt` does nothing."""
    global _deaf_until
    _deaf_until = time.monotonic() + _TIDYING


def ignore_signals() -> None:
    """Let nothing interrupt this process any more, since all that is left to it is to end."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def end_with_parent(parent: int) -> None:
    """Have this process killed when its parent, which is the process of this number, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=[parent], daemon=True).start()
    if os.getppid() != parent:  # it has ended already
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def run_python(code: str, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any) -> int:
    """The exit code of a Python process that executes `code` with these arguments; options are those of `Popen`.

    It has this process's environment without secrets, and the variables of `environment` over it. It never outlives
    this process: where this one is interrupted, that one is too, with a few seconds to tidy up; where this one is
    killed, that one is killed.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import be_child; be_child({os.getpid()}, {code!r})", *arguments],
        env={**secrets_of_process().kernel_environment(), **(environment or {})},
        start_new_session=True,  # Ctrl-C is for this process, which passes it on once
        **options,
    )
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
            child.kill()
            child.wait()


def be_child(parent: int, code: str) -> None:
    """Execute what `run_python` has started this process for."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_with_parent(parent)
    try:
        exec(code, {"__name__": "__main__"})
    except KeyboardInterrupt:
        sys.exit(130)
