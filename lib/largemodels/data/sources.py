"""Rows out of files: the reading that corpora and labelled tasks share, for local files, folders and the Hub's data.

A name is resolved to files, each file becomes a `Part`, a table with the split that its name tells. What the columns
mean is decided above, in `largemodels.data.corpora` and `largemodels.data.tasks`. Heavy imports stand inside functions,
because the command line looks at names and fingerprints.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largemodels.base.cache import Progress
from largemodels.data import cards, hub
from largemodels.data.cards import FORMS, SAVED, SUFFIXES, TABLES, TEXT, UNREAD, SourceError, split_in

if TYPE_CHECKING:
    import pandas as pd

TEXT_NAMES = ("text", "sentence", "content", "review", "document")
"""Columns that are the text, whatever else a table has."""


@dataclass(frozen=True)
class Part:
    """The rows of one file: its stem, the split that its name tells (or None), and label names by column."""

    stem: str
    split: str | None
    frame: pd.DataFrame
    label_names: dict[str, tuple[str, ...]] = field(default_factory=dict)


def hub_id(name: str | os.PathLike[str]) -> hub.HubId | None:
    """Return the parts of a name that means data on the Hub, and None for any other; the Hub is not asked.

    That is `organisation/name[:config][@revision]`, or the bare name of an old data set with its configuration
    (`glue:sst2`). A bare name alone is none, because it is more likely a slip in a shipped one; nor is the name of
    something that exists here, or one that ends like a data file.
    """
    text = str(name)
    found = hub.parse(text)
    if found is None or not ("/" in found.repository or found.config):
        return None
    if found.repository.lower().endswith(SUFFIXES) or Path(text).expanduser().exists():
        return None
    return found


def fingerprint(name: str | os.PathLike[str]) -> str:
    """Return what changes when the data do.

    For local data a hexadecimal SHA-256 of the files' names and bytes; for the Hub `id@commit`.

    Raises:
        SourceError: for what is missing or cannot be read.
        hub.HubError: for what only the Hub could show.
    """
    if found := hub_id(name):
        return str(found.at(hub.commit_of("dataset", found)))
    path = _existing(name)
    digest = hashlib.sha256()
    saved = sorted(file for file in path.rglob("*") if file.suffix in (".arrow", ".json")) if _is_saved(path) else []
    for file in saved or local_files(name):
        digest.update(f"{file.relative_to(path) if saved else file.name}\0{_sha256(file)}\n".encode())
    return digest.hexdigest()


def prepare(name: str | os.PathLike[str], progress: Progress | None = None) -> None:
    """Download what `read` would need. Local data need nothing.

    Raises:
        SourceError: for a repository without readable files, or an unknown configuration.
        hub.HubError: for what the Hub does not have or does not give.
    """
    if found := hub_id(name):
        _downloaded(found, progress)


def read(name: str | os.PathLike[str], progress: Progress | None = None) -> list[Part]:
    """Return the rows of a local file, a folder of files or of `save_to_disk`, or a Hub data set, a part per file.

    Text files have one column, `text`, with a row for each line that is not blank. CSV is read with quotes, TSV
    without them, as the format has it; every value of both is text.

    Raises:
        SourceError: for what is missing, empty, binary, not UTF-8 or not of its own format.
        hub.HubError: for what the Hub does not have or does not give.
    """
    if found := hub_id(name):
        stem = found.repository.rpartition("/")[2]
        files, names = _downloaded(found, progress)
        return [_with(_part(path, stem, split), names) for path, split in files]
    path = _existing(name)
    if _is_saved(path):
        return _saved_parts(path)
    files = local_files(name)
    alone = len(files) == 1  # "train.csv" for itself is everything there is
    return [_part(file, file.stem, None if alone else split_in(file.stem)) for file in files]


def local_files(name: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a local name stands for: itself, or the files of one kind directly in a folder.

    Raises:
        SourceError: where there are none, or those of a folder are of several kinds.
    """
    path = _existing(name)
    if not path.is_dir():
        if path.suffix.lower() not in SUFFIXES:
            raise SourceError(f"{name}: not a file of a known kind ({FORMS})")
        return [path]
    found = [
        file
        for file in sorted(path.iterdir())
        if file.suffix.lower() in SUFFIXES and not UNREAD.match(file.name) and not file.name.startswith(".")
    ]
    kinds = sorted({file.suffix.lower() for file in found})
    if not found:
        raise SourceError(f"{name}: the folder holds no {TEXT} file and no table ({', '.join(TABLES)})")
    if len(kinds) > 1:
        raise SourceError(f"{name}: the folder holds files of several kinds ({', '.join(kinds)}); name one of them")
    return found


def text_column(frame: pd.DataFrame, given: str | None, name: object) -> str:
    """Return the column that is the text: the given one, one that is called so, or the only one of texts.

    Raises:
        SourceError: for a given column that is missing, or where several could be it.
    """
    columns = [str(column) for column in frame.columns]
    if given is not None:
        if given not in columns:
            raise SourceError(f"{name}: there is no column {given}; there is {', '.join(columns)}")
        return given
    called = [known for column in TEXT_NAMES for known in columns if known.lower() == column]
    texts = called or [column for column in columns if _is_text(frame[column])]
    if len(texts) == 1 or called:
        return texts[0]
    which = f"which of {', '.join(texts)} is the text" if texts else f"none of {', '.join(columns)} is text"
    raise SourceError(f"{name}: {which}? name it with text_column")


@contextlib.contextmanager
def raised_as(kind: type[ValueError]) -> Iterator[None]:
    """Let data errors pass as those of the module that was asked."""
    try:
        yield
    except kind:
        raise
    except (SourceError, hub.HubError) as error:
        raise kind(str(error)) from None


def _is_text(column: pd.Series) -> bool:
    return len(column) > 0 and all(isinstance(value, str) for value in column)


# Local files


def _existing(name: str | os.PathLike[str]) -> Path:
    path = Path(name).expanduser()
    if not path.exists():
        raise SourceError(f"{name}: there is no such file or folder")
    return path


def _is_saved(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in SAVED)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from None


def _sha256(path: Path) -> str:
    return hashlib.sha256(_bytes(path)).hexdigest()


def _text(path: Path) -> str:
    content = _bytes(path)
    if b"\0" in content[:4096] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{path}: a binary file and not text, whatever its name says")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _part(path: Path, stem: str, split: str | None) -> Part:
    """Return the rows of a file, read as its suffix says."""
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_part(path, stem, split)
    text = _text(path)
    if suffix == TEXT:
        lines = [line for line in map(str.strip, text.splitlines()) if line]
        return Part(stem, split, pd.DataFrame({"text": pd.Series(lines, dtype=object)}))
    if not text.strip():
        raise SourceError(f"{path}: the file is empty")
    return Part(stem, split, _json_table(path, text) if "json" in suffix or "nd" in suffix else _csv(path, text))


def _csv(path: Path, text: str) -> pd.DataFrame:
    """Return a CSV or TSV file's table. TSV has no quotes, unless it cannot be read without."""
    import csv
    import io

    import pandas as pd

    tabs = path.suffix.lower() == ".tsv"
    options: dict[str, Any] = {"sep": "\t" if tabs else ",", "dtype": str, "keep_default_na": False, "index_col": False}
    for quoting in (csv.QUOTE_NONE, csv.QUOTE_MINIMAL) if tabs else (csv.QUOTE_MINIMAL,):
        try:
            return pd.read_csv(io.StringIO(text, newline=""), quoting=quoting, **options)
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            reason = str(error)
    line = re.search(r"line (\d+)", reason)
    where = f"line {line[1]} has another number of fields" if line else "its rows cannot be told apart"
    raise SourceError(f"{path}: not a table of {'tabs' if tabs else 'commas'} ({where})") from None


def _json_table(path: Path, text: str) -> pd.DataFrame:
    """Return the table of a file with a JSON object on each line, or with one list of them."""
    import pandas as pd

    rows: list[Any] = []
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            rows = json.loads(text)
    for number, line in enumerate([] if rows else text.splitlines(), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError:
            raise SourceError(f"{path}: line {number} is not JSON; expected an object on each line") from None
    if not all(isinstance(row, dict) for row in rows):
        raise SourceError(f"{path}: expected a JSON object on each line, such as {{'text': …, 'label': …}}")
    return pd.DataFrame(rows, dtype=object)


def _parquet_part(path: Path, stem: str, split: str | None) -> Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or "damaged, or another kind of file"
        raise SourceError(f"{path}: cannot be read as Parquet ({reason})") from None
    described = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    features = described.get("info", {}).get("features", {})
    return Part(stem, split, table.to_pandas(), _class_names(features))


def _class_names(features: Any) -> dict[str, tuple[str, ...]]:
    """Return the label names in a description of columns, as `datasets` writes it into Parquet files."""
    if not isinstance(features, dict):
        return {}
    return {
        column: tuple(feature["names"])
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }


def _saved_parts(path: Path) -> list[Part]:
    """Return the splits of a folder that `save_to_disk` wrote."""
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path}: cannot be read as a folder of save_to_disk ({type(error).__name__})") from None
    splits = loaded if isinstance(loaded, dict) else {"": loaded}
    return [
        Part(
            path.name,
            split_in(split),
            dataset.to_pandas(),
            {
                column: tuple(feature.names)
                for column, feature in dataset.features.items()
                if isinstance(feature, datasets.ClassLabel)
            },
        )
        for split, dataset in splits.items()
    ]


def _with(part: Part, names: dict[str, tuple[str, ...]]) -> Part:
    return Part(part.stem, part.split, part.frame, {**names, **part.label_names})


# Data on the Hub


def _downloaded(
    found: hub.HubId, progress: Progress | None
) -> tuple[list[tuple[Path, str | None]], dict[str, tuple[str, ...]]]:
    """Return the local files of a Hub data set with their splits, and the label names of its card."""
    names = list(hub.files("dataset", found))
    card = cards.read_card(hub.download("dataset", found, ["README.md"])["README.md"]) if "README.md" in names else {}
    config, chosen = cards.chosen_files(found, names, card)
    paths = hub.download("dataset", found, [name for name, _ in chosen], progress)
    return [(paths[name], split) for name, split in chosen], cards.label_names(card, config)
