"""Whether a chapter's run is current, and if not, why.

A run is current when its content key is the one that a run would have now. Otherwise the ingredients of the two keys
say which definition, package, cell, parameter or data set has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core.errors import RequestError, RunError, sentences_of
from workbench.core.project import Project
from workbench.core.text import shown
from workbench.parameters.contract import Contract, load_contract
from workbench.runs.store import Run, all_runs, completed_run
from workbench.runs.syntax import STATEMENTS

if TYPE_CHECKING:
    from workbench.runs.runner import Reporter

CURRENT, STALE, NEVER_RUN, BROKEN = "current", "stale", "never run", "broken"


@dataclass(frozen=True)
class State:
    """The state of a chapter, the run that it is judged by, and the reasons where it is not current."""

    chapter: str
    state: str
    run: str | None
    reasons: tuple[str, ...]


def state_of(project: Project, chapter: str, request: dict[str, Any], reporter: Reporter | None = None) -> State:
    """The state of a chapter with these parameters; one that cannot be judged is `broken`, with the reason.

    A reporter is told where the data that come with the workbench have to be built first.
    """
    from workbench.runs.keys import content_key, ingredients
    from workbench.runs.runner import build_shipped

    try:
        contract = load_contract(project, chapter)
        values = contract.resolve(request)
        if reporter:
            build_shipped(values, reporter)
        with sentences_of(OSError, ValueError):  # data that cannot be read
            now = ingredients(contract, values)
    except (RequestError, RunError) as error:
        return State(chapter, BROKEN, None, error.sentences)
    done = completed_run(project, chapter, content_key(now))
    if done is not None:
        return State(chapter, CURRENT, done.id, ())
    earlier = _judged_by(project, contract, now["parameters"])
    if earlier is None:
        return State(chapter, NEVER_RUN, None, ("never run",))
    if earlier.status != "completed":
        return State(chapter, STALE, earlier.id, (f"no run has completed; the newest, {earlier.id}, {_said(earlier)}",))
    reasons = tuple(changes(earlier.record["ingredients"], now)) or ("the notebook of its run is missing or another",)
    return State(chapter, STALE, earlier.id, reasons)


def changes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What differs between the ingredients of a run's key and other ones, one phrase each.

    Code comes first: the chapter's cells, the definitions that they reach and the files that those name; then
    parameters, data sets, models, versions.
    """
    if not then:
        yield "its record does not say what it depended on"
        return
    if "definitions" not in then:
        yield "its record is of an earlier form, which does not say what its code was"
        then, now = ({"parameters": parts.get("parameters")} for parts in (then, now))
    code = [*_cells(then.get("code"), now.get("code")), *_definitions(then, now)]
    yield from code
    if not code and then.get("links") != now.get("links"):
        yield "a name in its code stands for another definition"
    for name, old, new in _different(*(_content(parts, "package_data") for parts in (then, now))):
        yield f"`{name}` {_verb(old, new)}"
    parameters = {name: (old, new) for name, old, new in _different(then.get("parameters"), now.get("parameters"))}
    for name, (old, new) in parameters.items():
        yield f"parameter {name} {_value(old)} → {_value(new)}"
    for part, what in (("data", "data"), ("checkpoints", "model")):
        for name, old, new in _different(then.get(part), now.get(part)):
            if name not in parameters:
                yield f"{what}: {name} {_verb(old, new)}"
    for name, old, new in _different(then.get("versions"), now.get("versions")):
        yield f"{'Python' if name == 'python' else name} {_value(old)} → {_value(new)}"
    for part in sorted((then.keys() | now.keys()) - _KNOWN):
        if then.get(part) != now.get(part):
            yield f"{part} changed"


_KNOWN = {"code", "definitions", "links", "package_data", "parameters", "data", "checkpoints", "versions"}
_MISSING = object()


def _judged_by(project: Project, contract: Contract, parameters: dict[str, Any]) -> Run | None:
    """The run that says most about what has changed since.

    That is the newest completed one of the same parameters, or else of any; without one, the newest of all.
    """
    newest = completed = None
    for run in all_runs(project, contract.chapter):
        newest = newest or run
        if run.status == "completed":
            completed = completed or run
            if run.record["parameters"]["resolved"] == parameters:
                return run
    return completed or newest


def _said(run: Run) -> str:
    error = run.record["error"]
    if run.status == "failed" and error:
        return f"failed in cell {error['cell']}: {shown(error['name'])}: {shown(error['message'])}"
    return "is running" if run.status == "running" else f"{'was ' * (run.status == 'interrupted')}{run.status}"


def _cells(then: Any, now: Any) -> Iterator[str]:
    """What differs between the chapter's code cells."""
    if then == now:
        return
    if not isinstance(then, list) or not isinstance(now, list):
        yield "the chapter's code changed"  # an earlier version kept one digest for all cells
        return
    if dict(then) == dict(now):
        yield "the code cells stand in another order"
    for cell, old, new in _different(dict(then), dict(now)):
        if old is _MISSING:
            yield f"cell {cell} is new"
        elif new is _MISSING:
            yield f"cell {cell} was removed"
        else:
            yield f"the code of cell {cell} changed"


def _content(parts: dict[str, Any], part: str) -> dict[str, list[str]]:
    """Digests by name, wherever the thing of that name stands: what the content key has of definitions and files."""
    content: dict[str, list[str]] = {}
    for place, digest in sorted((parts.get(part) or {}).items(), key=str):
        content.setdefault(re.split("[:/]", place)[-1], []).append(digest)
    return {name: sorted(digests) for name, digests in content.items()}


def _definitions(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What differs between the definitions of then and now, in their order; one that has moved is the same."""
    old, new = _content(then, "definitions"), _content(now, "definitions")
    for place, digest in now.get("definitions", {}).items():
        before, after = (content.get(place.partition(":")[2], []) for content in (old, new))
        if digest not in before:
            yield f"{_named(place)} {'is used now' if len(after) > len(before) else 'changed'}"
    for place, digest in then.get("definitions", {}).items():
        before, after = (content.get(place.partition(":")[2], []) for content in (old, new))
        if digest not in after and len(before) > len(after):
            yield f"{_named(place)} is not used any more"


def _named(place: str) -> str:
    """A definition as a reader of the code knows it: `module.name`, the module without its packages."""
    module, _, name = place.partition(":")
    module = module.rpartition(".")[2]
    return f"what `{module}` does on import" if name == STATEMENTS else f"`{module}.{name}`"


def _different(then: dict[Any, Any] | None, now: dict[Any, Any] | None) -> Iterator[tuple[Any, Any, Any]]:
    """Name, old and new value of everything that is not the same in both; `_MISSING` stands for none."""
    then, now = then or {}, now or {}
    for name in sorted(then.keys() | now.keys(), key=str):
        old, new = then.get(name, _MISSING), now.get(name, _MISSING)
        if old is _MISSING or new is _MISSING or old != new:
            yield name, old, new


def _verb(old: Any, new: Any) -> str:
    return "is used now" if old is _MISSING else "is not used any more" if new is _MISSING else "changed"


def _value(value: Any) -> str:
    return "none" if value is _MISSING else shown(value)
