"""Faults that the bench can put into the tool on purpose, to show that it finds them.

Each is the text of a `sitecustomize.py`, which Python runs before everything else in each process of a try.
"""

from __future__ import annotations

_TORN_WRITE = """
import time
from workbench.core import files


def write_in_place(path, content, *, durable=True):
    data = content.encode() if isinstance(content, str) else content
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(0.4)
        file.write(data[len(data) // 2 :])


files.write_atomically = write_in_place
"""

_NO_REDACTION = """
from workbench.core import secrets

secrets.Secrets.redact = lambda self, value: value
"""

_NO_LOCK = """
import fcntl

fcntl.flock = lambda *_: None
"""

SABOTAGES = {"torn-write": _TORN_WRITE, "no-redaction": _NO_REDACTION, "no-lock": _NO_LOCK}
"""The fault by its name, and what brings it about."""
