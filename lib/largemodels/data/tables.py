"""A table out of one file: text, CSV, TSV, JSON lines, JSON or Parquet, its values exactly as they are written.

pandas and pyarrow read here, and not the builders of `datasets`: those guess types ("01" would become 1, and "NA" a
missing value), refuse a column of mixed types before anybody could say which it is, and write a copy of every file.
Heavy imports stand inside functions, because the command line looks at names and fingerprints.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largemodels.base.errors import InputError
from largemodels.base.files import reading

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
TEXT = ".txt"
SUFFIXES = (*TABLES, TEXT)
FORMS = ", ".join(SUFFIXES)


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a file, read as its suffix says; a text file has one column, `text`, with a row a line.

    CSV is read with quotes, TSV without them, as the format has it; every value of both is text.

    Raises:
        InputError: for a file that is empty, binary, not UTF-8 or not of its format.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    text = _text(path)
    if suffix == TEXT:
        lines = [line for line in map(str.strip, text.splitlines()) if line]
        return pd.DataFrame({"text": pd.Series(lines, dtype=object)})
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return _comma_separated(path, text) if suffix in (".csv", ".tsv") else _json(path, text)


def label_names(path: Path) -> dict[str, tuple[str, ...]]:
    """The names of the classes by column, which `datasets` writes into the Parquet files that it makes."""
    import pyarrow.parquet as pq

    if path.suffix.lower() != ".parquet":
        return {}
    with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError):  # written by something else
        described = json.loads((pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}"))
        features = described.get("info", {}).get("features") or {}
        return {
            column: tuple(feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    return {}


def _text(path: Path) -> str:
    with reading(f"{path}:"):
        content = path.read_bytes()
    if b"\0" in content[:4096] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: a binary file and not text, whatever its name says")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _comma_separated(path: Path, text: str) -> pd.DataFrame:
    """The table of a CSV or TSV file. TSV has no quotes, unless it cannot be read without."""
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
    raise InputError(f"{path}: not a table of {'tabs' if tabs else 'commas'} ({where})") from None


def _json(path: Path, text: str) -> pd.DataFrame:
    """The table of a file with a JSON object on each line, or with one list of them."""
    import pandas as pd

    rows: list[Any] = []
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            rows = json.loads(text)
    for number, line in enumerate([] if rows else text.splitlines(), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError):
            raise InputError(f"{path}: line {number} is not JSON; expected an object on each line") from None
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a JSON object on each line, such as {{'text': …, 'label': …}}")
    return pd.DataFrame(rows, dtype=object)


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or "damaged, or another kind of file"
        raise InputError(f"{path}: cannot be read as Parquet ({reason})") from None
