"""What models answered is kept without the texts, and comes back as it was."""

import numpy as np
import pandas as pd
import pytest

from largemodels.base.errors import InputError
from largemodels.data.description import describe_predictions
from largemodels.data.predictions import (
    class_names,
    example_ids,
    label_ids_in,
    log_probabilities_in,
    predictions_table,
    read_predictions,
    right_by,
    save_predictions,
    without_more,
)

LABELS = ("notes", "raises", "summary")


def examples():
    return pd.DataFrame(
        {"text": ["one", "two", "three"], "label": [2, 0, 1], "library": ["numpy", "scipy", "numpy"], "other": 1}
    )


def logs(seed=0):
    return np.log(np.random.default_rng(seed).dirichlet([1, 1, 1], 3))


def test_a_table_comes_back_as_it_was_and_holds_no_text(tmp_path):
    given = {"words": logs(1), "network": logs(2)}
    table = predictions_table(examples(), given, LABELS)
    read = read_predictions(save_predictions(table, "sections", tmp_path / "predictions"))
    pd.testing.assert_frame_equal(read, table)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "predictions"), table)
    assert class_names(read) == LABELS
    assert not {"text", "other"} & set(read.columns)
    for model, wanted in given.items():
        part = read[read.model == model]
        np.testing.assert_allclose(log_probabilities_in(part), wanted, rtol=1e-6)
        assert list(label_ids_in(part)) == [2, 0, 1]
        assert list(part.right) == list(wanted.argmax(1) == [2, 0, 1])
        assert list(part.library) == ["numpy", "scipy", "numpy"]
    assert [file.name for file in (tmp_path / "predictions").iterdir()] == ["sections.parquet"]


def test_answers_say_the_row_of_the_users_file_and_what_is_published_does_not():
    table = predictions_table(examples().assign(row=[7, 2, 9], data_file="a.csv"), {"words": logs()}, LABELS)
    assert list(table.row) == [7, 2, 9]
    assert set(table.data_file) == {"a.csv"}
    assert not {"row", "data_file"} & set(without_more(table).columns)
    assert "library" in without_more(table)


def test_an_example_is_named_by_its_text_and_its_second_text():
    frame = examples()
    assert len(set(example_ids(frame))) == 3
    assert example_ids(frame)[0] == "7692c3ad3540bb80"  # printf one | sha256sum
    paired = example_ids(frame.assign(text_pair="same"))
    assert not set(paired) & set(example_ids(frame))
    assert len(set(paired)) == 3


def test_runs_are_aligned_by_example_and_only_on_those_that_all_have():
    first = pd.DataFrame({"seed": 0, "example": ["c", "a", "b"], "right": [True, False, True]})
    second = pd.DataFrame({"seed": 1, "example": ["a", "b", "d"], "right": [True, True, True]})
    np.testing.assert_array_equal(right_by(pd.concat([first, second])), [[False, True], [True, True]])
    with pytest.raises(ValueError, match="stands twice"):
        right_by(pd.concat([first, first]))
    with pytest.raises(ValueError, match="no example that all runs"):
        right_by(pd.concat([first, second.assign(example=["x", "y", "z"])]))


def test_a_damaged_file_is_refused_in_a_sentence_whatever_the_damage(tmp_path):
    path = save_predictions(predictions_table(examples(), {"words": logs()}, LABELS), "test", tmp_path)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 20)):
            content[place] = random.integers(0, 256)
        path.write_bytes(content)
        try:
            read_predictions(path)
        except InputError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - some damage does not show


def test_what_holds_no_predictions_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="there are no predictions"):
        read_predictions(tmp_path)
    (tmp_path / "broken.parquet").write_text("no")
    with pytest.raises(InputError, match="cannot be read as predictions"):
        read_predictions(tmp_path)
    pd.DataFrame({"model": ["a"]}).to_parquet(tmp_path / "broken.parquet")
    with pytest.raises(InputError, match="it lacks example, label, answer, right"):
        read_predictions(tmp_path / "broken.parquet")
    for right in ([1], [None], ["yes"]):
        table = predictions_table(examples().head(1), {"words": logs()[:1]}, LABELS).assign(right=right)
        table.to_parquet(tmp_path / "broken.parquet")
        with pytest.raises(InputError, match=r"right is .* and not true or false"):
            read_predictions(tmp_path / "broken.parquet")
    with pytest.raises(ValueError, match=r"words: shape \(3, 3\) is not \(3, 2\)"):
        predictions_table(examples(), {"words": logs()}, LABELS[:2])


def test_answers_are_described_by_their_models_examples_and_classes():
    table = predictions_table(examples(), {"words": logs(1), "network": logs(2)}, LABELS)
    assert describe_predictions("/home/me/answers.parquet", table) == {
        "source": "answers.parquet",
        "models": "words (3), network (3)",
        "examples": "3",
        "classes": "summary (1), notes (1), raises (1)",
    }
