"""What a real chapter refuses: through its contract and its first cells in this process, or by one whole run."""

from __future__ import annotations

import json
import shutil
import sys
from types import ModuleType

import pytest

from largemodels.base.errors import InputError
from workbench.book.contents import with_chapter
from workbench.chapter import ParameterError
from workbench.core.project import Project
from workbench.parameters.cells import source, tags
from workbench.parameters.contract import load_contract
from workbench.parameters.types import plain


def run_cells(contract, parameters, until):
    """Run a chapter's cells in `__main__`, up to the cell `until`, with parameters injected as Papermill does."""
    names = vars(sys.modules["__main__"])
    for cell in contract.code_cells:
        assert cell["id"] != until, "nothing is trained"
        exec(compile(source(cell), cell["id"], "exec", dont_inherit=True), names)
        if "parameters" in tags(cell):
            names.update(parameters)


@pytest.fixture
def refused_by(root, monkeypatch, tmp_path):
    """A function that runs a chapter's cells with parameters from the command line, and returns what is refused.

    It holds that the cell named second, where the chapter starts to train or compute, is not reached.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_ROOT", str(root))

    def refused(chapter, trained, **parameters):
        contract = load_contract(Project(root), chapter)
        values = contract.resolve({name: str(value) for name, value in parameters.items()})
        monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        with pytest.raises((InputError, ParameterError)) as refusal:
            run_cells(contract, {name: plain(values[name]) for name in parameters}, trained)
        return str(refusal.value)

    return refused


@pytest.fixture
def refused_run(project, workbench, root):
    """A function that runs a chapter on the command line, and returns the one sentence that it fails with.

    It holds that the cell named second was not run. The results named third are defaults of the chapter's parameters.
    """

    def refused(chapter, trained, recorded=(), **parameters):
        for name in recorded:
            shutil.copytree(root / "book/recorded" / name, project.root / "book/recorded" / name)
        shutil.copy(root / "notebooks" / f"{chapter}.ipynb", project.root / "notebooks")
        contents = project.root / "_toc.yml"
        contents.write_text(with_chapter(contents.read_text(), chapter))
        given = [part for name, value in parameters.items() for part in ("-p", f"{name}={value}")]
        done = workbench("run", chapter, *given)
        (path,) = project.runs.glob(f"{chapter}/*/{chapter}.ipynb")
        cells = {cell["id"]: cell for cell in json.loads(path.read_text())["cells"]}
        assert not cells[trained]["outputs"], "nothing was trained"
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        (said,) = (line for line in done.stderr.splitlines() if line.startswith("workbench: "))
        return said

    return refused
