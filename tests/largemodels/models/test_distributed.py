"""Two processes of `torchrun` share the batches of a training, and come to what one does that reads both in a step.

Started by `torchrun`, this file is one of the processes: it trains, and leaves weights and history in a folder.
"""

import contextlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from interruptions import Interrupted, PullThePlug
from largemodels.models.batches import LabelledBatches
from largemodels.models.classifiers import classifier_on, fine_tune, held_out_metrics
from largemodels.models.training import Recipe, train
from small_corpus import encoder, examples, tokenizer

LABELS = ("array", "other")
PROCESSES = 2
LENGTH, ROWS, BATCHES = 8, 8, 13  # of a text, of a batch, and of an epoch: odd, so that a step spans two of them
RECIPE = Recipe(steps=24, batch_tokens=LENGTH * ROWS, learning_rate=5e-3)
EVALUATIONS, SAVES = 3, 4


def classifier(seed: int = 0):
    return classifier_on(encoder(seed=seed), LABELS)


def of_one_length() -> pd.DataFrame:
    """Texts of as many tokens each, in full batches, so that the mean over two batches is that of their means."""
    many = examples(2_000)
    lengths = np.array([len(ids) for ids in tokenizer()(many["text"].tolist())["input_ids"]])
    return many[lengths == LENGTH].head(ROWS * BATCHES)


def leave(folder: Path, name: str, model, history: pd.DataFrame) -> None:
    save_file(model.state_dict(), folder / f"{name}.safetensors")
    history.to_json(folder / f"{name}.json", orient="split", double_precision=15)


def run_as_one_of_several(folder: Path) -> None:
    """What each process does: a training in one go, and one that is interrupted and taken up again."""
    rank, options = os.environ["RANK"], {"validation": examples(seed=1), "evaluations": EVALUATIONS, "max_length": 32}

    def training(name: str, seed: int = 0, **more) -> None:
        model = classifier(seed)
        history = fine_tune(model, tokenizer(), of_one_length(), RECIPE, **options, **more)
        leave(folder, f"{name}-{rank}", model, history)

    training("straight")
    again = {"folder": folder / "checkpoints", "saves": SAVES}
    with contextlib.suppress(Interrupted):
        training("interrupted", callbacks=[PullThePlug(15)], **again)
    training("resumed", seed=1, **again)  # its weights come from the checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the processes left."""
    folder = tmp_path_factory.mktemp("processes")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    options = {
        "env": {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),  # the modules that tests share
        },
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }
    with subprocess.Popen([*torchrun, __file__, str(folder)], **options) as started:
        try:
            said, _ = started.communicate(timeout=150)
        finally:
            started.terminate()  # torchrun then ends its processes, which may wait for each other
    assert started.returncode == 0, said[-3_000:]
    return folder


def came_to(folder: Path, name: str) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    history = pd.read_json(folder / f"{name}.json", orient="split", precise_float=True)
    return load_file(folder / f"{name}.safetensors"), history


class BatchesOfAllProcesses(LabelledBatches):
    """What all processes read in a step, as one batch."""

    def members(self, index: int) -> np.ndarray:
        return np.concatenate(
            [super(BatchesOfAllProcesses, self).members(PROCESSES * index + i) for i in range(PROCESSES)]
        )


@pytest.fixture(scope="module")
def alone() -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """What one process comes to that reads as much in a step."""
    model = classifier()
    batches = partial(BatchesOfAllProcesses, of_one_length(), tokenizer(), max_length=32)
    evaluate = partial(held_out_metrics, tokenizer=tokenizer(), examples=examples(seed=1), max_length=32)
    history = train(model, tokenizer(), batches, RECIPE, evaluate=evaluate, evaluations=EVALUATIONS)
    return model.state_dict(), history


def test_they_come_to_the_metrics_of_one_process_that_reads_as_much_in_a_step(folder, alone):
    weights, history = alone
    found_weights, found = came_to(folder, "straight-0")
    assert found[["step", "tokens"]].equals(history[["step", "tokens"]])
    assert found["tokens"].iloc[-1] == PROCESSES * RECIPE.steps * RECIPE.batch_tokens
    pd.testing.assert_frame_equal(found, history, rtol=1e-3, atol=1e-4, check_dtype=False)
    for name, expected in weights.items():
        torch.testing.assert_close(found_weights[name], expected, rtol=1e-2, atol=1e-4)


def test_that_training_learns(alone):
    loss = alone[1]["loss"]
    assert loss.iloc[-1] < loss.iloc[0] / 4, "otherwise equal metrics would say little"


def test_every_process_has_the_same_weights_and_history(folder):
    (weights, history), (others, other_history) = (came_to(folder, f"straight-{rank}") for rank in range(PROCESSES))
    pd.testing.assert_frame_equal(history, other_history)
    for name, expected in weights.items():
        torch.testing.assert_close(others[name], expected, rtol=0, atol=0)


def test_interrupted_they_take_the_training_up_together_and_end_at_the_same_weights(folder):
    assert not list(folder.glob("interrupted-*"))
    for rank in range(PROCESSES):
        weights, history = came_to(folder, f"straight-{rank}")
        resumed, resumed_history = came_to(folder, f"resumed-{rank}")
        pd.testing.assert_frame_equal(resumed_history, history)
        for name, expected in weights.items():
            torch.testing.assert_close(resumed[name], expected, rtol=0, atol=0)


if __name__ == "__main__":
    run_as_one_of_several(Path(sys.argv[1]))
