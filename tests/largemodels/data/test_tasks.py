"""A task is what its data say, or one sentence says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from largemodels.data import corpora, tasks
from largemodels.data.tasks import Overlap, TaskError

DATA = Path(__file__).parents[4] / "shared" / "data"


def rows(count: int = 60) -> pd.DataFrame:
    """Rows that resemble each other as little as numbers do."""
    sentences = [f"number {n * 7} of {n * 11} and {n * 13} or {n * 17}" for n in range(count)]
    return pd.DataFrame({"text": sentences, "label": ["odd" if n % 2 else "even" for n in range(count)]})


def write(path: Path, frame: pd.DataFrame) -> Path:
    """The frame as the suffix has it."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


# The shipped task


def test_the_shipped_task_has_five_sections_in_the_splits_of_the_corpus():
    task = tasks.load()
    corpus = corpora.sentences()
    assert task.labels == corpora.LABELS
    assert set(task.frames) == {"train", "validation", "test"}
    for split, frame in task.frames.items():
        expected = corpus[(corpus["split"] == split) & corpus["section"].isin(corpora.LABELS)]
        assert list(frame["text"]) == list(expected["sentence"])
        assert [task.labels[label] for label in frame["label"][:200]] == list(expected["section"][:200])
    assert task.counts.loc["raises"].sum() < 1500 < task.counts.loc["notes"].sum()
    assert all(overlap.alike == 0 for overlap in task.overlaps)
    some = tasks.load(library=["scipy", "numpy"], style="numpydoc")
    assert set(some.frames["test"]["library"]) == {"scipy", "numpy"}
    assert some.labels == task.labels, "a label keeps its id in every selection"
    assert tasks.fingerprint() != corpora.fingerprint()
    for options, sentence in (
        ({"library": "jax"}, "there is no library jax; there is datasets, matplotlib"),
        ({"style": "epytext"}, "there is no style epytext"),
        ({"text_column": "text"}, "its columns are fixed"),
    ):
        with pytest.raises(TaskError, match=sentence):
            tasks.load(**options)


# Files


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_every_form_of_a_table_gives_the_same_task(tmp_path, name):
    frame = rows()
    frame.loc[0, "text"] = "façade, with a comma and an “odd” quote"
    task = tasks.load(write(tmp_path / name, frame))
    assert task.labels == ("even", "odd")
    assert set(task.frames) == {"train", "validation", "test"}
    read = pd.concat(task.frames.values())
    assert dict(zip(read["text"], read["label"].map(lambda label: task.labels[label]), strict=True)) == dict(
        zip(frame["text"], frame["label"], strict=True)
    )
    for split, part in task.frames.items():
        assert set(part["text"].map(corpora.split_of)) == {split}


def test_the_order_of_rows_changes_neither_splits_nor_ids(tmp_path):
    frame = rows()
    one = tasks.load(write(tmp_path / "a.csv", frame))
    two = tasks.load(write(tmp_path / "b.csv", frame.iloc[::-1]))
    assert one.labels == two.labels
    for split, part in one.frames.items():
        assert sorted(zip(part["text"], part["label"], strict=True)) == sorted(
            zip(two.frames[split]["text"], two.frames[split]["label"], strict=True)
        )


def test_a_folder_has_the_splits_that_its_files_are_named_by(tmp_path):
    frame = rows()
    write(tmp_path / "train.csv", frame[:40])
    write(tmp_path / "dev.csv", frame[40:])
    (tmp_path / "README.txt").write_text("Not data.")
    task = tasks.load(tmp_path)
    assert {split: len(part) for split, part in task.frames.items()} == {"train": 40, "validation": 20}
    assert task.evaluation_split == "validation"
    (tmp_path / "dev.csv").rename(tmp_path / "test.csv")
    task = tasks.load(tmp_path)
    assert len(task.frames["test"]) == 20
    assert len(task.frames["train"]) + len(task.frames["validation"]) == 40
    assert set(task.frames["validation"]["text"].map(corpora.split_of)) == {"validation"}
    (tmp_path / "train.csv").unlink()
    write(tmp_path / "dev.csv", frame)
    with pytest.raises(TaskError, match="there is no training split, only validation and test"):
        tasks.load(tmp_path)


def test_what_datasets_saved_comes_back_with_names_and_splits(tmp_path):
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    frame = rows().assign(label=[n % 2 for n in range(60)])
    whole = datasets.Dataset.from_pandas(frame, features=features)
    hidden = whole.map(lambda row: {**row, "label": -1}, features=features)
    datasets.DatasetDict({"train": whole, "validation": whole.select(range(9)), "test": hidden}).save_to_disk(tmp_path)
    task = tasks.load(tmp_path)
    assert task.labels == ("no", "yes")
    assert set(task.frames) == {"train", "validation"}, "a test set without labels is none"
    assert task.description["splits left out"] == "test (without labels)"
    assert list(task.frames["validation"]["label"][:3]) == [0, 1, 0]


def test_numbers_as_labels_are_ordered_as_numbers(tmp_path):
    frame = rows().assign(label=[n % 11 for n in range(60)])
    for name in ("a.csv", "a.parquet"):
        assert tasks.load(write(tmp_path / name, frame)).labels == tuple(map(str, range(11)))


def test_columns_are_found_where_only_one_can_be_meant(tmp_path):
    frame = rows()
    for columns in (("sentence", "topic"), ("phrase", "label"), ("text", "kind"), ("review", "sentiment")):
        named = frame.set_axis(list(columns), axis=1).assign(idx=range(60))
        task = tasks.load(
            write(tmp_path / "a.csv", named[["idx", *columns]] if "phrase" not in columns else named[list(columns)])
        )
        assert tuple(column.name for column in task.reading.columns.values()) == columns
    unclear = frame.set_axis(["one", "two"], axis=1)
    unclear = unclear.assign(three=unclear["two"], four=unclear["one"] + " again")
    path = write(tmp_path / "b.csv", unclear)
    with pytest.raises(TaskError, match=r"which of one, .*four is the text\? name it, as in -p text_column=one"):
        tasks.load(path)
    with pytest.raises(TaskError, match=r"which of two, three, four is the label\? name it, as in -p label_column=two"):
        tasks.load(path, text_column="one")
    assert tasks.load(path, text_column="one", label_column="two").labels == ("even", "odd")
    with pytest.raises(TaskError, match="text_column: there is no column five; there is one, two, three, four"):
        tasks.load(path, text_column="five", label_column="two")


def test_pairs_have_two_texts_and_are_split_together(tmp_path):
    frame = rows().rename(columns={"text": "premise"})
    frame["hypothesis"] = [f"claim {n * 19}" for n in range(60)]
    task = tasks.load(write(tmp_path / "a.csv", frame))
    assert {"text", "text_pair", "label", "row"} == set(task.frames["train"].columns)
    assert set((task.frames["test"]["text"] + "\0" + task.frames["test"]["text_pair"]).map(corpora.split_of)) == {
        "test"
    }


# Look-alikes


def test_a_sentence_in_two_splits_is_counted_and_dropped_where_asked(tmp_path):
    frame = rows()
    leaked = frame[50:53].copy()
    leaked.loc[52, "text"] = frame.loc[52, "text"].upper() + " !"
    write(tmp_path / "train.csv", pd.concat([frame[:40], leaked]))
    write(tmp_path / "validation.csv", frame[50:])
    task = tasks.load(tmp_path)
    assert task.overlaps == (Overlap("train", "validation", same=2, alike=3),)
    assert (len(task.frames["train"]), task.dropped) == (43, 0)
    clean = tasks.load(tmp_path, drop=True)
    assert (len(clean.frames["train"]), clean.dropped, len(clean.frames["validation"])) == (40, 3, 10)
    assert clean.overlaps == task.overlaps


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        (lambda frame: frame[50:], "every row of its train split resembles a row of a later split"),
        (
            lambda frame: pd.concat([frame[:50].query("label == 'odd'"), frame[50:].query("label == 'even'")]),
            "every training row of the label even resembles a row of a later split",
        ),
    ],
    ids=["all rows", "all rows of a label"],
)
def test_dropping_that_leaves_nothing_to_learn_from_is_refused(tmp_path, train, sentence):
    write(tmp_path / "train.csv", train(rows()))
    write(tmp_path / "validation.csv", rows()[50:])
    assert tasks.load(tmp_path).overlaps[0].alike
    with pytest.raises(TaskError, match=sentence):
        tasks.load(tmp_path, drop=True)


# What is no task


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.csv", None, "no such task; give a shipped one (pydocs-sections)"),
        ("empty.csv", b"", "the file is empty"),
        ("head.csv", b"text,label\n", "holds no labelled row"),
        ("alone.csv", b"text\na\nb\n", "there is one column only, text"),
        ("notes.txt", b"a\nb\n", "there is one column only, text"),
        ("none.csv", b"text,idx\na,1\n", "there is no label beside the text"),
        ("one.csv", b"text,label\na,x\nb,x\n", "every row has the same label (x)"),
        ("latin.csv", "text,label\nfaçade,x\n".encode("latin-1"), "not UTF-8 text (byte 13)"),
        ("binary.csv", b"\x89PNG\0\0\0", "a binary file and not text"),
        ("binary.parquet", b"\x89PNG\0\0\0", "cannot be read as Parquet"),
        ("mixed.csv", b"text,label\na,1\nb,x\n", "its labels are of mixed types (1, x)"),
        ("mixed.jsonl", b'{"text": "a", "label": 1}\n{"text": "b", "label": "x"}\n', "its labels are of mixed types"),
        ("real.jsonl", b'{"text": "a", "label": 1.5}\n{"text": "b", "label": 2.5}\n', "its labels are no classes"),
        ("gap.csv", b"text,label\na,x\nb,\n", "1 of 2 rows of gap have no label (the first is row 2)"),
        ("number.jsonl", b'{"text": 7, "label": "x"}\n{"text": "b", "label": "y"}\n', "row 1 of number holds 7"),
        ("few.csv", b"text,label\na,x\nb,y\n", "2 rows are too few for a split"),
        (
            "ragged.csv",
            b"text,label\na,x\nb,y,z\n",
            "not a table of commas (line 3 has another number of fields",
        ),
        ("bad.jsonl", b'{"text": "a", "label": 1}\n{"text"\n', "line 2 is not JSON"),
        ("list.jsonl", b"[1, 2]\n", "expected a JSON object on each line"),
        ("own.csv", b"text,label\n" + b"".join(b"t%d,l%d\n" % (n, n) for n in range(30)), "a label of its own"),
        ("image.png", b"x", "not a file of a known kind"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TaskError) as caught:
        tasks.load(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value._render_traceback_() == [f"Task error: {caught.value}"]


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        (rows(12).assign(label="neither"), "test holds the label neither, which no training row has; take its 12 rows"),
        (rows(0), "its test split holds no labelled row"),
        (rows(3).assign(text=" "), "its test split holds no labelled row"),
    ],
)
def test_a_split_that_nothing_can_be_learnt_for_is_refused(tmp_path, test, sentence):
    write(tmp_path / "train.csv", rows(40))
    write(tmp_path / "test.csv", test)
    with pytest.raises(TaskError, match=sentence):
        tasks.load(tmp_path)


def test_a_name_is_not_taken_for_another_kind_of_thing(tmp_path):
    with pytest.raises(TaskError, match="pydocs is a corpus without labels; the task made of it is pydocs-sections"):
        tasks.load("pydocs")
    with pytest.raises(TaskError, match="pydocs-section: no such task"):
        tasks.load("pydocs-section")
    with pytest.raises(TaskError, match="library and style choose among the sentences of pydocs-sections only"):
        tasks.load(write(tmp_path / "a.csv", rows()), library="numpy")
    (tmp_path / "b.txt").write_text("text")
    with pytest.raises(TaskError, match=r"files of several kinds \(\.csv, \.txt\)"):
        tasks.load(tmp_path)


def test_a_corpus_can_be_a_table_too(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "letters.jsonl"
    texts = ["Dear reader. How are you?\n\nAll is well here.", "Another letter has come."]
    path.write_text("".join(json.dumps({"id": place, "body": text}) + "\n" for place, text in enumerate(texts)))
    frame = corpora.sentences(path)
    assert list(frame["sentence"]) == ["Dear reader.", "How are you?", "All is well here.", "Another letter has come."]
    assert list(frame["position"]) == [0, 1, 2, 0]
    assert set(frame["library"]) == {"letters"}
    assert frame["document"].nunique() == 2


# Real data


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real data is not here")
def test_real_files_are_read_to_the_last_row():
    task = tasks.load(DATA / "sst2")
    assert {split: len(frame) for split, frame in task.frames.items()} == {"train": 67349, "validation": 872}
    assert task.counts["validation"].tolist() == [428, 444]
    news = tasks.load(DATA / "ag_news" / "dev.tsv")
    assert news.labels == ("Business", "Sci/Tech", "Sports", "World")
    assert sum(map(len, news.frames.values())) == 10001
    reviews = tasks.load(DATA / "customer_reviews" / "all.tsv")
    blank = reviews.reading.without_text
    assert sum(map(len, reviews.frames.values())) + blank == 3775
