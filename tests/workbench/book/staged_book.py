"""The book as the tests of its pages build it: from committed outputs and a made-up chapter; nothing is executed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

import toy_chapter
from workbench.book.contents import chapters_of_book
from workbench.core.project import Project

ROOT = Path(__file__).parents[3]
# What lies beside the book in a checkout, and must not become a page or a warning.
BESIDE = (
    ".venv/lib64/package/README.md",
    "lib/workbench/notes.md",
    "runs/attention/notes.md",
    "tests/notes.md",
    "README.md",
)
CHAPTERS = (*chapters_of_book(Project(ROOT)), "toy")
"""The chapters of the book that the tests build, by name."""


def stage(folder: Path) -> Path:
    """Copy what the book is built from into a folder, with a made-up chapter `notebooks/toy` added to it.

    A chapter that is committed without outputs is replaced by the made-up one, so that its page has something to show.
    """
    shutil.copytree(ROOT / "book", folder / "book")
    left_out = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=left_out)  # pages show functions of it
    (folder / "notebooks").mkdir()
    cited = re.search(r"@\w+{(.+?),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"))[1]
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = next(part["chapters"] for part in toc["parts"] if part["caption"] == "Chapters")
    for entry in chapters:
        notebook = ROOT / f"{entry['file']}.ipynb"
        chapter = nbformat.read(notebook, as_version=4) if notebook.exists() else None
        if chapter is None or not any(cell.get("outputs") for cell in chapter.cells):
            chapter = toy_chapter.chapter(notebook.stem, cited=cited)
        nbformat.write(chapter, folder / notebook.relative_to(ROOT))
    chapters.append({"file": "notebooks/toy"})
    nbformat.write(toy_chapter.chapter(cited=cited), folder / "notebooks" / "toy.ipynb")
    shutil.copy(ROOT / "_config.yml", folder)
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    for beside in BESIDE:
        (folder / beside).parent.mkdir(parents=True, exist_ok=True)
        (folder / beside).write_text("# Not a page {nonsense}`of the book`\n", encoding="utf-8")
    return folder


def build(folder: Path) -> Path:
    """Build a staged book as `workbench book` does and return the folder of its pages; any warning fails."""
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(folder), "-n", "-W", "--keep-going"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return folder / "_build" / "html"
