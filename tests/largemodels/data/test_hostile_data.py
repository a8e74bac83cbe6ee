"""Data that cannot be read are one sentence within seconds, whatever stands where a file is expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostile import NESTED, SPECIAL, another_user, seconds, sparse
from largemodels.base.errors import InputError
from largemodels.data import corpora, hub, sources, tasks

GOOD = "text,label\nit was good,1\nit was bad,0\n"
datasets = pytest.importorskip("datasets")


def refused(name: Path, part: str = "cannot be read (") -> None:
    """The fingerprint, which the command line asks for before a kernel starts, and every load refuse a name alike."""
    for asked in (sources.fingerprint, sources.read, corpora.fingerprint, corpora.sentences, tasks.load):
        with seconds(), pytest.raises(InputError) as caught:
            asked(str(name))
        assert part in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused_by_itself_and_in_a_folder(tmp_path, kind):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text(GOOD)
    SPECIAL[kind](folder / "b.csv")
    refused(folder)
    if kind != "folder":  # which by itself is a folder of data
        with seconds(), pytest.raises(InputError):
            sources.read(folder / "b.csv")
        with seconds(), pytest.raises(InputError):
            corpora.sentences(folder / "b.csv")


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_stands_beside_data_is_not_opened(tmp_path, kind):
    for name in ("README.md", "LICENSE.txt", "dataset_infos.json", "dataset_dict.json", "state.json", ".hidden.csv"):
        SPECIAL[kind](tmp_path / name)
    (tmp_path / "a.csv").write_text(GOOD)
    with seconds():
        assert len(sources.fingerprint(tmp_path)) == 64
        assert len(sources.read(tmp_path)[0].frame) == 2


@pytest.mark.parametrize("place", ["a.csv", "data", "saved/train", "closed/a.csv"])
def test_what_may_not_be_read_is_refused(place):
    with another_user() as home:
        for folder in ("data", "closed"):
            (home / folder).mkdir()
            (home / folder / "a.csv").write_text(GOOD)
        (home / "a.csv").write_text(GOOD)
        saved(home / "saved")
        closed = home / ("closed" if "closed" in place else place)
        closed.chmod(0)
        refused(home / place if "saved" not in place else home / "saved", "Permission denied")
        closed.chmod(0o700)


def saved(folder: Path) -> Path:
    """A folder of `save_to_disk` with two splits."""
    data = datasets.Dataset.from_dict({"text": ["good", "bad"], "label": [1, 0]})
    datasets.DatasetDict(train=data, test=data).save_to_disk(folder)
    return folder


def with_data_file(filename: object) -> str:
    return json.dumps({"_data_files": [{"filename": filename}]})


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((file, make) for file in ("train/state.json", "train/dataset_info.json") for make in SPECIAL.values()),
        *(("train/data-00000-of-00001.arrow", make) for make in SPECIAL.values()),
        *((file, sparse) for file in ("train/state.json", "train/dataset_info.json", "dataset_dict.json")),
        *(("train/state.json", text) for text in (NESTED, "[]", "null", "", "{}")),
        *(("dataset_dict.json", text) for text in (NESTED, "[]", "null", "", "{}")),
        *(("train/state.json", with_data_file(name)) for name in ("../test/data-00000-of-00001.arrow", "/dev/zero", 7)),
        ("train/state.json", json.dumps({"_data_files": 7})),
        ("dataset_dict.json", json.dumps({"splits": ["../elsewhere"]})),
        ("dataset_dict.json", json.dumps({"splits": ["missing"]})),
        ("dataset_dict.json", json.dumps({"splits": 7})),
        ("dataset_dict.json", json.dumps({"splits": []})),
    ],
)  # fmt: skip
def test_what_save_to_disk_did_not_write_is_refused(tmp_path, file, content):
    folder = saved(tmp_path / "saved")
    saved(tmp_path / "elsewhere")
    (folder / file).unlink()
    if callable(content):
        content(folder / file)
    else:
        (folder / file).write_text(content)
    refused(folder, "cannot be read")


def test_a_saved_split_that_is_a_link_counts_in_the_fingerprint(tmp_path):
    folder, other = saved(tmp_path / "saved"), saved(tmp_path / "other")
    (folder / "train").rename(tmp_path / "train")
    (folder / "train").symlink_to(tmp_path / "train")
    before = sources.fingerprint(folder)
    (tmp_path / "train").rename(tmp_path / "before")
    datasets.Dataset.from_dict({"text": ["fine"], "label": [1]}).save_to_disk(tmp_path / "train")
    assert sources.fingerprint(folder) != before != sources.fingerprint(other / "train")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", NESTED),
        ("a.jsonl", f'{{"text": {NESTED}}}\n'),
        ("a.json", '[{"text": ' + "9" * 5000 + "}]"),
    ],
)
def test_nested_json_is_refused_where_it_is_loaded(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with seconds(), pytest.raises(InputError, match="is not JSON"):
        sources.read(tmp_path / name)


def labelled(path: Path, described: bytes) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["good", "bad"], "label": [1, 0]})
    pq.write_table(table.replace_schema_metadata({b"huggingface": described}), path)


@pytest.mark.parametrize(
    "described", [NESTED.encode(), b"{", b"[]", b"7", b'{"info": 7}', b'{"info": {"features": 7}}', b"\xff"]
)
def test_label_names_that_cannot_be_read_are_none(tmp_path, described):
    labelled(tmp_path / "a.parquet", described)
    with seconds():
        (part,) = sources.read(tmp_path / "a.parquet")
    assert part.label_names == {}


MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 10))


@pytest.mark.parametrize(
    "make", [*SPECIAL.values(), sparse, NESTED, MERGED, "a: &a [*a]", "configs: \0", "a: 1970-99-99"]
)
def test_a_card_that_cannot_be_read_says_nothing(tmp_path, make):
    card = tmp_path / "repository" / "README.md"
    card.parent.mkdir()
    if callable(make):
        make(card)
    else:
        card.write_text(f"---\n{make}\n---\n")
    with seconds():
        assert "configs" not in sources._card(card)


@pytest.mark.parametrize("make", [*SPECIAL.values(), sparse, NESTED, "[]", "{", ""])
def test_what_the_hub_said_before_is_asked_again_where_it_cannot_be_read(tmp_path, monkeypatch, make):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    note = hub._note("dataset", "org/name", "main")
    note.parent.mkdir(parents=True)
    if callable(make):
        make(note)
    else:
        note.write_text(make)
    with seconds():
        assert hub._read_note("dataset", "org/name", "main") == {}


@pytest.mark.parametrize("name", ["a" * 300, "~nobody-of-this-name/a.csv", "a\0.csv", "a" * 300 + ".csv"])
def test_what_can_be_no_path_is_refused(name):
    for asked in (corpora.fingerprint, corpora.sentences, tasks.fingerprint, tasks.load):
        with pytest.raises(InputError):
            asked(name)
