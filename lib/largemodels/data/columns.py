r"""Which columns of a table are the text and the label, and the rules by which data are read.

- Columns: first the parameters, then the names (`text` and `label` before other words for them; the pairs of GLUE),
  then the content: a column of few repeated values beside one of many long ones is a label beside a text. What that
  leaves in doubt is asked for.
- Splits (`splits`): train, validation and test by the words that `datasets` knows, so `eval` and `evaluation` are a
  test split. An unknown file beside `train` is refused by name. A further split of a `DatasetDict` or of the Hub is
  left out and noted, and so is a validation or test split without labels.
- Classes (`sources`): files of one column, or folders of text files, are named by class where there are several.
- Labels (`tasks`): stripped, then compared; text stays text; missing ones are counted.
- Encoding and compression (`packed`): UTF-8, or what the first bytes mark; `.gz`, `.bz2`, `.xz`, `.zip` of one file.
- Delimited files (`tables`): the suffix's delimiter, or the one that the header has instead. Every row has the
  header's number of fields, and every quote that opens one closes it; in TSV without doubled quotes others are text.
- JSON lines end at `\n` alone. In `.json` the rows may stand under one key, or by column as pandas writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

from largemodels.base.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEXT_NAMES = (("text",), ("sentence", "content", "review", "document"))
"""Names of columns that are the text, the first group before the second."""
LABEL_NAMES = (("label",), ("labels",), ("class", "category", "target", "sentiment", "topic"))
"""Names of columns that are the label, an earlier group before a later one."""
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence"))
"""Names of columns that are the two texts of a task on pairs."""
_NO_FEATURE = ("idx", "id", "index", "guid", "split", "unnamed: 0")  # numbers of rows, and where each belongs
_BY_NAME = "by its name"
OPTIONS = ("text_column", "label_column", "pair_column")
"""The parameters that name columns, in the order in which these are shown."""
_BOTH = ("text_column", "pair_column")


class Column(NamedTuple):
    """A column that is taken for something, and the reason in words."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"


def task_columns(
    frame: pd.DataFrame, text: str | None, label: str | None, pair: str | None, name: object
) -> dict[str, Column]:
    """The columns of a task, as `text_column`, `label_column` and perhaps `pair_column`.

    Args:
        frame: the rows.
        text, label, pair: names of the columns, None where they are to be chosen.
        name: of the data, for messages.

    Raises:
        InputError: where names and content leave a doubt, or a column is not there.
    """
    known = [str(column) for column in frame.columns]
    if len(known) == 1 and label is None:
        raise InputError(
            f"{name}: there is one column only, {known[0]}; a task needs a text and a label: two columns, or a folder "
            "with a file or a folder of texts for each class, named by it, and nothing else"
        )
    named = {"text_column": text, "label_column": label, "pair_column": pair}
    for option, column in named.items():
        if column is not None and column not in known:
            raise InputError(f"{name}: {option}: there is no column {column}; there is {', '.join(known)}")
    columns = {option: Column(column, f"named by {option}") for option, column in named.items() if column is not None}
    if text is None and pair is None:
        both = next((names for names in PAIRS if set(names) <= set(known)), ())
        columns |= {option: Column(each, "a pair by its names") for option, each in zip(_BOTH, both, strict=False)}
    taken = {column.name for column in columns.values()}
    called = _called([column for column in known if column not in taken], LABEL_NAMES)
    if label is None and len(called) == 1:
        columns["label_column"] = Column(called[0], _BY_NAME)
    if "text_column" not in columns:
        others = frame.drop(columns=[column.name for column in columns.values()])
        columns["text_column"] = text_column(others, name, "name it, as in -p text_column={}")
    if "label_column" not in columns:
        columns["label_column"] = _label_column(frame, columns, called, name)
    names = [column.name for column in columns.values()]
    if len(set(names)) < len(names):
        raise InputError(f"{name}: one column cannot be two things ({', '.join(names)})")
    return {option: columns[option] for option in OPTIONS if option in columns}


def text_column(frame: pd.DataFrame, name: object, advice: str) -> Column:
    """The column that is the text: by its name, as the only one of texts, or by its content.

    Raises:
        InputError: where that leaves doubt; it ends with the advice, which may hold {} for a column.

    Examples:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"id": [1, 2], "review": ["good fun", "a bad film"]})
        >>> text_column(rows, "reviews.csv", "name it by text_column={}")
        Column(name='review', why='by its name')
    """
    columns = [str(column) for column in frame.columns]
    if not columns:
        raise InputError(f"{name}: there is no column beside the label that could be the text")
    called = _called(columns, TEXT_NAMES)
    texts = called or [
        column for column in columns if len(frame) and all(isinstance(value, str) for value in frame[column])
    ]
    if len(texts) == 1:
        return Column(texts[0], _BY_NAME if called else "the only column of text")
    chosen = [column for column in texts if _is_text(frame[column])]
    if len(chosen) == 1:
        return Column(chosen[0], "by its content: many long values")
    which = f"which of {', '.join(texts)} is the text" if texts else f"none of {', '.join(columns)} is text"
    raise InputError(f"{name}: {which}? {advice.format(quote((texts or columns)[0]))}")


def _label_column(frame: pd.DataFrame, columns: dict[str, Column], called: Sequence[str], name: object) -> Column:
    """The column that is the label beside a text: the one of those called so, or of all, that looks like a label."""
    taken = {column.name for column in columns.values()}
    left = [column for column in map(str, frame.columns) if column not in taken and column.lower() not in _NO_FEATURE]
    labels = [column for column in called if column not in taken] or left
    if len(labels) == 1:
        return Column(labels[0], "the only column beside the text")
    chosen = [column for column in labels if _is_label(frame[column])]
    if len(chosen) == 1:
        return Column(chosen[0], "by its content: few values, repeated")
    which = f"which of {', '.join(labels)} is the label" if labels else "there is no label beside the text"
    example = quote((labels or [str(column) for column in frame.columns])[0])
    raise InputError(f"{name}: {which}? name it, as in -p label_column={example}")


def _called(columns: Sequence[str], groups: Sequence[Sequence[str]]) -> list[str]:
    """The columns whose names, in small letters, are in the first group that has any."""
    matches = ([column for column in columns if column.lower() in group] for group in groups)
    return next(filter(None, matches), [])


def _is_label(values: pd.Series) -> bool:
    """Whether few values are repeated: two or more, that stand on two rows or more on average."""
    return 2 <= values.astype(str).nunique() <= len(values) / 2


def _is_text(values: pd.Series) -> bool:
    """Whether there are many long values: most of them different, and of several words, or in a script without any."""
    some = [str(value) for value in values.head(1000)]
    long = sum(sum(map(str.isalpha, value.split())) > 1 or (not value.isascii() and len(value) > 7) for value in some)
    return values.astype(str).nunique() > len(values) / 2 and long > len(some) / 2
