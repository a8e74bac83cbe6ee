"""Texts to be classified: the rows of a file as they are, and the text, or the two texts, in each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from largemodels.base.errors import InputError
from largemodels.data import sources
from largemodels.data.columns import PAIRS, text_column

if TYPE_CHECKING:
    import pandas as pd


def read_unlabelled(
    name: str | os.PathLike[str], learnt: Sequence[str] = ("text",), *, text: str | None = None, pair: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a file, read as data of a task are, and a table of their `text` and, for pairs, `text_pair`.

    The columns are those that are named; else those that the classifier learnt from, where the file has them; else
    those that `columns.text_column` and the names of pairs tell.

    Args:
        name: a file of a kind that `sources.read` knows; no label is needed.
        learnt: the column that the classifier learnt from, or the two of a classifier that reads pairs.
        text: the column of the text.
        pair: the column of the second text.

    Raises:
        InputError: for a file that cannot be read or is empty, a column that is not there or in doubt, or a row without
            text where one should stand.
    """
    import pandas as pd

    rows = pd.concat([part.frame for part in sources.read(name)], ignore_index=True)
    if not len(rows):
        raise InputError(f"{name}: holds no rows")
    chosen = _columns(rows, tuple(learnt), text, pair, name)
    texts = {called: rows[column].tolist() for called, column in zip(("text", "text_pair"), chosen, strict=False)}
    for values in texts.values():
        for row, value in enumerate(values, start=1):
            if not isinstance(value, str):
                raise InputError(f"{name}: row {row} holds {str(value)[:40]} where a text should stand")
    return rows, pd.DataFrame(texts, dtype=object)


def _columns(
    rows: pd.DataFrame, learnt: tuple[str, ...], text: str | None, pair: str | None, name: object
) -> tuple[str, ...]:
    """The column of the text and, where the classifier has learnt from pairs, that of the second text."""
    known = [str(column) for column in rows.columns]
    for option, column in (("text-column", text), ("pair-column", pair)):
        if column is not None and column not in known:
            raise InputError(f"{name}: --{option}: there is no column {column}; there is {', '.join(known)}")
    if text is None and pair is None:
        told = [columns for columns in (learnt, *PAIRS) if set(columns) <= set(known) and len(columns) == len(learnt)]
        if told:
            return told[0]
    if len(learnt) == 1:
        if pair is not None:
            raise InputError("--pair-column: the classifier reads one text and not two")
        return (text or text_column(rows, name, "name it, as in --text-column {}").name,)
    if text is None or pair is None or text == pair:
        raise InputError(
            f"{name}: which two of {', '.join(known)} are the texts? name them, as in --text-column {known[0]} "
            f"--pair-column {known[-1]}"
        )
    return text, pair
