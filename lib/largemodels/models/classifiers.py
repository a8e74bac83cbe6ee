"""Fine-tuning an encoder to tell classes of texts apart, beside the baseline that has read nothing before.

`fine_tune` trains through `largemodels.models.training`, `predict` gives log-probabilities, and `word_classifier` is
the TF-IDF with logistic regression that a pretrained network has to beat.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.models.batches import LabelledBatches, reads_token_types
from largemodels.models.heads import label_dimensions
from largemodels.models.loading import from_weights
from largemodels.models.training import Recipe, train

STRENGTHS = [1, 10, 100]
NEVER = 1e-6  # the probability of a class that no labelled example has; a loss needs one above 0


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
    """The history of a training to classify; `model` is trained in place.

    Args:
        model: a sequence classifier, such as `loading.load_classifier` gives; `trainable.train_only` freezes weights.
        examples: to learn from: text, for pairs text_pair, and label (the class, from 0).
        max_length: tokens of a text at most, special ones included; longer ones are cut at the end.
        validation: held-out examples.
        **options: evaluations, folder, saves and callbacks, as for `training.train`, whose table comes back.
    """
    batches = partial(LabelledBatches, examples, tokenizer, max_length=max_length, token_types=reads_token_types(model))
    evaluate = partial(held_out_metrics, tokenizer=tokenizer, examples=validation, max_length=max_length)
    return train(model, tokenizer, batches, recipe, evaluate=None if validation is None else evaluate, **options)


def recipe_for(
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    epochs: float,
    *,
    max_length: int | None = None,
    batch_tokens: int = 512,
    **options: Any,
) -> Recipe:
    """The recipe that passes over these examples for so many epochs, with at least one step.

    Examples are cut to `max_length` tokens, or to what the tokenizer states; `options` are the rest of the recipe.
    """
    longest = max_length or tokenizer.model_max_length
    in_an_epoch = len(LabelledBatches(examples, tokenizer, max_length=longest, batch_tokens=batch_tokens))
    return Recipe(steps=max(1, round(epochs * in_an_epoch)), batch_tokens=batch_tokens, **options)


def predict(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    *,
    max_length: int,
    batch_tokens: int = 2048,
) -> np.ndarray:
    """The log-probability of each class for each example, `(examples, classes)`.

    Args:
        model: a sequence classifier; it is left in evaluation mode.
        examples: text and, for pairs, text_pair, cut to `max_length` tokens.
        batch_tokens: tokens that are computed at a time; the results do not depend on it.

    Examples:
        >>> import pandas as pd
        >>> from largemodels.models.loading import load_classifier, load_tokenizer
        >>> untrained = load_classifier("pydocs-small", labels=("no", "yes"), seed=0)
        >>> examples = pd.DataFrame({"text": ["The gradient of the loss.", "Plot a line."]})
        >>> predict(untrained, load_tokenizer("pydocs-small"), examples, max_length=32).shape
        (2, 2)
    """
    return class_log_probabilities(model, unlabelled_batches(model, tokenizer, examples, max_length, batch_tokens))


def unlabelled_batches(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    max_length: int,
    batch_tokens: int = 2048,
) -> LabelledBatches:
    """The texts of examples in batches without labels, as the model reads them; arguments are those of `predict`."""
    options = {"batch_tokens": batch_tokens, "token_types": reads_token_types(model)}
    return LabelledBatches(examples.drop(columns="label", errors="ignore"), tokenizer, max_length=max_length, **options)


@torch.no_grad()
def class_log_probabilities(model: PreTrainedModel, batches: LabelledBatches) -> np.ndarray:
    """The log-probability of each class for each text of an epoch, `(texts, classes)`, in the order of the examples."""
    model.eval()
    rows: dict[int, Tensor] = {}
    for index in range(batches.batches_per_epoch):
        batch = {name: tensor.to(model.device) for name, tensor in batches[index].items() if name != "labels"}
        log_probabilities = model(**batch).logits.float().log_softmax(-1)  # (batch, classes)
        rows |= zip(batches.members(index).tolist(), log_probabilities.cpu(), strict=True)
    return torch.stack([rows[place] for place in range(len(rows))]).numpy()


def held_out_metrics(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: pd.DataFrame, *, max_length: int
) -> dict[str, float]:
    """The mean cross-entropy "loss" (nats) and the "accuracy" on held-out, labelled examples.

    Arguments are those of `predict`.
    """
    labels = examples["label"].to_numpy()
    log_probabilities = predict(model, tokenizer, examples, max_length=max_length)
    return {
        "loss": mean_cross_entropy(log_probabilities, labels),
        "accuracy": float((log_probabilities.argmax(1) == labels).mean()),
    }


def mean_cross_entropy(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean of −log p of the true classes, in nats, from `(examples, classes)` and the classes `(examples,)`."""
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def word_classifier(examples: pd.DataFrame) -> GridSearchCV:
    """A logistic regression on the TF-IDF of words and pairs of words of a text, fitted; its `predict` takes texts.

    Its regularisation is chosen among `STRENGTHS` (scikit-learn's `C`) by three-fold cross-validation on the examples
    alone, each fold with its vocabulary and document frequencies: so the baseline is a tuned one, and no held-out text
    helps it. There are two folds where a class has two examples only.

    Raises:
        InputError: if no class has two examples, so that none can be held out.

    Examples:
        >>> import pandas as pd
        >>> texts = ["a good film", "good fun", "good", "a bad film", "bad acting", "bad"]
        >>> classifier = word_classifier(pd.DataFrame({"text": texts, "label": [1, 1, 1, 0, 0, 0]}))
        >>> classifier.predict(["good acting", "a bad end"])
        array([1, 0])
    """
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    classifier = make_pipeline(words, LogisticRegression(max_iter=1000, tol=1e-3))
    choices, folds = {"logisticregression__C": STRENGTHS}, _folds(examples["label"].to_numpy())
    return GridSearchCV(classifier, choices, cv=folds).fit(examples["text"], examples["label"])


def _folds(labels: np.ndarray, most: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """The places to learn from and to judge by of each fold, with every class in all of them.

    A class of one example cannot be on both sides: it is always learnt from and never judged.
    """
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    single, several = np.flatnonzero(sizes[classes] == 1), np.flatnonzero(sizes[classes] > 1)
    if not len(several):
        raise InputError("labels: no class has two examples, one to learn from and one to judge by; give more")
    folds = StratifiedKFold(min(most, sizes[sizes > 1].min())).split(several, labels[several])
    return [(np.concatenate([several[learnt], single]), several[judged]) for learnt, judged in folds]


def word_log_probabilities(classifier: GridSearchCV, texts: Sequence[str], classes: int) -> np.ndarray:
    """The log-probability of each class for each text by a `word_classifier`, `(texts, classes)`.

    A class that no labelled example has gets the probability `NEVER`.
    """
    logs = np.full((len(texts), classes), np.log(NEVER))
    logs[:, classifier.classes_] = classifier.predict_log_proba(texts)
    return logs


def classifier_on(
    encoder: PreTrainedModel, labels: Sequence[str], *, pretrained: bool = True, seed: int = 0
) -> PreTrainedModel:
    """A sequence classifier with a copy of the encoder's network; the encoder is left as it is.

    A model with another head (for masked tokens, for pairs) gives the network below it and, of its head, the parts that
    a classifier has too, by name and shape, such as the dense layer before ModernBERT's decoder. What has a row for
    each label is taken from a classifier for the same labels only. The rest of the head starts at random, with the
    numbers that `loading.load_classifier` gives it for the same seed.

    Args:
        labels: names of the classes; the position is the id.
        pretrained: whether the network gets the encoder's weights; if not, they are drawn, as from scratch, and the
            rest of the head is the same as with them.
        seed: of the random weights; other generators are left alone.

    Raises:
        ValueError: if the encoder's weights are not those of the network that its configuration describes.
    """
    config = copy.deepcopy(encoder.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: place for place, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        scratch = AutoModelForSequenceClassification.from_config(config)
    shared = _shared_weights(encoder, scratch)
    if list(encoder.config.id2label.values()) != list(labels):
        rows = label_dimensions(config)
        shared = {name: weight for name, weight in shared.items() if name not in rows}
    weights = shared if pretrained else {name: scratch.state_dict()[name] for name in shared}
    copied = {name: weight.to("cpu", copy=True) for name, weight in weights.items()}
    model, _ = from_weights(type(scratch), None, seed=seed, config=config, state_dict=copied)
    return model


def _shared_weights(encoder: PreTrainedModel, classifier: PreTrainedModel) -> dict[str, Tensor]:
    """The encoder's weights that the classifier has too, by the classifier's names; the pooler may be missing.

    Raises:
        ValueError: if a weight of the network below the head is not in both, or of another shape.
    """
    prefix, shapes = f"{classifier.base_model_prefix}.", {n: w.shape for n, w in classifier.state_dict().items()}
    weights = encoder.state_dict() | encoder.base_model.state_dict(prefix=prefix)
    shared = {name: weight for name, weight in weights.items() if shapes.get(name) == weight.shape}
    body = {name for name in (*weights, *shapes) if name.startswith(prefix) and ".pooler." not in name}
    if misfits := sorted(body - shared.keys()):
        raise ValueError(f"encoder: its weights do not fit a classifier ({', '.join(misfits[:3])})")
    return shared
