"""A classification task by name: labelled texts, split once and for all, with the labels' names and counts.

The shipped task `pydocs-sections` asks which section of a docstring a sentence stands in; any table with a text and a
label is one too. `largemodels.data.sources` reads the files, `largemodels.data.corpora` the documentation,
`largemodels.data.columns` has the rules, and `largemodels.data.splits` completes the splits; here labels get their ids.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from largemodels.base.cache import Progress
from largemodels.base.errors import InputError, raised_as
from largemodels.base.files import is_here
from largemodels.data import corpora, sources, splits
from largemodels.data.columns import Column, task_columns
from largemodels.data.description import Reading, describe_task, source_in_words
from largemodels.data.splits import SPLITS, Overlap

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = ("pydocs-sections",)
_ANOTHER = "name another column, as in -p label_column=NAME"
_WHOLE = re.compile(r"-?[0-9]{1,4000}")  # as many digits as Python makes a number of
_MANY = 20  # so many labels, each on one row, are no classes


class TaskError(InputError):
    """A task that cannot be had: why, and what to do, in one sentence."""


@dataclass(frozen=True, repr=False)
class Task:
    """Labelled texts by split."""

    name: str  # of the task, file, folder or Hub data set, as in `load`
    # by split ("train", "validation" and, unless the data come with an evaluation split, "test") a table with
    # the columns `text`, `label` (the id, from 0) and, on pairs, `text_pair`; of files also `row`, the place of the
    # example in its file from 1, and `data_file` where there are several
    frames: dict[str, pd.DataFrame]
    labels: tuple[str, ...]  # the labels' names; a label's position is its id
    overlaps: tuple[Overlap, ...] = ()  # what the splits share, counted before anything was dropped
    dropped: int = 0  # how many training rows were dropped because a row of another split resembles them
    reading: Reading = field(default_factory=Reading)  # how the data were read

    def __repr__(self) -> str:
        return "\n".join([f"Task {self.name}", *(f"  {row}: {words}" for row, words in self.description.items())])

    @property
    def description(self) -> dict[str, str]:
        """What was taken: source, columns and why, rows, splits and where each is from, classes; in words."""
        return describe_task(self)

    @property
    def counts(self) -> pd.DataFrame:
        """The number of rows of each label (rows, by name) in each split (columns)."""
        import numpy as np
        import pandas as pd

        counted = {
            split: np.bincount(frame["label"], minlength=len(self.labels)) for split, frame in self.frames.items()
        }
        return pd.DataFrame(counted, index=list(self.labels))

    @property
    def evaluation_split(self) -> str:
        """The split to report on: "test", or "validation" where, as in GLUE, the test labels are kept secret."""
        return "test" if "test" in self.frames else "validation"


def load(
    name: str | os.PathLike[str] = "pydocs-sections",
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    pair_column: str | None = None,
    library: str | Sequence[str] | None = None,
    style: str | Sequence[str] | None = None,
    drop: bool = False,
    progress: Progress | None = None,
) -> Task:
    """A task with its splits, labels and counts.

    One table is split 80:10:10 by a hash of its texts (`corpora.split_of`), so that a text stays where it is when
    others come or go; where only validation is missing, the training rows that the hash puts there become it. Data with
    a validation split and no labelled test split, as in GLUE, stay as they are. `columns` has the other rules.

    Args:
        name: `"pydocs-sections"`, a CSV, TSV, JSON-lines or Parquet file, a folder of them or of `save_to_disk`, or a
            Hub id `organisation/name[:config][@revision]`.
        text_column: the column of the text, where names and content leave it in doubt.
        label_column: the column of the label, where they leave that in doubt.
        pair_column: the column of a second text.
        library: of `pydocs-sections`, only sentences of this library or these (keys of `corpora.LIBRARIES`).
        style: of `pydocs-sections`, only docstrings of this style or these ("numpydoc", "google", "sphinx").
        drop: whether rows that resemble a row of a later split are dropped from the earlier one (training first).
        progress: called as `progress(done, total, message)` where it takes long.

    Raises:
        TaskError: if the data are missing or cannot be read, a column has to be named, the labels are none, or dropping
            leaves a split without rows or a label without training rows.

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> rows = [(f"a {name} film, number {i}", name) for i in range(50) for name in ("good", "bad")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pd.DataFrame(rows, columns=["text", "label"]).to_csv(f"{folder}/reviews.csv", index=False)
        ...     task = load(f"{folder}/reviews.csv")
        >>> task.labels, list(task.frames)
        (('bad', 'good'), ['train', 'validation', 'test'])
    """
    columns = {"text": text_column, "label": label_column, "pair": pair_column}
    if name in SHIPPED:
        if any(columns.values()):
            raise TaskError(f"{name}: its columns are fixed; leave out text_column, label_column and pair_column")
        return _sections(str(name), library, style, progress)
    if library or style:
        raise TaskError(f"{name}: library and style choose among the sentences of {SHIPPED[0]} only")
    with raised_as(TaskError):
        task = _read(name, columns, progress)
        overlaps, shared = splits.overlaps(task.frames)
        kept = splits.without_shared(task.frames, shared, task.labels, name) if drop else task.frames
    dropped = len(task.frames["train"]) - len(kept["train"])
    return replace(task, frames=kept, overlaps=overlaps, dropped=dropped)


def check(
    name: str | os.PathLike[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    pair_column: str | None = None,
) -> None:
    """Refuse the data that `load` refuses, in little more than the time to read them: the splits are not compared."""
    if name not in SHIPPED:
        with raised_as(TaskError):
            _read(name, {"text": text_column, "label": label_column, "pair": pair_column})


def fingerprint(name: str | os.PathLike[str] = "pydocs-sections") -> str:
    """What changes when the task's data do: a hexadecimal SHA-256, or `id@commit` for a Hub id."""
    if name in SHIPPED:
        return hashlib.sha256(f"{name} {corpora.fingerprint()}".encode()).hexdigest()
    if name in corpora.SHIPPED:
        raise TaskError(f"{name} is a corpus without labels; the task made of it is {SHIPPED[0]}")
    with raised_as(TaskError):
        if sources.hub_id(name) is None and not is_here(name):
            raise TaskError(
                f"{name}: no such task; give a shipped one ({', '.join(SHIPPED)}), a file or folder of labelled texts, "
                "or a Hub id (organisation/name)"
            )
        return sources.fingerprint(name)


# The shipped task


def _sections(
    name: str, library: str | Sequence[str] | None, style: str | Sequence[str] | None, progress: Progress | None
) -> Task:
    """The sentences of the documentation with their sections; labels keep their ids in every selection."""
    with raised_as(TaskError):
        frame = corpora.sentences(progress=progress)
    frame = frame[frame["section"].isin(corpora.LABELS)]
    for column, wanted in (("library", library), ("style", style)):
        chosen, known = [wanted] if isinstance(wanted, str) else list(wanted or ()), sorted(set(frame[column]))
        if unknown := [value for value in chosen if value not in known]:
            raise TaskError(f"{name}: there is no {column} {unknown[0]}; there is {', '.join(known)}")
        frame = frame[frame[column].isin(known if wanted is None else chosen)]
    if frame["section"].nunique() < 2:
        raise TaskError(f"{name}: in this selection fewer than two sections have sentences; choose a larger one")
    ids = {label: place for place, label in enumerate(corpora.LABELS)}
    table = frame.assign(text=frame["sentence"], label=frame["section"].map(ids).astype("int64"))
    kept = table[["text", "label", "library", "style", "document", "split"]]
    frames = {split: kept[kept["split"] == split].drop(columns="split").reset_index(drop=True) for split in SPLITS}
    # The corpus holds no two look-alikes, so its splits share nothing.
    overlaps = tuple(Overlap(first, second, 0, 0) for first, second in combinations(SPLITS, 2))
    columns = {"text_column": Column("sentence", "fixed"), "label_column": Column("section", "fixed")}
    origins = dict.fromkeys(frames, "by a hash of the document")
    reading = Reading(source_in_words(name, "", shipped=True), columns, origins=origins, rows=len(kept))
    return Task(name, frames, corpora.LABELS, overlaps, 0, reading)


# Tables


def _read(name: str | os.PathLike[str], columns: dict[str, str | None], progress: Progress | None = None) -> Task:
    """The task of files, its splits complete and not compared; `columns` are the names of text, label and pair."""
    data = fingerprint(name)
    parts, further = splits.known_parts(sources.by_class(sources.read(name, progress), name), name)
    training = next((part for part in parts if part.split == "train"), parts[0])
    taken = task_columns(training.frame, columns["text"], columns["label"], columns["pair"], name)
    frames, labels, secret = _labelled(parts, {option: column.name for option, column in taken.items()}, name)
    splits.check_splits(frames, labels, name)
    complete, made = splits.complete_splits(frames, name)
    rows = sum(len(part.frame) for part in parts if part.split not in secret)
    used = {column.name for column in taken.values()}
    reading = Reading(
        source_in_words(name, data),
        taken,
        others=tuple(column for column in map(str, training.frame.columns) if column not in used),
        origins=splits.origins(parts, complete, made),
        rows=rows,
        without_text=rows - sum(map(len, frames.values())),
        left_out=dict.fromkeys(further, "a further split") | dict.fromkeys(secret, "without labels"),
        key=training.frame.attrs.get("key", ""),
    )
    return Task(str(name), complete, labels, reading=reading)


def _labelled(
    parts: Sequence[sources.Part], columns: dict[str, str], name: object
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...], list[str]]:
    """Text and label by split ("" where none is named), the labels' names, and the splits that are without labels."""
    import pandas as pd

    for part in parts:
        if absent := [column for column in columns.values() if column not in part.frame.columns]:
            raise TaskError(f"{name}: {part.stem} has no column {absent[0]}, which another file has")
    described = [part.label_names.get(columns["label_column"]) for part in parts]
    class_names = next(filter(None, described), None)
    tables: dict[str, list[pd.DataFrame]] = {}
    secret = []
    for part in parts:
        table = _texts(part, columns, name, several=len(parts) > 1)
        labels = _label_values(part, columns["label_column"], class_names, name)
        if labels is None:
            secret.append(str(part.split))
            continue
        table["label"] = pd.Series(labels, dtype=object)
        blank = table["text"].str.strip() == ""
        tables.setdefault(part.split if part.split in SPLITS else "", []).append(table[~blank])
    frames = {split: pd.concat(pieces, ignore_index=True) for split, pieces in tables.items()}
    values = [value for frame in frames.values() for value in frame["label"]]
    if not values:
        raise TaskError(f"{name}: holds no labelled row")
    labels, ids = _ids(values, class_names, name)
    numbered = {split: frame.assign(label=frame["label"].map(ids).astype("int64")) for split, frame in frames.items()}
    return numbered, labels, secret


def _texts(part: sources.Part, columns: dict[str, str], name: object, several: bool) -> pd.DataFrame:
    """The column `text` and, on pairs, `text_pair` of a file's rows, and where each stands.

    That is `row`, from 1, and with several files `data_file`.
    """
    import pandas as pd

    table = pd.DataFrame({"text": part.frame[columns["text_column"]].to_numpy(dtype=object)})
    if "pair_column" in columns:
        table["text_pair"] = part.frame[columns["pair_column"]].to_numpy(dtype=object)
    places = part.frame.index.to_numpy() + 1
    for column in table.columns:
        for place, value in zip(places, table[column], strict=True):
            if not isinstance(value, str):
                raise TaskError(f"{name}: row {place} of {part.stem} holds {str(value)[:40]} where a text should stand")
    if part.files:
        return table.assign(row=1, data_file=part.files)
    table["row"] = places
    return table.assign(data_file=part.file or part.stem) if several else table


def _label_values(part: sources.Part, column: str, class_names: Sequence[str] | None, name: object) -> list[Any] | None:
    """The labels of a file's rows; None for a split whose labels are kept secret, as GLUE does with its test split."""
    values = [_plain(value) for value in part.frame[column].tolist()]
    unknown = [value is None or (type(value) is int and value == -1) for value in values]
    if values and all(unknown) and part.split in ("validation", "test"):
        return None
    missing = unknown if class_names is not None else [value is None for value in values]
    if any(missing):
        raise TaskError(
            f"{name}: {sum(missing)} of {len(values)} rows of {part.stem} have no label (the first is row "
            f"{part.frame.index[missing.index(True)] + 1}); complete them or take them out"
        )
    return values


def _plain(value: Any) -> Any:
    """A label as Python has it: stripped, None for a missing one, a whole number where missing ones made it a float."""
    import pandas as pd

    if isinstance(value, str):
        return value.strip() or None
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _ids(
    values: Sequence[Any], class_names: Sequence[str] | None, name: object
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The labels' names in the order of their ids (the data's, or of numbers or the alphabet), and each value's id."""
    kinds = {
        "number" if type(value) is int else "text" if type(value) is str else type(value).__name__ for value in values
    }
    looks = {_WHOLE.fullmatch(str(value)) is not None for value in values}
    if len(kinds) > 1 or (kinds == {"text"} and len(looks) > 1):
        examples = sorted({str(value) for value in values})
        raise TaskError(
            f"{name}: its labels are of mixed types ({examples[0][:30]}, {examples[-1][:30]}); give all one kind"
        )
    if kinds & {"float", "list", "dict", "ndarray"}:
        raise TaskError(f"{name}: its labels are no classes (such as {str(values[0])[:40]}); {_ANOTHER}")
    distinct = set(values)
    if class_names is not None and kinds == {"number"}:
        if not distinct <= set(range(len(class_names))):
            raise TaskError(f"{name}: its labels go beyond the {len(class_names)} names that come with them")
        order = list(range(len(class_names)))
        names = tuple(map(str, class_names))
    else:
        order = sorted(distinct, key=lambda value: (int(value) if looks == {True} else 0, str(value)))
        names = tuple(map(str, order))
    if len(distinct) < 2:
        raise TaskError(f"{name}: every row has the same label ({str(values[0])[:40]}); a task needs two or more")
    if len(distinct) == len(values) > _MANY:
        raise TaskError(f"{name}: every row has a label of its own, so this is no label; {_ANOTHER}")
    return names, {value: place for place, value in enumerate(order)}
