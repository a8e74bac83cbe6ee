"""What a run's record holds, by name and type, and the one function that holds a file to it.

A record that lacks a part was written by an earlier version; the part reads as empty. What is there has its type, at
any depth, or the record is not believed. Parts that this version does not know are kept.
"""

from __future__ import annotations

from workbench.core.text import visible

import copy
import json
from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypeAliasType, TypedDict  # Pydantic wants these before Python 3.12


class Unreadable(Exception):
    """Something in the runs folder that cannot be believed, and why, as the end of a sentence."""


_STRICT = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

Number = int | float
Value = TypeAliasType("Value", "bool | int | float | str | list[Value] | None")
"""A parameter's value."""
_DATE, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?"
Moment = Annotated[str, Field(pattern=rf"^{_DATE}T{_TIME}(Z|\+00:00)$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class Parameters(TypedDict):
    """Parameters as the request gave them and as the chapter got them."""

    __pydantic_config__ = _STRICT
    given: NotRequired[dict[str, Value]]
    resolved: NotRequired[dict[str, Value]]


class Ingredients(TypedDict):
    """What the content key is made of; see `workbench.runs.keys.ingredients`."""

    __pydantic_config__ = _STRICT
    code: NotRequired[str | list[Annotated[list[str | None], Field(min_length=2, max_length=2)]]]
    parameters: NotRequired[dict[str, Value]]
    definitions: NotRequired[dict[str, str]]
    links: NotRequired[str]
    package_data: NotRequired[dict[str, str]]
    versions: NotRequired[dict[str, str]]
    data: NotRequired[dict[str, str]]
    checkpoints: NotRequired[dict[str, str]]


class Metric(TypedDict):
    """One call of `chapter.record`."""

    __pydantic_config__ = _STRICT
    name: str
    value: Number | bool | str | None
    count: NotRequired[Number | None]
    n: NotRequired[Number | None]
    low: NotRequired[Number | None]
    high: NotRequired[Number | None]


class Claim(TypedDict):
    """One call of `chapter.claim`."""

    __pydantic_config__ = _STRICT
    statement: str
    bound: str
    value: Number | bool | None
    holds: bool
    n: NotRequired[Number | None]


class Cell(TypedDict):
    """A cell that has run, and its seconds."""

    __pydantic_config__ = _STRICT
    id: str | None
    seconds: Number


class Error(TypedDict):
    """What stopped a run."""

    __pydantic_config__ = _STRICT
    cell: str | None
    number: int
    name: str
    message: str
    traceback: list[str]


class Git(TypedDict):
    """The state of the checkout."""

    __pydantic_config__ = _STRICT
    commit: str | None
    dirty: bool | None


class Machine(TypedDict):
    """What the run was made on; see `workbench.core.machine.machine`."""

    __pydantic_config__ = _STRICT
    platform: str
    cores: int
    gpus: list[str]
    processor: NotRequired[str]
    threads: NotRequired[int]
    memory_bytes: NotRequired[int]


class Energy(TypedDict):
    """An estimate, and what it assumes."""

    __pydantic_config__ = _STRICT
    watt_hours: Number
    assumption: str


class NotebookFacts(TypedDict):
    """The size and digest of the notebook that the run wrote."""

    __pydantic_config__ = _STRICT
    bytes: int
    sha256: str


class Record(TypedDict):
    """A `run.json`."""

    __pydantic_config__ = _STRICT
    format: int
    status: Literal["running", "completed", "failed", "interrupted"]
    key: Digest
    parameters: Parameters
    started: Moment
    chapter: NotRequired[str]
    ingredients: NotRequired[Ingredients]
    ended: NotRequired[Moment | None]
    seconds: NotRequired[Number | None]
    metrics: NotRequired[list[Metric]]
    claims: NotRequired[list[Claim]]
    cells: NotRequired[list[Cell]]
    error: NotRequired[Error | None]
    git: NotRequired[Git]
    python: NotRequired[str]
    packages: NotRequired[dict[str, str]]
    machine: NotRequired[Machine]
    peak_memory_bytes: NotRequired[int | None]
    energy: NotRequired[Energy | None]
    notebook: NotRequired[NotebookFacts | None]


_EMPTY: dict[str, Any] = {
    "ingredients": {},
    "ended": None,
    "seconds": None,
    "metrics": [],
    "claims": [],
    "cells": [],
    "error": None,
    "git": {"commit": None, "dirty": None},
    "python": "unknown",
    "packages": {},
    "machine": {"platform": "unknown", "cores": 1, "gpus": []},
    "peak_memory_bytes": None,
    "energy": None,
    "notebook": None,
}


def checked(content: bytes) -> dict[str, Any]:
    """A record with every part that this version knows.

    Raises:
        Unreadable: naming the first thing that is wrong.
    """
    try:
        record = _adapter().validate_json(content)
    except ValidationError as error:
        raise Unreadable(_reason(error, content)) from None
    for part in _EMPTY.keys() - record.keys():
        record[part] = copy.deepcopy(_EMPTY[part])
    for part in ("given", "resolved"):
        record["parameters"].setdefault(part, {})
    for metric in record["metrics"]:
        for part in ("count", "n", "low", "high"):
            metric.setdefault(part, None)
    for claim in record["claims"]:
        claim.setdefault("n", None)
    return record




def is_executed_notebook(notebook: Any) -> bool:
    """Whether a value has the shape of a notebook whose code cells have outputs."""
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        return False
    return all(_is_cell(cell) for cell in notebook["cells"])


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not _is_text(cell.get("source")) or not isinstance(cell.get("metadata", {}), dict):
        return False
    outputs = cell.get("outputs", [] if cell.get("cell_type") != "code" else None)
    is_run = cell.get("cell_type") != "code" or "execution_count" in cell
    return is_run and isinstance(outputs, list) and all(isinstance(output, dict) for output in outputs)


def _is_text(source: Any) -> bool:
    return isinstance(source, str) or (isinstance(source, list) and all(isinstance(line, str) for line in source))


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def _reason(error: ValidationError, content: bytes) -> str:
    """The first thing that is wrong with a record, as the end of a sentence."""
    first = error.errors(include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "its run.json is not JSON"
    place, value = [], json.loads(content)
    for part in first["loc"]:  # a place ends where only the names of a union's members follow
        try:
            value = value[part]
        except (LookupError, TypeError):
            break
        place.append(str(part))
    if first["type"] == "missing":
        return f"its run.json lacks {'.'.join([*place, str(first['loc'][-1])])}"
    return f"its run.json has a wrong {visible('.'.join(place))}" if place else "its run.json is not a record"
