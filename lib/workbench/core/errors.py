"""The errors that end a command: one plain sentence for each mistake, and an exit code."""

from __future__ import annotations

import contextlib
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


@contextlib.contextmanager
def sentences_of(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these kinds into a refused request."""
    try:
        yield
    except kinds as error:
        raise RequestError(str(error)) from None
