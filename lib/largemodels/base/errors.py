"""Errors that are a user's to mend: one sentence, and no traceback in a notebook; and the words for what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class InputError(ValueError):
    """A value, a text or a model that cannot be used: why, and what to do, in one sentence.

    Jupyter shows the sentence without a traceback, since the mistake is not in the code.
    """

    def _render_traceback_(self) -> list[str]:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(self).__name__).capitalize()
        return [f"{words}: {self}"]


@contextmanager
def raised_as(kind: type[InputError]) -> Iterator[None]:
    """Raise every `InputError` of the block as one of this kind, with the same sentence."""
    try:
        yield
    except InputError as error:
        if isinstance(error, kind):
            raise
        raise kind(str(error)) from None


def few(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
