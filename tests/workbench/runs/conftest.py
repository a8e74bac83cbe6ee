"""What a real chapter refuses, through its contract and its first cells in this process."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from largemodels.base.errors import InputError
from workbench.chapter import ParameterError
from workbench.core.project import Project
from workbench.kernels.warm import warm_kernels
from workbench.parameters.cells import source, tags
from workbench.parameters.contract import load_contract
from workbench.parameters.types import plain


@pytest.fixture(scope="module")
def warm_stack():
    """Kernels that have imported all that chapters do, where what is tested comes after that."""
    with warm_kernels(["sklearn", "transformers", "datasets"]):
        yield


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
