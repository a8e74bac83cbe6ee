"""From an executed notebook to the one that is published or committed: the source's prose, the run's outputs.

Both keep the source's cells in their order and take each code cell's outputs from the run by the cell's id, so that a
typo corrected after the run reaches the page and computes nothing.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.files import write_atomically
from workbench.core.machine import commit_in_words, in_words
from workbench.core.project import Project
from workbench.core.secrets import Secrets
from workbench.parameters.cells import INJECTED, QUOTES, source, tags
from workbench.parameters.contract import Contract
from workbench.runs.store import Run, all_runs, find_run, read_notebook

INSTALLED = "site-packages"
"""What the path of an installed file holds, on every machine."""
FIGURES = "figures"
"""The folder beside an executed notebook that holds its figures as SVG."""
_GLUED = re.compile(r"\{glue:text\}`([^`:]+)[^`]*`")
_NOT_COMPUTED = "*not computed in this run*"


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
            pieces = pieces[:1]
            pieces[0]["text"] = "".join(texts)  # in place, since nbformat writes its own kind of dictionary alone
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
        if INJECTED in tags(cell):
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
                cells += [injected for injected in executed["cells"] if INJECTED in tags(injected)]
    notebook["cells"] = [_clean(cell) for cell in cells]
    kernelspec = notebook["metadata"].get("kernelspec")
    notebook["metadata"] = {"kernelspec": kernelspec, "language_info": {"name": "python"}}
    return notebook


def staged(contract: Contract, run: Run) -> dict[str, Any]:
    """The notebook as the book shows it, with the facts of its run.

    A number in the prose that the committed outputs have and this run, whose parameters are others, has not, reads "not
    computed in this run". One that neither has stays, and Sphinx complains of it. Of a local path the page has the
    last part alone.
    """
    notebook = with_outputs_of(contract, run)
    values = run.record["parameters"]["resolved"]
    changed = [name for name, value in values.items() if value != contract.defaults.get(name)]
    return _as_page(notebook, run, absent=_glued(contract.notebook) - _glued(notebook), changed=changed)


def page_of_run(run: Run) -> dict[str, Any]:
    """The executed notebook of a run as a page shows it, prose and code as they were when it ran.

    Raises:
        RequestError: where the notebook is not the one that the run wrote.
    """
    notebook = read_notebook(run)
    prose = [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    notebook["cells"] = [_clean(cell) for cell in notebook["cells"]]
    absent = set(_GLUED.findall("\n".join(prose))) - _glued(notebook)
    return _as_page(notebook, run, absent=absent, changed=list(run.record["parameters"]["given"]))


def _as_page(notebook: dict[str, Any], run: Run, *, absent: set[str], changed: list[str]) -> dict[str, Any]:
    """A notebook with the facts of its run, and words where its prose shows values that are absent."""
    record = run.record
    for cell in notebook["cells"]:
        if absent and cell["cell_type"] == "markdown":
            cell["source"] = _GLUED.sub(lambda role: _NOT_COMPUTED if role[1] in absent else role[0], source(cell))
    values = record["parameters"]["resolved"]
    notebook["metadata"]["workbench"] = {
        "run": run.id,
        "started": record["started"],
        "seconds": record["seconds"],
        "parameters": values,
        "changed": changed,
        "machine": in_words(record["machine"]),
        "python": record["python"],
        "commit": commit_in_words(record["git"]),
    }
    return _without_paths(notebook, values.values())


def _without_paths(notebook: dict[str, Any], values: Iterable[Any]) -> dict[str, Any]:
    """A copy of a notebook in which each absolute path among a run's values is its last part."""
    texts = [item for value in values for item in (value if isinstance(value, list) else [value])]
    paths = [Path(text) for text in texts if isinstance(text, str) and Path(text).is_absolute() and Path(text).name]
    content = json.dumps(notebook)
    for path in sorted(paths, key=lambda path: -len(path.parts)):  # one may be inside another
        content = content.replace(json.dumps(str(path))[1:-1], json.dumps(path.name)[1:-1])
    return json.loads(content)


def named_cells(notebook: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each cell with a name for the files that are made of it: its id, as far as that is safe in a path."""
    for place, cell in enumerate(notebook["cells"]):
        yield re.sub(r"[^\w-]", "-", cell.get("id") or f"cell-{place}"), cell


def figures_of(notebook: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the data of each figure: its cell's name, and for a cell's further ones their number."""
    for name, cell in named_cells(notebook):
        shown = [output["data"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
        for number, data in enumerate(shown, start=1):
            yield name if number == 1 else f"{name}-{number}", data


def _glued(notebook: dict[str, Any]) -> set[str]:
    """The names of the values that a notebook's outputs glue."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    return {output["metadata"]["scrapbook"]["name"] for output in outputs if "scrapbook" in output.get("metadata", {})}


def accept_run(project: Project, contract: Contract, name: str | None = None) -> Run:
    """The run, newest by default, whose outputs are now those of the chapter's committed notebook.

    Left out are Papermill's cell of parameters, what is volatile, such as a warning that names a file of this machine,
    and the outputs of cells tagged `quotes-corpus`: sentences of other people's documentation are shown in the built
    book and not kept in the repository.

    Raises:
        RequestError: where there is no completed run of the chapter's default parameters and present code.
    """
    if name is None:
        run = newest_default(project, contract)
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
    notebook["cells"] = [cell for cell in notebook["cells"] if INJECTED not in tags(cell)]
    for cell in notebook["cells"]:
        if QUOTES in tags(cell):
            cell["outputs"] = []
        elif "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if not _warns_of_a_file(output)]
    notebook["metadata"]["workbench"] = {"run": run.id, **{name: run.record[name] for name in ("started", "seconds")}}
    write_atomically(contract.path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return run


def newest_default(project: Project, contract: Contract, but: Run | None = None) -> Run | None:
    """The newest completed run of a chapter's default parameters, `but` aside; None where there is none."""
    runs = (run for run in all_runs(project, contract.chapter) if but is None or run.folder != but.folder)
    return next((run for run in runs if _is_default(contract, run)), None)


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
