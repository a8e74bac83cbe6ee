"""A user's request: `-p name=value` options and `-f` files, as text that the contract will judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.text import shown

NAME_VALUE = "a parameter is given as name=value"


def given_parameters(options: list[str], files: list[Path]) -> dict[str, Any]:
    """The parameters of a request, name to text or list of texts.

    A `-p` option wins over a file, and a later file over an earlier one.

    Raises:
        RequestError: for an option that is not `name=value`, a name given twice, or a file that cannot be read.
    """
    from workbench.parameters.yaml_files import read_mapping  # here, so that a command line starts without YAML

    parameters: dict[str, Any] = {}
    for file in files:
        parameters |= read_mapping(file)
    return parameters | named_once("-p", options, NAME_VALUE)


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
