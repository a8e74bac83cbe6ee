"""What a secret of the environment is, and its redaction: by the names of variables, and by the form of their values.

A secret reaches neither a kernel nor anything that is written: outputs, logs, records, tables, messages.
"""

from __future__ import annotations

import functools
import html
import json
import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workbench.core.text import MARKUP, is_number

_NAME = re.compile(
    r"""
    # The end of a word: PGPASSWORD holds a secret, and MAX_TOKENS, TOKENIZERS_PARALLELISM and SECRETARY do not.
    (TOKEN | SECRETS? | PASSWORDS? | PASSWD | PASSCODE | PASSPHRASE | CREDENTIALS? | (API|ACCESS|PRIVATE)_?KEYS?)
    (?![A-Z])
    # A whole word: AUTHORIZATION, not PREAUTHORIZATIONS.
    | (?<![A-Z]) (WEBHOOK | AUTHORIZATION | AUTH_CONFIG) (?![A-Z])
    # The last word: REDIS_AUTH, not SSH_AUTH_SOCK; STRIPE_KEY, not KEY_REPEAT or MONKEY; SMTP_PASS, not COMPASS.
    | (?<![A-Z]) (AUTH | KEY | PASS | SSHPASS | PAT) $
    # MYSQL_PWD, not PWD, which is the working directory.
    | (?<=_) PWD $
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Secrets within a value whose variable has an ordinary name. What the group of a pattern matches is secret.
_FORMS = [
    re.compile(form, re.IGNORECASE | re.DOTALL | re.VERBOSE)
    for form in (
        r"://[^\s:/@]*:([^\s@]+)@",  # https://user:password@host
        r"://[^\s:/@]*:(\S+)@",  # where the password has an @ itself
        r"(//[^\s:/@]*:[^\s@]{1,5}@)(?!\S*@)",  # where it is too short to be replaced by itself
        r"://([^\s:/@]{16,})@",  # https://token@host
        # password=…;  AccountKey=…;  ?sig=…&
        r"(?:password | passwd | pwd | secret | token | (?:access|account|api)_?key | \bsig)\s*=\s*([^\s;&,'\"]+)",
        r"\b(?:bearer | basic)(?:\s | %20)+([\w+/=.~-]{8,})",  # an HTTP header
        r"(https?://\S*hooks?\S*/[\w-]{12,}\S*)",  # a webhook's address is its password,
        r"https?://\S*hooks?\S*/([\w-]{12,})",  # and its last part
        r"(\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",  # a JSON web token
        r"\b((?:gh[a-z]_ | github_pat_ | glpat- | hf_ | sk[-_] | rk_ | xox[a-z]- | pypi- | npm_ | AKIA | AIza)"
        r"[\w-]{16,})",
        r"(-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z))",
    )
]
_JSON_PAIR = re.compile(r'"([^"\\]+)"\s*:\s*("(?:[^"\\]|\\.)*")')
_SHORTEST = 6  # a shorter value is no secret, and replacing it would damage ordinary text
_NUMBER = re.compile(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*")
_ELLIPSIS = re.compile(r"…|\.\.\.")
_LONGEST_LINE = 2**16  # characters; of a longer line the parts are redacted by themselves
REDACTED = "[redacted]"


class Secrets:
    """The secrets of an environment: those of this process, or of the variables that are passed."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._named = {name for name in self._environment if _NAME.search(name)}
        found = {name: set(_secrets_in(name, value)) for name, value in self._environment.items()}
        self._spellings = {name: _spellings(secrets) for name, secrets in found.items() if secrets}
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
            text = text.replace(secret, REDACTED)
        return self._beginnings_replaced(text) if _ELLIPSIS.search(text) else text

    def _beginnings_replaced(self, text: str) -> str:
        """A text without the beginnings of secrets that tables and messages show before an ellipsis."""
        for secret in self._all:
            start = text.find(least := secret[: max(_SHORTEST, len(secret) // 4)])
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


def _secrets_in(name: str, value: str) -> Iterator[str]:
    """The secrets in the value of a variable."""
    if _NAME.search(name):
        yield value
    for form in _FORMS:
        yield from (match[1] for match in form.finditer(value))
    for key, text in _JSON_PAIR.findall(value):
        if _NAME.search(key):
            yield json.loads(text, strict=False)


def _spellings(secrets: set[str]) -> set[str]:
    """Secrets, and each of their lines, as text, JSON, Python, HTML and URLs spell them."""
    lines = {line.strip() for secret in secrets for line in re.split(r"[\r\n]+|\\r|\\n", secret)}
    texts = {text for text in secrets | lines if len(text) >= _SHORTEST}
    texts |= {urllib.parse.unquote(text) for text in texts}
    return texts | {
        spelling
        for text in texts
        for spelling in (
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
            html.escape(text),
            html.escape(text, quote=False),
            urllib.parse.quote(text, safe=""),
        )
    }
