"""What a run's record holds, by name and type, and what it reads as where an earlier version wrote less.

A part has its type, at any depth, or the record is not read. Parts that this version does not know are kept.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import TypeAliasType, TypedDict  # Pydantic wants these before Python 3.12

from workbench.core.text import visible

FORMAT = 1


class Unreadable(Exception):
    """What is wrong with something in the runs folder, as the end of a sentence."""


_STRICT = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that tables have room for; as a `Number`, a larger one is read as the nearest float."""
Number = Whole | float
Value = TypeAliasType("Value", "bool | Whole | float | str | list[Value] | None")
"""A parameter's value."""
_DATE, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?"
Moment = Annotated[str, Field(pattern=rf"^{_DATE}T{_TIME}(Z|\+00:00)$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class Part(BaseModel):
    """A part of a record, checked strictly."""

    model_config = _STRICT


class Parameters(Part):
    """Parameters as the request gave them and as the chapter got them."""

    given: dict[str, Value] = {}
    resolved: dict[str, Value] = {}


class Ingredients(TypedDict):
    """What the content key is made of; see `workbench.runs.keys.ingredients`. A part that is missing is not empty."""

    __pydantic_config__ = _STRICT
    code: NotRequired[str | list[Annotated[list[str | None], Field(min_length=2, max_length=2)]]]
    parameters: NotRequired[dict[str, Value]]
    definitions: NotRequired[dict[str, str]]
    links: NotRequired[str]
    package_data: NotRequired[dict[str, str]]
    versions: NotRequired[dict[str, str]]
    data: NotRequired[dict[str, str]]
    checkpoints: NotRequired[dict[str, str]]


class Metric(Part):
    """One call of `chapter.record`."""

    name: str
    value: Number | bool | str | None = None
    count: Number | None = None
    n: Number | None = None
    low: Number | None = None
    high: Number | None = None


class Claim(Part):
    """One call of `chapter.claim`, or of `chapter.check`."""

    statement: str
    bound: str
    value: Number | bool | None = None
    holds: bool
    n: Number | None = None
    kind: Literal["finding", "check"] = "finding"


class _Cell(Part):
    id: str | None
    seconds: Number


class _Error(Part):
    cell: str | None
    number: Whole
    name: str
    message: str
    traceback: list[str]


class _Git(Part):
    commit: str | None = None
    dirty: bool | None = None


class _Machine(Part):
    platform: str = "unknown"
    processor: str | None = None
    cores: Whole = 1
    threads: Whole | None = None
    memory_bytes: Whole | None = None
    gpus: list[str] = []


class _NotebookFacts(Part):
    bytes: Whole
    sha256: str


class Record(Part):
    """A `run.json`."""

    format: Whole
    chapter: str | None = None
    status: Literal["running", "completed", "failed", "interrupted"]
    key: Digest
    ingredients: Ingredients = {}
    parameters: Parameters
    started: Moment
    ended: Moment | None = None
    seconds: Number | None = None
    sources: dict[str, dict[str, str]] = {}
    """What was taken from data and models, by the name of each; see `Chapter.record_source`."""
    metrics: list[Metric] = []
    claims: list[Claim] = []
    cells: list[_Cell] = []
    error: _Error | None = None
    git: _Git = _Git()
    python: str = "unknown"
    packages: dict[str, str] = {}
    machine: _Machine = _Machine()
    peak_memory_bytes: Whole | None = None
    cpu_seconds: Number | None = None
    """Processor time of the kernel and its children."""
    notebook: _NotebookFacts | None = None


def read_record(content: bytes) -> Record:
    """The record that a `run.json` holds.

    Raises:
        Unreadable: naming the first thing that is wrong.
    """
    try:
        return Record.model_validate_json(content)
    except ValidationError as error:
        raise Unreadable(_reason(error, content)) from None


def claims_by_statement(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A record's claims by their statements, in their order.

    Earlier versions let two claims have one statement. Of those, one that does not hold stands for both.
    """
    claims: dict[str, dict[str, Any]] = {}
    for claim in record["claims"]:
        if claim["statement"] not in claims or not claim["holds"]:
            claims[claim["statement"]] = claim
    return claims


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
