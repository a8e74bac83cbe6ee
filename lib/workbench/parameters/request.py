"""A user's request: `-p name=value` options and `-f` files, as text that the contract will judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from workbench.core.errors import RequestError
from workbench.core.text import shown


class _TextLoader(yaml.BaseLoader):
    """YAML whose scalars stay text, so that a value means the same in a file and on the command line.

    YAML 1.1 alone would read `1e-3` as text, `007` as 7 and `no` as false; here the declared type decides.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose names are all different."""
        names = [key.value for key, _ in node.value]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise RequestError(f"{repeated[0]} is given twice")
        return super().construct_mapping(node, deep=deep)


def given_parameters(options: list[str], files: list[Path]) -> dict[str, Any]:
    """The parameters of a request, name to text or list of texts.

    A `-p` option wins over a file, and a later file over an earlier one.

    Raises:
        RequestError: for an option that is not `name=value`, a name given twice, or a file that cannot be read.
    """
    parameters: dict[str, Any] = {}
    for file in files:
        parameters |= read_mapping(file)
    return parameters | named_once("-p", options, "a parameter is given as name=value")


def named_once(flag: str, options: list[str], form: str) -> dict[str, str]:
    """The texts of a repeated `name=text` option, by name.

    Raises:
        RequestError: for one without `=` or a name, which `form` says how to write, or for a name given twice.
    """
    named: dict[str, str] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not equals or not name:
            raise RequestError(f"{flag} {shown(option)}: {form}")
        if name in named:
            raise RequestError(f"{flag} {name} is given twice")
        named[name] = text
    return named


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML (or JSON) file of `name: value` lines, with every scalar as text.

    Raises:
        RequestError: for a file that is missing, unreadable, malformed or something else than a mapping.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise RequestError(f"{path}: expected lines of `name: value`")
    return content


def read_yaml(path: Path) -> Any:
    """What a YAML (or JSON) file holds, with every scalar as text.

    Raises:
        RequestError: for a file that is missing, unreadable, malformed or empty.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _TextLoader)
    except FileNotFoundError:
        raise RequestError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise RequestError(f"{path}: the file cannot be read: {reason}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise RequestError(f"{path}: the file is not YAML{line}") from None
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from None
    if content in (None, ""):
        raise RequestError(f"{path}: the file is empty")
    return content
