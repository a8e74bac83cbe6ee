"""A run as a folder that others can use without the workbench: its page, figures, tables, metrics and claims."""

from __future__ import annotations

import base64
import csv
import itertools
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.book.publish import build_run
from workbench.core.errors import RequestError
from workbench.core.files import Unfit, folder_beside
from workbench.core.project import Project
from workbench.runs.notebooks import FIGURES, figures_of, named_cells
from workbench.runs.store import Run, read_notebook

METRICS = ("name", "value", "low", "high", "count", "n")
CLAIMS = ("statement", "bound", "value", "n", "holds", "kind")


def export(project: Project, run: Run, target: Path, log: Any, *, replace: bool = False) -> list[str]:
    """What has been put into the folder `target`, which appears whole: `html/`, `figures/`, `tables/` and files.

    Figures are PNG, and SVG where the run has kept that (those of `workbench run` and of sweeps do). Tables are CSV, as
    they were displayed: digits that the page rounds away are not in them; metrics are in full.

    Raises:
        RequestError: for a run that is under way, a folder that is there already unless it is an export that may be
            replaced, one that cannot be written, or a notebook that is not the one that the run wrote.
        RunError: where the page cannot be built.
    """
    if run.status == "running":
        raise RequestError(f"{run.id} is under way; export it once it has ended")
    if os.path.lexists(target):
        if not _is_export(target):
            raise RequestError(f"{target} is there already and is no export; name another folder by --to")
        if not replace:
            raise RequestError(f"{target} is there already; --force replaces it, --to names another folder")
    notebook = read_notebook(run)
    try:
        with folder_beside(target, lambda there: not (replace and _is_export(there))) as new:
            build_run(project, run, log, new / "html")
            _write_figures(notebook, run.folder / FIGURES, new / FIGURES)
            _write_tables(notebook, new / "tables")
            _write_csv(new / "metrics.csv", [METRICS, *(map(metric.get, METRICS) for metric in run.record["metrics"])])
            _write_csv(new / "claims.csv", [CLAIMS, *(map(claim.get, CLAIMS) for claim in run.record["claims"])])
            for file in (run.notebook, run.folder / "run.json"):
                shutil.copy(file, new)
            return sorted(path.name for path in new.iterdir())
    except Unfit as problem:
        raise RequestError(f"{target} {problem}") from None
    except OSError as error:
        raise RequestError(f"{target} cannot be written: {error.strerror or error}") from None


def _is_export(folder: Path) -> bool:
    """Whether a folder, and no link to one, looks like what `export` makes, so that no other is ever replaced."""
    return not folder.is_symlink() and all((folder / name).is_file() for name in ("run.json", "claims.csv"))


def _write_figures(notebook: dict[str, Any], vectors: Path, folder: Path) -> None:
    """Write each figure as PNG, and as SVG where the run has kept it."""
    for name, data in figures_of(notebook):
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.png").write_bytes(base64.b64decode("".join(data["image/png"])))
        vector = vectors / f"{name}.svg"
        if vector.is_file() and not vector.is_symlink():
            shutil.copy(vector, folder)


def _write_tables(notebook: dict[str, Any], folder: Path) -> None:
    """Write each table that a cell displayed, by the cell's name and, for a cell's further ones, their number."""
    from bs4 import BeautifulSoup  # nbconvert, which JupyterLab brings, stands on it

    for name, cell in named_cells(notebook):
        pages = ["".join(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", [])]
        tables = [table for page in pages for table in BeautifulSoup(page, "html.parser").find_all("table")]
        for number, table in enumerate(tables, start=1):
            folder.mkdir(exist_ok=True)
            _write_csv(folder / f"{name}{'' if number == 1 else f'-{number}'}.csv", _rows(table))


def _rows(table: Any) -> list[list[str]]:
    """The texts of a table of HTML, where a cell that spans several rows or columns stands in each of them."""
    filled: dict[tuple[int, int], str] = {}
    for row, line in enumerate(table.find_all("tr")):
        for cell in line.find_all(["th", "td"]):
            first = next(column for column in itertools.count() if (row, column) not in filled)
            below, right = (range(int(cell.get(span) or 1)) for span in ("rowspan", "colspan"))
            text = cell.get_text(" ", strip=True)
            filled |= {(row + down, first + along): text for down in below for along in right}
    rows = range(1 + max((row for row, _ in filled), default=-1))
    return [[text for (at, _), text in sorted(filled.items()) if at == row] for row in rows]


def _write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
