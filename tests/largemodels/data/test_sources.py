"""A data set's card or its files' names tell which files are read, and what stands in them is not changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from largemodels.base.errors import InputError
from largemodels.data import sources
from largemodels.data.hub import parse

FILES = ["README.md", "films/train.csv", "films/held-out.csv", "books/train.csv", "books/test.csv", "LICENSE.txt"]
TWO = """\
configs:
- config_name: films
  default: true
  data_files:
  - split: train
    path: films/train*
  - split: test
    path: [./films/held-out.csv]
- config_name: 2018
  data_files: books/*.csv
"""


def card(tmp_path: Path, text: str) -> dict:
    (tmp_path / "README.md").write_text(f"---\n{text}---\n# Reviews\n")
    return sources._card(tmp_path / "README.md")


@pytest.mark.parametrize(
    ("name", "config", "files"),
    [
        ("org/reviews", "films", [("films/train.csv", "train"), ("films/held-out.csv", "test")]),
        ("org/reviews:2018", "2018", [("books/train.csv", "train"), ("books/test.csv", "test")]),
    ],
)
def test_a_card_names_the_files_of_a_configuration_and_their_splits(tmp_path, name, config, files):
    assert sources._chosen_files(parse(name), FILES, card(tmp_path, TWO)) == (config, files)


def test_without_a_card_folders_are_configurations_and_names_tell_the_splits(tmp_path):
    for damaged in ("configs: [", "- a list\n", "license: mit\n"):
        read = card(tmp_path, damaged)
        assert sources._chosen_files(parse("org/reviews:books"), FILES, read) == (
            "books",
            [("books/train.csv", "train"), ("books/test.csv", "test")],
        )


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("org/reviews:plays", TWO, "there is no configuration plays; there is films, 2018"),
        ("org/reviews", "", "which configuration? add one of books, films behind a colon"),
        ("org/reviews:x", "configs:\n- config_name: x\n  data_files: x/*\n", "the card names no file that is there"),
        (
            "org/reviews",
            "configs:\n- config_name: x\n  data_files: 7\n",
            "the configurations in its card cannot",
        ),
        ("org/reviews", "configs: 7\n", "the configurations in its card cannot"),
        ("org/reviews", "configs: [7]\n", "the configurations in its card cannot"),
    ],
)
def test_a_card_that_does_not_help_is_refused_in_one_sentence(tmp_path, name, text, sentence):
    with pytest.raises(InputError) as caught:
        sources._chosen_files(parse(name), FILES, card(tmp_path, text))
    assert str(caught.value).startswith(f"{name}: {sentence}")
    assert "\n" not in str(caught.value)


FEATURES = """\
  features:
  - name: sentence
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': negative
          '1': positive
"""


@pytest.mark.parametrize(
    ("text", "config", "names"),
    [
        (f"dataset_info:\n{FEATURES}", None, {"label": ("negative", "positive")}),
        (f"dataset_info:\n{FEATURES}", "films", {"label": ("negative", "positive")}),
        (f"dataset_info:\n- config_name: films\n{FEATURES}- config_name: books\n", "films",
         {"label": ("negative", "positive")}),
        (f"dataset_info:\n- config_name: films\n{FEATURES}- config_name: books\n", "books", {}),
        ("dataset_info: 7\n", None, {}),
        ("dataset_info:\n- 7\n", None, {}),
        ("dataset_info:\n  features: 7\n", None, {}),
    ],
)  # fmt: skip
def test_a_card_names_the_classes_of_a_configuration(tmp_path, text, config, names):
    assert sources._card_classes(card(tmp_path, text), config) == names


@pytest.mark.parametrize(("name", "between"), [("a.csv", ","), ("a.tsv", "\t")])
def test_numbers_and_missing_values_of_a_table_stay_the_text_that_they_are(tmp_path, name, between):
    rows = [["text", "label"], ["NA", "01"], ["null", "1.0"], ["1e5", ""], [" x ", "nan"]]
    path = tmp_path / name
    path.write_text("".join(between.join(row) + "\n" for row in rows))
    (part,) = sources.read(path)
    assert part.frame.columns.tolist() == rows[0]
    assert part.frame.to_numpy().tolist() == rows[1:]


def test_values_of_json_lines_keep_their_kinds(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "2020-01-01", "label": 1}\n{"text": null, "label": "1"}\n{"text": 1.5, "label": true}\n')
    (part,) = sources.read(path)
    assert part.frame.to_numpy().tolist() == [["2020-01-01", 1], [None, "1"], [1.5, True]]
    assert [type(value) for value in part.frame["label"]] == [int, str, bool]


def test_reading_writes_nothing_beside_the_data(tmp_path):
    import datasets

    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}).save_to_disk(tmp_path / "saved")
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "a.parquet")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for name in ("saved", "a.parquet"):
        sources.fingerprint(tmp_path / name)
        assert len(sources.read(tmp_path / name)[0].frame) == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
