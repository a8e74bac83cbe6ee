"""Checks of the committed chapters: their claims and outputs; then nbval, which runs them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.chapter import claim_line
from workbench.core.files import temporary_folder
from workbench.core.processes import run_python
from workbench.kernels.server import THREADS
from workbench.kernels.warm import warm_kernels
from workbench.parameters.cells import COMPARED, QUOTES, named, tags
from workbench.parameters.contract import Contract
from workbench.parameters.rules import caption_missing
from workbench.runs.executed import parse_executed, problem_of, recorded_in
from workbench.runs.notebooks import INSTALLED
from workbench.sweeps.cluster import Share


def problems_of(contract: Contract) -> list[str]:
    """What is wrong with what a chapter has committed, one sentence each, without running it."""
    problems = list(_never_accepted(contract))
    problems += [f"{named(cell)}: {problem}" for cell in contract.code_cells for problem in _of_the_outputs(cell)]
    executed = parse_executed(contract.notebook)
    failing = [claim for claim in executed.claims if not claim["holds"]]
    problems += executed.problems
    problems += [f"the committed claim does not hold: {claim['statement']} {claim['bound']}" for claim in failing]
    return [f"{contract.path.name}: {problem}" for problem in problems]


def _never_accepted(contract: Contract) -> Iterator[str]:
    """What to do about a chapter, or about claims in it, without a committed outcome. nbval would pass over them."""
    without = [cell for cell in contract.code_cells if cell.get("execution_count") is None and not cell.get("outputs")]
    claims = [named(cell) for cell in without if COMPARED in tags(cell)]
    how = f"`workbench run {contract.chapter}`, then `workbench accept {contract.chapter}`"
    if len(without) == len(contract.code_cells):
        yield f"never accepted: {how}"
    elif claims:
        yield f"the claims of {', '.join(claims)} were never accepted: {how}"


def nbval(notebooks: list[Path], cell_limit: int, libraries: Iterable[str] = ()) -> int:
    """Run notebooks under nbval in this environment, in warm kernels, and return pytest's exit code.

    Every cell must run; outputs are compared in cells tagged `nbval-check-output`. The kernels will import `libraries`.
    As many notebooks run at a time as a sweep would run points, and share the threads as its points do.
    """
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={cell_limit}", "-q"]
    options += ["-p", "workbench.book.nbval_plugin"]
    options += ["-p", "no:cacheprovider"]  # a check leaves nothing behind
    share = Share.of_machine(len(notebooks))
    if share.runs > 1:
        options += ["-n", str(share.runs), "--dist", "loadfile"]
    code = "import pytest; raise SystemExit(pytest.main())"
    with warm_kernels(libraries), temporary_folder() as folder:
        environment = {"TMPDIR": folder, **dict.fromkeys(THREADS, str(share.threads))}
        return run_python(code, *options, *map(str, notebooks), environment=environment)


def _of_the_outputs(cell: dict[str, Any]) -> Iterator[str]:
    """What committed outputs must not be, or must have."""
    outputs = cell.get("outputs", [])
    if outputs and cell.get("execution_count") is None:
        yield "it has outputs and no execution count, and nbval would not look at them"
    if QUOTES in tags(cell) and outputs:
        yield f"it is tagged {QUOTES} and has outputs"
    if "papermill" in cell["metadata"]:
        yield "it has Papermill's metadata; `workbench accept` leaves them out"
    if any(output["output_type"] == "error" for output in outputs):
        yield "its output is an error"
    text, home = json.dumps(outputs), str(Path.home())
    if home in text and len(home) > 1:
        yield "its output names the home folder"
    if INSTALLED in text:
        yield "its output names a file of the installation; `workbench accept` leaves such warnings out"
    if any("image/png" in output.get("data", {}) for output in outputs) and (problem := caption_missing(cell)):
        yield problem
    for output in outputs:
        claim = recorded_in(output).get("claim")
        if not problem_of("claim", claim) and "".join(output["data"]["text/plain"]) != claim_line(claim):
            yield f"what it shows is not the claim that it holds: {claim['statement']}"
