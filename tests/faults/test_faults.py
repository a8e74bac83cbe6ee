"""A short round of the bench for faults; `make faults` is the long one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind do not exist on Windows")

sys.path.insert(0, str(Path(__file__).parent))

from bench import attempt  # noqa: E402
from kinds import KINDS  # noqa: E402


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_each_kind_is_survived(kind):
    _, problem = attempt(len(KINDS) + list(KINDS).index(kind))
    assert problem is None


@pytest.mark.parametrize(
    ("sabotage", "kind", "tries", "word"),
    [
        ("no-redaction", "killed-kernel", 1, "secret"),
        ("torn-write", "full-disk", 5, "damaged"),
        ("no-lock", "same-runs", 3, "locked|computed"),
    ],
)
def test_the_bench_finds_a_fault_that_is_put_in_on_purpose(sabotage, kind, tries, word):
    problems = []
    for seed in range(tries):
        problems.append(attempt(seed, kind, sabotage)[1] or "")
        if any(each in problems[-1] for each in word.split("|")):
            return
    pytest.fail("\n".join(filter(None, problems)) or "it was not found")
