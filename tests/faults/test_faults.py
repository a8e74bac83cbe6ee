"""A short round of the bench for faults; `make faults` is the long one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import attempt
from kinds import KINDS

# About a minute; the sweeps, kernels, records and books have tests of their own for what is left out here.
SHORT = ("killed-run", "ended-sweep", "full-disk", "forged", "killed-record", "recorded-at-once", "hostile-request")


@pytest.mark.parametrize("kind", SHORT)
def test_a_fault_is_survived(kind):
    _, problem = attempt(list(KINDS).index(kind))
    assert problem is None


@pytest.mark.parametrize(
    ("sabotage", "kind", "first", "finding"),
    [
        ("no-redaction", "killed-kernel", 0, r"the secret of \w+ stands in"),
        ("torn-write", "full-disk", 9, "is damaged|JSONDecodeError"),  # a disk that is full in the middle of a file
        ("no-lock", "same-runs", 0, "the same run was computed"),
    ],
)
def test_the_bench_finds_a_fault_that_is_put_in_on_purpose(sabotage, kind, first, finding):
    problems = []
    for seed in range(first, first + 6):
        problems.append(attempt(seed, kind, sabotage)[1] or "nothing was found")
        if re.search(finding, problems[-1]):
            return
    pytest.fail("\n".join(problems))
