"""YAML and JSON files that users name: values, points, editions, the table of contents.

Whatever is in one, reading takes about a second and little memory: the file is a regular one of bounded size, and its
values and levels are counted before anything is made of them.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from workbench.core.errors import RequestError
from workbench.core.files import Unfit, read_within
from workbench.core.text import shown
from workbench.parameters.contract import LARGEST

_MOST_NODES = 100_000  # values and names in a file, counting those behind an alias each time that it stands there
_MOST_LEVELS = 50  # of lists and mappings inside each other
_NULLS = {"~", "null", "Null", "NULL"}


class _TextLoader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):
    """YAML whose scalars stay text, so that a value means the same in a file and on the command line.

    YAML 1.1 alone would read `1e-3` as text, `007` as 7 and `no` as false; here the declared type decides.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose names are all different."""
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if repeated := [name for name, count in names.items() if count > 1]:
            raise RequestError(f"{shown(repeated[0])} is given twice")
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """The text of a scalar, which may not be the null that has no text."""
        if node.value in _NULLS and not node.style:
            where = f"{node.value} in line {node.start_mark.line + 1}"
            raise RequestError(f"{where} is no value; leave it out for the default, or put it in quotes as a text")
        return super().construct_scalar(node)


def read_mapping(path: Path, loader: type = _TextLoader) -> dict[str, Any]:
    """A YAML (or JSON) file of `name: value` lines, with every scalar as text unless the `loader` is another one.

    Raises:
        RequestError: for a file that is missing, unreadable, malformed or something else than a mapping.
    """
    content = read_yaml(path, loader)
    if not isinstance(content, dict):
        raise RequestError(f"{path}: expected lines of `name: value`")
    return content


def read_yaml(path: Path, loader: type = _TextLoader) -> Any:
    """What a YAML (or JSON) file holds, with every scalar as text unless the `loader` is another one.

    Raises:
        RequestError: for a file that is missing, unreadable, too large, malformed or empty.
    """
    try:
        text = read_within(path, LARGEST).decode()
        _refuse_excess(text)
        content = yaml.load(text, loader)
    except FileNotFoundError:
        raise RequestError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: it cannot be read: it is not UTF-8 text") from None
    except Unfit as problem:
        raise RequestError(f"{path}: it {problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError for a date that there is not
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise RequestError(f"{path}: the file is not YAML{line}") from None
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from None
    if content in (None, ""):
        raise RequestError(f"{path}: the file is empty")
    return content


def _refuse_excess(text: str) -> None:
    """Refuse YAML of too many values or levels: nothing is built, and what aliases repeat is counted and not repeated.

    An alias counts as all that its anchor holds; one inside its own anchor would be endless.
    """
    sizes: dict[str, float] = {}
    open_nodes: list[tuple[str | None, float]] = []  # the anchors of what is open, and what was counted before each
    count = 0.0
    for event in yaml.parse(text, _TextLoader):
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            sizes[event.anchor] = math.inf
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes[anchor] = count - before
        if len(open_nodes) > _MOST_LEVELS:
            raise Unfit(f"is nested more than {_MOST_LEVELS} levels deep")
        if count > _MOST_NODES:
            raise Unfit(f"holds more than {_MOST_NODES:,} values")
