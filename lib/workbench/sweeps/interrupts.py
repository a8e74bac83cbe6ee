"""Ctrl-C, a polite end and a closed terminal, and what they do between two writes that belong together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from workbench.core.processes import interrupt, tidying_up


class Interrupts:
    """A while in which the signals that raise KeyboardInterrupt are told to a loop, which stops where it is safe.

    Raised wherever the program stands, the exception can come between two writes that belong together, or inside of a
    library that holds a lock. The first signal calls `tell`, which a signal handler must be able to call (a
    `queue.SimpleQueue` may be put into, a `queue.Queue` not); a second one does not wait and raises as usual.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._before: dict[int, Any] = {}
        self._told = self._deaf = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in signal.valid_signals():
                if signal.getsignal(number) in (signal.default_int_handler, interrupt):
                    self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._told:
            tidying_up()

    def ignore(self) -> None:
        """Wait for nothing any more: until the while ends, signals do nothing."""
        self._deaf = True

    def _came(self, *_: Any) -> None:
        if self._told and not self._deaf:
            raise KeyboardInterrupt
        if not self._deaf:
            self._told = True
            self._tell()
