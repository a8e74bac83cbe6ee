"""Any table is read exactly as pandas reads it, or refused in one sentence: no text changed, no row moved.

The same few examples are tried every time. `FUZZ_EXAMPLES=5000 pytest --hypothesis-seed=1 …` searches for longer.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from largemodels.base.errors import InputError
from largemodels.data import sources, tasks

SEARCH = os.environ.get("FUZZ_EXAMPLES")
FEW = settings(
    max_examples=int(SEARCH or 60),
    deadline=None,
    derandomize=not SEARCH,
    database=None,
    suppress_health_check=list(HealthCheck),
)

CHARACTERS = st.one_of(
    st.sampled_from(list("ab 1;,|\"'\\\t\n\r")),
    st.sampled_from(["\u2028", "\x85", "\x0b", "\ufeff", "é", "数", "🙂", "\xa0", "²", "-", "{", "["]),
)
TEXTS = st.text(CHARACTERS, max_size=12)
LABELS = st.sampled_from(["yes", "no", " yes", "007", "7", "-1", "²", "NA", "nan", "None", "1.0", "true", ""])
NAMES = st.sampled_from(["text", "label", "Label", "sentence", "id", "", "a,b", 'a"b', "text ", "été", "Unnamed: 0"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-16-le"])
PACKING = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def outcome(call):
    """What a call returns, or None where it refuses in one sentence; nothing else may happen, and nothing be warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = call()
        except InputError as error:
            sentence = str(error)
        else:
            event("read")
            return result
    event("refused")
    assert "\n" not in sentence
    assert len(sentence) > 20
    return None


@st.composite
def frames(draw) -> pd.DataFrame:
    """A table of texts under any names."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rows = draw(st.lists(st.tuples(*[st.one_of(TEXTS, LABELS)] * len(names)), max_size=6))
    return pd.DataFrame(rows, columns=names, dtype=object)


def values(frame: pd.DataFrame) -> list[list[str]]:
    return [[str(value) for value in row] for row in frame.itertuples(index=False)]


@FEW
@given(frames(), st.sampled_from([",", "\t", ";", "|"]), st.sampled_from([".csv", ".tsv"]), ENCODINGS,
       st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]), st.sampled_from(["\n", "\r\n", "\r"]),
       st.sampled_from(list(PACKING)))  # fmt: skip
def test_a_table_that_pandas_wrote_comes_back_or_is_refused(
    frame, separator, suffix, encoding, quoting, ending, packed
):
    written = frame.to_csv(index=False, sep=separator, quoting=quoting, lineterminator=ending)
    try:
        content = written.encode(encoding)
    except UnicodeEncodeError:
        return
    usual = "\t" if suffix == ".tsv" else ","
    if len(frame.columns) == 1:  # nothing in the file says what its delimiter is
        separator = usual
    assume(separator == usual or not any(set(name) & set(",\t;|") for name in frame.columns))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}{packed}"
        path.write_bytes(PACKING[packed](content))
        parts = outcome(lambda: sources.read(path))
        if parts is None:
            return
        options = {"dtype": str, "keep_default_na": False, "index_col": False, "encoding": encoding}
        expected = pd.read_csv(path, sep=separator, **options)
    read = parts[0].frame
    if encoding == "latin-1" and not written.isascii():
        raise AssertionError("Latin-1 was read as UTF-8")
    assert list(read.columns) == list(expected.columns)
    assert values(read) == values(expected)
    assert list(read.index) == list(range(len(read)))


@FEW
@given(st.text(CHARACTERS, max_size=60), st.sampled_from([".csv", ".tsv"]))
def test_any_text_under_the_name_of_a_table_is_what_pandas_reads_or_refused(text, suffix):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / f"a{suffix}"
        path.write_text(text, encoding="utf-8", newline="")
        parts = outcome(lambda: sources.read(path))
        if parts is None:
            return
        read = parts[0].frame
        expected = []
        warnings.simplefilter("ignore")  # that fields without a name are left out
        for separator in ",\t;|":
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
                options = {"dtype": str, "keep_default_na": False, "index_col": False, "quoting": quoting}
                try:
                    expected.append(pd.read_csv(path, sep=separator, **options))
                except ValueError:  # a pandas ParserError is one
                    continue
    width = len(read.columns)  # rows may end in empty fields that the header has no name for
    assert any(values(read) == values(each.iloc[:, :width]) for each in expected)


JSON_VALUES = st.one_of(
    TEXTS, LABELS, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(TEXTS, max_size=2),
    st.dictionaries(TEXTS, TEXTS, max_size=2), st.just("\ud800"),
)  # fmt: skip


@FEW
@given(st.lists(st.dictionaries(NAMES, JSON_VALUES, max_size=3), max_size=5),
       st.sampled_from(["lines", "list", "key", "columns"]), st.booleans())  # fmt: skip
def test_json_in_every_form_comes_back_or_is_refused(rows, form, escaped):
    made = {
        "lines": lambda: "".join(json.dumps(row, ensure_ascii=escaped) + "\n" for row in rows),
        "list": lambda: json.dumps(rows, ensure_ascii=escaped),
        "key": lambda: json.dumps({"version": 1, "data": rows}, ensure_ascii=escaped),
        "columns": lambda: pd.DataFrame(rows).to_json(),
    }
    try:
        content = made[form]().encode()
    except (UnicodeEncodeError, OverflowError):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.jsonl" if form == "lines" else "a.json")
        path.write_bytes(content)
        parts = outcome(lambda: sources.read(path))
    if parts is None:
        return
    read = parts[0].frame
    if form == "columns":
        assert len(read) == len(rows)
        return
    if form == "key" and not any(rows):
        return
    expected = [{name: row.get(name, float("nan")) for name in read.columns} for row in rows]
    assert repr(read.to_dict("records")) == repr(expected)


SPLITS = st.sampled_from(["train", "test", "dev", "eval", "validation", "old", "data"])
PLAIN = st.one_of(LABELS, st.none(), st.integers(-2, 2), st.booleans(), st.floats(), st.sampled_from(["a", "b"]))
KINDS = st.one_of(
    st.sampled_from([["yes", " no"], ["007", "7", "-1"], [0, 1, 2], [True, False], ["NA", "None"], ["²", "x"]]),
    st.lists(PLAIN, min_size=1, max_size=3),
)


@FEW
@given(st.dictionaries(SPLITS, st.sampled_from([50, 50, 9, 1, 0]), min_size=1, max_size=3), KINDS,
       st.sampled_from([".csv", ".jsonl", ".parquet", ".csv.gz"]))  # fmt: skip
def test_a_task_has_every_text_with_its_label_and_its_row_or_is_refused(splits, kinds, suffix):
    with tempfile.TemporaryDirectory() as folder:
        written = {}
        for split, count in splits.items():
            texts = [f"{split} number {number} of {number * 7}" for number in range(count)]
            labels = [kinds[number % len(kinds)] for number in range(count)]
            frame = pd.DataFrame({"text": texts, "label": labels})
            path = Path(folder) / f"{split}{suffix}"
            try:
                if suffix == ".parquet":
                    frame.to_parquet(path)
                elif suffix == ".jsonl":
                    path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
                else:
                    frame.to_csv(path, index=False)
            except (ValueError, TypeError, ArithmeticError):  # Arrow takes no column of mixed types
                return
            written[path.name] = frame
        task = outcome(lambda: tasks.load(folder))
    if task is None:
        return
    assert all(isinstance(words, str) for words in task.description.values())
    rows = pd.concat(task.frames.values())
    assert rows["text"].is_unique
    alone = next(iter(written)) if len(written) == 1 else None
    for row in rows.to_dict("records"):
        frame = written[row.get("data_file", alone)]
        label = frame["label"].iloc[row["row"] - 1]
        assert frame["text"].iloc[row["row"] - 1] == row["text"]
        known = task.labels[row["label"]]
        assert known == str(label).strip() or float(known) == float(label)


@FEW
@given(st.binary(max_size=80), st.sampled_from([*sources.SUFFIXES, ".zip"]))
def test_any_bytes_under_the_name_of_data_are_read_or_refused(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        outcome(lambda: tasks.load(path))


@FEW
@given(st.lists(st.tuples(st.sampled_from(["a.csv", "b.tsv", "__MACOSX/._a.csv", "c/", "d.png"]), TEXTS), max_size=3))
def test_an_archive_is_the_one_file_in_it_or_refused(members):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the same name twice
        path = Path(folder) / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in members:
                archive.writestr(name, text)
        parts = outcome(lambda: sources.read(path))
    assert parts is None or len({name for name, _ in members if name in ("a.csv", "b.tsv")}) == 1
