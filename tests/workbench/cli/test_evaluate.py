"""`workbench evaluate` judges predictions alone: models, classes and pairs, as a table and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from made_runs import make_run, save_answers

RIGHT = {"a": [True] * 9 + [False], "b": [True] * 6 + [False] * 4}


def test_the_answers_of_a_run_are_judged(project, command):
    save_answers(make_run(project), RIGHT)
    for name in ("latest", "toy"):
        (judged,) = json.loads(command("evaluate", name, "--json").stdout)
        assert judged["file"] == "test"
        assert [(model["model"], model["right"], model["n"]) for model in judged["models"]] == [
            ("a", 9, 10),
            ("b", 6, 10),
        ]
        assert (
            judged["models"][0]["classes"][0] | {"label": "yes", "n": 10, "answered": 9}
            == (judged["models"][0]["classes"][0])
        )
        (pair,) = judged["pairs"]
        assert (pair["better"], pair["other"], pair["only_better"], pair["p"]) == ("a", "b", 3, 0.25)
    shown = command("evaluate", "latest").stdout
    for words in ("a      9/10", "0.900 (0.60–0.98)", "3:0", "+0.300", "0.25"):
        assert words in shown


def test_a_file_without_probabilities_and_with_one_model_is_enough(project, command):
    label = np.array(["x", "y"] * 10)
    answer = np.where(np.arange(20) < 15, label, "x")
    columns = {"model": "mine", "example": np.arange(20), "label": label, "answer": answer, "right": answer == label}
    pd.DataFrame(columns).to_parquet(project.root / "mine.parquet")
    (judged,) = json.loads(command("evaluate", "mine.parquet", "--json").stdout)
    (model,) = judged["models"]
    assert (model["right"], model["n"], [each["label"] for each in model["classes"]]) == (17, 20, ["x", "y"])
    assert judged["pairs"] == []


def test_models_that_agree_everywhere_are_said_to(project, command):
    save_answers(make_run(project), {"a": RIGHT["a"], "b": RIGHT["a"]})
    done = command("evaluate", "latest")
    assert done.returncode == 0
    assert "they agree" in done.stdout


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nothing", 2, "no run nothing; `workbench runs` lists them"),
        ("none.parquet", 2, "there is no file none.parquet"),
        ("latest", 2, "kept no predictions"),
        ("broken.parquet", 1, "broken.parquet: cannot be read as predictions"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(project, command, name, code, said):
    make_run(project)
    (project.root / "broken.parquet").write_text("no table")
    done = command("evaluate", name)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
    assert said in done.stderr
