"""Pretraining an encoder by masked language modelling and next-sentence prediction.

The chapter's path is `train_tokenizer`, `join_sentences`, `build_encoder`, `pretrain`, and then `masked_tokens`, which
says of every hidden token of held-out text how well it was guessed. The steps themselves are those of
`largemodels.models.training`.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.models.batches import TokenSequences
from largemodels.models.labelled import reads_token_types
from largemodels.models.training import Recipe, train
from largemodels.pretraining.encoders import SparseBertForPreTraining
from largemodels.pretraining.masked_lm import MaskedBatches, Masking
from largemodels.pretraining.masked_prediction import masked_tokens
from largemodels.pretraining.next_sentence import PairBatches, judged_pairs


@dataclass(frozen=True)
class PretrainingRecipe(Recipe):
    """How to train, and how much to hide.

    Attributes:
        masking_rate: the chance of each token to be predicted.
    """

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
        tokenizer: what the sequences were made with.
        sequences: the text to learn from.
        recipe: steps, rates and seed.
        validation: held-out text, evaluated with the same masks each time: 15%, whatever the recipe hides.
        **options: evaluations, folder, saves and callbacks, as for `train`.

    Returns:
        The table that `train` gives.
    """

    def evaluate(model: PreTrainedModel) -> dict[str, float]:
        guesses = masked_tokens(model, tokenizer, validation)
        return {"loss": guesses["loss"].mean(), "accuracy": guesses["correct"].mean()}

    def batches(number: int) -> MaskedBatches:
        masking = Masking(recipe.masking_rate)
        return MaskedBatches(
            sequences, tokenizer, masking, batch_tokens=recipe.batch_tokens, seed=recipe.seed, batches=number
        )

    return train(model, tokenizer, batches, recipe, evaluate=evaluate if validation else None, **options)


def pretrain_pairs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: pd.DataFrame,
    recipe: PretrainingRecipe,
    *,
    max_length: int = 128,
    validation: pd.DataFrame | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The history of a training on pairs from `sentence_pairs`; `model` is trained in place.

    BERT with both heads (`build_encoder(…, next_sentence=True)`) learns masked tokens and the order of sentences at
    once, any model with two classes the order alone.

    Args:
        model: as above.
        tokenizer: the model's.
        pairs: to learn from.
        recipe: steps, rates and seed.
        max_length: tokens of a pair at most, special ones included.
        validation: held-out pairs.
        **options: evaluations, folder, saves and callbacks, as for `train`.

    Returns:
        The table that `train` gives; the validation loss is that of the order.
    """

    def evaluate(model: PreTrainedModel) -> dict[str, float]:
        judged = judged_pairs(model, tokenizer, validation, max_length=max_length)
        return {"loss": judged["loss"].mean(), "accuracy": judged["correct"].mean()}

    def batches(number: int) -> PairBatches:
        return PairBatches(
            pairs,
            tokenizer,
            max_length=max_length,
            batch_tokens=recipe.batch_tokens,
            seed=recipe.seed,
            masking=Masking(recipe.masking_rate) if isinstance(model, SparseBertForPreTraining) else None,
            token_types=reads_token_types(model),
            batches=number,
        )

    return train(model, tokenizer, batches, recipe, evaluate=None if validation is None else evaluate, **options)


def save_encoder(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> Path:
    """The folder, with weights (safetensors, float16), configuration and tokenizer; `from_pretrained` reads it.

    Half the digits halve the file; the configuration says float32, which is what they become again when loaded. An
    existing folder is replaced as a whole.
    """
    folder = Path(folder)
    weights = model.state_dict()
    half_of = {tensor.data_ptr(): tensor.detach().cpu().half() for tensor in weights.values()}
    halves = {name: half_of[tensor.data_ptr()] for name, tensor in weights.items()}  # tied ones stay tied: saved once
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    model.save_pretrained(partial, state_dict=halves)
    tokenizer.save_pretrained(partial)
    if folder.exists():
        shutil.rmtree(folder)
    partial.chmod(0o755)
    return partial.rename(folder)
