"""Training on `LengthBatches` by the `Trainer` of `transformers`, which logs, resumes and knows several devices.

Its callers (`classifiers.fine_tune`, `pretraining.train`) say what a batch is and evaluate the model. The content of a
batch depends on the seed and its number alone, so a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from largemodels.base.errors import InputError
from largemodels.base.files import read_object, replacing
from largemodels.models.batches import LengthBatches
from largemodels.models.losses import IGNORED
from largemodels.models.memory import check_memory


@dataclass(frozen=True)
class Recipe:
    """The numbers that a training follows.

    Attributes:
        steps: optimizer steps; the schedule ends with them.
        batch_tokens: tokens in a step's batch at most, on each device.
        learning_rate: its peak, after the warm-up.
        warmup: share of the steps in which the learning rate rises; after that it falls.
        schedule: the form of its fall to zero, "linear" or "cosine".
        weight_decay: of the matrices.
        clip: the largest norm of a gradient.
        label_smoothing: share of the target that is spread over all classes alike (Szegedy et al., 2016).
        precision: of the matrix products; "bfloat16" is faster where the processor knows it. Weights stay float32.
        seed: of the order of batches, and of all that is drawn for them.
    """

    steps: int
    batch_tokens: int = 2048
    learning_rate: float = 1e-3
    warmup: float = 0.1
    schedule: Literal["linear", "cosine"] = "linear"
    weight_decay: float = 0.01
    clip: float = 1.0
    label_smoothing: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batches: Callable[..., LengthBatches],
    recipe: Recipe,
    *,
    evaluate: Callable[[PreTrainedModel], dict[str, float]] | None = None,
    evaluations: int = 10,
    folder: Path | str | None = None,
    saves: int = 10,
    callbacks: Sequence[TrainerCallback] = (),
) -> pd.DataFrame:
    """The history of a training; `model` is trained in place.

    With a `folder`, checkpoints go there, and a training that stopped there is resumed and ends as if it had never been
    interrupted. Started by `torchrun`, each of n processes takes every n-th batch: a step reads n of them.

    Args:
        model: its forward pass gives a loss for a batch.
        tokenizer: saved with the checkpoints.
        batches: makes the batches, from `batch_tokens`, `seed` and their number, `batches`.
        evaluate: takes the model and gives its "loss" and "accuracy" on held-out text.
        evaluations: their number in a training, the last at its end.
        saves: the number of checkpoints in a training; the two latest are kept.

    Returns:
        A table with a row for each logged step: step, tokens (read so far, by all devices, without padding), loss (the
        training's, nats, mean since the row before), learning_rate, gradient_norm, and where the model was evaluated
        validation_loss and validation_accuracy.

    Raises:
        InputError: if the training needs more memory than is free, the folder holds one with another recipe, or the
            loss stops being a number: then with the step, before it has changed a weight.
    """
    with tempfile.TemporaryDirectory() as temporary:
        resume = _checkpoint_to_resume(Path(folder), recipe) if folder else None
        arguments = _training_arguments(
            recipe, Path(folder or temporary), evaluations if evaluate else 0, saves if folder else 0
        )
        at_once = arguments.world_size * max(1, arguments.n_gpu)
        planned = batches(batch_tokens=recipe.batch_tokens, seed=recipe.seed, batches=recipe.steps * at_once)
        check_memory(model, planned[0])
        trainer = _EvaluatingTrainer(
            model=model,
            args=arguments,
            train_dataset=planned,
            eval_dataset=planned if evaluate else None,  # the `Trainer` wants some, and `evaluate` reads others
            processing_class=tokenizer,
            data_collator=lambda items: _together(items, tokenizer.pad_token_id),
            callbacks=list(callbacks),
        )
        trainer.evaluation = evaluate
        # Every loss is the mean over its device's batch. Told otherwise, the `Trainer` multiplies it by the number of
        # processes, which is right for a model that divides by the labels of all of them; few do.
        trainer.model_accepts_loss_kwargs = False
        trainer.remove_callback(PrinterCallback)  # the history is returned, and progress is the caller's
        trainer.train(resume_from_checkpoint=resume)
    return _history(trainer.state.log_history, planned, at_once)


class _EvaluatingTrainer(Trainer):
    """The `Trainer` with another evaluation, and a stop at a loss that is not a number.

    Without them it weighs all batches of an evaluation alike, whatever the number of hidden tokens in each, and goes on
    with weights that are all NaN, and logs a loss of 0.
    """

    def training_step(self, *arguments, **options) -> Tensor:
        loss = super().training_step(*arguments, **options)
        if not torch.isfinite(loss).all():
            step, rate = self.state.global_step + 1, self._get_learning_rate()
            raise InputError(
                f"learning_rate: in step {step} of {self.state.max_steps} the loss is {loss.mean().item()}, at a rate "
                f"of {rate:.2g}; give a smaller learning_rate, or a longer warm-up"
            )
        return loss

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        held_out = self.evaluation(self.accelerator.unwrap_model(self.model))
        metrics = {f"{metric_key_prefix}_{name}": float(value) for name, value in held_out.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def _training_arguments(recipe: Recipe, folder: Path, evaluations: int, saves: int) -> TrainingArguments:
    """The recipe in the `Trainer`'s words. One of its examples is one of our batches."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        learning_rate=recipe.learning_rate,
        warmup_steps=round(recipe.warmup * recipe.steps),
        lr_scheduler_type=recipe.schedule,
        optim="adamw_torch_fused",
        adam_beta2=0.98,
        adam_epsilon=1e-6,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        label_smoothing_factor=recipe.label_smoothing,
        bf16=recipe.precision == "bfloat16",
        eval_strategy="steps" if evaluations else "no",
        eval_steps=max(1, recipe.steps // max(1, evaluations)),
        save_strategy="steps" if saves else "no",
        save_steps=max(1, recipe.steps // max(1, saves)),
        save_total_limit=2,
        logging_steps=max(1, recipe.steps // 100),
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        report_to="none",
        disable_tqdm=True,
    )


def _checkpoint_to_resume(folder: Path, recipe: Recipe) -> str | None:
    """The latest checkpoint of a folder, or None for a new one, in which the recipe is noted.

    Raises:
        InputError: if the folder's note is of another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note, wanted = folder / "recipe.json", dataclasses.asdict(recipe)
    if note.is_file():
        noted = read_object(note, f"{note}:")
        for name, value in wanted.items():
            if noted.get(name) != value:
                raise InputError(
                    f"{folder}: holds a training with {name} {noted.get(name)}, not {value}; give another folder"
                )
    else:
        with replacing(note) as partial:  # processes of torchrun do this side by side
            partial.write_text(json.dumps(wanted, indent=2))
    return get_last_checkpoint(str(folder))


def _together(batches: list[dict[str, Tensor]], pad_token_id: int) -> dict[str, Tensor]:
    """One batch as it is; several (for several GPUs in one process) as one, padded to the widest."""
    if len(batches) == 1:
        return batches[0]
    width = max(batch["input_ids"].shape[1] for batch in batches)
    filling = {"input_ids": pad_token_id, "labels": IGNORED}

    def widened(name: str, tensor: Tensor) -> Tensor:
        return F.pad(tensor, (0, width - tensor.shape[1]), value=filling.get(name, 0)) if tensor.ndim == 2 else tensor

    return {name: torch.cat([widened(name, batch[name]) for batch in batches]) for name in batches[0]}


_LOGGED = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "gradient_norm",
    "eval_loss": "validation_loss",
    "eval_accuracy": "validation_accuracy",
}  # the names of the `Trainer`'s log, and those of our table


def _history(log: list[dict], batches: LengthBatches, at_once: int) -> pd.DataFrame:
    """The `Trainer`'s log with one row a step."""
    rows: dict[int, dict] = {}
    for entry in log:
        if values := {ours: entry[theirs] for theirs, ours in _LOGGED.items() if theirs in entry}:
            rows.setdefault(entry["step"], {}).update(values)
    tokens = np.cumsum([0, *(batches.tokens(i) for i in range(len(batches)))])
    table = [{"step": step, "tokens": int(tokens[step * at_once]), **row} for step, row in sorted(rows.items())]
    return pd.DataFrame(table, columns=["step", "tokens", *_LOGGED.values()])
