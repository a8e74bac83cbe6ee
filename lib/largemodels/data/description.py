"""What was taken from a source of data, in the rows of a small table: for a chapter's page, a record and `show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from largemodels.base.errors import few
from largemodels.data.columns import Column

if TYPE_CHECKING:
    import pandas as pd

    from largemodels.data.tasks import Task

_WHAT = {"text_column": "text", "label_column": "label", "pair_column": "second text"}
_MOST = 20  # classes or files that are named


@dataclass(frozen=True)
class Reading:
    """How the data of a task were read."""

    source: str = ""  # in words, as `source_in_words` has it
    columns: dict[str, Column] = field(default_factory=dict)  # by the parameter that names one
    others: tuple[str, ...] = ()  # further columns
    origins: dict[str, str] = field(default_factory=dict)  # of each split, in words
    rows: int = 0  # that the files hold
    without_text: int = 0  # of these, left out
    left_out: dict[str, str] = field(default_factory=dict)  # splits that were not taken, with the reason
    key: str = ""  # that a JSON file has its rows under


def source_in_words(name: object, fingerprint: str, shipped: bool = False) -> str:
    """A source as anybody may read it: of a local one the file's name alone, of one on the Hub the commit too."""
    if shipped:
        return f"{name}, which comes with the workbench"
    if "@" in fingerprint:
        return f"{fingerprint} on the Hugging Face Hub"
    return f"{Path(str(name)).expanduser().resolve().name}, SHA-256 {fingerprint[:12]}…"


def describe_task(task: Task) -> dict[str, str]:
    """What was taken for text and label, and from where, the splits, the rows and the classes: each in words."""
    reading = task.reading
    rows = {"source": reading.source}
    rows |= {_WHAT[option]: str(column) for option, column in reading.columns.items()}
    if reading.others:
        rows["further columns"] = few(reading.others, _MOST)
    kept = sum(map(len, task.frames.values()))
    reasons = {"without text": reading.without_text, "for training that resemble one of a later split": task.dropped}
    out = [f"{count:,} {reason} left out" for reason, count in reasons.items() if count]
    rows["rows"] = "; ".join([f"{kept:,} taken", *out]) + (f", from the key {reading.key}" if reading.key else "")
    rows |= {
        split: f"{len(frame):,} rows, {reading.origins.get(split, 'as in the data')}"
        for split, frame in task.frames.items()
    }
    if reading.left_out:
        rows["splits left out"] = ", ".join(f"{split} ({reason})" for split, reason in reading.left_out.items())
    alike = [
        f"{each.alike:,} rows of {each.split} are (nearly) in {each.other}" for each in task.overlaps if each.alike
    ]
    rows["look-alikes"] = "; ".join(alike) or "none between the splits"
    counts = task.counts.sum(axis=1)
    rows["classes"] = f"{len(counts)}: {_counted(dict(zip(counts.index, counts.tolist(), strict=True)))}"
    return rows


def describe_corpus(sentences: pd.DataFrame) -> dict[str, str]:
    """What a corpus was read from, and how many of its sentences are in which split: each in words.

    Args:
        sentences: what `corpora.sentences` returned, or some of its rows.
    """
    read = sentences.attrs.get("reading", {})
    rows = {part: read[part] for part in ("source", "text", "rows") if part in read}
    if dropped := read.get("dropped"):
        rows["look-alikes"] = f"{dropped:,} sentences left out that resemble an earlier one"
    documents = sentences["document"].nunique()
    rows["sentences"] = f"{len(sentences):,} of {documents:,} documents"
    rows |= {
        split: f"{count:,} sentences, by a hash of the document"
        for split, count in sentences["split"].value_counts().reindex(["train", "validation", "test"]).dropna().items()
    }
    counts = sentences["library"].value_counts(sort=False)
    rows["libraries" if "numpy" in counts else "files"] = _counted(counts.to_dict())
    return {name: str(value) for name, value in rows.items()}


def describe_predictions(source: object, answers: pd.DataFrame) -> dict[str, str]:
    """Whose answers were read, to how many examples of which classes: each in words.

    Args:
        source: the name of a recorded result, or a path, of which the last name is shown.
        answers: a table as `predictions.read_predictions` returns it.
    """
    examples = answers.drop_duplicates("example")
    return {
        "source": Path(str(source)).name,
        "models": _counted(answers["model"].value_counts(sort=False).to_dict()),
        "examples": f"{len(examples):,}",
        "classes": _counted(examples["label"].value_counts(sort=False).to_dict()),
    }


def suggestions(columns: Mapping[str, Column], others: Sequence[str]) -> list[str]:
    """The `-p` options that would take another column for the text or for the label, one for each."""
    from shlex import quote

    return [f"-p {option}={quote(others[0])}" for option in columns if others]


def _counted(counts: Mapping[str, int]) -> str:
    """Names with their counts, the first of many."""
    named = [f"{name} ({int(count):,})" for name, count in counts.items()]
    more = f" … and {len(named) - _MOST} more" if len(named) > _MOST else ""
    return ", ".join(named[:_MOST]) + more
