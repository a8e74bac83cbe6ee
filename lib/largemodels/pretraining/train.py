"""Pretraining an encoder by masked language modelling and next-sentence prediction.

The chapter's path is `train_tokenizer`, `join_sentences`, `build_encoder`, `pretrain`, and then `masked_tokens`, which
gives the loss of every hidden token of held-out text. The steps themselves are those of `largemodels.models.training`.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.models.batches import TokenSequences
from largemodels.models.classifiers import fine_tune
from largemodels.models.training import Recipe, train
from largemodels.pretraining.masked_lm import MaskedBatches, Masking, masked_tokens
from largemodels.pretraining.next_sentence import as_texts


@dataclass(frozen=True)
class PretrainingRecipe(Recipe):
    """The numbers that a training follows, and the chance of each token to be predicted."""

    masking_rate: float = 0.3


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sequences: TokenSequences,
    recipe: PretrainingRecipe,
    *,
    validation: TokenSequences | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The history of a training by masked language modelling; `model` is trained in place.

    Args:
        model: a masked language model, such as `build_encoder` gives.
        tokenizer: the one that the sequences were made with.
        validation: held-out text, evaluated with the same masks each time: 15%, whatever the recipe hides.
        **options: evaluations, folder, saves and callbacks, as for `train`, whose table comes back.
    """

    def evaluate(model: PreTrainedModel) -> dict[str, float]:
        guesses = masked_tokens(model, tokenizer, validation)
        return {"loss": guesses["loss"].mean(), "accuracy": guesses["correct"].mean()}

    batches = partial(MaskedBatches, sequences, tokenizer, Masking(recipe.masking_rate))
    return train(model, tokenizer, batches, recipe, evaluate=evaluate if validation else None, **options)


def pretrain_pairs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: pd.DataFrame,
    recipe: Recipe,
    *,
    max_length: int = 128,
    validation: pd.DataFrame | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The history of a training to tell which sentence is next; `model`, a classifier of two classes, is trained.

    Pairs, to learn from and held out, are as `sentence_pairs` gives them; other arguments are those of
    `classifiers.fine_tune`.
    """
    held_out = None if validation is None else as_texts(validation)
    return fine_tune(model, tokenizer, as_texts(pairs), recipe, max_length=max_length, validation=held_out, **options)


def save_encoder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> Path:
    """The folder, with weights (safetensors, float16), configuration and tokenizer; `from_pretrained` reads it.

    Half the digits halve the file; the configuration says float32, which is what they become again when loaded. The
    folder appears whole, and replaces an existing one.
    """
    folder = Path(folder)
    weights = model.state_dict()
    half_of = {tensor.data_ptr(): tensor.detach().cpu().half() for tensor in weights.values()}
    halves = {name: half_of[tensor.data_ptr()] for name, tensor in weights.items()}  # tied ones stay tied: saved once
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        whole = Path(beside) / folder.name
        model.save_pretrained(whole, state_dict=halves)
        tokenizer.save_pretrained(whole)
        if folder.exists():
            shutil.rmtree(folder)
        return whole.rename(folder)
