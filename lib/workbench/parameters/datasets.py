"""Local data sets of a request, read as the chapter will read them, so that a kernel starts only where they are right.

How a chapter reads a data set shows in the default of its parameter: a task where that is a shipped task, and text
where it is a shipped corpus. What is on the Hub, or is large, is left to the chapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from workbench.core.errors import RequestError
from workbench.parameters import content
from workbench.parameters.contract import Contract
from workbench.parameters.types import Dataset, named_sources, plain

LARGEST = 2**25
"""Bytes of a data set that are read here, which takes about a second."""


def check_datasets(contract: Contract, values: Mapping[str, Any], fingerprints: Mapping[str, str]) -> None:
    """Refuse local data sets that the chapter could not load.

    Args:
        contract: of the chapter.
        values: all its parameters.
        fingerprints: of the data sets, by parameter. Data that were in order are not read a second time.

    Raises:
        RequestError: a sentence for each of them.
    """
    mistakes = []
    columns = {option: plain(values[option]) for option in content.COLUMN_OPTIONS if values.get(option)}
    for label, source in named_sources(dict(values)).items():
        parameter = label.partition("[")[0]
        if not isinstance(source, Dataset) or source.is_shipped or source.is_hub:
            continue
        default = contract.parameters[parameter].default
        try:
            for usual in default if isinstance(default, list) else [default]:
                _check(str(source), str(usual), tuple(columns.items()), fingerprints.get(label, ""))
        except ValueError as error:
            mistakes.append(f"{parameter}: {error}")
    if mistakes:
        raise RequestError(*mistakes)


def data_parameters(contract: Contract) -> list[str]:
    """The parameters that decide which data a chapter reads; none where it reads no data set."""
    datasets = [name for name, parameter in contract.parameters.items() if Dataset.__name__ in parameter.type_text]
    return datasets and [*datasets, *(option for option in content.COLUMN_OPTIONS if option in contract.parameters)]


@cache
def _check(name: str, default: str, columns: tuple[tuple[str, str], ...], fingerprint: str) -> None:
    """Read a data set in the place of the default, once for each of its fingerprints."""
    if default in content.shipped_datasets() and content.dataset_size(name) <= LARGEST:
        content.check_dataset(name, default, dict(columns))
