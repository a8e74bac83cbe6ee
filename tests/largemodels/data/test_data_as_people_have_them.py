"""Data as people bring them are read as they mean them, or one sentence says what is in doubt and what to do."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile

import pandas as pd
import pytest

from largemodels.base.errors import InputError
from largemodels.data import corpora, packed, sources, tasks

ROWS = [(f"the ship {verb} in bay number {n} of {n * 7}", kind) for n in range(0, 60, 2)
        for n, verb, kind in ((n, "rose", "yes"), (n + 1, "sank", "no"))]  # fmt: skip
TEXTS = dict(ROWS)


def table(**columns: int) -> pd.DataFrame:
    """The rows, their text (0) and class (1) under other names."""
    return pd.DataFrame({name: [row[place] for row in ROWS] for name, place in columns.items()})


def learnt(path, **columns) -> tuple[dict[str, str], tasks.Task]:
    """The class of each text of a task, by name, and the task."""
    task = tasks.load(path, **columns)
    rows = pd.concat(task.frames.values())
    return dict(zip(rows["text"], rows["label"].map(lambda label: task.labels[label]), strict=True)), task


def lines(separator: str, header: str, row) -> str:
    return "".join(f"{separator.join(fields)}\n" for fields in (header.split(), *(row(*each) for each in ROWS)))


READ_ALIKE = {
    "semicolons and a decimal comma": ("a.csv", lines(";", "text label score", lambda text, kind: (text, kind, "1,5"))),
    "tabs in a .csv": ("a.csv", lines("\t", "text label", lambda text, kind: (text, kind))),
    "commas in a .tsv": ("a.tsv", lines(",", "text label", lambda text, kind: (text, kind))),
    "names of their own": ("a.csv", lines(",", "kind Comment", lambda text, kind: (kind, text))),
    "names of their own and a number": (
        "a.csv",
        lines(",", "nr kind Comment", lambda text, kind: (text.split()[-1], kind, text)),
    ),
    "empty fields at the end": ("a.csv", lines(",", "text label", lambda text, kind: (text, kind, ""))),
    "blanks around labels": (
        "a.csv",
        lines(",", "text label", lambda text, kind: (text, f" {kind}" if "7" in text else kind)),
    ),
    "quotes in a .tsv": ("a.tsv", lines("\t", "text label", lambda text, kind: (f'"{text}"', kind))),
}


@pytest.mark.parametrize(("name", "content"), READ_ALIKE.values(), ids=READ_ALIKE)
def test_every_way_to_write_a_table_gives_the_same_task(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert learnt(tmp_path / name)[0] == TEXTS


@pytest.mark.parametrize("made", ["files", "folders", "folders in folders"])
def test_what_is_named_by_class_is_a_class(tmp_path, made):
    for number, (text, kind) in enumerate(ROWS):
        if made == "files":
            with (tmp_path / f"{kind}.txt").open("a") as file:
                file.write(f"{text}\n")
        else:
            split = "." if made == "folders" else "test" if number % 5 == 0 else "train"
            (tmp_path / split / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / split / kind / f"{number}.txt").write_text(f"{text}\nin two lines")
    (tmp_path / "README.md").write_text("Not data.")
    (tmp_path / "train" / "unsup").mkdir(parents=True, exist_ok=True)
    (tmp_path / "train" / "unsup" / "0.txt").write_text("nobody knows what this is")
    if made != "folders in folders":
        (tmp_path / "train" / "unsup" / "0.txt").unlink()
        (tmp_path / "train" / "unsup").rmdir()
        (tmp_path / "train").rmdir()
    read, task = learnt(tmp_path)
    assert {text.partition("\n")[0]: kind for text, kind in read.items()} == TEXTS
    assert all(text.endswith("\nin two lines") for text in read) is (made != "files")
    assert (len(task.frames["test"]) == 12) is (made == "folders in folders")
    assert len(corpora.fingerprint(tmp_path)) == 64


def test_a_line_break_in_quotes_belongs_to_the_text(tmp_path):
    texts = [text.replace(" number", "\nnumber") if "7" in text else text for text, _ in ROWS]
    frame = pd.DataFrame({"label": [kind for _, kind in ROWS], "text": texts})
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert learnt(tmp_path / "a.tsv")[0] == dict(zip(frame["text"], frame["label"], strict=True))


def test_quotes_of_a_tsv_that_is_not_quoted_are_text(tmp_path):
    texts = [f'" {text} " they say' if "7" in text else text for text, _ in ROWS]
    (tmp_path / "a.tsv").write_text(
        "text\tlabel\n" + "".join(f"{text}\t{kind}\n" for text, (_, kind) in zip(texts, ROWS, strict=True))
    )
    assert set(learnt(tmp_path / "a.tsv")[0]) == set(texts)


def test_lines_of_json_end_at_a_line_feed_alone(tmp_path):
    texts = [text.replace(" number", " \u2028\x85 number") for text, _ in ROWS]
    rows = [{"text": text, "label": kind} for text, (_, kind) in zip(texts, ROWS, strict=True)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows), encoding="utf-8", newline="")
    assert set(learnt(path)[0]) == set(texts)


@pytest.mark.parametrize("name", ["eval", "evaluation", "test"])
def test_an_evaluation_file_is_a_test_split(tmp_path, name):
    frame = table(text=0, label=1)
    for split, part in (("train", frame[:40]), ("validation", frame[40:50]), (name, frame[50:])):
        part.to_csv(tmp_path / f"{split}.csv", index=False)
    task = tasks.load(tmp_path)
    assert {split: len(part) for split, part in task.frames.items()} == {"train": 40, "validation": 10, "test": 10}


@pytest.mark.parametrize("known", [0, -1], ids=["labelled", "without labels"])
def test_a_further_split_is_left_out_and_noted(tmp_path, known):
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = {"text": [text for text, _ in ROWS], "label": [int(kind == "yes") for _, kind in ROWS]}
    whole = datasets.Dataset.from_dict(rows, features=features)
    further = whole.select(range(9)).map(lambda row: {"label": known}, features=features)
    splits = {"train": whole.select(range(10, 50)), "test": whole.select(range(50, 60)), "unsupervised": further}
    datasets.DatasetDict(splits).save_to_disk(tmp_path)
    task = tasks.load(tmp_path)
    assert sum(map(len, task.frames.values())) == 50
    assert task.description["splits left out"] == "unsupervised (a further split)"


COMMAS = lines(",", "text label", lambda text, kind: (text, kind))
RECORDS = [{"text": text, "label": kind} for text, kind in ROWS]
PACKED = {
    "a.csv.gz": gzip.compress(COMMAS.encode()),
    "a.CSV.BZ2": bz2.compress(COMMAS.encode()),
    "a.jsonl.xz": lzma.compress("".join(json.dumps(row) + "\n" for row in RECORDS).encode()),
    "UTF-8 with a mark.csv": COMMAS.encode("utf-8-sig"),
    "UTF-16.csv": COMMAS.encode("utf-16"),
    "UTF-32.csv": COMMAS.encode("utf-32"),
    "a list.json": json.dumps(RECORDS).encode(),
    "under a key.json": json.dumps({"version": "1", "data": RECORDS}).encode(),
    "columns of pandas.json": pd.DataFrame(RECORDS).to_json().encode(),
}


@pytest.mark.parametrize("name", PACKED)
def test_what_pandas_reads_by_its_suffix_or_first_bytes_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(PACKED[name])
    read, task = learnt(tmp_path / name)
    assert read == TEXTS
    assert task.description["rows"] == "60 taken" + (", from the key data" if "key" in name else "")
    (tmp_path / name).rename(tmp_path / f"train {name}")
    assert sources.read(tmp_path)[0].stem.startswith("train ")


@pytest.mark.parametrize("name", ["a.zip", "a.csv.zip"])
def test_an_archive_of_one_file_is_that_file(tmp_path, name):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/reviews.csv", COMMAS)
        archive.writestr("__MACOSX/folder/._reviews.csv", "x")
    assert learnt(tmp_path / name)[0] == TEXTS


def test_a_file_that_unpacks_to_more_than_there_is_room_for_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "MOST", 2**20)
    for name, content in (("a.csv.gz", gzip.compress(b"x" * 2**21)), ("a.csv.xz", lzma.compress(b"x" * 2**21))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="holds more than 1 MiB; unpack it, and give the file that was in it"):
            sources.read(tmp_path / name)


def test_text_labels_that_look_like_numbers_stay_text_in_one_order(tmp_path):
    names = ["007", "7", "-1", "10"]
    rows = pd.DataFrame({"text": list(TEXTS), "label": [names[n % 4] for n in range(60)]})
    rows.to_csv(tmp_path / "a.csv", index=False)
    assert tasks.load(tmp_path / "a.csv").labels == ("-1", "007", "7", "10")


def test_every_example_says_where_it_stands_in_its_file(tmp_path):
    frame = table(text=0, label=1)
    frame.loc[3, "text"] = " "
    frame[:40].to_csv(tmp_path / "train.csv", index=False)
    frame[40:].to_csv(tmp_path / "test.csv", index=False)
    task = tasks.load(tmp_path)
    assert task.description["rows"] == "59 taken; 1 without text left out"
    assert task.description["train"].endswith("rows, from train.csv, without those of the splits below")
    assert task.description["test"] == "20 rows, from test.csv"
    for rows in task.frames.values():
        for row in rows.to_dict("records"):
            read = pd.read_csv(tmp_path / row["data_file"])
            assert read["text"][row["row"] - 1] == row["text"]


def test_a_line_of_a_text_file_keeps_its_number_where_blank_ones_are_left_out(tmp_path):
    for kind in ("yes", "no"):
        (tmp_path / f"{kind}.txt").write_text("\n\n".join(text for text, label in ROWS if label == kind))
    rows = pd.concat(tasks.load(tmp_path).frames.values())
    for row in rows.to_dict("records"):
        assert (tmp_path / row["data_file"]).read_text().split("\n")[row["row"] - 1] == row["text"]


def csv(path, **columns):
    table(**columns).to_csv(path / "a.csv", index=False)


def two_labels(path):
    frame = table(text=0, category=1, target=1)
    frame.assign(target=[len(text) % 2 for text in frame["text"]]).to_csv(path / "a.csv", index=False)


def two_long_columns(path):
    table(**{"Our question": 0, "answer": 0, "label": 1}).to_csv(path / "a.csv", index=False)


def a_missing_label(path):
    frame = table(text=0)
    frame["label"] = pd.Series([n % 2 if n != 3 else None for n in range(60)], dtype="Int64")
    frame.to_parquet(path / "a.parquet")


def a_list_for_a_label(path):
    (path / "a.jsonl").write_text("".join(json.dumps({"text": text, "labels": [kind]}) + "\n" for text, kind in ROWS))


def commas_without_quotes(path):
    (path / "a.csv").write_text("label,text\n" + "".join(f"{kind},{text}, they say\n" for text, kind in ROWS))


def a_comma_without_quotes(path):
    (path / "a.csv").write_text("label,text\nyes,it rose\nno,it sank, they say\n")


def a_line_break_without_quotes(path):
    (path / "a.csv").write_text("label,text\nyes,it rose\nno,it sank\nthey say\n")


def a_quote_that_stays_open(path):
    (path / "a.csv").write_text('label,text\nyes,"it rose\nno,it sank\n')


def a_quote_amid_a_field(path):
    (path / "a.csv").write_text('label,text\nyes,"it" rose\nno,it sank\n')


def a_quoted_tsv_with_a_damaged_row(path):
    (path / "a.tsv").write_text('label\ttext\nyes\t"it ""rose"""\nno\t"it" sank\n')


def a_stray_file(path):
    csv(path, text=0, label=1)
    (path / "a.csv").rename(path / "train.csv")
    (path / "old.csv").write_text("text,label\nwhat is this,yes\n")


def files_and_folders_of_classes(path):
    for file in ("yes.txt", "no.txt", "pos/1.txt", "neg/1.txt"):
        (path / file).parent.mkdir(exist_ok=True)
        (path / file).write_text("it rose\n")


def one_file_of_texts(path):
    (path / "a.txt").write_text("it rose\nit sank\n")


def written(name: str, content: bytes):
    """What writes a file of this name."""

    def make(path):
        (path / name).write_bytes(content)

    make.__name__ = name
    return make


def two_files_in_an_archive(path):
    with zipfile.ZipFile(path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv", "text,label")
        archive.writestr("b.csv", "text,label")


def an_index_that_is_the_text(path):
    """What `datasets` reads as columns; pandas alone would hide the text."""
    table(text=0, label=1).assign(label="x").set_index("text").to_parquet(path / "a.parquet")


REFUSED = [
    (two_files_in_an_archive, "a.csv.zip: holds 2 files (a.csv, b.csv) and not one; unpack it, and give a folder"),
    (an_index_that_is_the_text, "every row has the same label (x)"),
    (written("a.csv.gz", b"text,label"), "a.csv.gz: cannot be unpacked (damaged, or no .gz file)"),
    (written("a.csv.xz", lzma.compress(b"text,label")[:-9]), "cannot be unpacked (damaged, or no .xz file)"),
    (written("utf16.csv", "text,label\né,x".encode("utf-16-le")), "a binary file and not text, whatever its name"),
    (written("a.csv", b"text,label\nit rose\0,x\n"), "a binary file and not text"),
    (written("windows.csv", "text,label\né,x\n".encode("cp1252")), "save it as UTF-8, as iconv -f WINDOWS-1252"),
    (written("twice.csv", b"text,text,label\na,b,c\n"), "several columns are called text; rename all but one"),
    (written("one column.csv", b"text\nit rose,\nit sank\n"), "line 2 has another number of fields"),
    (written("head.csv", b"text,label\n"), "holds no labelled row"),
    (written("one row.csv", b"text,label\nit rose,x\n"), "every row has the same label (x)"),
    (written("nothing.json", b"[]"), "nothing.json: holds no row"),
    (written("half.json", b'[{"text": "\\ud800", "label": 1}]'), "row 1 holds half of a character"),
    (written("two.json", b'{"a": [{"text": 1}], "b": [{"text": 1}]}'), "are the rows under a or b? leave one"),
    (written("nested.jsonl", b'{"text": "a", "label": 1}\n{"text": {"a": 1}, "label": 1}\n'), "row 2 of nested holds"),
    (two_long_columns, "which of Our question, answer is the text? name it, as in -p text_column='Our question'"),
    (two_labels, "which of category, target is the label? name it, as in -p label_column=category"),
    (a_missing_label, "1 of 60 rows of a have no label (the first is row 4)"),
    (a_list_for_a_label, "its labels are no classes (such as ['yes']); name another column, as in -p label_column="),
    (commas_without_quotes, "not a table of commas (line 2 has another number of fields"),
    (a_comma_without_quotes, "line 3 has another number of fields or a stray quote); put a text that holds a comma"),
    (a_line_break_without_quotes, "line 4 has another number of fields"),
    (
        a_quote_that_stays_open,
        "put a text that holds a comma, a quote or a line break in double quotes",
    ),
    (a_quote_amid_a_field, "(line 2 has another number of fields or a stray quote)"),
    (a_quoted_tsv_with_a_damaged_row, "not a table of tabs (line 3 has another number of fields or a stray quote)"),
    (a_stray_file, "old is no split beside train; name it validation or test, or take it out"),
    (files_and_folders_of_classes, "are its files the classes, or folders such as"),
    (
        one_file_of_texts,
        "a task needs a text and a label: two columns, or a folder with a file or a folder",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_what_is_in_doubt_is_one_sentence_that_says_what_to_do(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(tasks.TaskError) as caught:
        tasks.load(tmp_path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_corpus_finds_its_text_beside_labels_and_asks_for_nothing_that_no_chapter_has(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    table(v1=1, v2=0).to_csv(tmp_path / "a.csv", index=False)
    assert set(corpora.sentences(tmp_path / "a.csv")["sentence"]) <= set(TEXTS)
    table(v1=0, v2=0).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match=r"which of v1, v2 is the text\? rename it to text$"):
        corpora.sentences(tmp_path / "a.csv")
