"""A table out of one file: text, CSV, TSV, JSON lines, JSON or Parquet, its values exactly as they are written.

pandas and pyarrow read here, and not the builders of `datasets`: those guess types ("01" would become 1, and "NA" a
missing value), refuse a column of mixed types before anybody could say which it is, and write a copy of every file.
Heavy imports stand inside functions, because the command line looks at names and fingerprints.
"""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largemodels.base.errors import InputError, few
from largemodels.base.files import reading
from largemodels.data.packed import PACKED, archived, read_text, unpacked_name

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
TEXT = ".txt"
_UNPACKED = (*TABLES, TEXT)
SUFFIXES = (*_UNPACKED, *(kind + packed for kind in _UNPACKED if kind != ".parquet" for packed in PACKED))
"""What the names of data files end with in a folder; by itself a `.zip` of one such file is read, too."""
FORMS = f"{', '.join(_UNPACKED)}; those of text also packed as {', '.join(PACKED)}"
_DELIMITERS = {";": "semicolon", "\t": "tab", ",": "comma", "|": "bar"}  # a header may have instead of its suffix's
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # half of a surrogate pair, as JSON writes it


def kind_of(path: Path) -> str:
    """The suffix of a file's form, in small letters; of an archive, that of the file in it.

    Raises:
        InputError: for an archive that cannot be read, or that holds several files.
    """
    name = unpacked_name(path.name)
    if path.suffix.lower() == ".zip" and not name.lower().endswith(_UNPACKED):
        with reading(f"{path}:"):
            try:
                with zipfile.ZipFile(path) as archive:
                    name = archived(path, archive)
            except zipfile.BadZipFile:
                raise InputError(f"{path}: cannot be unpacked (damaged, or no .zip file)") from None
    return Path(name).suffix.lower()


def stem_of(path: Path) -> str:
    """A file's name without its suffixes."""
    return Path(unpacked_name(path.name)).stem


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a file, read as its suffix says; a text file has one column, `text`, with a row a line.

    Every value of a delimited file is text; `largemodels.data.columns` has the rules. The index counts the rows from 0,
    and the lines of a text file, of which blank ones are left out. `attrs["key"]` is what a JSON file has the rows
    under.

    Raises:
        InputError: for a file that is empty, binary, of another encoding or not of its format.
    """
    import pandas as pd

    kind = kind_of(path)
    if kind == ".parquet":
        return _parquet(path)
    if kind not in _UNPACKED:
        raise InputError(f"{path}: holds a {kind or 'nameless'} file, which is not of a known kind ({FORMS})")
    text = read_text(path)
    if kind == TEXT:
        lines = pd.Series([line.strip() for line in re.split(r"\r\n|\r|\n", text)], dtype=object)
        return pd.DataFrame({"text": lines[lines != ""]})
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    return _delimited(path, text, kind) if kind in (".csv", ".tsv") else _json(path, text, kind)


def _delimited(path: Path, text: str, kind: str) -> pd.DataFrame:
    """The table of a CSV or TSV file, read by pandas once its quotes and numbers of fields are in order."""
    import csv
    import io

    import pandas as pd

    usual = "\t" if kind == ".tsv" else ","
    header = re.sub(r'"[^"]*"', "", re.search(r"[^\r\n]*\S[^\r\n]*", text)[0])
    separator = next((each for each in (usual, *_DELIMITERS) if each in header), usual)
    csv.field_size_limit(2**31 - 1)  # a text may be longer than the 128 KiB that is the default
    file = io.StringIO(text, newline="")
    bare = separator == "\t" and '""' not in text  # a doubled quote tells that the table is a quoted one
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE) if bare else (csv.QUOTE_MINIMAL,):
        file.seek(0)
        rows = csv.reader(file, delimiter=separator, quoting=quoting, strict=True)
        try:
            names = next(filter(None, rows))
            count = _even_rows(rows, len(names))
        except csv.Error:  # a quote that does not open and close a field
            continue
        if count is not None:
            refuse_repeated(names, path)
            options: dict[str, Any] = {"sep": separator, "quoting": quoting, "dtype": str, "keep_default_na": False}
            file.seek(0)
            with contextlib.suppress(ValueError):  # pandas and Python disagree on what a line is
                frame = pd.read_csv(file, usecols=range(len(names)), index_col=False, **options)
                if len(frame) in count:
                    return frame
            raise InputError(f"{path}: its lines cannot be told apart; end each with a line feed, and leave none blank")
    said = _DELIMITERS[separator]
    raise InputError(
        f"{path}: not a table of {said}s (line {rows.line_num} has another number of fields or a stray quote); put a "
        f"text that holds a {said}, a quote or a line break in double quotes, and double those inside of it"
    )


def _even_rows(rows: Iterable[list[str]], width: int) -> range | None:
    """How many rows there may be, with and without those of blanks; None where one has another number of fields.

    Empty fields at the end are none, but in a table of one column a delimiter is rather part of a text.
    """
    full = blank = 0
    for row in filter(None, rows):
        if len(row) > width == 1:
            return None
        if not "".join(row).strip():
            blank += 1
        elif len(row) < width or any(row[width:]):
            return None
        else:
            full += 1
    return range(full, full + blank + 1)


def refuse_repeated(names: Sequence[str], path: Path) -> None:
    """Refuse two columns of one name: which of them is meant, nothing tells. Columns without a name may be many."""
    if repeated := [name for name, times in Counter(filter(None, names)).items() if times > 1]:
        raise InputError(f"{path}: several columns are called {few(repeated)}; rename all but one")


def _json(path: Path, text: str, kind: str) -> pd.DataFrame:
    """The table of a file with a JSON object on each line, or with one list of them; in `.json` it may have a key."""
    import pandas as pd

    key = whole = None
    with contextlib.suppress(ValueError, RecursionError):
        whole = json.loads(text) if kind == ".json" or text.lstrip().startswith("[") else None
    if isinstance(whole, dict):
        key, rows = _rows_of(whole, path)
    else:
        rows = whole if isinstance(whole, list) else _json_lines(path, text)
    if not any(rows):
        raise InputError(f"{path}: holds no row")
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a JSON object on each line, such as {{'text': …, 'label': …}}")
    if _HALF.search(text):
        for number, row in enumerate(rows, start=1):
            try:
                json.dumps(row, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise InputError(f"{path}: row {number} holds half of a character (\\ud800 to \\udfff)") from None
    frame = pd.DataFrame(rows, dtype=object)
    frame.attrs |= {"key": key} if key else {}
    return frame


def _json_lines(path: Path, text: str) -> list[Any]:
    """What stands on each line that is not blank; lines end at a line feed alone."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError):
            raise InputError(f"{path}: line {number} is not JSON; expected an object on each line") from None
    return rows


def _rows_of(whole: dict[str, Any], path: Path) -> tuple[str | None, list[Any]]:
    """The rows of a file that holds one object, and the key that they stand under.

    They are a list of objects under one key, or the columns as `to_json` of pandas writes them, or else the object
    itself is the one row.
    """
    keys = [key for key, value in whole.items() if value and isinstance(value, list) and isinstance(value[0], dict)]
    if len(keys) > 1:
        raise InputError(f"{path}: are the rows under {' or '.join(keys[:5])}? leave one of these keys")
    if keys:
        return keys[0], whole[keys[0]]
    columns = list(whole.values())
    if columns and all(isinstance(column, dict) for column in columns) and len(set(map(tuple, columns))) == 1:
        by_row = zip(*(column.values() for column in columns), strict=True)
        return None, [dict(zip(whole, values, strict=True)) for values in by_row]
    return None, [whole]


def _parquet(path: Path) -> pd.DataFrame:
    """The table of a Parquet file; what was a named index when pandas wrote it is a column, as for `datasets`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        refuse_repeated(table.column_names, path)
        kept = [name for name in table.column_names if not re.fullmatch(r"__index_level_\d+__", name)]
        return table.select(kept).to_pandas(ignore_metadata=True)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "damaged, or another kind of file"
        raise InputError(f"{path}: cannot be read as Parquet ({reason})") from None
