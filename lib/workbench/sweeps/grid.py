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
import itertools
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from workbench.core.errors import RequestError
from workbench.parameters.contract import Contract
from workbench.parameters.request import given_parameters, named_once, read_yaml
from workbench.parameters.types import plain

MOST = 100_000
"""The most points in one sweep; more are a mistake."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_BETWEEN = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


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

    @property
    def ends(self) -> list[str]:
        """The two ends as text, whole where the parameter is."""
        return [str(round(end)) if self.whole else f"{end:.15g}" for end in (self.low, self.high)]

    def draw(self, generator: random.Random) -> str:
        """A number as text, with four significant digits, or a whole one."""
        if self.low > 0 and self.high >= 10 * self.low:
            value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = generator.uniform(self.low, self.high)
        value = min(max(value, self.low), self.high)
        return str(round(value)) if self.whole else f"{value:.4g}"


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
    base, axes = _checked(contract, grids, fixed, lists, sample is not None)
    rows = list(_rows(axes, lists, sample, random.Random(seed)))
    resolve = _resolver(contract)
    points: dict[str, Point] = {}
    for row in rows:
        values = base | {name: resolve(name, value) for name, value in row.items()}
        values = {name: plain(values[name]) for name in contract.parameters}
        given = {name: values[name] for name in contract.parameters if name in row or name in fixed}
        points.setdefault(json.dumps(values), Point(given, values))
    different = list(points.values())
    named = [*axes, *(name for content in lists for row in content for name in row)]
    varied = tuple(name for name in dict.fromkeys(named) if _differs(name, different))
    return Points(different, varied, len(rows) - len(different))


def _checked(
    contract: Contract, grids: list[str], fixed: dict[str, Any], lists: list[list[dict[str, Any]]], drawn: bool
) -> tuple[dict[str, Any], dict[str, list[str] | _Between]]:
    """The parameters that are the same for every point, with the defaults, and the values of each grid.

    Raises:
        RequestError: one sentence for each mistake.
    """
    base: dict[str, Any] = {}
    axes: dict[str, list[str] | _Between] = {}
    mistakes: dict[str, None] = {}
    with _noted(mistakes):
        base = contract.resolve(fixed)
    for name, text in named_once("-g", grids, "a grid is given as name=value,value").items():
        with _noted(mistakes):
            axes[name] = _axis(contract, name, text, drawn)
    with _noted(mistakes):
        _refuse_names_given_twice(fixed, axes, lists)
    with _noted(mistakes):
        _refuse_values(contract, axes, lists)
    if mistakes:
        raise RequestError(*mistakes)
    return base, axes


@contextlib.contextmanager
def _noted(mistakes: dict[str, None]) -> Iterator[None]:
    """Keep the sentences of a refusal, so that those of the other parts of the request can follow."""
    try:
        yield
    except RequestError as refused:
        mistakes |= dict.fromkeys(refused.sentences)


def _read(files: list[Path]) -> tuple[list[list[dict[str, Any]]], dict[str, Any]]:
    """The lists of points in these files, and the parameters that one mapping of a file gives to all points."""
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
    kind = _kind(contract.parameters[name].annotation)
    if kind in (int, float) and (match := _BETWEEN.fullmatch(text.strip())):
        low, high = map(float, match.groups())
        if not drawn:
            raise RequestError(f"{name}: {text} is everything between two numbers, which only --random can draw from")
        if not low < high < math.inf:
            raise RequestError(f"{name}: {text} is not a range from a number to a larger one")
        return _Between(low, high, whole=kind is int)
    values: list[str] = []
    for item in _split(text):
        match = _RANGE.fullmatch(item) if kind in (int, float) else None
        values += _range(name, item, *match.groups()) if match else [item]
    return values


def _kind(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _split(text: str) -> list[str]:
    """The items between commas that stand outside of brackets and quotation marks; the marks are taken off."""
    items = [item.strip() for item in re.findall(r"""((?:\[[^\]]*\]|"[^"]*"|'[^']*'|[^,])*)(?:,|$)""", text)]
    items = items[:-1] if len(items) > 1 and not text.rstrip().endswith(",") else items
    return [item[1:-1] if len(item) > 1 and item[0] == item[-1] and item[0] in "\"'" else item for item in items]


def _range(name: str, text: str, start: str, stop: str, step: str | None) -> list[str]:
    """The numbers from `start` to just before `stop`, exact in decimals."""
    first, last, by = Decimal(start), Decimal(stop), Decimal(step or 1)
    if by == 0:
        raise RequestError(f"{name}: {text} steps by 0")
    try:
        length = (last - first) / by
    except DecimalException:
        length = Decimal("Infinity")
    if length <= 0:
        raise RequestError(f"{name}: {text} is empty")
    if length > MOST:
        raise RequestError(f"{name}: {text} has too many values; {MOST:,} points are the most in one sweep")
    return [str(first + place * by) for place in range(math.ceil(length))]


def _refuse_names_given_twice(fixed: dict[str, Any], axes: dict[str, Any], lists: list[list[dict[str, Any]]]) -> None:
    sources = [set(fixed), set(axes), *(set().union(*content) for content in lists)]
    twice = {name for one, other in itertools.combinations(sources, 2) for name in one & other}
    if twice:
        raise RequestError(*(f"{name} is given both for all points and point by point" for name in sorted(twice)))


def _refuse_values(contract: Contract, axes: dict[str, Any], lists: list[list[dict[str, Any]]]) -> None:
    """Check every different value against its type, so that a mistake is said once however many points have it.

    Raises:
        RequestError: one sentence for each value that does not fit.
    """
    named = [
        (name, value)
        for name, values in axes.items()
        for value in (values.ends if isinstance(values, _Between) else values)
    ]
    named += itertools.chain.from_iterable(row.items() for rows in lists for row in rows)
    different = {(name, repr(value)): value for name, value in named}
    resolve = _resolver(contract)
    mistakes: dict[str, None] = {}
    for (name, _), value in different.items():
        with _noted(mistakes):
            resolve(name, value)
    if mistakes:
        raise RequestError(*mistakes)


def _resolver(contract: Contract) -> Callable[[str, Any], Any]:
    """Resolve one parameter at a time and each value once: ten thousand points have few different values."""
    known: dict[tuple[str, str], Any] = {}

    def resolve(name: str, value: Any) -> Any:
        place = name, repr(value)
        if place not in known:
            parameter = contract.parameters.get(name)
            alone = replace(contract, parameters={name: parameter}) if parameter else contract
            known[place] = alone.resolve({name: value})[name]
        return known[place]

    return resolve


def _rows(
    axes: dict[str, list[str] | _Between],
    lists: list[list[dict[str, Any]]],
    sample: int | None,
    generator: random.Random,
) -> Iterator[dict[str, Any]]:
    """The points as they are written, without the fixed parameters."""
    discrete: list[list[dict[str, Any]]] = list(lists)
    discrete += [[{name: value} for value in values] for name, values in axes.items() if isinstance(values, list)]
    between = {name: values for name, values in axes.items() if isinstance(values, _Between)}
    size = math.prod(map(len, discrete))
    wanted = size if sample is None else sample
    if wanted > MOST:
        raise RequestError(
            f"these are {wanted:,} points, and {MOST:,} are the most in one sweep; --random N draws some"
        )
    if sample is None:
        places: Any = range(size)
    elif between:
        places = [generator.randrange(size) for _ in range(sample)]
    elif sample > size:
        raise RequestError(f"--random {sample}: the grid has only {size:,} points")
    else:
        places = generator.sample(range(size), sample)
    for place in places:
        row = _decoded(discrete, place)
        yield row | {name: values.draw(generator) for name, values in between.items()}


def _decoded(axes: list[list[dict[str, Any]]], place: int) -> dict[str, Any]:
    """The point at a place of the product of these axes, the last of which varies fastest."""
    chosen = []
    for axis in reversed(axes):
        place, digit = divmod(place, len(axis))
        chosen.append(axis[digit])
    return {name: value for part in reversed(chosen) for name, value in part.items()}


def _differs(name: str, points: list[Point]) -> bool:
    return any(point.values[name] != points[0].values[name] for point in points)
