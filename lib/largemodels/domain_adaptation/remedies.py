"""Every remedy of the chapter on domain adaptation as a classifier for the target, trained on one draw of a pair.

All have the same network, the same labelled source examples and as many optimizer steps on labelled text; all that read
have as many steps of reading. No setting is chosen by a target label.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.data.texts import joined_texts
from largemodels.domain_adaptation.alignment import (
    confident_pseudo_labels,
    coral,
    effective_sample_size,
    importance_weights,
)
from largemodels.domain_adaptation.distance import proxy_a_distance
from largemodels.domain_adaptation.domains import Draw
from largemodels.domain_adaptation.label_shift import SharesMethod, corrected_answers, with_shares
from largemodels.domain_adaptation.train import features_of, fine_tune_across
from largemodels.fine_tuning.trials import Trial, word_trial
from largemodels.models.batches import join_sentences
from largemodels.models.classifiers import NEVER, classifier_on, fine_tune, predict, recipe_for
from largemodels.models.loading import load_classifier, load_masked_lm
from largemodels.models.training import Recipe
from largemodels.pretraining.masked_lm import masked_tokens
from largemodels.pretraining.train import PretrainingRecipe, pretrain

Remedy = Literal[
    "dapt",
    "tapt",
    "dapt+tapt",
    "irrelevant",
    "dann",
    "deep coral",
    "mmd",
    "coral",
    "weights",
    "self-training",
    "shares",
    "calibrated shares",
    "bbse",
    "map shares",
    "few labels",
    "ceiling",
    "words",
]
"""What may help in another domain; "few labels" and "ceiling" have labels of the target."""

Method = Literal["nothing", Remedy]
"""A remedy, or what it is compared with."""

WEIGHTS: Mapping[str, float] = MappingProxyType({"dann": 0.3, "deep coral": 10.0, "mmd": 10.0})
"""The weights of the added losses, the same for every pair of domains; the chapter tells how they were chosen."""
HELD_SENTENCES = 800  # of the target, by which reading is judged
LARGEST_WEIGHT = 10.0  # of a source example in importance weighting


@dataclass(frozen=True)
class Setting:
    """The training that all remedies share."""

    model: str  #: the checkpoint to start from
    tokenizer: PreTrainedTokenizerBase  #: the model's
    max_length: int  #: tokens of a text at most
    epochs: int = 3  #: passes over the labelled source examples; their steps are those of every remedy
    learning_rate: float = 1e-3  #: of learning from labels, its peak
    batch_tokens: int = 512  #: of a batch of labelled texts
    warmup: float = 0.1  #: share of the steps in which a rate rises
    reading_steps: int = 100  #: optimizer steps of masked language modelling, for remedies that read
    reading_rate: float = 1e-3  #: of reading, its peak
    reading_tokens: int = 1024  #: of a batch that is read
    seed: int = 0  #: of everything random
    #: of the losses that make features alike, by method
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


@dataclass(frozen=True)
class AdaptedClassifier:
    """A remedy's answers about the target, and the classifier that gave them."""

    trial: Trial  #: the answers to `Draw.judged`, with the seconds of the whole remedy
    classifier: PreTrainedModel | None = None  #: None for remedies whose answers are not those of a network
    note: str = ""  #: a remark on this training, in words; "" for none
    #: of a remedy that reads, the mean loss at hidden words of `Draw.held_text` after it, nats
    reading_loss: float = math.nan
    #: of "nothing", the log-probabilities of `Draw.validation`, `(examples, classes)`, and of `Draw.unlabelled`
    on_source: np.ndarray | None = None
    on_target: np.ndarray | None = None
    #: of a `SharesMethod`, its estimate of the target's shares, `(classes,)`
    shares: np.ndarray | None = None


def adapted(method: Method, draw: Draw, setting: Setting, base: AdaptedClassifier | None = None) -> AdaptedClassifier:
    """The result of a remedy.

    Remedies that start from the answers of "nothing" take its result with the same draw and setting, `base`, which is
    trained here if missing; its seconds count as theirs.

    Raises:
        InputError: for a checkpoint without masked-language head and a remedy that reads.
        ValueError: for an unknown method.
    """
    if method not in get_args(Method):
        raise ValueError(f"method: {method!r} is not one of {', '.join(get_args(Method))}")
    if method == "words":
        return AdaptedClassifier(word_trial(method, draw.labelled, draw.judged, len(draw.labels)))
    if method in _AFTER and base is None:
        base = adapted("nothing", draw, setting)
    start = time.perf_counter()
    result = _AFTER[method](draw, setting, base) if method in _AFTER else _trained(method, draw, setting)
    seconds = time.perf_counter() - start + (base.trial.seconds if method in _AFTER else 0.0)
    return dataclasses.replace(result, trial=dataclasses.replace(result.trial, name=method, seconds=seconds))


def _trained(method: Method, draw: Draw, setting: Setting) -> AdaptedClassifier:
    """The result of a remedy that trains one classifier, from the checkpoint or from one that has read more."""
    texts = {
        "dapt": [draw.target_text],
        "tapt": [draw.task_text],
        "dapt+tapt": [draw.target_text, draw.task_text],
        "irrelevant": [draw.control_text],
    }
    if method in texts:
        reader = _reader(texts[method], setting)
        network = classifier_on(reader, draw.labels, seed=setting.seed)
        result = _fine_tuned(network, draw.labelled, draw, setting)
        return dataclasses.replace(result, reading_loss=reading_loss(reader, draw, setting))
    network = load_classifier(setting.model, draw.labels, seed=setting.seed)
    if method in setting.weights:
        fine_tune_across(
            network,
            setting.tokenizer,
            draw.labelled,
            draw.unlabelled,
            _recipe(draw.labelled, setting),
            method="coral" if method == "deep coral" else method,
            weight=setting.weights[method],
            max_length=setting.max_length,
        )
        return _judged(network, draw, setting)
    if method == "weights":
        drawn, note = _weighted(draw, setting)
        return _fine_tuned(network, drawn, draw, setting, note)
    examples = {"few labels": [draw.labelled, draw.few], "ceiling": [draw.ceiling]}
    result = _fine_tuned(network, pd.concat(examples.get(method, [draw.labelled])), draw, setting)
    if method != "nothing":
        return result
    on_source, on_target = (answers(network, examples, setting) for examples in (draw.validation, draw.unlabelled))
    return dataclasses.replace(result, on_source=on_source, on_target=on_target)


def _recipe(examples: pd.DataFrame, setting: Setting) -> Recipe:
    """The recipe with the steps of the setting's passes over these examples."""
    return recipe_for(
        setting.tokenizer,
        examples,
        setting.epochs,
        max_length=setting.max_length,
        batch_tokens=setting.batch_tokens,
        learning_rate=setting.learning_rate,
        warmup=setting.warmup,
        seed=setting.seed,
    )


def _fine_tuned(
    network: PreTrainedModel, examples: pd.DataFrame, draw: Draw, setting: Setting, note: str = ""
) -> AdaptedClassifier:
    """The network trained on the examples in the steps of all remedies, and judged."""
    _fine_tune(network, examples, _recipe(draw.labelled, setting), setting)
    return _judged(network, draw, setting, note)


def _fine_tune(network: PreTrainedModel, examples: pd.DataFrame, recipe: Recipe, setting: Setting) -> None:
    fine_tune(network, setting.tokenizer, examples.reset_index(drop=True), recipe, max_length=setting.max_length)


def _judged(network: PreTrainedModel, draw: Draw, setting: Setting, note: str = "") -> AdaptedClassifier:
    return AdaptedClassifier(Trial("", answers(network, draw.judged, setting)), network, note)


def answers(network: PreTrainedModel, examples: pd.DataFrame, setting: Setting) -> np.ndarray:
    """The network's log-probabilities of the classes, `(examples, classes)`."""
    return predict(network, setting.tokenizer, examples, max_length=setting.max_length)


def _reader(texts: Sequence[pd.DataFrame], setting: Setting) -> PreTrainedModel:
    """The checkpoint's masked language model after it has read the texts, each for an equal part of `reading_steps`.

    Reading text of the domain is DAPT, and that of the task TAPT (Gururangan et al. 2020).
    """
    network = load_masked_lm(setting.model)
    for place, text in enumerate(texts):
        recipe = PretrainingRecipe(
            steps=max(1, setting.reading_steps // len(texts)),
            batch_tokens=setting.reading_tokens,
            learning_rate=setting.reading_rate,
            warmup=setting.warmup,
            seed=setting.seed + place,
        )
        pretrain(network, setting.tokenizer, join_sentences(text, setting.tokenizer, setting.max_length), recipe)
    return network


def reading_loss(reader: PreTrainedModel, draw: Draw, setting: Setting) -> float:
    """A masked language model's mean loss at hidden words of some target text that it has not read, in nats."""
    text = draw.held_text.iloc[:HELD_SENTENCES]
    sequences = join_sentences(text, setting.tokenizer, setting.max_length)
    return float(masked_tokens(reader, setting.tokenizer, sequences)["loss"].mean())


def _weighted(draw: Draw, setting: Setting) -> tuple[pd.DataFrame, str]:
    """Source examples drawn again, each as often as it looks like the target, and a note of what they weigh.

    The weights are the odds of "target" that a classifier of TF-IDF vectors gives.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    source, target = joined_texts(draw.labelled), joined_texts(draw.unlabelled)
    vectors = TfidfVectorizer(sublinear_tf=True).fit(pd.concat([source, target]))
    weights = importance_weights(
        vectors.transform(source), vectors.transform(target), largest=LARGEST_WEIGHT, seed=setting.seed
    )
    drawn = draw.labelled.sample(len(draw.labelled), replace=True, weights=weights, random_state=setting.seed)
    return drawn, f"weighs as much as {effective_sample_size(weights):.0f} of {len(weights)} examples"


def _self_trained(draw: Draw, setting: Setting, base: AdaptedClassifier) -> AdaptedClassifier:
    """The result of learning from the source, and from the surer half of the answers of "nothing" on the target."""
    probabilities = np.exp(base.on_target)
    places, labels = confident_pseudo_labels(
        probabilities / probabilities.sum(1, keepdims=True), len(draw.unlabelled) // 2, shares=_shares(draw)
    )
    trusted = draw.unlabelled.iloc[places].assign(label=labels)
    network = load_classifier(setting.model, draw.labels, seed=setting.seed)
    note = f"trusts {len(trusted)} answers"
    return _fine_tuned(network, pd.concat([draw.labelled, trusted]), draw, setting, note)


def _corrected(method: SharesMethod, draw: Draw, setting: Setting, base: AdaptedClassifier) -> AdaptedClassifier:
    """The answers of "nothing" moved to the shares of the classes that it is taken to have in the target."""
    before, after, judged = corrected_answers(
        method,
        base.on_source,
        draw.validation["label"].to_numpy(),
        base.on_target,
        base.trial.log_probabilities,
        _shares(draw, prior=1.0),  # no class has a share of 0
        prior=len(draw.labelled),
    )
    moved = with_shares(judged, before, after)
    said = ", ".join(f"{label} {share:.2f}" for label, share in zip(draw.labels, after, strict=True))
    note = f"estimates the shares {said}"
    return AdaptedClassifier(Trial("", np.log(moved.clip(NEVER))), note=note, shares=after)


def _shares(draw: Draw, prior: float = 0.0) -> np.ndarray:
    """The shares of the classes among the labelled examples, `(classes,)`, with `prior` more examples of each."""
    counts = np.bincount(draw.labelled["label"], minlength=len(draw.labels)) + prior
    return counts / counts.sum()


def _aligned(draw: Draw, setting: Setting, base: AdaptedClassifier) -> AdaptedClassifier:
    """A logistic regression on the features of "nothing", the source's moved to the target's covariance.

    The source examples are those of validation: features of examples that a network was trained on lie further apart
    than those of any other text, which is no difference between domains. So this remedy has the labels of validation
    too, as "shares" has for its temperature.
    """
    from sklearn.linear_model import LogisticRegression

    source, target, judged = (
        _features(base.classifier, examples, setting) for examples in (draw.validation, draw.unlabelled, draw.judged)
    )
    scale = source.std(0) + 1e-6
    moved = coral(source / scale, target / scale)
    head = LogisticRegression(max_iter=1000).fit(moved, draw.validation["label"])
    logs = np.full((len(draw.judged), len(draw.labels)), np.log(NEVER))
    logs[:, head.classes_] = head.predict_log_proba(judged / scale).clip(np.log(NEVER))
    return AdaptedClassifier(Trial("", logs))


_AFTER: dict[str, Callable[[Draw, Setting, AdaptedClassifier], AdaptedClassifier]] = {
    "self-training": _self_trained,
    **{method: partial(_corrected, method) for method in get_args(SharesMethod)},
    "coral": _aligned,
}
"""Remedies that start from the result of "nothing", and so cost its seconds too."""


def distance_of_features(network: PreTrainedModel, draw: Draw, setting: Setting) -> float:
    """The proxy A-distance of labelled source and unlabelled target texts in the features of the network."""
    features = [_features(network, examples, setting) for examples in (draw.labelled, draw.unlabelled)]
    return proxy_a_distance(*features, seed=setting.seed).distance


def _features(network: PreTrainedModel, examples: pd.DataFrame, setting: Setting) -> np.ndarray:
    return features_of(network, setting.tokenizer, examples, max_length=setting.max_length)


def weight_trials(draw: Draw, setting: Setting, tried: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """The weights to be tried for each alignment loss, judged without a label of the target: a row each.

    Columns: method, weight, source_accuracy (on the source's validation examples) and distance
    (`distance_of_features`). The first row is "nothing", of weight 0.
    """
    trials = [("nothing", 0.0), *((name, weight) for name, weights in tried.items() for weight in weights)]
    rows = []
    for method, weight in trials:
        weights = {**setting.weights, method: weight} if weight else setting.weights
        network = adapted(method, draw, dataclasses.replace(setting, weights=weights)).classifier
        right = answers(network, draw.validation, setting).argmax(1) == draw.validation["label"].to_numpy()
        distance = distance_of_features(network, draw, setting)
        rows.append({"method": method, "weight": weight, "source_accuracy": float(right.mean()), "distance": distance})
    return pd.DataFrame(rows)


def answers_across(
    domains: dict[str, pd.DataFrame], judged: dict[str, pd.DataFrame], labels: Sequence[str], setting: Setting
) -> dict[str, np.ndarray]:
    """The answers of a classifier trained on each domain: log-probabilities, `(examples, classes)`, by domain.

    All are about the test examples of all domains, one domain after the other.
    """
    test, logs = pd.concat(judged.values()), {}
    for name, examples in domains.items():
        network = load_classifier(setting.model, labels, seed=setting.seed)
        _fine_tune(network, examples, _recipe(examples, setting), setting)
        logs[name] = answers(network, test, setting)
    return logs
