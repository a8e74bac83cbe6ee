"""What cannot be judged is refused by the evaluation chapter in one sentence; models that agree are not."""

from __future__ import annotations

import sys
from types import ModuleType

import matplotlib
import numpy as np
import pandas as pd
import pytest

from largemodels.data.predictions import predictions_table
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract, source, tags

N = 60


def answers(*models, seed=0):
    """Answers of models to the same yes-or-no questions."""
    rng = np.random.default_rng(seed)
    examples = pd.DataFrame({"text": [f"text {place}" for place in range(N)], "label": np.arange(N) % 2})
    given = {model: np.log(rng.dirichlet([1, 1], N)) for model in models}
    return predictions_table(examples, given, ("no", "yes"))


@pytest.fixture
def refused(refused_by, tmp_path):
    """What the real chapter says to these predictions."""

    def on(table, **parameters):
        table.to_parquet(tmp_path / "answers.parquet")
        file = tmp_path / "answers.parquet"
        return refused_by(
            "evaluation", "answers-read", **{"predictions": file, "chosen": "a", "rival": "b", **parameters}
        )

    return on


@pytest.mark.parametrize(
    ("table", "parameters", "said"),
    [
        (answers("a"), {}, "a is one model only; a comparison needs two"),
        (answers("a", "b"), {"chosen": "c"}, "chosen: there is no model c; there is"),
        (answers("a", "b"), {"rival": "a"}, "rival: a is the chosen model itself"),
    ],
)
def test_what_cannot_be_judged_ends_the_run_in_a_sentence(refused, table, parameters, said):
    sentence = refused(table, **parameters)
    assert said in sentence


def test_answers_that_no_smoothing_was_varied_for_are_no_study_of_it(refused):
    sentence = refused(answers("a", "b"), smoothing="fine-tuning-seeds")
    assert "smoothing: it is no recorded sweep over label_smoothing and seed" in sentence


def test_predictions_that_are_not_there_are_a_bad_request(root, tmp_path):
    with pytest.raises(RequestError, match="nor an existing file or folder"):
        load_contract(Project(root), "evaluation").resolve({"predictions": str(tmp_path / "answers.parquet")})


SLOW = ("coverage", "mcnemar-figure", "many-simulate", "many-record", "many-claims")
"""Cells that count what no predictions change."""


@pytest.mark.parametrize("right", [0.7, 1.0], ids=["in the middle", "always right"])
def test_two_models_that_agree_everywhere_come_through_pairs_seeds_and_power(
    root, monkeypatch, tmp_path, capsys, right
):
    monkeypatch.setenv("WORKBENCH_ROOT", str(root))
    matplotlib.use("agg")
    one = answers("a")
    one["answer"] = one["label"].where(np.arange(N) < right * N, "no")
    one["right"] = one["answer"] == one["label"]
    pd.concat([one, one.assign(model="b")]).to_parquet(tmp_path / "answers.parquet")
    contract = load_contract(Project(root), "evaluation")
    chosen = {"predictions": str(tmp_path / "answers.parquet"), "chosen": "a", "rival": "b", "resamples": 100}
    chosen |= {"draws": 50, "smoothing": []}
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    names = vars(sys.modules["__main__"])
    for cell in contract.code_cells:
        if cell["id"] == "bias-count":
            break
        if not cell["id"].startswith(SLOW):
            exec(compile(source(cell), cell["id"], "exec", dont_inherit=True), names)
        if "parameters" in tags(cell):
            names |= chosen
    assert names["here"] is None
    assert list(names["offered"]) == ["SST-2, 872 sentences, 5% discordant"]
    assert "here the models agree everywhere" in capsys.readouterr().out
