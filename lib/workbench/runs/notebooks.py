"""From an executed notebook to the one that is published or committed: the source's prose, the run's outputs.

Both keep the source's cells in their order and take each code cell's outputs from the run by the cell's id, so that a
typo corrected after the run reaches the page and computes nothing.
"""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.files import write_atomically
from workbench.core.machine import commit_in_words, in_words
from workbench.core.project import Project
from workbench.core.secrets import Secrets
from workbench.parameters.contract import Contract, source, tags
from workbench.runs.store import Run, all_runs, find_run, read_notebook

QUOTES = "quotes-corpus"
INSTALLED = "site-packages"
"""What the path of an installed file holds, on every machine."""
_INJECTED = "injected-parameters"


def without_secrets(notebook: dict[str, Any], secrets: Secrets) -> dict[str, Any]:
    """A copy of a notebook with secrets replaced in what it shows: texts of its outputs and the state of its widgets.

    Sources stay, since no kernel wrote them, and so do an output's type and its stream's name, words of the format.
    """
    clean = copy.deepcopy(notebook)
    for cell in clean["cells"]:
        if "outputs" in cell:
            cell["outputs"] = _whole_streams(cell["outputs"], secrets)
        for output in cell.get("outputs", []):
            for part in output.keys() - {"output_type", "name"}:
                output[part] = secrets.redact(output[part])
    if "widgets" in clean["metadata"]:
        clean["metadata"]["widgets"] = secrets.redact(clean["metadata"]["widgets"])
    return clean


def _whole_streams(outputs: list[dict[str, Any]], secrets: Secrets) -> list[dict[str, Any]]:
    """Outputs in which no secret is divided between pieces of a stream: those pieces become one."""
    whole: list[dict[str, Any]] = []
    for name, pieces in itertools.groupby(outputs, lambda output: output.get("name")):
        pieces = list(pieces)
        texts = ["".join(piece["text"]) for piece in pieces] if name else []  # streams alone have a name
        if len(texts) > 1 and secrets.redact("".join(texts)) != "".join(map(secrets.redact, texts)):
            pieces = [pieces[0] | {"text": "".join(texts)}]
        whole += pieces
    return whole


def with_outputs_of(contract: Contract, run: Run) -> dict[str, Any]:
    """The chapter's notebook with the outputs of a run, and the cell of injected parameters where the run had one.

    Raises:
        RequestError: where the run's notebook is not the one that it wrote, lacks a code cell of the chapter, or has
            other code in it.
    """
    executed = read_notebook(run)
    by_id = {cell["id"]: cell for cell in executed["cells"] if "id" in cell}
    notebook = copy.deepcopy(contract.notebook)
    cells = []
    for cell in notebook["cells"]:
        if _INJECTED in tags(cell):
            continue  # of an earlier run
        cells.append(cell)
        if cell["cell_type"] == "code":
            ran = by_id.get(cell.get("id"))
            if ran is None or source(ran) != source(cell):
                raise RequestError(
                    f"{contract.chapter}: the code of cell {cell.get('id')} has changed since the run {run.id}"
                )
            cell["outputs"], cell["execution_count"] = ran["outputs"], ran["execution_count"]
            if "parameters" in tags(cell):
                cells += [injected for injected in executed["cells"] if _INJECTED in tags(injected)]
    notebook["cells"] = [_clean(cell) for cell in cells]
    kernelspec = notebook["metadata"].get("kernelspec")
    notebook["metadata"] = {"kernelspec": kernelspec, "language_info": {"name": "python"}}
    return notebook


def staged(contract: Contract, run: Run) -> dict[str, Any]:
    """The notebook as the book shows it, with the facts of its run; local data and models go by their last names."""
    notebook = with_outputs_of(contract, run)
    record = run.record
    notebook["metadata"]["workbench"] = {
        "run": run.id,
        "started": record["started"],
        "seconds": record["seconds"],
        "parameters": record["parameters"]["resolved"],
        "machine": in_words(record["machine"]),
        "python": record["python"],
        "commit": commit_in_words(record["git"]),
    }
    return _without_paths(notebook, record["parameters"]["resolved"])


def _without_paths(notebook: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the name of a file or folder wherever it has the absolute path that a parameter holds."""
    values = [item for value in parameters.values() for item in (value if isinstance(value, list) else [value])]
    paths = {value for value in values if isinstance(value, str) and Path(value).is_absolute() and Path(value).name}
    text = json.dumps(notebook, ensure_ascii=False)
    for path in sorted(paths, key=len, reverse=True):
        for escaped in (json.dumps(path, ensure_ascii=False)[1:-1], json.dumps(path)[1:-1]):
            text = text.replace(escaped, json.dumps(Path(path).name, ensure_ascii=False)[1:-1])
    return json.loads(text)


def accept_run(project: Project, contract: Contract, name: str | None = None) -> Run:
    """The run, newest by default, whose outputs are now those of the chapter's committed notebook.

    Left out are Papermill's cell of parameters, what is volatile, such as a warning that names a file of this machine,
    and the outputs of cells tagged `quotes-corpus`: sentences of other people's documentation are shown in the built
    book and not kept in the repository.

    Raises:
        RequestError: where there is no completed run of the chapter's default parameters and present code.
    """
    if name is None:
        run = next((run for run in all_runs(project, contract.chapter) if _is_default(contract, run)), None)
        if run is None:
            raise RequestError(
                f"{contract.chapter} has no completed run of its default parameters; `workbench run` makes one"
            )
    else:
        run = find_run(project, name, contract.chapter)
        if run.status != "completed":
            raise RequestError(f"{run.id} {run.status}; only a completed run can be accepted")
        if not _is_default(contract, run):
            raise RequestError(
                f"{run.id} had other parameters than the chapter's defaults, which the committed outputs show"
            )
    notebook = with_outputs_of(contract, run)
    notebook["cells"] = [cell for cell in notebook["cells"] if _INJECTED not in tags(cell)]
    for cell in notebook["cells"]:
        if QUOTES in tags(cell):
            cell["outputs"] = []
        elif "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if not _warns_of_a_file(output)]
    notebook["metadata"]["workbench"] = {"run": run.id, "started": run.record["started"]}
    write_atomically(contract.path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return run


def _is_default(contract: Contract, run: Run) -> bool:
    return run.status == "completed" and run.record["parameters"]["resolved"] == contract.defaults


def _warns_of_a_file(output: dict[str, Any]) -> bool:
    return output.get("name") == "stderr" and INSTALLED in "".join(output["text"])


def _clean(cell: dict[str, Any]) -> dict[str, Any]:
    """A cell without what an execution leaves in its metadata and its outputs."""
    metadata = cell.get("metadata", {})
    for volatile in ("papermill", "execution", "collapsed", "trusted", "ExecuteTime"):
        metadata.pop(volatile, None)
    if metadata.get("tags") == []:
        del metadata["tags"]
    for output in cell.get("outputs", []):
        if "execution_count" in output:
            output["execution_count"] = cell["execution_count"]
        output.get("metadata", {}).pop("papermill", None)
    return cell
