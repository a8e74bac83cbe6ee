r"""Which columns of a table are the text and the label, and the rules by which data are read.

- Columns: first the parameters, then the names (`text` and `label` before other words for them; the pairs of GLUE),
  then the content: a column of few repeated values beside one of many long ones is a label beside a text. What that
  leaves in doubt is asked for.
- Splits (`splits`): train, validation and test by the words that `datasets` knows, so `eval` and `evaluation` are a
  test split. An unknown file beside `train` is refused by name. A further split of a `DatasetDict` or of the Hub is
  left out and noted, and so is a validation or test split without labels.
- Classes (`sources`): files of one column, or folders of text files, are named by class where there are several.
- Labels (`tasks`): stripped, then compared; text stays text; missing ones are counted.
- Delimited files (`tables`): the suffix's delimiter, or the one that the header has instead. Every row has the
  header's number of fields, and every quote that opens one closes it; in TSV without doubled quotes others are text.
- JSON lines end at `\n` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from largemodels.base.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEXT_NAMES = (("text",), ("sentence", "content", "review", "document"))
"""Names of columns that are the text, the first group before the second."""
LABEL_NAMES = (("label",), ("labels",), ("class", "category", "target", "sentiment", "topic"))
"""Names of columns that are the label, an earlier group before a later one."""
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence"))
"""Names of columns that are the two texts of a task on pairs."""
_NO_FEATURE = ("idx", "id", "index", "guid", "split")  # numbers of rows, and where each belongs


def task_columns(
    frame: pd.DataFrame, text: str | None, label: str | None, pair: str | None, name: object
) -> dict[str, str]:
    """The names of the columns of a task, as `text_column`, `label_column` and perhaps `pair_column`."""
    known = [str(column) for column in frame.columns]
    if len(known) == 1 and label is None:
        raise InputError(
            f"{name}: there is one column only, {known[0]}; a task needs a text and a label: two columns, or a folder "
            "with a file or a folder of texts for each class, named by it, and nothing else"
        )
    for option, column in (("text_column", text), ("label_column", label), ("pair_column", pair)):
        if column is not None and column not in known:
            raise InputError(f"{name}: {option}: there is no column {column}; there is {', '.join(known)}")
    if text is None and pair is None:
        text, pair = next(((one, two) for one, two in PAIRS if {one, two} <= set(known)), (None, None))
    called = _called([column for column in known if column not in (text, pair)], LABEL_NAMES)
    label = label or (called[0] if len(called) == 1 else None)
    others = frame.drop(columns=[column for column in (label, pair) if column])
    text = text or text_column(others, name, "name it, as in -p text_column={}")
    left = [column for column in known if column not in (text, pair) and column.lower() not in _NO_FEATURE]
    labels = [column for column in called if column != text] or left
    label = label or _only(frame, labels, _is_label)
    if label is None:
        which = f"which of {', '.join(labels)} is the label" if labels else "there is no label beside the text"
        raise InputError(f"{name}: {which}? name it, as in -p label_column={quote((labels or known)[0])}")
    columns = {"text_column": text, "label_column": label} | ({"pair_column": pair} if pair else {})
    if len(set(columns.values())) < len(columns):
        raise InputError(f"{name}: one column cannot be two things ({', '.join(columns.values())})")
    return columns


def text_column(frame: pd.DataFrame, name: object, advice: str) -> str:
    """The column that is the text: by its name, as the only one of texts, or by its content.

    Raises:
        InputError: where that leaves doubt; it ends with the advice, which may hold {} for a column.

    Examples:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"id": [1, 2], "review": ["good fun", "a bad film"]})
        >>> text_column(rows, "reviews.csv", "name it by text_column={}")
        'review'
    """
    columns = [str(column) for column in frame.columns]
    texts = _called(columns, TEXT_NAMES) or [
        column for column in columns if len(frame) and all(isinstance(value, str) for value in frame[column])
    ]
    if chosen := _only(frame, texts, _is_text):
        return chosen
    which = f"which of {', '.join(texts)} is the text" if texts else f"none of {', '.join(columns)} is text"
    raise InputError(f"{name}: {which}? {advice.format(quote((texts or columns)[0]))}")


def _called(columns: Sequence[str], groups: Sequence[Sequence[str]]) -> list[str]:
    """The columns whose names, in small letters, are in the first group that has any."""
    matches = ([column for column in columns if column.lower() in group] for group in groups)
    return next(filter(None, matches), [])


def _only(frame: pd.DataFrame, columns: Sequence[str], fits: Callable[[pd.Series], bool]) -> str | None:
    """The only column, or the only one whose content fits; None where there is doubt."""
    chosen = columns if len(columns) == 1 else [column for column in columns if fits(frame[column])]
    return chosen[0] if len(chosen) == 1 else None


def _is_label(values: pd.Series) -> bool:
    """Whether few values are repeated: two or more, that stand on two rows or more on average."""
    return 2 <= values.astype(str).nunique() <= len(values) / 2


def _is_text(values: pd.Series) -> bool:
    """Whether there are many long values: most of them different, and of several words, or in a script without any."""
    some = [str(value) for value in values.head(1000)]
    long = sum(sum(map(str.isalpha, value.split())) > 1 or (not value.isascii() and len(value) > 7) for value in some)
    return values.astype(str).nunique() > len(values) / 2 and long > len(some) / 2
