"""What pages call metrics and parameters: words in place of the names that code and the command line use."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.yaml_files import read_mapping
from workbench.sweeps.summary import Summary

METRICS = "metrics.yml"


def metric_labels(project: Project, chapter: str) -> Callable[[str], str]:
    """The label of each metric of a chapter, by `book/metrics.yml`; one without a line there keeps its name.

    Raises:
        RequestError: for a file that cannot be read or is something else than labels by chapter.
    """
    path = project.root / "book" / METRICS
    lines = read_mapping(path).get(chapter, {}) if path.exists() else {}
    if not isinstance(lines, dict) or not all(isinstance(label, str) for label in lines.values()):
        raise RequestError(f"{path}: {chapter}: expected lines of `metric: label`")
    patterns = [(re.compile(re.escape(name).replace(r"\*", "(.+)")), label) for name, label in lines.items()]

    def label_of(name: str) -> str:
        for pattern, label in patterns:
            if fits := pattern.fullmatch(name):
                return label.replace("*", words_of(fits[1])) if fits.re.groups else label
        return name

    return label_of


def words_of(name: str) -> str:
    """A name of code as a reader would say it: `few_labels` as "few labels", `0_1` as "0.1"; a symbol, `d_k`, stays."""
    if re.search(r"(?:^|_)[a-z](?:_|$)", name):
        return name
    return re.sub(r"(?<=\d)_(?=\d)", ".", name).replace("_", " ")


def labelled(means: Sequence[Summary], label_of: Callable[[str], str]) -> list[Summary]:
    """Summaries whose metrics, parameters and lists of values are in words."""
    return [
        replace(
            each,
            metric=label_of(each.metric),
            setting={words_of(name): _said(value) for name, value in each.setting.items()},
        )
        for each in means
    ]


def _said(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
