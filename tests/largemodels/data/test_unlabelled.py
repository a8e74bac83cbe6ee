"""Texts to be classified are read as data of a task are, in the file's order, without a label."""

import pandas as pd
import pytest

from largemodels.base.errors import InputError
from largemodels.data.unlabelled import read_unlabelled

ROWS = pd.DataFrame({"ticket": ["007", "008"], "what they wrote": ["It broke, twice.", ""], "note": ["NA", "x y z"]})


def written(folder, rows=ROWS, name="new.csv"):
    rows.to_csv(folder / name, index=False)
    return folder / name


def test_the_rows_stay_as_they_are_and_the_column_that_was_learnt_from_is_the_text(tmp_path):
    rows, examples = read_unlabelled(written(tmp_path), ("what they wrote",))
    pd.testing.assert_frame_equal(rows, ROWS, check_dtype=False)
    assert examples.to_dict("list") == {"text": ["It broke, twice.", ""]}


@pytest.mark.parametrize(
    ("names", "learnt", "options", "columns"),
    [
        (["id", "review"], ["body"], {}, ["review"]),
        (["a", "review"], ["review"], {"text": "a"}, ["a"]),
        (["premise", "hypothesis"], ["one", "two"], {}, ["premise", "hypothesis"]),
        (["one", "two", "three"], ["one", "two"], {}, ["one", "two"]),
        (["left", "right"], ["one", "two"], {"text": "right", "pair": "left"}, ["right", "left"]),
    ],
)
def test_columns_are_those_that_are_named_else_learnt_from_else_known(tmp_path, names, learnt, options, columns):
    file = written(tmp_path, pd.DataFrame({name: [f"the {name} of one", f"the {name} of two"] for name in names}))
    _, examples = read_unlabelled(file, learnt, **options)
    assert [examples[name][0] for name in examples] == [f"the {name} of one" for name in columns]


@pytest.mark.parametrize(
    ("learnt", "options", "said"),
    [
        (["body"], {"text": "body"}, "--text-column: there is no column body; there is ticket, what they wrote, note"),
        (["body"], {}, "is the text? name it, as in --text-column"),
        (["one", "two"], {}, "which two of ticket, what they wrote, note are the texts?"),
        (["body"], {"text": "note", "pair": "ticket"}, "--pair-column: the classifier reads one text and not two"),
    ],
)
def test_doubt_about_a_column_is_one_sentence(tmp_path, learnt, options, said):
    with pytest.raises(InputError) as refusal:
        read_unlabelled(written(tmp_path), learnt, **options)
    assert said in str(refusal.value)


def test_a_row_that_holds_no_text_is_named(tmp_path):
    (tmp_path / "new.jsonl").write_text('{"text": "yes"}\n{"text": 3}\n')
    with pytest.raises(InputError, match=r"row 2 holds 3 where a text should stand"):
        read_unlabelled(tmp_path / "new.jsonl")


def test_lines_of_a_text_file_are_texts(tmp_path):
    (tmp_path / "new.txt").write_text("one\ntwo\n")
    assert read_unlabelled(tmp_path / "new.txt", ["body"])[1]["text"].tolist() == ["one", "two"]
