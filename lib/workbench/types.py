"""The types of a chapter's parameters, and the one function that holds a value to its type.

A chapter annotates each parameter with a name from `VOCABULARY`. The command line, `begin()` in the kernel and the
tests all call `coerce`, so that a bad value meets the same sentence wherever it is given.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from workbench import subject

__all__ = ["Count", "Dataset", "Fraction", "Literal", "Rate", "Seed"]

Count = Annotated[int, Field(ge=1)]
"""A whole number, at least 1."""

Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
"""A number strictly between 0 and 1."""

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed of random numbers: a whole number from 0 to 2³² − 1, which is what NumPy takes."""


class Dataset(str):
    """A data set by name: one that the workbench ships, or a local file or folder.

    It is the text that the chapter gave or was given, and knows how to check, resolve and fingerprint itself.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate as text, then check that the name stands for something."""
        return core_schema.no_info_after_validator_function(cls._checked, core_schema.str_schema(strict=True))

    @classmethod
    def _checked(cls, value: str) -> Dataset:
        shipped = subject.shipped_datasets()
        if value not in shipped and not Path(value).expanduser().exists():
            looks_like_a_path = "/" in value or "\\" in value or Path(value).suffix
            near = [] if looks_like_a_path else difflib.get_close_matches(value, shipped, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise PydanticCustomError(
                "dataset",
                "is neither a data set that comes with the workbench ({shipped}) nor an existing file or folder{hint}",
                {"shipped": ", ".join(shipped), "hint": hint},
            )
        return cls(value)

    @property
    def is_shipped(self) -> bool:
        """Whether the workbench itself carries this data set."""
        return str(self) in subject.shipped_datasets()

    def resolved(self) -> Dataset:
        """The same data set, with a local path made absolute from the current directory."""
        return self if self.is_shipped else Dataset(Path(self).expanduser().resolve())

    def fingerprint(self) -> str:
        """A digest (hexadecimal SHA-256) that changes when the data does."""
        return subject.dataset_fingerprint(str(self))


VOCABULARY: dict[str, Any] = {
    "Count": Count,
    "Fraction": Fraction,
    "Rate": Rate,
    "Seed": Seed,
    "Dataset": Dataset,
    "Literal": Literal,
    "bool": bool,
    "str": str,
    "int": int,
    "float": float,
    "list": list,
}
"""Every name that an annotation in a parameters cell may use."""


def coerce(annotation: Any, value: Any) -> Any:
    """The value as its declared type has it.

    Text is read as the declared type (`"1e-3"` is a `Rate`, `"false"` a `bool`, `"1,2,3"` a `list[Count]`), because
    that is what a command line has; anything else must already be of the type's kind.

    Raises:
        ValueError: with a message that names the value and says what was expected, such as `-1 is not at least 1`.
    """
    if get_origin(annotation) is list and isinstance(value, str):
        value = [item.strip() for item in value.strip().removeprefix("[").removesuffix("]").split(",")]
    _refuse_a_kind_that_pydantic_would_bend(annotation, value)
    try:
        return TypeAdapter(annotation).validate_python(_literal_of(annotation, value))
    except ValidationError as error:
        raise ValueError(_sentence(error.errors(include_url=False)[0])) from None


def plain(value: Any) -> Any:
    """A parameter's value as JSON has it (a `Dataset` is text)."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _refuse_a_kind_that_pydantic_would_bend(annotation: Any, value: Any) -> None:
    """Pydantic takes `True` for 1 and 1 for `True`; a parameter of the wrong kind is more likely a slip."""
    items = value if isinstance(value, list) else [value]
    wants = _base(get_args(annotation)[0] if get_origin(annotation) is list and get_args(annotation) else annotation)
    for item in items:
        if isinstance(item, bool) and wants in (int, float):
            raise ValueError(f"{str(item).lower()} is not a {'whole ' if wants is int else ''}number")
        if isinstance(item, (int, float)) and not isinstance(item, bool) and wants is bool:
            raise ValueError(f"{item} is not true or false")


def _base(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _literal_of(annotation: Any, value: Any) -> Any:
    """The choice whose text is the given text, so that `-p size=2` can choose from `Literal[1, 2]`."""
    if get_origin(annotation) is Literal and isinstance(value, str):
        return next((choice for choice in get_args(annotation) if str(choice) == value), value)
    return value


_SENTENCES = {
    "greater_than_equal": "is not at least {ge}",
    "greater_than": "is not above {gt}",
    "less_than_equal": "is not at most {le}",
    "less_than": "is not below {lt}",
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is too large",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "bool_parsing": "is not true or false",
    "bool_type": "is not true or false",
    "string_type": "is not text (with papermill, `-r` passes a value as text)",
    "list_type": "is not a list",
}


def _sentence(error: dict[str, Any]) -> str:
    """One plain sentence for the first thing that Pydantic found wrong."""
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        said = "is not one of " + re.sub(r"'", "", context["expected"]).replace(" or ", ", ")
    elif error["type"] in _SENTENCES:
        said = _SENTENCES[error["type"]].format(**{name: _neat(bound) for name, bound in context.items()})
    else:
        said = error["msg"]
    position = next((f" (item {place + 1})" for place in error["loc"] if isinstance(place, int)), "")
    return f"{shown(error['input'])}{position} {said}"


def _neat(bound: Any) -> Any:
    """A bound as people write it: 0, not 0.0."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def shown(value: Any, limit: int = 60) -> str:
    """A value as an error message shows it: short, on one line, and visible when it is blank."""
    text = str(value)
    text = text if text.strip() and text.isprintable() else repr(text)
    return text if len(text) <= limit else f"{text[:limit]}…"
