"""Fine-tuning an encoder to tell classes of texts apart, beside the baseline that has read nothing before.

`fine_tune` trains all weights through `largemodels.training`, `predict` gives log-probabilities, and `word_classifier`
is the TF-IDF with logistic regression that a pretrained network has to beat.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from largemodels.batching import LengthBatches, pad
from largemodels.training import Recipe, train

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


class LabelledBatches(LengthBatches):
    """Batches of labelled texts: `input_ids` and `attention_mask` `(batch, length)`, `labels` `(batch,)`."""

    def __init__(
        self,
        texts: Sequence[str],
        labels: Sequence[int],
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        batch_tokens: int,
        seed: int,
        batches: int | None = None,
    ) -> None:
        encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
        self.input_ids = [np.array(ids) for ids in encoded["input_ids"]]
        self.labels = torch.tensor(np.asarray(labels, dtype=np.int64))
        self.pad_token_id = tokenizer.pad_token_id
        super().__init__([len(ids) for ids in self.input_ids], batch_tokens, seed, batches)

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some texts; nothing in it is drawn."""
        batch = pad([self.input_ids[i] for i in members], self.pad_token_id)
        return {**batch, "labels": self.labels[torch.from_numpy(members)]}


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    recipe: Recipe,
    *,
    max_length: int,
    validation: pd.DataFrame | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The history of a training to classify; all weights of `model` are trained in place.

    Args:
        model: a sequence classifier, such as `checkpoints.load_classifier` gives.
        tokenizer: the model's.
        examples: to learn from: text and label (the class, from 0).
        recipe: steps, rates and seed.
        max_length: tokens of a text at most, special ones included; longer ones are cut at the end.
        validation: held-out examples.
        **options: evaluations, folder, saves and callbacks, as for `training.train`.

    Returns:
        The table that `training.train` gives.
    """

    def batches(number: int) -> LabelledBatches:
        return LabelledBatches(
            examples["text"],
            examples["label"],
            tokenizer,
            max_length=max_length,
            batch_tokens=recipe.batch_tokens,
            seed=recipe.seed,
            batches=number,
        )

    def evaluate(model: PreTrainedModel) -> dict[str, float]:
        labels = validation["label"].to_numpy()
        log_probabilities = predict(model, tokenizer, validation["text"], max_length=max_length)
        right = log_probabilities.argmax(1) == labels
        return {"loss": -log_probabilities[np.arange(len(labels)), labels].mean(), "accuracy": right.mean()}

    return train(model, tokenizer, batches, recipe, evaluate=None if validation is None else evaluate, **options)


def recipe_for(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    epochs: float,
    *,
    max_length: int | None = None,
    batch_tokens: int = 1024,
    **options: Any,
) -> Recipe:
    """The recipe that passes over these texts so many times, with at least one step.

    Args:
        tokenizer: says how long the texts are.
        texts: to learn from.
        epochs: passes.
        max_length: tokens of a text at most; what the tokenizer states if not given.
        batch_tokens: tokens in a batch at most.
        **options: the rest of the recipe: rates, schedule, seed.
    """
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    in_an_epoch = len(LengthBatches([len(ids) for ids in encoded["input_ids"]], batch_tokens, seed=0))
    return Recipe(steps=max(1, round(epochs * in_an_epoch)), batch_tokens=batch_tokens, **options)


@torch.no_grad()
def predict(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    max_length: int,
    batch_tokens: int = 4096,
) -> np.ndarray:
    """The log-probability of each class for each text, `(texts, classes)`; the model is left in evaluation mode."""
    model.eval()
    texts = list(texts)
    batches = LabelledBatches(
        texts, np.zeros(len(texts)), tokenizer, max_length=max_length, batch_tokens=batch_tokens, seed=0
    )
    log_probabilities = torch.empty(len(texts), model.config.num_labels)
    for index in range(len(batches)):
        batch = batches[index]
        del batch["labels"]
        logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
        log_probabilities[torch.from_numpy(batches.members(index))] = logits.float().log_softmax(-1).cpu()
    return log_probabilities.numpy()


def word_classifier(examples: pd.DataFrame, *, strengths: Sequence[float] = (1, 10, 100)) -> Pipeline:
    """A logistic regression on the TF-IDF of words and pairs of words, fitted; `predict` takes texts.

    How strongly it is regularised is chosen among `strengths` (scikit-learn's `C`) by three-fold cross-validation on
    the examples alone: so the baseline is a tuned one, and no held-out text helps it.

    Args:
        examples: text and label.
        strengths: the choices.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    classifier = GridSearchCV(LogisticRegression(max_iter=1000, tol=1e-3), {"C": list(strengths)}, cv=3)
    return make_pipeline(words, classifier).fit(examples["text"], examples["label"])


def classifier_on(
    encoder: PreTrainedModel, labels: Sequence[str], *, pretrained: bool = True, seed: int = 0
) -> PreTrainedModel:
    """A sequence classifier with a copy of the encoder's network and a random head; the encoder is left as it is.

    A model with another head (for masked tokens, for pairs) gives the network below its head. A pooler that it does not
    have starts at random.

    Args:
        encoder: gives the configuration and, unless told not to, the weights.
        labels: names of the classes; the position is the id.
        pretrained: whether the network gets the encoder's weights; if not, it starts at random, as from scratch.
        seed: of the random weights; the generators of others are left alone.

    Raises:
        ValueError: if the encoder's weights are not those of the network that its configuration describes.
    """
    config = copy.deepcopy(encoder.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: place for place, label in enumerate(labels)}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config)
    if pretrained:
        missing, unexpected = model.base_model.load_state_dict(encoder.base_model.state_dict(), strict=False)
        if left := [name for name in (*missing, *unexpected) if not name.startswith("pooler.")]:
            raise ValueError(f"encoder: its weights do not fit a classifier ({', '.join(left[:3])})")
    return model
