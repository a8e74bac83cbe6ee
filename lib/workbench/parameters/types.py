"""The types of a chapter's parameters, and the one function that checks a value against its type.

A chapter annotates each parameter with a name from `VOCABULARY`. The command line, `begin()` in the kernel and the
tests all call `coerce`, so that a bad value meets the same sentence everywhere.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import core_schema

from workbench.core.errors import RequestError, RunError
from workbench.core.project import find_project
from workbench.core.text import nearest, shown
from workbench.parameters import content

__all__ = ["Count", "Dataset", "Fraction", "Literal", "Model", "Predictions", "Rate", "Seed"]

Count = Annotated[int, Field(ge=1)]
"""A whole number, at least 1."""

Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
"""A number strictly between 0 and 1."""

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A finite number above 0."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed of random numbers: a whole number from 0 to 2³² − 1, which is what NumPy takes."""


class Source(str):
    """A name for something outside the notebook: what comes with the workbench, a path, or an id on the Hub.

    It is the text of the default or the request, and knows how to check, resolve and fingerprint itself. A Hub id is
    told by its form, and the Hub is not asked before its fingerprint is wanted; a file or folder of the same name wins.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Validate as text, then check that the name stands for something."""
        return core_schema.no_info_after_validator_function(cls._looked_up, core_schema.str_schema(strict=True))

    @classmethod
    def _looked_up(cls, value: str) -> Source:
        name = cls(value)
        try:
            name._check()
        except (OSError, RuntimeError) as error:  # too long a name, a folder without access, the home of no user
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise ValueError(f"cannot be looked up as a path ({reason})") from None
        return name

    @property
    def is_shipped(self) -> bool:
        """Whether the workbench itself carries it."""
        return str(self) in self._shipped()

    @property
    def is_hub(self) -> bool:
        """Whether it is the Hub's."""
        return not self.is_shipped and self._is_hub_id()

    def fingerprint(self) -> str:
        """What changes when the thing itself does: a hexadecimal SHA-256, or for the Hub its id at a commit.

        Raises:
            ValueError: for what is here and cannot be read.
            RunError: for what only the Hub could show, or its silence; the request was in order.
        """
        try:
            return self._fingerprint()
        except ValueError as error:
            if self.is_hub:
                raise RunError(str(error)) from None
            raise

    def prepare(self, progress: content.Progress) -> None:
        """Build or download what is needed, before a kernel would do it in silence. Local things need nothing."""

    def resolved(self) -> Source:
        """The same thing, with a local path made absolute from the current directory."""
        return self if self.is_shipped or self.is_hub else type(self)(Path(self).expanduser().resolve())

    def _is_hub_id(self) -> bool:
        return False

    def _misspelt(self) -> str:
        """`; did you mean X?` where something shipped has a name near this one, and this is no path."""
        is_path = "/" in self or "\\" in self or Path(self).suffix
        return "" if is_path else nearest(str(self), self._shipped())


class Dataset(Source):
    """A data set by name: a shipped one, a local file or folder, or a Hub id `organisation/name[:config][@revision]`.

    The names of data sets on the Hub have an organisation, so that a bare name is a misspelt shipped one; those from
    before organisations are known by their configuration (`glue:sst2`).
    """

    def _check(self) -> None:
        exists = self.strip() and Path(self).expanduser().exists()
        if not (self.is_shipped or exists or self._is_hub_id()):
            raise ValueError(
                f"is neither a data set that comes with the workbench ({', '.join(self._shipped())}), "
                f"nor a Hub id (organisation/name), nor an existing file or folder{self._misspelt()}"
            )

    def _shipped(self) -> tuple[str, ...]:
        return content.shipped_datasets()

    def _is_hub_id(self) -> bool:
        return content.is_hub_dataset(str(self))

    def _fingerprint(self) -> str:
        return content.dataset_fingerprint(str(self))

    def prepare(self, progress: content.Progress) -> None:
        """Build a shipped data set, or download one of the Hub."""
        if self.is_shipped or self.is_hub:
            content.prepare_dataset(str(self), progress)


class Model(Source):
    """A model by name: a shipped one, a local folder, or a Hub id `organisation/name[@revision]`.

    The oldest models on the Hub have bare names (`bert-base-uncased`), and no others do, so that every other bare name
    is refused at once as a likely misspelling.
    """

    def _check(self) -> None:
        try:
            content.checkpoints().check_name(str(self))
        except ValueError as error:
            raise ValueError(str(error).removeprefix(self).lstrip(": ")) from None  # the report says the value

    def _shipped(self) -> tuple[str, ...]:
        return content.checkpoints().shipped()

    def _is_hub_id(self) -> bool:
        return content.checkpoints().hub_id(str(self)) is not None

    def _fingerprint(self) -> str:
        return content.checkpoints().fingerprint(str(self))

    def prepare(self, progress: content.Progress) -> None:
        """Download a model of the Hub."""
        if self.is_hub:
            content.checkpoints().resolve(str(self), progress=progress)


class Predictions(Source):
    """What models answered: the name of a recorded result that has predictions, a `*.parquet` file, or a folder.

    The folder holds such files, or is that of a run and has them in its `predictions/`.
    """

    def _check(self) -> None:
        if self.files():
            return
        if self.strip() and self.path.exists():
            raise ValueError(f"{'holds' if self.path.is_dir() else 'is'} no predictions (*.parquet)")
        raise ValueError(
            f"is neither a recorded result with predictions ({', '.join(self._shipped()) or 'there is none yet'}), "
            f"nor an existing file or folder{self._misspelt()}"
        )

    def _shipped(self) -> dict[str, Path]:
        """The predictions of recorded results, by name: in this checkout, or else in that of this very library.

        A kernel that plain Papermill has started may stand in any folder.
        """
        try:
            return find_project(Path.cwd(), Path(__file__)).recorded_predictions()
        except RequestError:
            return {}

    @property
    def path(self) -> Path:
        """The file, or the folder of files, to read."""
        if self.is_shipped:
            return self._shipped()[self]
        path = Path(self).expanduser().absolute()
        return path / "predictions" if (path / "predictions").is_dir() else path

    def files(self) -> list[Path]:
        """The files to read, sorted; none where there are no predictions."""
        path = self.path
        if path.is_dir():
            return sorted(file for file in path.glob("*.parquet") if file.is_file())
        return [path] if path.suffix == ".parquet" and path.is_file() else []

    def _fingerprint(self) -> str:
        try:
            self._check()
        except ValueError as error:
            raise ValueError(f"{self} {error}") from None
        digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files()}
        if len(digests) == 1:
            return next(iter(digests.values()))
        return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in digests.items()).encode()).hexdigest()


def named_sources(values: dict[str, Any]) -> dict[str, Source]:
    """The data sets, models and predictions among a chapter's values, by parameter.

    Those of a list have their place behind the name.
    """
    sources: dict[str, Source] = {}
    for name, value in values.items():
        if isinstance(value, list):
            sources |= {f"{name}[{place}]": item for place, item in enumerate(value) if isinstance(item, Source)}
        elif isinstance(value, Source):
            sources[name] = value
    return sources


def resolved(value: Any) -> Any:
    """A parameter's value with the local paths in it made absolute from the current directory."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    return value.resolved() if isinstance(value, Source) else value


_ALIASES = {"Count": Count, "Fraction": Fraction, "Rate": Rate, "Seed": Seed, "Literal": Literal}
_CLASSES = (Dataset, Model, Predictions, bool, str, int, float, list)
VOCABULARY: dict[str, Any] = _ALIASES | {each.__name__: each for each in _CLASSES}
"""Every name that an annotation in a parameters cell may use."""


@cache
def _adapter(annotation: Any) -> TypeAdapter:
    """What Pydantic makes of a type, once: a sweep has a hundred thousand values of few types."""
    return TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))


def coerce(annotation: Any, value: Any) -> Any:
    """The value as its declared type has it.

    Text is read as the declared type (`"1e-3"` is a `Rate`, `"false"` a `bool`, `"1,2,3"` a `list[Count]`), because
    that is what a command line has; anything else must already be of the type's kind. What JSON or Parquet cannot hold
    is refused: numbers that are not finite, whole ones beyond 64 bits, text that is no UTF-8.

    Raises:
        ValueError: with a message that names the value and says what was expected, such as `-1 is not at least 1`.
    """
    if get_origin(annotation) is list and isinstance(value, str):
        inside = value.strip().removeprefix("[").removesuffix("]")
        value = [] if value.strip() == "[]" else [item.strip() for item in inside.split(",")]
    elif get_origin(annotation) is Literal:
        value = next((choice for choice in get_args(annotation) if str(choice) == value), value)
    has_text = any(isinstance(item, str) for item in (value if isinstance(value, list) else [value]))
    try:
        result = _adapter(annotation).validate_python(value, strict=not has_text)
    except ValidationError as error:
        raise ValueError(_sentence(error.errors(include_url=False)[0])) from None
    if not isinstance(result, list):
        _refuse_unwritable(value, result, "")
    else:
        for place, (written, item) in enumerate(zip(value, result, strict=True)):
            _refuse_unwritable(written, item, f" (item {place + 1})")
    return result


def _refuse_unwritable(written: Any, value: Any, position: str) -> None:
    """Raise a ValueError for a value that cannot be kept, or that Pydantic has read where people do not."""
    problem = None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            problem = "is not UTF-8 text"
    elif isinstance(value, int) and value.bit_length() > 63:
        problem = _SENTENCES["int_parsing_size"]
    elif isinstance(written, str) and "_" in written:  # 1_0 is 10 to Python
        problem = _SENTENCES[type(value).__name__]
    if problem:
        raise ValueError(f"{shown(written)}{position} {problem}")


def plain(value: Any) -> Any:
    """A parameter's value as JSON has it (a `Source` is text)."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


_SENTENCES = {
    "greater_than_equal": "is not at least {ge}",
    "greater_than": "is not above {gt}",
    "less_than_equal": "is not at most {le}",
    "less_than": "is not below {lt}",
    "int_parsing_size": "is too large",
    "finite_number": "is not a finite number",
    # Whatever else is wrong with a value of this type
    "int": "is not a whole number",
    "float": "is not a number",
    "bool": "is not true or false",
    "string": "is not text (with papermill, `-r` passes a value as text)",
    "list": "is not a list",
}


def _sentence(error: dict[str, Any]) -> str:
    """One plain sentence for the first thing that is wrong according to Pydantic."""
    context, value = error.get("ctx", {}), error["input"]
    kind = error["type"] if error["type"] in _SENTENCES else error["type"].partition("_")[0]
    if error["type"] == "literal_error":
        said = "is not one of " + re.sub(r"'", "", context["expected"]).replace(" or ", ", ")
    elif error["type"] == "value_error":
        said = str(context["error"])
    elif kind in _SENTENCES:
        said = _SENTENCES[kind].format(**{name: _neat(bound) for name, bound in context.items()})
    else:
        said = error["msg"]
    position = next((f" (item {place + 1})" for place in error["loc"] if isinstance(place, int)), "")
    return f"{shown(str(value).lower() if isinstance(value, bool) else value)}{position} {said}"


def _neat(bound: Any) -> Any:
    """A bound as people write it: 0, not 0.0."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound
