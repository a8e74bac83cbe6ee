"""Secrets of the environment: kept out of the kernel, and out of everything that is written."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping

_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"^(TOKENIZERS_PARALLELISM|SSH_AUTH_SOCK|XAUTHORITY)$")
_SHORTEST = 6  # a shorter value is no secret, and replacing it would damage ordinary text
REDACTED = "[redacted]"


class Secrets:
    """The variables of an environment whose names say that they hold a secret."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._names = {name for name in self._environment if _NAME.search(name) and not _HARMLESS.match(name)}
        values = {self._environment[name] for name in self._names if len(self._environment[name]) >= _SHORTEST}
        spellings = {spelling for value in values for spelling in (value, json.dumps(value)[1:-1], html.escape(value))}
        self._values = sorted(spellings, key=len, reverse=True)

    def kernel_environment(self) -> dict[str, str]:
        """The environment for a kernel: without secrets, with the settings that make runs repeatable.

        `PYTHONHASHSEED` fixes the order of sets; the kernelspec of this environment wins over one that the user has
        installed.
        """
        kept = {name: value for name, value in self._environment.items() if name not in self._names}
        return {
            **kept,
            "PYTHONHASHSEED": "0",
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }

    def redact(self, text: str) -> str:
        """The text with every secret value replaced."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        return text
