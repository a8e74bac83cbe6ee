"""What ten thousand recorded runs cost: listing, finding one again, resuming, summarising; and the memory they take.

    python benchmarks/records.py

Each command is a process of its own, once over a thousand and once over ten thousand runs, so that memory can be
compared. A record is as large as one of the attention chapter's.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SIZES = (1_000, 10_000)
LAST = hashlib.sha256(b"0").hexdigest()
MEASURE = (
    "import resource, sys; sys.argv[0] = 'workbench'\n"
    "try:\n    {code}\n"
    "finally:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)
SETUP = (
    "from workbench.core.project import find_project; from workbench.runs import store as records; "
    "project = find_project(); "
)
CODE = {
    "workbench runs": "sys.argv += ['runs']; from workbench.cli.app import main; main()",
    "workbench runs --json": "sys.argv += ['runs', '--json']; from workbench.cli.app import main; main()",
    "workbench show latest": "sys.argv += ['show', 'latest']; from workbench.cli.app import main; main()",
    "the completed run of a key": f"{SETUP}assert records.completed_run(project, 'toy', '{LAST}')",
    "what a sweep resumes from": (
        f"{SETUP}done = {{run.record['key'] for run in records.all_runs(project, 'toy') "
        "if run.status == 'completed'}; assert len(done) >= 1000"
    ),
    "the mean of a metric over all": (
        f"{SETUP}values = [run.record['metrics'][0]['value'] for run in records.all_runs(project)]; "
        "print(sum(values) / len(values))"
    ),
}


def record(number: int) -> tuple[str, dict]:
    key = hashlib.sha256(str(number).encode()).hexdigest()
    digests = {f"package-{part}": hashlib.sha256(f"{part}".encode()).hexdigest() for part in range(60)}
    metrics = [
        {"name": f"metric_{part}", "value": number / 7, "count": None, "n": 400, "low": 0.0, "high": 1e9}
        for part in range(30)
    ]
    claims = [
        {"statement": f"Claim {part} holds", "bound": "above 0", "value": 1.5, "holds": True, "n": None}
        for part in range(25)
    ]
    values = {"size": number, "seed": number % 10}
    return key, {
        "format": 1,
        "chapter": "toy",
        "status": "completed",
        "key": key,
        "ingredients": {"code": [["cell", "aa"]], "definitions": digests, "versions": digests, "parameters": values},
        "parameters": {"given": values, "resolved": values},
        "started": "2026-11-23T18:45:00Z",
        "ended": "2026-11-23T18:45:09Z",
        "seconds": 9.0,
        "metrics": metrics,
        "claims": claims,
        "cells": [{"id": f"cell-{part}", "seconds": 0.1} for part in range(40)],
    }


def fill(root: Path, size: int) -> int:
    """Write the runs, and return the bytes of a record."""
    (root / "notebooks").mkdir(parents=True)
    (root / "_toc.yml").touch()
    written = 0
    for number in range(size):
        key, content = record(number)
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        folder = root / "runs" / "toy" / f"{moment:%Y%m%dT%H%M%SZ}-{key[:8]}"
        folder.mkdir(parents=True)
        written = (folder / "run.json").write_text(json.dumps(content, indent=1))
        (folder / "toy.ipynb").write_text("{}")
    return written


def measured(code: str, root: Path) -> tuple[float, float]:
    """Seconds and MiB of a process."""
    start = time.perf_counter()
    command = [sys.executable, "-c", MEASURE.format(code=code)]
    done = subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - start, int(done.stderr.split()[-1]) / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        roots = [Path(temporary, str(size)) for size in SIZES]
        for root, size in zip(roots, SIZES, strict=True):
            written = fill(root, size)
        print(f"{written:,} bytes a record{'':<12}{SIZES[0]:>12,} runs{SIZES[1]:>14,} runs    memory")
        for name, code in CODE.items():
            (quick, small), (slow, large) = (measured(code, root) for root in roots)
            shown = f"{quick:6.2f} s {small:6.0f} MiB {slow:6.2f} s {large:6.0f} MiB"
            print(f"{name:<32} {shown}   × {large / small:.2f}")


if __name__ == "__main__":
    main()
