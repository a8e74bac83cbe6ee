"""What cannot be judged is refused by the evaluation chapter in one sentence, before anything is computed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from largemodels.data.predictions import predictions_table
from refusals import refused_by

N = 60


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_server):
    """All runs of this module fork their kernels."""


def answers(*models, seed=0):
    """Answers of models to the same yes-or-no questions."""
    rng = np.random.default_rng(seed)
    examples = pd.DataFrame({"text": [f"text {place}" for place in range(N)], "label": np.arange(N) % 2})
    given = {model: np.log(rng.dirichlet([1, 1], N)) for model in models}
    return predictions_table(examples, given, ("no", "yes"))


@pytest.fixture
def refused(project, workbench, root, tmp_path):
    """Run the real chapter on these predictions, and return the exit code and what was said."""
    recorded = ("fine-tuning-seeds", "label-smoothing")
    run = refused_by("evaluation", "answers-read", project, workbench, root, recorded)

    def on(table, **parameters):
        file = tmp_path / "answers.parquet"
        if table is not None:
            table.to_parquet(file)
        return run(**{"predictions": file, "chosen": "a", "rival": "b", **parameters})

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
    code, sentence = refused(table, **parameters)
    assert code == 1
    assert said in sentence


def test_answers_that_no_smoothing_was_varied_for_are_no_study_of_it(refused):
    code, sentence = refused(answers("a", "b"), smoothing="fine-tuning-seeds")
    assert code == 1
    assert "smoothing: it is no recorded sweep over label_smoothing and seed" in sentence


def test_predictions_that_are_not_there_are_a_bad_request(refused):
    code, sentence = refused(None)
    assert code == 2
    assert "nor an existing file or folder" in sentence
