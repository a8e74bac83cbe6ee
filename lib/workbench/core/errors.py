"""The errors that end a command: one plain sentence for each mistake, and an exit code."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator


class Refusal(Exception):
    """Something that a command says in plain sentences, one for each mistake, before it ends."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


class RequestError(Refusal):
    """A request that is refused before anything starts. The exit code is 2."""


class RunError(Refusal):
    """A request that was in order and could not be carried out. The exit code is 1."""


class NotSaved(OSError):
    """A notebook that could not be saved while a chapter ran: it says nothing about the chapter."""


def in_words(error: OSError) -> str:
    """What went wrong with which file, such as `runs/toy/run.json: No space left on device`."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of a folder that was copied
        source, _, why = error.args[0][0]
        return f"{source}: {why}"
    names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    why = error.strerror or str(error).partition("\n")[0] or type(error).__name__
    return f"{names}: {why}" if names else why


@contextlib.contextmanager
def sentences_of(*kinds: type[Exception], end: type[Refusal] = RequestError) -> Iterator[None]:
    """Turn errors of these kinds into a refused request, or another end of the command."""
    try:
        yield
    except kinds as error:
        raise end(str(error)) from None
