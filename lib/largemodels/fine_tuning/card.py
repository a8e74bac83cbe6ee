"""The card of a fine-tuned classifier, as the Hub shows one: what it is for, what it learnt from, how good it is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.repocard import metadata_load

from largemodels.base.files import check_readable, is_here
from largemodels.data import sources
from largemodels.data.tasks import Task
from largemodels.models import checkpoints

_LARGEST_CARD = 4 * 2**20  # bytes
_STUDIED = ("small_rate", "rates", "sizes", "parts", "last_layers", "rank", "scratch", "checkpoints")
_ROLES = {"words": "counting words", "scratch": "the same network from random weights"}


def model_card(
    start: str, task: Task, drawn: pd.DataFrame, table: pd.DataFrame, judged: int, parameters: Mapping[str, Any]
) -> str:
    """The card in Markdown, with the Hub's metadata in front; it names no folder of this machine.

    Args:
        start: the model that the training began with.
        task: the data.
        drawn: the examples that were learnt from.
        table: of `trials.trial_table`, with the classifier in the first row and the baselines below it.
        judged: the examples that the table counts.
        parameters: of the chapter.
    """
    first, split = table.iloc[0], task.evaluation_split
    model, data = public_name(start), public_name(task.name)
    splits = "; ".join(f"{split} {task.description[split]}" for split in task.frames)
    parts = [
        f"---\n{_metadata(start, task, float(first['accuracy']))}\n---\n",
        f"# {model}, fine-tuned on {data}\n",
        f"A text classifier that answers with one of {len(task.labels)} classes: {_listed(task.labels)}. It is {model}"
        " with all of its weights fine-tuned by the fine-tuning chapter of the Large Model Workbench.\n",
        "## What it learnt from\n",
        f"{data}: {splits}. {len(drawn):,} training rows were drawn. Rows by class:\n",
        _table(["class", "learnt from", *task.counts.columns], _counts(task, drawn)),
        f"## How good it is\n\nOn {judged:,} rows of the {split} split:\n",
        _table(
            ["", "right", "accuracy", "95% interval", "this one is ahead by (95% interval)"], _results(table, judged)
        ),
        "Intervals of an accuracy are Wilson's; those of a difference come from a paired bootstrap. They cover the draw"
        " of the rows that it was judged on, and not that of the labels and weights.\n",
        "## The command that makes it\n",
        f"```bash\n{command(parameters)}\n```\n",
        "## What it must not be used for\n",
        "- Texts of another kind, language or time than those it learnt from: nothing was measured on them.\n"
        "- Texts that may belong to none of its classes: it answers with one of them all the same.\n"
        "- Decisions about people in which nobody looks at its errors.\n"
        "- Decisions that take its probabilities literally: they were not calibrated.\n",
        f"## Licence\n\n{_licence(start)} The data may set conditions of their own.\n",
    ]
    return "\n".join(parts)


def public_name(name: str) -> str:
    """A model or data set as others may know it: a name or an id as it is, and of a local path the last part."""
    return Path(name).expanduser().resolve().name if is_here(name) else str(name)


def command(parameters: Mapping[str, Any]) -> str:
    """The command line that trains the same classifier: every parameter that it depends on, without the studies."""
    chosen = {name: value for name, value in parameters.items() if name not in _STUDIED and value != ""}
    chosen |= {"studies": False, "save": True}
    words = [f"-p {shlex.quote(f'{name}={_as_option(value)}')}" for name, value in chosen.items()]
    lines = [" ".join(words[place : place + 2]) for place in range(0, len(words), 2)]
    return " \\\n  ".join(["workbench run fine-tuning", *lines])


def _as_option(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return public_name(value) if isinstance(value, str) else str(value)


def _metadata(start: str, task: Task, accuracy: float) -> str:
    """The block that the Hub reads."""
    on_hub, data_on_hub = checkpoints.hub_id(start), sources.hub_id(task.name)
    data = data_on_hub.repository if data_on_hub else public_name(task.name)
    result = EvalResult(
        task_type="text-classification",
        dataset_type=data,
        dataset_name=data,
        dataset_split=task.evaluation_split,
        metric_type="accuracy",
        metric_value=round(accuracy, 4),
    )
    return ModelCardData(
        model_name=f"{public_name(start)}, fine-tuned on {public_name(task.name)}",
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=on_hub.repository if on_hub else None,
        datasets=[data] if data_on_hub else None,
        eval_results=[result],
    ).to_yaml()


def _counts(task: Task, drawn: pd.DataFrame) -> list[list[str]]:
    learnt = drawn["label"].value_counts()
    return [
        [label, f"{learnt.get(place, 0):,}", *(f"{count:,}" for count in task.counts.iloc[place])]
        for place, label in enumerate(task.labels)
    ]


def _results(table: pd.DataFrame, judged: int) -> list[list[str]]:
    rows = []
    for place, row in enumerate(table.itertuples()):
        gain = (0 - end for end in (row.difference, row.difference_high, row.difference_low))
        ahead = "{:+.3f} ({:+.3f} to {:+.3f})".format(*gain) if place else ""
        interval = f"{row.low:.3f} to {row.high:.3f}"
        name = _ROLES.get(row.setting, row.setting) if place else "this classifier"
        rows.append([name, f"{row.right}/{judged}", f"{row.accuracy:.3f}", interval, ahead])
    return rows


def _licence(start: str) -> str:
    """A sentence on the licence of the model that the training began with."""
    readme, name = checkpoints.resolve(start).folder / "README.md", public_name(start)
    licence = None
    with suppress(Exception):  # a card is text of others, and need not hold any metadata
        check_readable(readme, "card", _LARGEST_CARD)
        licence = (metadata_load(readme) or {}).get("license")
    if isinstance(licence, str):
        return f"The model that it began with, {name}, is under the licence `{licence}`."
    if on_hub := checkpoints.hub_id(start):
        return f"That of the model that it began with is stated at https://huggingface.co/{on_hub.repository}."
    return f"That of the model that it began with, {name}, is not known here."


def _listed(labels: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(f"`{_in_a_cell(label)}`" for label in labels[:most])
    return shown + (f" and {len(labels) - most} more" if len(labels) > most else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_in_a_cell, line))} |" for line in lines) + "\n"


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")
