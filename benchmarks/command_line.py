"""How long a bad request takes to be refused, and what a run costs beyond plain Papermill on the same small chapter.

    python benchmarks/command_line.py

Each figure is the median of five, the two sides interleaved in one run. The chapter does nothing, so what is measured
is the tool.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
CELLS = [
    ("parameters", "from workbench.types import Count\nsize: Count = 3  # how many"),
    (None, "print(size)"),
]


def write_project(folder: Path) -> None:
    (folder / "notebooks").mkdir()
    (folder / "_toc.yml").touch()
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": text,
            "outputs": [],
            "execution_count": None,
            "metadata": {"tags": [tag]} if tag else {},
        }
        for number, (tag, text) in enumerate(CELLS)
    ]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notebooks" / "small.ipynb").write_text(json.dumps(notebook))


def seconds(*command: str, folder: Path) -> tuple[float, int]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, check=False)
    return time.perf_counter() - start, done.returncode


def main() -> None:
    commands = {
        "refused: unknown chapter": ("workbench.cli.app", "run", "smal"),
        "refused: value out of range": ("workbench.cli.app", "run", "small", "-p", "size=0"),
        "run with `workbench run --force`": ("workbench.cli.app", "run", "small", "--force"),
        "run with `papermill`": ("papermill", "notebooks/small.ipynb", "out.ipynb", "--no-progress-bar"),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_project(folder)
        measured: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, command in commands.items():
                took, code = seconds(*command, folder=folder)
                assert code == (2 if name.startswith("refused") else 0), (name, code)
                measured[name].append(took)
    for name, values in measured.items():
        print(f"{name:<36} {statistics.median(values):6.2f} s  ({min(values):.2f} to {max(values):.2f})")
    ours, plain = (statistics.median(measured[name]) for name in list(commands)[2:])
    print(f"workbench run over papermill: {ours - plain:+.2f} s, ratio {ours / plain:.2f}")


if __name__ == "__main__":
    main()
