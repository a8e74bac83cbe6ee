"""Pretraining an encoder by masked language modelling, with the `Trainer` of `transformers`.

The chapter's path is `train_tokenizer`, `join_sentences`, `build_encoder`, `pretrain`, and then `masked_tokens`, which
says of every hidden token of held-out text how well it was guessed. What a batch holds and hides depends on the seed
and the batch's number alone, so a training that was interrupted goes on as if nothing had been.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
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

from largemodels.batching import TokenSequences
from largemodels.encoders import check_memory
from largemodels.masked_prediction import masked_tokens
from largemodels.masking import IGNORED, MaskedBatches, Masking


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        steps: optimizer steps; the schedule ends with them.
        batch_tokens: tokens in a step's batch at most, on each device.
        learning_rate: its peak, after the warm-up.
        warmup: share of the steps in which the learning rate rises; after that it falls.
        schedule: how it falls to zero, "linear" or "cosine".
        masking_rate: the chance of each token to be predicted.
        weight_decay: of the matrices.
        clip: the largest norm of a gradient.
        precision: of the matrix products; "bfloat16" is faster where the processor knows it. Weights stay float32.
        seed: of masks and of the order of batches.
    """

    steps: int
    batch_tokens: int = 4096
    learning_rate: float = 1e-3
    warmup: float = 0.1
    schedule: Literal["linear", "cosine"] = "linear"
    masking_rate: float = 0.3
    weight_decay: float = 0.01
    clip: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sequences: TokenSequences,
    recipe: Recipe,
    *,
    validation: TokenSequences | None = None,
    evaluations: int = 10,
    folder: Path | str | None = None,
    saves: int = 10,
    callbacks: tuple[TrainerCallback, ...] = (),
) -> pd.DataFrame:
    """The history of the training, while `model` is trained in place.

    With a `folder`, checkpoints go there, and a training found there is taken up where it stopped; it ends as if it had
    never been interrupted. Started by `torchrun`, each process takes every n-th batch, so a step reads n batches.

    Args:
        model: a masked language model, such as `build_encoder` gives.
        tokenizer: what the sequences were made with.
        sequences: the text to learn from.
        recipe: steps, rates and seed.
        validation: held-out text, evaluated with the same masks each time: 15%, whatever the recipe hides.
        evaluations: how many times in a training, the last at its end.
        folder: for checkpoints.
        saves: how many checkpoints in a training; the two latest are kept.
        callbacks: of the `Trainer`, such as one that reports progress.

    Returns:
        A table with a row for each logged step: step, tokens (those of the text, all devices together), loss (nats, mean
        since the row before), learning_rate, gradient_norm, validation_loss (nats; missing where not evaluated).

    Raises:
        ValueError: if the training needs more memory than is free, or the folder holds one with another recipe.
    """
    check_memory(model, recipe.batch_tokens, recipe.masking_rate)
    with tempfile.TemporaryDirectory() as temporary:
        arguments = _training_arguments(
            recipe, Path(folder or temporary), evaluations, saves if folder else 0, validation
        )
        batches = MaskedBatches(
            sequences,
            tokenizer,
            Masking(recipe.masking_rate),
            batch_tokens=recipe.batch_tokens,
            seed=recipe.seed,
            batches=recipe.steps * arguments.world_size * max(1, arguments.n_gpu),
        )
        trainer = _PretrainingTrainer(
            model=model,
            args=arguments,
            train_dataset=batches,
            eval_dataset=validation,
            processing_class=tokenizer,
            data_collator=lambda items: _together(items, tokenizer.pad_token_id),
            callbacks=list(callbacks),
        )
        trainer.remove_callback(PrinterCallback)  # the history is returned; progress is the caller's
        trainer.train(resume_from_checkpoint=_checkpoint_to_resume(Path(folder), recipe) if folder else None)
    return _history(trainer.state.log_history, batches, arguments.world_size)


class _PretrainingTrainer(Trainer):
    """The `Trainer` with an evaluation by masked token: its own weighs batches alike, however many tokens they hide."""

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        training = self.model.training
        tokens = masked_tokens(self.model, self.processing_class, self.eval_dataset)
        self.model.train(training)
        metrics = {f"{metric_key_prefix}_loss": float(tokens["loss"].mean())}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def save_encoder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> Path:
    """The folder, with weights (safetensors, float16), configuration and tokenizer; `from_pretrained` reads it.

    Half the digits halve the file; the configuration says float32, which is what they become again when loaded. An
    existing folder is replaced as a whole.
    """
    folder = Path(folder)
    halves = {name: tensor.detach().cpu().half() for name, tensor in model.state_dict().items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    model.save_pretrained(partial, state_dict=halves)
    tokenizer.save_pretrained(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.chmod(0o755)
    return partial.rename(folder)


def _training_arguments(
    recipe: Recipe, folder: Path, evaluations: int, saves: int, validation: TokenSequences | None
) -> TrainingArguments:
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
        bf16=recipe.precision == "bfloat16",
        eval_strategy="steps" if validation else "no",
        eval_steps=max(1, recipe.steps // evaluations),
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
    """The latest checkpoint of a folder, or None; the folder then remembers the recipe.

    Raises:
        ValueError: if it remembers another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note, wanted = folder / "recipe.json", dataclasses.asdict(recipe)
    if note.is_file():
        found = json.loads(note.read_text())
        if different := [name for name, value in wanted.items() if found.get(name) != value]:
            name = different[0]
            raise ValueError(
                f"{folder}: holds a training with {name} {found.get(name)}, not {wanted[name]}; give another folder"
            )
    else:
        partial = note.with_suffix(".partial")
        partial.write_text(json.dumps(wanted, indent=2))
        partial.replace(note)
    return get_last_checkpoint(str(folder))


def _together(items: list[dict[str, Tensor]], pad_token_id: int) -> dict[str, Tensor]:
    """One batch as it is; several (for several GPUs in one process) as one, padded to the widest."""
    if len(items) == 1:
        return items[0]
    width = max(item["input_ids"].shape[1] for item in items)
    filling = {"input_ids": pad_token_id, "attention_mask": 0, "labels": IGNORED}
    return {
        name: torch.cat([F.pad(item[name], (0, width - item[name].shape[1]), value=filler) for item in items])
        for name, filler in filling.items()
    }


def _history(log: list[dict], batches: MaskedBatches, at_once: int) -> pd.DataFrame:
    """The `Trainer`'s log with one row a step."""
    rows: dict[int, dict] = {}
    names = {
        "loss": "loss",
        "learning_rate": "learning_rate",
        "grad_norm": "gradient_norm",
        "eval_loss": "validation_loss",
    }
    for entry in log:
        found = {ours: entry[theirs] for theirs, ours in names.items() if theirs in entry}
        if found:
            rows.setdefault(entry["step"], {}).update(found)
    tokens = np.cumsum([0, *(batches.tokens(i) for i in range(len(batches)))])
    table = [
        {"step": step, "tokens": int(tokens[min(step * at_once, len(batches))]), **row}
        for step, row in sorted(rows.items())
    ]
    return pd.DataFrame(table, columns=["step", "tokens", *names.values()])
