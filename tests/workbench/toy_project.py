"""A chapter made of a few cells, and a reporter that says nothing: what the tests of the tool are made with."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat

PARAMETERS = """\
from typing import Literal

from workbench.types import Count, Dataset, Fraction, Rate, Seed

size: Count = 3  # how many
rate: Rate = 1e-3  # how fast
share: Fraction = 0.5  # which part
seed: Seed = 0  # of everything random
flag: bool = True  # whether
mode: Literal["fast", "slow"] = "fast"  # how
name: str = "007"  # any text
depths: list[Count] = [1, 2]  # several
"""
READ = "used = (size, rate, share, seed, flag, mode, name, depths)"


def write_chapter(
    folder: Path, *code: str, parameters: str | None = PARAMETERS, name: str = "toy", read: bool = True
) -> Path:
    """A chapter of these code cells. A cell that makes a claim is tagged as one."""
    cells = [nbformat.v4.new_markdown_cell("# Toy\n\nIs the size what it should be?", id="title")]
    if parameters is not None:
        cells.append(nbformat.v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}))
    for number, text in enumerate(([READ] if read else []) + list(code)):
        cell = nbformat.v4.new_code_cell(text, id=f"cell-{number}")
        if "chapter.claim(" in text:
            cell.metadata["tags"] = ["nbval-check-output"]
        cells.append(cell)
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


class Silent:
    """A reporter that remembers instead of printing."""

    def __init__(self) -> None:
        self.cells: list[tuple[int, str]] = []

    def preparing(self, done: int, total: int, what: str, *, unit: str = "steps") -> None:
        pass

    def started(self, chapter: str, cells: int) -> None:
        self.total = cells

    def cell(self, number: int, title: str, seconds: float | None) -> None:
        if seconds is not None:
            self.cells.append((number, title))


def edit_cell(path: Path, cell_id: str, source: str) -> None:
    """Replace the text of a notebook's cell."""
    notebook = json.loads(path.read_text())
    next(cell for cell in notebook["cells"] if cell["id"] == cell_id)["source"] = source
    path.write_text(json.dumps(notebook))
