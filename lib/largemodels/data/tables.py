"""A table out of one file: text, CSV, TSV, JSON lines, JSON or Parquet, its values exactly as they are written.

pandas and pyarrow read here, and not the builders of `datasets`: those guess types ("01" would become 1, and "NA" a
missing value), refuse a column of mixed types before anybody could say which it is, and write a copy of every file.
Heavy imports stand inside functions, because the command line looks at names and fingerprints.
"""

from __future__ import annotations

import contextlib
import json
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
_DELIMITERS = {";": "semicolon", "\t": "tab", ",": "comma", "|": "bar"}  # a header may have instead of its suffix's


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a file, read as its suffix says; a text file has one column, `text`, with a row a line.

    Every value of a delimited file is text; `largemodels.data.columns` has the rules.

    Raises:
        InputError: for a file that is empty, binary, not UTF-8 or not of its format.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    text = read_text(path)
    if suffix == TEXT:
        lines = [line for line in map(str.strip, text.splitlines()) if line]
        return pd.DataFrame({"text": pd.Series(lines, dtype=object)})
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return _delimited(path, text) if suffix in (".csv", ".tsv") else _json(path, text)


def read_text(path: Path) -> str:
    """The text of a file; an `InputError` for one that is binary or not UTF-8."""
    with reading(f"{path}:"):
        content = path.read_bytes()
    if b"\0" in content[:4096] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: a binary file and not text, whatever its name says")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _delimited(path: Path, text: str) -> pd.DataFrame:
    """The table of a CSV or TSV file, read by pandas once its quotes and numbers of fields are in order."""
    import csv
    import io

    import pandas as pd

    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    header = text.strip().partition("\n")[0]
    separator = next((each for each in (usual, *_DELIMITERS) if each in header), usual)
    csv.field_size_limit(2**31 - 1)  # a text may be longer than the 128 KiB that is the default
    file = io.StringIO(text, newline="")
    bare = separator == "\t" and '""' not in text  # a doubled quote tells that the table is a quoted one
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE) if bare else (csv.QUOTE_MINIMAL,):
        file.seek(0)
        rows = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
        try:
            width = len(next(filter(None, rows)))
            uneven = any((len(row) < width or any(row[width:])) and "".join(row).strip() for row in rows)
        except csv.Error:  # a quote that does not open and close a field
            continue
        if not uneven:
            options: dict[str, Any] = {"sep": separator, "quoting": quoting, "dtype": str, "keep_default_na": False}
            file.seek(0)
            return pd.read_csv(file, usecols=range(width), index_col=False, **options)
    kind = _DELIMITERS[separator]
    raise InputError(
        f"{path}: not a table of {kind}s (line {rows.line_num} has another number of fields or a stray quote); put a "
        f"text that holds a {kind}, a quote or a line break in double quotes, and double those inside of it"
    )


def _json(path: Path, text: str) -> pd.DataFrame:
    """The table of a file with a JSON object on each line, or with one list of them."""
    import pandas as pd

    rows: list[Any] = []
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            rows = json.loads(text)
    for number, line in enumerate([] if rows else text.split("\n"), start=1):
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
