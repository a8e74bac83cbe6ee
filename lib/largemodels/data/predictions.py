"""What models answered, example by example, without the texts: kept beside a run and read back to be compared.

A table has one row for each model and example. An example is named by a digest of its text, so that two runs can be
compared pair by pair, on the examples that both answered, and a text can be found again where it is at hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from largemodels.base.errors import InputError
from largemodels.base.files import replacing
from largemodels.data.texts import joined_texts

LOG_P = "log_p:"
"""What the columns of the classes' log-probabilities begin with; the label's name follows."""
COLUMNS = ("model", "example", "label", "answer", "right")
"""What every table of predictions has."""
_CARRIED = ("library", "document")  # of an example, where it has them: groups and clusters
_PLACE = ("row", "data_file")  # where it stands in the user's data: its row from 1, and of several files the name


def example_ids(examples: pd.DataFrame) -> np.ndarray:
    """The first 16 hexadecimal digits of the SHA-256 of each example's text, or of both of its texts, `(examples,)`."""
    texts = joined_texts(examples, "\0")
    return np.array([hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts], dtype=object)


def predictions_table(
    examples: pd.DataFrame, log_probabilities: Mapping[str, np.ndarray], labels: Sequence[str]
) -> pd.DataFrame:
    """What each of several models answered to the same examples, model after model, in the order of the examples.

    Args:
        examples: text, for pairs text_pair, and label (the class, from 0); library, document, row and data_file are
            carried along.
        log_probabilities: of each model `(examples, classes)`, as `fine_tuning.predict` gives them.
        labels: names of the classes.

    Returns:
        A table with `COLUMNS` (model, example, label and answer by name, right); library, document, and row (from 1)
        and data_file of the user's data, where the examples have them; and for each class `log_p:NAME`, float32.

    Raises:
        ValueError: for log-probabilities of another shape.
    """
    names = np.array(labels, dtype=object)
    truth = examples["label"].to_numpy()
    parts = []
    for model, logs in log_probabilities.items():
        if np.shape(logs) != (len(examples), len(labels)):
            raise ValueError(f"{model}: shape {np.shape(logs)} is not {(len(examples), len(labels))}")
        answer = np.argmax(logs, 1)
        part = pd.DataFrame({"model": model, "example": example_ids(examples), "label": names[truth]})
        part = part.assign(answer=names[answer], right=answer == truth)
        carried = [column for column in (*_CARRIED, *_PLACE) if column in examples]
        part = part.assign(**{column: examples[column].to_numpy() for column in carried})
        parts.append(part.assign(**{f"{LOG_P}{name}": np.float32(logs[:, place]) for place, name in enumerate(labels)}))
    return pd.concat(parts, ignore_index=True)


def save_predictions(table: pd.DataFrame, name: str, folder: Path | str = "predictions") -> Path:
    """Write a table as `FOLDER/NAME.parquet` and return that file; a chapter's folder is that of its run."""
    path = Path(folder) / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        table.to_parquet(partial, index=False)
    return path


def read_predictions(path: Path | str) -> pd.DataFrame:
    """A table of predictions from its file, or those of all files of a folder; an `InputError` where there are none."""
    files = [Path(path)] if Path(path).is_file() else sorted(Path(path).glob("*.parquet"))
    if not files:
        raise InputError(f"{path}: there are no predictions (*.parquet)")
    return pd.concat(map(_read, files), ignore_index=True)


def _read(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(file)
    except Exception as error:  # a damaged file fails in whatever part of the reader comes to it first
        said = (str(error).rpartition("': ")[2].splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{file}: cannot be read as predictions ({said})") from None
    if missing := [column for column in COLUMNS if column not in table]:
        raise InputError(f"{file}: holds no predictions; it lacks {', '.join(missing)}")
    if table["right"].dtype != bool:
        raise InputError(f"{file}: holds no predictions; right is {table['right'].dtype} and not true or false")
    return table


def without_more(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of a table of predictions that anybody may have: no texts, and no places in a user's files.

    The log-probabilities are float16: three significant digits, which are enough for what is drawn from them, in a
    quarter of the space that they would take otherwise.
    """
    kept = [column for column in table.columns if column in (*COLUMNS, *_CARRIED) or column.startswith(LOG_P)]
    return table[kept].astype({column: np.float16 for column in kept if column.startswith(LOG_P)})


def class_names(table: pd.DataFrame) -> tuple[str, ...]:
    """The classes of a table of predictions, in the order of its log-probabilities."""
    return tuple(column.removeprefix(LOG_P) for column in table.columns if column.startswith(LOG_P))


def log_probabilities_in(table: pd.DataFrame) -> np.ndarray:
    """The log-probabilities of a table of predictions, `(rows, classes)`."""
    return table[[f"{LOG_P}{name}" for name in class_names(table)]].to_numpy(dtype=float)


def label_ids_in(table: pd.DataFrame) -> np.ndarray:
    """The true class of each row of a table of predictions, from 0, `(rows,)`."""
    place = {name: number for number, name in enumerate(class_names(table))}
    return table["label"].map(place).to_numpy(dtype=np.int64)


def right_by(table: pd.DataFrame, by: str = "seed") -> np.ndarray:
    """Which of the examples that all runs answered one model got right in each run, bool, `(runs, examples)` by name.

    Args:
        table: predictions of one model, an example once in each run.
        by: the column that tells the runs apart.

    Raises:
        ValueError: for an example that stands twice in a run, or none that all runs have.
    """
    if table.duplicated([by, "example"]).any():
        raise ValueError(f"predictions: an example stands twice with the same {by}; take one model, and each text once")
    wide = table.pivot(index=by, columns="example", values="right").dropna(axis=1)
    if not wide.shape[1]:
        raise ValueError("predictions: there is no example that all runs were asked about")
    return wide.to_numpy(dtype=bool)
