"""Secrets of the environment: kept out of the kernel, and out of the outputs and records that are written."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(
    r"""
    # The end of a word: PGPASSWORD holds a secret, and MAX_TOKENS, TOKENIZERS_PARALLELISM and SECRETARY do not.
    (TOKEN | SECRETS? | PASSWORDS? | PASSWD | PASSPHRASE | CREDENTIALS? | (API|ACCESS|PRIVATE)_?KEYS?) (?![A-Z])
    # A whole word: AUTHORIZATION, not PREAUTHORIZATIONS.
    | (?<![A-Z]) (WEBHOOK | AUTHORIZATION | AUTH_CONFIG) (?![A-Z])
    # The last word: REDIS_AUTH, not SSH_AUTH_SOCK; STRIPE_KEY, not KEY_REPEAT or MONKEY; SMTP_PASS, not COMPASS.
    | (?<![A-Z]) (AUTH | KEY | PASS | SSHPASS | PAT) $
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SHORTEST = 6  # a shorter value is no secret, and replacing it would damage ordinary text
REDACTED = "[redacted]"


class Secrets:
    """The variables of an environment whose names say that they hold a secret."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._names = {name for name in self._environment if _NAME.search(name)}
        values = {self._environment[name] for name in self._names if len(self._environment[name]) >= _SHORTEST}
        spellings = {spelling for value in values for spelling in (value, json.dumps(value)[1:-1], html.escape(value))}
        self._values = sorted(spellings, key=len, reverse=True)

    def kernel_environment(self) -> dict[str, str]:
        """The environment for a kernel: without secrets, with the settings that make runs repeatable.

        `PYTHONHASHSEED` fixes the order of sets; the kernelspec of this environment wins over one that the user has
        installed.
        """
        kept = {name: value for name, value in self._environment.items() if name not in self._names}
        return kept | {"PYTHONHASHSEED": "0", "JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}

    def redact(self, value: Any) -> Any:
        """The value with every secret replaced in its texts, at any depth. Keys, numbers and the structure stay."""
        if isinstance(value, dict):
            return {key: self.redact(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.redact(inner) for inner in value]
        if isinstance(value, str):
            for secret in self._values:
                value = value.replace(secret, REDACTED)
        return value
