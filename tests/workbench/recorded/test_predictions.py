"""What models answered is kept with a recorded result, whole and without texts, and chapters get it by name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from made_runs import make_run, save_answers
from swept_project import sweep
from toy_project import write_chapter
from workbench.core.errors import RequestError, RunError
from workbench.core.project import Project
from workbench.parameters.types import Predictions
from workbench.recorded.recording import record_result
from workbench.recorded.result import read_recorded
from workbench.runs.store import Run, all_runs, find_run
from workbench.sweeps.ended import find_sweep

PARAMETERS = """\
from workbench.types import Count, Dataset, Model, Seed

model: Model = "org/name"  # which
size: Count = 3  # how many
seed: Seed = 0  # of everything random
"""


def made(project: Project, after: float = 0, **resolved) -> Run:
    """A run of the project's chapter that nothing has run."""
    resolved = {"model": "org/name", "size": 3, "seed": 4} | resolved
    write_chapter(project.root, "print(model, size, seed)", parameters=PARAMETERS, read=False)
    parameters = {"given": {}, "resolved": resolved}
    return find_run(project, make_run(project, after=after, parameters=parameters).name)


def kept(project: Project, name: str = "answers") -> pd.DataFrame:
    return pd.read_parquet(project.recorded / name / "predictions.parquet")


def names_in(project: Project, name: str = "answers") -> list[str]:
    return sorted(path.name for path in (project.recorded / name).iterdir())


def test_a_run_s_predictions_are_kept_with_its_seed_and_come_back_as_they_were(project):
    run = made(project)
    save_answers(run.folder, {"words": [True, False], "network": [True, True]}, documents=["a", "b"])
    record_result(project, run, "answers", predictions=True)
    table = kept(project)
    saved = pd.read_parquet(run.folder / "predictions" / "test.parquet")
    assert list(table.columns) == ["seed", *saved.columns]
    assert set(table["seed"]) == {4}
    exact = [column for column in saved.columns if not column.startswith("log_p:")]
    pd.testing.assert_frame_equal(table[exact], saved[exact])
    assert (table["log_p:yes"].astype(float) - saved["log_p:yes"]).abs().max() < 1e-3
    assert table["log_p:yes"].dtype == "float16"
    assert Predictions("answers").path == project.recorded / "answers" / "predictions.parquet"
    assert names_in(project) == ["predictions.parquet", "run.json"]


def test_a_run_from_before_the_chapter_had_a_seed_is_kept_without(project):
    run = made(project)
    save_answers(run.folder, {"words": [True]})
    del run.record["parameters"]["resolved"]["seed"]
    record_result(project, run, "answers", predictions=True)
    assert kept(project).columns[0] == "model"


def test_several_files_are_told_apart_and_what_is_in_another_form_is_passed_over(project):
    run = made(project)
    save_answers(run.folder, {"words": [True, False]}, file="in-domain")
    save_answers(run.folder, {"words": [True]}, file="shifted")
    pd.DataFrame({"text": ["a private sentence"]}).to_parquet(run.folder / "predictions" / "attention.parquet")
    (run.folder / "predictions" / "damaged.parquet").write_text("no table")
    record_result(project, run, "answers", predictions=True)
    assert list(kept(project).columns[:3]) == ["seed", "file", "model"]
    assert list(kept(project)["file"]) == ["in-domain", "in-domain", "shifted"]


def test_no_text_and_no_path_of_this_machine_is_kept(project):
    folder = project.root / "secret-folder"
    run = made(project, model=str(folder))
    save_answers(run.folder, {f"{folder} fine-tuned": [True]})
    file = run.folder / "predictions" / "test.parquet"
    pd.read_parquet(file).assign(text="a private sentence").to_parquet(file)
    record_result(project, run, "answers", {"model": "a public model"}, predictions=True)
    assert list(kept(project)["model"]) == ["a public model fine-tuned"]
    content = (project.recorded / "answers" / "predictions.parquet").read_bytes()
    assert b"secret-folder" not in content
    assert "text" not in kept(project)


def test_a_link_among_predictions_is_not_followed(project):
    run = made(project)
    save_answers(run.folder, {"words": [True]})
    other = made(project, after=1)
    save_answers(other.folder, {"words": [False]}, file="other")
    (run.folder / "predictions" / "linked.parquet").symlink_to(other.folder / "predictions" / "other.parquet")
    record_result(project, run, "answers", predictions=True)
    assert list(kept(project)["right"]) == [True]
    shutil.rmtree(run.folder / "predictions")
    (run.folder / "predictions").symlink_to(other.folder / "predictions")
    with pytest.raises(RequestError, match="kept no predictions"):
        record_result(project, run, "answers", predictions=True, replace=True)


def test_a_run_without_predictions_is_refused_and_nothing_is_touched(project, command):
    run = made(project)
    with pytest.raises(RequestError, match=f"^{run.id} kept no predictions$"):
        record_result(project, run, "answers", predictions=True)
    assert not project.recorded.exists()
    (run.folder / "predictions").mkdir()
    (run.folder / "predictions" / "test.parquet").write_text("no table")
    result = command("record", run.id, "answers", "--predictions")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert f"{run.id}/predictions/test.parquet: cannot be read as predictions" in result.stderr
    assert str(project.root) not in result.stderr


def test_a_replacement_takes_the_predictions_along_or_leaves_none(project):
    run = made(project)
    save_answers(run.folder, {"words": [True]})
    record_result(project, run, "answers", predictions=True)
    save_answers(run.folder, {"words": [False]})
    record_result(project, run, "answers", predictions=True, replace=True)
    assert list(kept(project)["right"]) == [False]
    record_result(project, run, "answers", replace=True)
    assert names_in(project) == ["run.json"]


@pytest.mark.parametrize("failing", ["predictions.parquet", "run.json"])
def test_what_is_there_stays_where_the_disk_is_full(project, monkeypatch, failing):
    from workbench.recorded import recording as recorded

    run = made(project)
    save_answers(run.folder, {"words": [True]})
    record_result(project, run, "answers", predictions=True)
    before = {path.name: path.read_bytes() for path in (project.recorded / "answers").iterdir()}
    write = recorded.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(recorded, "write_atomically", full)
    save_answers(run.folder, {"words": [False]})
    other = made(project, after=1, seed=5)
    save_answers(other.folder, {"words": [False, False]})
    with pytest.raises(RunError, match="answers cannot be written: No space left on device"):
        record_result(project, other, "answers", predictions=True, replace=True)
    assert {path.name: path.read_bytes() for path in (project.recorded / "answers").iterdir()} == before
    with pytest.raises(RunError):
        record_result(project, other, "fresh", predictions=True)
    assert not (project.recorded / "fresh").exists()


def test_a_sweep_s_predictions_have_what_varied_and_the_seed_in_front(project):
    parameters = PARAMETERS.replace('Model = "org/name"', 'Dataset = "pydocs"').replace("Model, ", "")
    write_chapter(project.root, "print(model, size, seed)", parameters=parameters, read=False)
    code, _, err = sweep(project, "-g", "model=pydocs,pydocs-sections", "-g", "size=1,2", "-p", "seed=7")
    assert code == 0, err
    folder = find_sweep(project, "model-size")
    with pytest.raises(RequestError, match="4 of these 4 runs kept no predictions"):
        record_result(project, folder, "answers", predictions=True)
    for run in all_runs(project):
        size = run.record["parameters"]["resolved"]["size"]
        save_answers(run.folder, {"words": [True] * size, "network": [False] * size})
    record_result(project, folder, "answers", predictions=True)
    table = kept(project)
    assert list(table.columns[:4]) == ["parameter_model", "size", "seed", "model"]
    counts = table.groupby(["parameter_model", "size", "seed", "model"]).right.agg(["size", "sum"])
    assert len(counts) == 8
    for (_, size, seed, model), (rows, right) in counts.iterrows():
        assert (seed, rows, right) == (7, size, size if model == "words" else 0)
    assert names_in(project) == ["predictions.parquet", "results.parquet", "sweep.json"]
    assert read_recorded(project, "answers").is_sweep
    record_result(project, next(all_runs(project)), "answers", replace=True)
    assert names_in(project) == ["run.json"]


READER = """\
from workbench.types import Predictions

predictions: Predictions = "answers"  # what to look at
"""
READ = (
    "from workbench.chapter import begin\nchapter = begin()",
    "from largemodels.data.predictions import read_predictions\nfound = read_predictions(predictions.path)",
    "chapter.record('rows', len(found), n=int(found.right.sum()))",
)


@pytest.fixture
def reader(project) -> Project:
    """A project with a recorded result of three answers, and a chapter that reads it."""
    run = made(project)
    save_answers(run.folder, {"words": [True, False, True]})
    record_result(project, run, "answers", predictions=True)
    shutil.rmtree(project.runs)
    write_chapter(project.root, *READ, parameters=READER, read=False)
    return project


def test_a_chapter_reads_what_is_recorded_whatever_folder_it_runs_in(reader, command, tmp_path_factory):
    result = command("run", "toy", WORKBENCH_RUNS=str(tmp_path_factory.mktemp("elsewhere")))
    assert result.returncode == 0, result.stderr
    code, _, err = sweep(reader, "-g", "predictions=answers,book/recorded/answers")
    assert code == 0, err
    assert [run.record["metrics"][0]["value"] for run in all_runs(reader)] == [3, 3]
    for folder, notebook in (("notebooks", "toy.ipynb"), (".", "notebooks/toy.ipynb")):
        command = [sys.executable, "-m", "papermill", notebook, os.devnull, "--no-progress-bar"]
        done = subprocess.run(command, cwd=reader.root / folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_run_is_another_one_when_the_recorded_answers_are(reader, run):
    first, reused = run()
    assert not reused
    assert run()[1]
    assert first.record["ingredients"]["data"]["predictions"] == Predictions("answers").fingerprint()
    other = made(reader, after=9)
    save_answers(other.folder, {"words": [True]})
    record_result(reader, other, "answers", predictions=True, replace=True)
    write_chapter(reader.root, *READ, parameters=READER, read=False)
    second, reused = run()
    assert not reused
    assert second.record["metrics"][0]["value"] == 1


def test_a_wrong_name_is_refused_before_anything_starts(reader, command):
    result = command("run", "toy", "-p", "predictions=answer")
    assert result.returncode == 2
    assert "predictions: answer is neither a recorded result with predictions (answers)" in result.stderr
    assert "did you mean answers?" in result.stderr


def test_predictions_from_a_folder_of_this_machine_are_recorded_by_a_public_name_only(reader, run):
    local = reader.root / "secret-folder"
    save_answers(local, {"words": [True]})
    done, _ = run(predictions=str(local))
    with pytest.raises(RequestError, match="predictions was a local file; --public predictions="):
        record_result(reader, done, "numbers")
    path = record_result(reader, done, "numbers", {"predictions": "my answers"})
    assert "secret-folder" not in path.read_text()
