"""A value keeps to its declared type, or one plain sentence says why not."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import RunError
from workbench.core.text import shown
from workbench.parameters import content
from workbench.parameters.types import (
    Count,
    Dataset,
    Fraction,
    Model,
    Predictions,
    Rate,
    Seed,
    coerce,
    named_sources,
    resolved,
)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Count, "12", 12),
        (Count, 12, 12),
        (Rate, "1e-3", 1e-3),
        (Rate, 2, 2.0),
        (Fraction, "0.25", 0.25),
        (Seed, "0", 0),
        (bool, "false", False),
        (bool, "True", True),
        (bool, True, True),
        (str, "007", "007"),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (list[Count], "1,2, 3", [1, 2, 3]),
        (list[Count], "[4,5]", [4, 5]),
        (list[Count], "[]", []),
        (list[str], ["007", "no"], ["007", "no"]),
    ],
)
def test_text_and_values_become_what_the_type_says(annotation, value, expected):
    result = coerce(annotation, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (Count, "-1", "-1 is not at least 1"),
        (Count, "three", "three is not a whole number"),
        (Count, "1.5", "1.5 is not a whole number"),
        (Count, 1.5, "1.5 is not a whole number"),
        (Count, True, "true is not a whole number"),
        (Rate, True, "true is not a number"),
        (Rate, "0", "0 is not above 0"),
        (Rate, "nan", "nan is not a finite number"),
        (Rate, "inf", "inf is not a finite number"),
        (Fraction, "1", "1 is not below 1"),
        (Fraction, "nan", "nan is not a finite number"),
        (Seed, "-1", "-1 is not at least 0"),
        (Seed, str(2**32), "4294967296 is not below 4294967296"),
        (bool, "maybe", "maybe is not true or false"),
        (bool, 1, "1 is not true or false"),
        (str, 7, "7 is not text (with papermill, `-r` passes a value as text)"),
        (Literal["a", "b", "c"], "d", "d is not one of a, b, c"),
        (list[Count], "1,0", "0 (item 2) is not at least 1"),
        (float, "inf", "inf is not a finite number"),
        (float, "1e400", "1e400 is not a finite number"),
        (float, math.nan, "nan is not a finite number"),
        (list[float], "1,nan", "nan (item 2) is not a finite number"),
        (Count, "1_0", "1_0 is not a whole number"),
        (list[Rate], "1,1_0", "1_0 (item 2) is not a number"),
        (Count, str(2**63), "9223372036854775808 is too large"),
        (int, -(10**400), f"-1{'0' * 58}… is too large"),
        (str, "\udcff", "'\\udcff' is not UTF-8 text"),
        (list[str], ["a", "\udcff"], "'\\udcff' (item 2) is not UTF-8 text"),
        (list[Count], 3, "3 is not a list"),
    ],
)
def test_a_bad_value_is_refused_with_a_sentence(annotation, value, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        coerce(annotation, value)
    assert str(caught.value) == sentence


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text(), max_size=3)))
def test_whatever_is_given_the_result_is_in_range_or_the_message_is_one_line(value):
    for annotation, holds in (
        (Count, lambda x: x >= 1),
        (Rate, lambda x: x > 0 and math.isfinite(x)),
        (Seed, lambda x: x >= 0),
    ):
        try:
            result = coerce(annotation, value)
        except ValueError as error:
            said = str(error)
            assert len(said.splitlines()) == 1
        else:
            assert holds(result)


def test_a_data_set_is_a_shipped_name_or_something_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("A sentence.\n")
    assert coerce(Dataset, "pydocs").is_shipped
    local = coerce(Dataset, "text.txt")
    assert isinstance(local, Dataset)
    assert local.resolved() == str(tmp_path / "text.txt")
    with pytest.raises(ValueError, match=r"pydox is neither .* nor an existing file or folder; did you mean pydocs\?"):
        coerce(Dataset, "pydox")
    with pytest.raises(ValueError, match=r"did you mean pydocs-sections\?"):
        coerce(Dataset, "pydocs-section")
    with pytest.raises(ValueError, match=r"missing\.txt is neither .* file or folder$"):
        coerce(Dataset, "missing.txt")


@pytest.mark.parametrize("name", ["nyu-mll/glue:sst2", "org/data@v1", "org/wikitext-2.0", "glue:sst2"])
def test_a_data_set_of_the_hub_is_told_by_its_form_and_stays_as_it_is(name):
    dataset = coerce(Dataset, name)
    assert dataset.is_hub
    assert not dataset.is_shipped
    assert dataset.resolved() == name


@pytest.mark.parametrize("name", ["glue", "org/data.csv", "a/b/c", "./data", "/data", "org/data:", "org/data@"])
def test_what_is_no_hub_id_must_exist(name):
    with pytest.raises(ValueError, match="is neither a data set that comes with the workbench"):
        coerce(Dataset, name)


def model_folder(folder: Path) -> None:
    """The files of a model without tensors."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")  # the header and its length before it


def test_a_model_is_shipped_or_a_folder_or_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    model_folder(tmp_path / "mine")
    (tmp_path / "mine.txt").write_text("no model")
    local = coerce(Model, "mine")
    assert isinstance(local, Model)
    assert (local.is_hub, local.resolved()) == (False, str(tmp_path / "mine"))
    for name in ("bert-base-uncased", "org/name", "org/name@v1"):
        assert coerce(Model, name).is_hub
        assert coerce(Model, name).resolved() == name
    for name, sentence in (
        ("mine.txt", r"^mine\.txt is a file, and a model is a folder"),
        ("./missing", r"^\./missing is neither a model .* nor a Hub id .* nor an existing folder$"),
        ("empty", r"^empty holds no config\.json"),
        ("", "nor an existing folder"),
    ):
        with pytest.raises(ValueError, match=sentence):
            coerce(Model, name)


@pytest.fixture
def kept(project) -> Path:
    """The predictions of a recorded result called `kept`, of whatever content."""
    path = project.recorded / "kept" / "predictions.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"some")
    (project.recorded / "numbers-only").mkdir()
    return path


@pytest.mark.parametrize("folder", [".", "notebooks", "runs/toy/20261123T184500Z-1a2b3c4d"])
def test_recorded_predictions_are_known_by_name_from_wherever_a_kernel_stands(project, kept, folder, monkeypatch):
    (project.root / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(project.root / folder)
    predictions = coerce(Predictions, "kept")
    assert isinstance(predictions, Predictions)
    assert (predictions.is_shipped, predictions.is_hub, predictions.path) == (True, False, kept)
    assert predictions.resolved() == "kept", "a key and a command do not depend on where the checkout is"


def test_predictions_are_a_file_or_a_folder_of_files_too_and_a_run_has_them_in_its_own(tmp_path, monkeypatch):
    run = tmp_path / "run"
    (run / "predictions").mkdir(parents=True)
    (run / "other.parquet").write_bytes(b"no answers")
    files = [run / "predictions" / f"{name}.parquet" for name in ("test", "train")]
    for file in files:
        file.write_bytes(b"some")
    monkeypatch.chdir(tmp_path)
    for name in ("run", "run/predictions"):
        local = coerce(Predictions, name)
        assert (local.path, local.files(), local.is_shipped) == (run / "predictions", files, False)
        assert local.resolved() == str(tmp_path / name)
    one = coerce(Predictions, "run/predictions/test.parquet")
    assert (one.path, one.files(), one.resolved()) == (files[0], [files[0]], str(files[0]))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("kpet", r"^kpet is neither a recorded result with predictions \(kept\), nor .*; did you mean kept\?$"),
        ("numbers-only", r"nor an existing file or folder$"),
        ("./kept", r"^\./kept is neither .* or folder$"),
        ("notebooks", r"^notebooks holds no predictions \(\*\.parquet\)$"),
        ("_toc.yml", r"^_toc\.yml is no predictions"),
        (" ", r"^' ' is neither"),
    ],
)
def test_what_has_no_predictions_is_refused_with_a_sentence(project, kept, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        coerce(Predictions, value)


@pytest.mark.parametrize("kind", [Dataset, Model, Predictions])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a" * 5000, r"^a{60}…"),
        ("~nobody-of-this-name/x.txt", "^~nobody-of-this-name/x.txt"),
        ("nul\0", r"^'nul\\x00'"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_with_a_sentence(kind, name, said):
    with pytest.raises(ValueError, match=f"{said} (is neither|cannot be looked up)") as caught:
        coerce(kind, name)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ValueError, match=rf"{said} \(item 1\) (is neither|cannot be looked up)"):
        coerce(list[kind], [name])


def test_the_fingerprint_of_predictions_is_that_of_their_bytes(project, kept):
    before = Predictions("kept").fingerprint()
    assert before == Predictions(kept).fingerprint()
    assert before == hashlib.sha256(b"some").hexdigest()
    kept.write_bytes(b"other")
    assert Predictions("kept").fingerprint() != before
    both = project.root / "both"
    both.mkdir()
    for name in ("a", "b"):
        (both / f"{name}.parquet").write_bytes(b"some")
    two = Predictions(both).fingerprint()
    (both / "b.parquet").write_bytes(b"other")
    assert len({before, two, Predictions(both).fingerprint()}) == 3
    kept.unlink()
    with pytest.raises(ValueError, match="kept is neither a recorded result"):
        Predictions("kept").fingerprint()


def test_lists_of_models_and_data_sets_are_found_and_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_folder(tmp_path / "mine")
    models = coerce(list[Model], "org/name, mine")
    assert named_sources({"models": models, "size": 3, "data": Dataset("pydocs")}).keys() == {
        "models[0]",
        "models[1]",
        "data",
    }
    assert resolved(models) == ["org/name", str(tmp_path / "mine")]


def test_what_only_the_hub_can_show_is_no_mistake_of_the_request(monkeypatch):
    def fail(name):
        raise ValueError(f"{name}: the Hub cannot be reached")

    monkeypatch.setattr(content.checkpoints(), "fingerprint", fail)
    monkeypatch.setattr(content, "dataset_fingerprint", fail)
    for source in (Model("org/name"), Dataset("org/name")):
        with pytest.raises(RunError, match="org/name: the Hub cannot be reached"):
            source.fingerprint()
    with pytest.raises(ValueError, match="cannot be reached"):
        Dataset("/a/file.txt").fingerprint()


def test_the_fingerprint_of_a_local_file_follows_its_content(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("One sentence.\n")
    before = Dataset(path).fingerprint()
    assert Dataset(path).fingerprint() == before
    path.write_text("Another sentence.\n")
    assert Dataset(path).fingerprint() != before


def test_checking_a_data_set_imports_no_torch():
    code = (
        "import sys; from workbench.parameters.types import Dataset, Model, coerce; "
        "Dataset('pydocs-sections').fingerprint(); "
        "coerce(Model, 'bert-base-uncased'); coerce(Dataset, 'org/name:config'); print('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


@given(st.text())
def test_a_value_in_a_message_is_visible_and_on_one_line(text):
    assert shown(text).strip()
    assert len(shown(text).splitlines()) == 1
