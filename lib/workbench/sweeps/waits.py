"""What a sweep waits for: it is said once, and once more when it is over, and has an end where it may never be over."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from workbench.core.errors import RunError

SAID_AFTER = 5.0
"""Seconds that a sweep waits without a word: a worker that a nanny starts again is back by then."""
PATIENCE = 600.0
"""Seconds that a sweep waits for a worker, or for a scheduler that does not answer: a batch queue takes its time."""


class Hindrance(NamedTuple):
    """Why a sweep does not go on, what it does about that, and what is said when it is over.

    Without the latter, it is another process that is waited for, for as long as that takes.
    """

    why: str
    waiting: str
    over: str | None


class Waits:
    """Tells a user what a sweep waits for. `progress` is how much of it is done."""

    def __init__(self, say: Callable[[str], None], progress: Callable[[], str]) -> None:
        self._say, self._progress = say, progress
        self._hindrance: Hindrance | None = None
        self._since = 0.0
        self._is_said = False

    def look(self, now: float, hindrance: Hindrance | None) -> None:
        """Say what hinders a sweep at a time (in seconds), or that it goes on.

        Raises:
            RunError: where it has waited too long.
        """
        if hindrance != self._hindrance:
            if self._is_said and self._hindrance and self._hindrance.over:
                self._say(self._hindrance.over)
            self._hindrance, self._since, self._is_said = hindrance, now, False
        if hindrance is None:
            return
        waited = now - self._since
        if hindrance.over and waited > PATIENCE:
            minutes = f"{PATIENCE / 60:.0f} minutes"
            raise RunError(f"for {minutes}, {hindrance.why}; {self._progress()}, and the same line does the rest")
        if waited > SAID_AFTER and not self._is_said:
            end = "Ctrl-C ends, and the same line does the rest"
            self._say(f"{hindrance.why}; {hindrance.waiting}, {self._progress()}; {end}")
            self._is_said = True
