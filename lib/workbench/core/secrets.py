"""Secrets of the environment, kept out of kernels and of all that is written: outputs, logs, records, messages.

`workbench.core.sensitive` says what a secret is.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workbench.core.sensitive import SHORTEST, is_named_secret, secrets_in, spellings
from workbench.core.text import MARKUP, is_number

_NUMBER = re.compile(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*")
_ELLIPSIS = re.compile(r"…|\.\.\.")
_LONGEST_LINE = 2**16  # characters; of a longer line the parts are redacted by themselves
REDACTED = "(redacted)"


class Secrets:
    """The secrets of an environment: those of this process, or of the variables that are passed."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._named = {name for name, value in self._environment.items() if is_named_secret(name, value)}
        known = {name: spellings(set(secrets_in(name, value))) for name, value in self._environment.items()}
        self._spellings = {name: texts for name, texts in known.items() if texts}
        self._all = sorted(set().union(*self._spellings.values()), key=len, reverse=True)
        self._without = functools.lru_cache(256)(self._without)  # a notebook is saved often, most of it as before

    def kernel_environment(self) -> dict[str, str]:
        """The environment for a kernel: without secrets, with the settings that make runs repeatable.

        A variable that is named for a secret is left out; of another one, such as a proxy's address, the secret part is
        redacted. `PYTHONHASHSEED` fixes the order of sets; the kernelspec of this environment wins over one that the
        user has installed.
        """
        kept = {
            name: self.redact(value) if name in self._spellings else value
            for name, value in self._environment.items()
            if name not in self._named
        }
        return kept | {"PYTHONHASHSEED": "0", "JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}

    def redact(self, value: Any) -> Any:
        """The value with every secret replaced in its texts, at any depth. Keys, numbers and the structure stay."""
        if not self._all:
            return value
        if isinstance(value, dict):
            return {key: self.redact(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.redact(inner) for inner in value]
        return self._without(value) if isinstance(value, str) else value

    def redact_pieces(self, pieces: Iterable[str]) -> Iterator[str]:
        """A text that comes in pieces, redacted line by line, also where a secret begins in one and ends in another."""
        held = ""
        for piece in pieces:
            held += piece
            end = len(held) if len(held) > _LONGEST_LINE else held.rfind("\n") + 1
            cut = self._before_secrets(held, end)
            yield self.redact(held[:cut])
            held = held[cut:]
        yield self.redact(held)

    def variable_in(self, value: Any) -> str | None:
        """The variable whose secret is in one of a value's texts, at any depth, or None. A number has to be equal."""
        if isinstance(value, list | tuple):
            return next(filter(None, map(self.variable_in, value)), None)
        text = str(value)
        equal = is_number(value) or _NUMBER.fullmatch(text)
        for name, known in self._spellings.items():
            if text.strip() in known if equal else any(each in text for each in known):
                return name
        return None

    def _without(self, text: str) -> str:
        """A text with its secrets replaced; it loses its colours and tags where a secret was spread over them."""
        text = self._replaced(text)
        if "\x1b" in text or "<" in text:
            bare = MARKUP.sub("", text)
            if (clean := self._replaced(bare)) != bare:
                return clean
        return text

    def _replaced(self, text: str) -> str:
        for secret in self._all:
            if secret in text:
                # Of a number only the whole: 0.1000001 does not hold the secret 100000.
                of_digits = secret.isdecimal()
                text = _number(secret).sub(REDACTED, text) if of_digits else text.replace(secret, REDACTED)
        return self._beginnings_replaced(text) if _ELLIPSIS.search(text) else text

    def _beginnings_replaced(self, text: str) -> str:
        """A text without the beginnings of secrets that tables and messages show before an ellipsis."""
        for secret in self._all:
            start = text.find(least := secret[: max(SHORTEST, len(secret) // 4)])
            while start >= 0:
                ellipsis = _ELLIPSIS.search(text, start, start + len(secret) + 3)
                if ellipsis and secret.startswith(text[start : ellipsis.start()]):
                    text = f"{text[:start]}{REDACTED}{text[ellipsis.start() :]}"
                start = text.find(least, start + 1)
        return text

    def _before_secrets(self, text: str, cut: int) -> int:
        """The last place up to `cut` where a text can be divided without dividing a secret, be it whole or begun."""
        while cut:
            starts = (
                start
                for secret in self._all
                if text[cut - 1] in secret
                for start in range(max(0, cut - len(secret) + 1), cut)
                if secret.startswith(text[start : start + len(secret)])
            )
            if (start := min(starts, default=cut)) == cut:
                break
            cut = start
        return cut


@functools.cache
def _number(digits: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\d.]){digits}(?![\d.]*\d)")


def secrets_of_process() -> Secrets:
    """The secrets of this process's environment, as it is now."""
    return _of(tuple(os.environ.items()))


def refuse_secret(value: Any) -> None:
    """Raise a ValueError where a value that is to be kept holds a secret of this process; it names the variable."""
    if variable := secrets_of_process().variable_in(value):
        raise ValueError(
            f"its value holds the secret of the environment variable {variable}, which would stand in the run's record"
        )


@functools.lru_cache(maxsize=1)
def _of(environment: tuple[tuple[str, str], ...]) -> Secrets:
    return Secrets(dict(environment))
