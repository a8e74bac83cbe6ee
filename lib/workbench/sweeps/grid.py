"""The points of a sweep: from what a user writes to checked, different sets of parameters.

    learning_rate=1e-4,5e-4     values, separated by commas
    seed=0:5   size=0:10:2      a range of numbers, which ends before its second one as Python's do
    rate=1e-5..1e-3             anything between the two, for random points only
    depths=[1,2],[3]            values of a list

Grids multiply with each other and with the points of a file. Every value of every point is checked against the
chapter's contract, and all mistakes are said at once.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from workbench.core.errors import RequestError
from workbench.core.text import shown
from workbench.parameters.contract import Contract
from workbench.parameters.request import given_parameters, named_once
from workbench.parameters.types import plain

MOST = 100_000
"""The most points in one sweep; more are a mistake."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_BETWEEN = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")

Rows = list[dict[str, Any]]
"""Points of which some parameters are known."""


@dataclass(frozen=True)
class Point:
    """One set of parameters: those that the request names, and all of them with the defaults, both as JSON has them."""

    given: dict[str, Any]
    values: dict[str, Any]


@dataclass(frozen=True)
class Points:
    """The different points of a sweep, the names that vary between them, and how many duplicates were left out."""

    points: list[Point]
    varied: tuple[str, ...]
    dropped: int


@dataclass(frozen=True)
class _Between:
    """A continuous range to draw from: evenly in the logarithm where its ends are a factor of ten or more apart."""

    low: float
    high: float
    whole: bool

    def text(self, value: float, digits: int) -> str:
        """A number with so many significant digits, or a whole one."""
        return str(round(value)) if self.whole else f"{value:.{digits}g}"

    def draw(self, generator: random.Random) -> str:
        """A number as text."""
        if self.low > 0 and self.high >= 10 * self.low:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        return self.text(min(max(value, self.low), self.high), 4)


class _Values:
    """The values of parameters as JSON has them, each checked once: ten thousand points have few different values.

    Mistakes are kept, so that all are said at once, and each once however many points have it.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._known: dict[tuple[str, str], Any] = {}
        self._mistakes: dict[str, None] = {}

    def of(self, name: str, value: Any) -> Any:
        """A parameter's value from what the request says; None, and a mistake, where it does not fit."""
        place = name, repr(value)
        if place not in self._known:
            parameter = self.contract.parameters.get(name)
            alone = replace(self.contract, parameters={name: parameter}) if parameter else self.contract
            self._known[place] = None
            with self.noted():
                self._known[place] = plain(alone.resolve({name: value})[name])
        return self._known[place]

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Keep the sentences of a refusal."""
        try:
            yield
        except RequestError as refused:
            self._mistakes |= dict.fromkeys(refused.sentences)

    def refuse(self) -> None:
        """Raise a RequestError with a sentence for each mistake, if there is any."""
        if self._mistakes:
            raise RequestError(*self._mistakes)


def points_of(
    contract: Contract,
    grids: list[str],
    options: list[str],
    files: list[Path],
    *,
    sample: int | None = None,
    seed: int = 0,
) -> Points:
    """The points of a request, in the order of its grids, the last one varying fastest.

    Args:
        contract: the chapter's.
        grids: `name=values` each, as described above.
        options: `name=value` each, the same for every point.
        files: YAML files: a list of `name: value` mappings is points, one mapping is the same for every point.
        sample: how many points to draw without replacement; None takes all.
        seed: of the draw.

    Raises:
        RequestError: one sentence for each mistake.
    """
    lists, fixed = _read(files)
    fixed |= given_parameters(options, [])
    texts = named_once("-g", grids, "a grid is given as name=value,value")
    values, base = _Values(contract), {}
    with values.noted():
        base = {name: plain(value) for name, value in contract.resolve(fixed).items()}
    discrete, between = _axes(values, texts, lists, fixed, sample is not None)
    generator = random.Random(seed)
    places = _places(math.prod(map(len, discrete)), sample, bool(between), generator)
    points: dict[str, Point] = {}
    for place in places:
        row = _decoded(discrete, place)
        row |= {name: values.of(name, axis.draw(generator)) for name, axis in between.items()}
        whole = base | row
        given = {name: value for name, value in whole.items() if name in row or name in fixed}
        points.setdefault(json.dumps(whole), Point(given, whole))
    values.refuse()
    different = list(points.values())
    named = dict.fromkeys([*texts, *(name for rows in lists for row in rows for name in row)])
    varied = tuple(name for name in named if len({repr(point.values[name]) for point in different}) > 1)
    return Points(different, varied, len(places) - len(different))


def _axes(
    values: _Values, texts: dict[str, str], lists: list[Rows], fixed: dict[str, Any], drawn: bool
) -> tuple[list[Rows], dict[str, _Between]]:
    """What is multiplied, and what is drawn from; a RequestError says all mistakes."""
    axes: dict[str, list[str] | _Between] = {}
    for name, text in texts.items():
        with values.noted():
            axes[name] = _axis(values.contract, name, text, drawn)
    sources = [set(fixed), set(axes), *(set().union(*rows) for rows in lists)]
    times = Counter(name for source in sources for name in source)
    with values.noted():
        if twice := sorted(name for name, count in times.items() if count > 1):
            raise RequestError(*(f"{name} is given both for all points and point by point" for name in twice))
    between = {name: axis for name, axis in axes.items() if isinstance(axis, _Between)}
    for name, axis in between.items():
        for end in (axis.low, axis.high):
            values.of(name, axis.text(end, 15))
    rows = [*lists, *([{name: value} for value in axis] for name, axis in axes.items() if name not in between)]
    if not drawn:
        _refuse_too_many(math.prod(map(len, rows)))  # before each of their values is looked at
    discrete = [[{name: values.of(name, value) for name, value in row.items()} for row in axis] for axis in rows]
    values.refuse()
    return discrete, between


def _read(files: list[Path]) -> tuple[list[Rows], dict[str, Any]]:
    """The lists of points in these files, and the parameters that one mapping of a file gives to all points."""
    from workbench.parameters.yaml_files import read_yaml  # here, so that a command line starts without YAML

    lists, fixed = [], {}
    for file in files:
        content = read_yaml(file)
        if isinstance(content, dict):
            fixed |= content
        elif content and isinstance(content, list) and all(isinstance(row, dict) and row for row in content):
            lists.append(content)
        else:
            raise RequestError(f"{file}: expected a list of points, each of them lines of `name: value`")
    return lists, fixed


def _axis(contract: Contract, name: str, text: str, drawn: bool) -> list[str] | _Between:
    """The values of a grid."""
    if name not in contract.parameters:
        contract.resolve({name: text})  # says which name is near
    annotation = contract.parameters[name].annotation
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if kind not in (int, float):
        return _split(text)
    if match := _BETWEEN.fullmatch(text.strip()):
        low, high = map(float, match.groups())
        if not drawn:
            raise RequestError(f"{name}: {text} is everything between two numbers, which only --random can draw from")
        if not low < high < math.inf:
            raise RequestError(f"{name}: {text} is not a range from a number to a larger one")
        return _Between(low, high, whole=kind is int)
    values: list[str] = []
    for item in _split(text):
        match = _RANGE.fullmatch(item)
        values += _range(name, item, *match.groups()) if match else [item]
    return values


def _split(text: str) -> list[str]:
    """The items between commas that stand outside of brackets and quotation marks; the marks are taken off."""
    items = [item.strip() for item in re.findall(r"""((?:\[[^\]]*\]|"[^"]*"|'[^']*'|[^,])*)(?:,|$)""", text)]
    items = items[:-1] if len(items) > 1 and not text.rstrip().endswith(",") else items
    return [item[1:-1] if len(item) > 1 and item[0] == item[-1] and item[0] in "\"'" else item for item in items]


def _range(name: str, text: str, start: str, stop: str, step: str | None) -> list[str]:
    """The numbers from `start` to just before `stop`, exact in decimals."""
    try:
        first, last, by = Decimal(start), Decimal(stop), Decimal(step or 1)
        length = (last - first) / by if by else Decimal("NaN")
    except DecimalException:
        length = Decimal("Infinity")
    if length.is_nan():
        raise RequestError(f"{name}: {text} steps by 0")
    if length <= 0:
        raise RequestError(f"{name}: {text} is empty")
    if length > MOST:
        raise RequestError(f"{name}: {shown(text)} has too many values; {MOST:,} points are the most in one sweep")
    return [str(first + place * by) for place in range(math.ceil(length))]


def _places(size: int, sample: int | None, repeated: bool, generator: random.Random) -> list[int] | range:
    """The points to take of `size` discrete ones: all, or a sample, in which one may be `repeated`."""
    if sample is None:
        return range(size)
    _refuse_too_many(sample)
    if repeated:
        return [generator.randrange(size) for _ in range(sample)]
    if sample > size:
        raise RequestError(f"--random {sample}: the grid has only {size:,} points")
    return generator.sample(range(size), sample)


def _refuse_too_many(points: int) -> None:
    if points > MOST:
        raise RequestError(
            f"these are {points:,} points, and {MOST:,} are the most in one sweep; --random N draws some"
        )


def _decoded(axes: list[Rows], place: int) -> dict[str, Any]:
    """The point at a place of the product of these axes, the last of which varies fastest."""
    chosen = []
    for axis in reversed(axes):
        place, digit = divmod(place, len(axis))
        chosen.append(axis[digit])
    return {name: value for part in reversed(chosen) for name, value in part.items()}
