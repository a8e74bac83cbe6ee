"""A run becomes a folder that others can use without the workbench."""

from __future__ import annotations

import csv

import pytest

from toy_project import edit_cell, write_chapter
from workbench.book import publish as publish_module

CELLS = (
    "from workbench.chapter import begin\nchapter = begin()\nchapter.record('double', 2 * size, low=0, high=99, n=7)",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.plot([2, 1])\nplt.show()",
    "import pandas as pd\npd.DataFrame({'a': [1, 2]}, index=pd.MultiIndex.from_product([['p'], ['q', 'r']]))",
    "chapter.claim('It is small, at least', size, below=5)",
)


@pytest.fixture
def staged(project, run, monkeypatch):
    """The run of a chapter with two figures and a table, and in place of Jupyter Book what notes its input."""
    seen = {}

    def build(source, log):
        seen["page"] = (source / "notebooks" / "toy.ipynb").read_text()
        (source / "html").mkdir()
        (source / "html" / "index.html").write_text("a page")
        return source / "html"

    monkeypatch.setattr(publish_module, "_build", build)
    (project.root / "_config.yml").write_text("title: A small book\n")
    (project.root / "book").mkdir()
    prose = "# Toy\n\nIt is {glue:text}`double:.1f`, and {glue:text}`absent_interval` elsewhere."
    edit_cell(write_chapter(project.root, *CELLS), "title", prose)
    seen["run"], _ = run()
    assert seen["run"].status == "completed", seen["run"].record["error"]
    return seen


def test_a_run_is_exported_whole_or_not_at_all_as_page_figures_and_tables(project, staged, command):
    run = staged["run"]
    assert "image/svg+xml" not in run.notebook.read_text(), "the notebook is as small as without them"
    write_chapter(project.root, "print('the chapter is another one by now')")
    result = command("export", run.id, "--to", "out")
    assert result.returncode == 0, result.stderr
    out = project.root / "out"
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        *("html/index.html", "run.json", "toy.ipynb", "metrics.csv", "claims.csv", "tables/cell-3.csv"),
        *(f"figures/cell-2{number}.{form}" for number in ("", "-2") for form in ("png", "svg")),
    }
    for name, start in (("cell-2.png", b"\x89PNG"), ("cell-2-2.svg", b"<?xml")):
        assert (out / "figures" / name).read_bytes().startswith(start)
    tables = {path.name: list(csv.reader(path.open(encoding="utf-8"))) for path in out.rglob("*.csv")}
    assert tables["cell-3.csv"] == [["", "", "a"], ["p", "q", "1"], ["p", "r", "2"]]
    assert tables["metrics.csv"] == [
        ["name", "value", "low", "high", "count", "n"],
        ["double", "6", "0.0", "99.0", "", "7"],
    ]
    assert tables["claims.csv"][1] == ["It is small, at least", "below 5", "3", "", "True", "finding"]
    assert "{glue:text}`double:.1f`, and *not computed in this run* elsewhere" in staged["page"]

    (out / "mine.txt").write_text("kept")
    again = command("export", run.id, "--to", "out")
    assert again.returncode == 2
    assert "is there already; --force replaces it" in again.stderr
    assert (out / "mine.txt").exists()
    assert command("export", run.id, "--to", "out", "--force").returncode == 0
    assert not (out / "mine.txt").exists()

    foreign = command("export", run.id, "--to", "book", "--force")
    assert foreign.returncode == 2
    assert "is there already and is no export" in foreign.stderr
    assert (project.root / "book").is_dir()

    run.notebook.write_text("{}")
    changed = command("export", run.id, "--to", "another")
    assert changed.returncode == 2
    assert "Traceback" not in changed.stderr
    assert not (project.root / "another").exists(), "an export that fails leaves nothing"
