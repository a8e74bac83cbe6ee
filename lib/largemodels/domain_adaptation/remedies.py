"""Every remedy of the chapter on domain adaptation as a classifier for the target, trained on one draw of a pair.

All have the same network, the same labelled source examples and as many optimizer steps on labelled text; all that read
have as many steps of reading. What a remedy does with that is in `largemodels.domain_adaptation.alignment`,
`largemodels.domain_adaptation.train` and `largemodels.domain_adaptation.label_shift`. No setting is chosen by a target
label.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from largemodels.domain_adaptation.label_shift import estimate_by_likelihood, with_shares
from largemodels.domain_adaptation.train import features_of, fine_tune_across
from largemodels.fine_tuning.trials import Trial, word_trial
from largemodels.models.batches import join_sentences
from largemodels.models.classifiers import NEVER, classifier_on, fine_tune, predict, recipe_for
from largemodels.models.loading import load_classifier, load_masked_lm
from largemodels.models.training import Recipe
from largemodels.pretraining.masked_lm import masked_tokens
from largemodels.pretraining.train import PretrainingRecipe, pretrain
from largemodels.statistics.calibration import apply_temperature, fit_temperature

Method = Literal[
    "nothing",
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
    "few labels",
    "ceiling",
    "words",
]
"""What can be tried; "nothing" is the comparison, and "few labels" and "ceiling" have labels of the target."""

WEIGHTS: Mapping[str, float] = MappingProxyType({"dann": 0.3, "deep coral": 10.0, "mmd": 10.0})
"""Of the loss that is added, the same for every pair; see the chapter for how they were chosen."""
HELD_SENTENCES = 800  # of the target, that reading is judged by
LARGEST_WEIGHT = 10.0  # of a source example in importance weighting


@dataclass(frozen=True)
class Setting:
    """How every remedy trains.

    Attributes:
        model: the checkpoint to start from.
        tokenizer: the model's.
        max_length: tokens of a text at most.
        epochs: passes over the labelled source examples; what else is learnt from changes no number of steps.
        learning_rate: of learning from labels, its peak.
        batch_tokens: of a batch of labelled texts.
        warmup: share of the steps in which a rate rises.
        reading_steps: optimizer steps of masked language modelling, for remedies that read.
        reading_rate: of reading, its peak.
        reading_tokens: of a batch that is read.
        seed: of everything random.
        weights: of the losses that make features alike, by method.
    """

    model: str
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    epochs: int = 3
    learning_rate: float = 1e-3
    batch_tokens: int = 512
    warmup: float = 0.1
    reading_steps: int = 100
    reading_rate: float = 1e-3
    reading_tokens: int = 1024
    seed: int = 0
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


@dataclass(frozen=True)
class Outcome:
    """A remedy's answers about the target, and the classifier that gave them.

    Attributes:
        trial: the answers to `Draw.judged`, with the seconds that everything took.
        classifier: None for remedies whose answers are not those of a network.
        note: what is worth knowing of this training, in words; "" for none.
        reading_loss: of a remedy that reads, the mean loss at hidden words of `Draw.held_text` after it, nats.
    """

    trial: Trial
    classifier: PreTrainedModel | None = None
    note: str = ""
    reading_loss: float = math.nan


def adapted(method: Method, draw: Draw, setting: Setting, base: Outcome | None = None) -> Outcome:
    """What a remedy comes to.

    Args:
        method: which.
        draw: what to learn from.
        setting: how.
        base: what "nothing" came to with the same draw and setting, for remedies that go on from its answers; trained
            anew if not given. Its seconds count as theirs.

    Raises:
        InputError: for a checkpoint without masked-language head and a remedy that reads.
        ValueError: for an unknown method.
    """
    if method not in get_args(Method):
        raise ValueError(f"method: {method!r} is not one of {', '.join(get_args(Method))}")
    if method == "words":
        return Outcome(word_trial(method, draw.labelled, draw.judged, len(draw.labels)))
    if method in _AFTER and base is None:
        base = adapted("nothing", draw, setting)
    start = time.perf_counter()
    if method in _AFTER:
        outcome = _AFTER[method](draw, setting, base)
        before = base.trial.seconds
    else:
        outcome, before = _trained(method, draw, setting), 0.0
    seconds = before + time.perf_counter() - start
    return dataclasses.replace(outcome, trial=dataclasses.replace(outcome.trial, name=method, seconds=seconds))


def _trained(method: Method, draw: Draw, setting: Setting) -> Outcome:
    """Remedies that train one classifier, from the checkpoint or from one that has read more."""
    if method == "weights":
        return _weighted(draw, setting)
    texts = {"dapt": [draw.target_text], "tapt": [draw.task_text], "irrelevant": [draw.control_text]}
    texts["dapt+tapt"] = [draw.target_text, draw.task_text]
    examples = {"few labels": pd.concat([draw.labelled, draw.few]), "ceiling": draw.ceiling}
    if method in texts:
        reader = _read(texts[method], setting)
        learnt = _learnt(classifier_on(reader, draw.labels, seed=setting.seed), draw.labelled, draw, setting)
        return dataclasses.replace(learnt, reading_loss=reading_loss(reader, draw, setting))
    network = _fresh(draw, setting)
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
    return _learnt(network, examples.get(method, draw.labelled), draw, setting)


def _fresh(draw: Draw, setting: Setting) -> PreTrainedModel:
    return load_classifier(setting.model, draw.labels, seed=setting.seed)


def _recipe(measure: pd.DataFrame, setting: Setting) -> Recipe:
    """As many steps as so many passes over these examples are, whatever is learnt from."""
    return recipe_for(
        setting.tokenizer,
        measure,
        setting.epochs,
        max_length=setting.max_length,
        batch_tokens=setting.batch_tokens,
        learning_rate=setting.learning_rate,
        warmup=setting.warmup,
        seed=setting.seed,
    )


def _learnt(network: PreTrainedModel, examples: pd.DataFrame, draw: Draw, setting: Setting, note: str = "") -> Outcome:
    """The network fine-tuned on the examples, and judged."""
    _fine_tuned(network, examples, draw.labelled, setting)
    return _judged(network, draw, setting, note)


def _fine_tuned(network: PreTrainedModel, examples: pd.DataFrame, measure: pd.DataFrame, setting: Setting) -> None:
    """Train the network on the examples, for as many steps as `measure` takes."""
    recipe = _recipe(measure, setting)
    fine_tune(network, setting.tokenizer, examples.reset_index(drop=True), recipe, max_length=setting.max_length)


def _judged(network: PreTrainedModel, draw: Draw, setting: Setting, note: str = "") -> Outcome:
    return Outcome(Trial("", answers(network, draw.judged, setting)), network, note)


def answers(network: PreTrainedModel, examples: pd.DataFrame, setting: Setting) -> np.ndarray:
    """The network's log-probabilities of the classes, `(examples, classes)`."""
    return predict(network, setting.tokenizer, examples, max_length=setting.max_length)


def _read(texts: Sequence[pd.DataFrame], setting: Setting) -> PreTrainedModel:
    """The checkpoint's masked language model after it has read the texts, one after the other.

    Together they get `reading_steps`, in equal parts (DAPT and TAPT: Gururangan et al. 2020).
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


def _weighted(draw: Draw, setting: Setting) -> Outcome:
    """Source examples drawn again, each as often as the target looks like it; the odds are those of TF-IDF vectors."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    source, target = joined_texts(draw.labelled), joined_texts(draw.unlabelled)
    vectors = TfidfVectorizer(sublinear_tf=True).fit(pd.concat([source, target]))
    weights = importance_weights(
        vectors.transform(source), vectors.transform(target), largest=LARGEST_WEIGHT, seed=setting.seed
    )
    drawn = draw.labelled.sample(len(draw.labelled), replace=True, weights=weights, random_state=setting.seed)
    note = f"weighs as much as {effective_sample_size(weights):.0f} of {len(weights)} examples"
    return _learnt(_fresh(draw, setting), drawn, draw, setting, note)


def _self_trained(draw: Draw, setting: Setting, base: Outcome) -> Outcome:
    """Source examples and the surer half of the target's texts with the answers that "nothing" gave."""
    shares = np.bincount(draw.labelled["label"], minlength=len(draw.labels)) / len(draw.labelled)
    probabilities = np.exp(answers(base.classifier, draw.unlabelled, setting))
    places, labels = confident_pseudo_labels(
        probabilities / probabilities.sum(1, keepdims=True), len(draw.unlabelled) // 2, shares=shares
    )
    trusted = draw.unlabelled.iloc[places].assign(label=labels)
    note = f"trusts {len(trusted)} answers"
    return _learnt(_fresh(draw, setting), pd.concat([draw.labelled, trusted]), draw, setting, note)


def _corrected(draw: Draw, setting: Setting, base: Outcome) -> Outcome:
    """The answers of "nothing" moved to the shares of the classes that its calibrated answers make likeliest."""
    held_out = answers(base.classifier, draw.validation, setting)
    temperature = fit_temperature(held_out, draw.validation["label"].to_numpy())
    before = np.bincount(draw.labelled["label"], minlength=len(draw.labels)) + 1.0  # no class has a share of 0
    before /= before.sum()
    after = estimate_by_likelihood(
        apply_temperature(answers(base.classifier, draw.unlabelled, setting), temperature), before
    )
    moved = with_shares(apply_temperature(base.trial.log_probabilities, temperature), before, after)
    said = ", ".join(f"{label} {share:.2f}" for label, share in zip(draw.labels, after, strict=True))
    return Outcome(Trial("", np.log(moved.clip(NEVER))), note=f"estimates the shares {said}")


def _aligned(draw: Draw, setting: Setting, base: Outcome) -> Outcome:
    """A logistic regression on the features of "nothing", the source's moved to the target's covariance.

    The source examples are those of validation. The network knows by heart the ones that it was trained on: their
    features lie further apart than those of any other text, which is no difference between domains. So this remedy has
    the labels of validation besides, as "shares" has for its temperature.
    """
    from sklearn.linear_model import LogisticRegression

    def features(examples: pd.DataFrame) -> np.ndarray:
        return features_of(base.classifier, setting.tokenizer, examples, max_length=setting.max_length)

    source, target = features(draw.validation), features(draw.unlabelled)
    scale = source.std(0) + 1e-6
    moved = coral(source / scale, target / scale)
    head = LogisticRegression(max_iter=1000).fit(moved, draw.validation["label"])
    logs = np.full((len(draw.judged), len(draw.labels)), np.log(NEVER))
    logs[:, head.classes_] = head.predict_log_proba(features(draw.judged) / scale).clip(np.log(NEVER))
    return Outcome(Trial("", logs))


_AFTER: dict[str, Callable[[Draw, Setting, Outcome], Outcome]] = {
    "self-training": _self_trained,
    "shares": _corrected,
    "coral": _aligned,
}
"""Remedies that go on from what "nothing" came to, and so cost its seconds too."""


def distance_of_features(network: PreTrainedModel, draw: Draw, setting: Setting) -> float:
    """The proxy A-distance of labelled source and unlabelled target texts in what the network's last layer reads."""
    read = [
        features_of(network, setting.tokenizer, examples, max_length=setting.max_length)
        for examples in (draw.labelled, draw.unlabelled)
    ]
    return proxy_a_distance(*read, seed=setting.seed).distance


def weight_trials(draw: Draw, setting: Setting, tried: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """What each weight of an alignment loss comes to, without a look at a label of the target: a row each.

    Columns: method, weight, source_accuracy (on the source's validation examples) and distance
    (`distance_of_features`). The first row is "nothing", of weight 0.

    Args:
        draw: what to learn from.
        setting: how.
        tried: weights by method.
    """
    trials = [("nothing", 0.0), *((name, weight) for name, weights in tried.items() for weight in weights)]
    rows = []
    for method, weight in trials:
        weights = {**setting.weights, method: weight} if weight else setting.weights
        network = adapted(method, draw, dataclasses.replace(setting, weights=weights)).classifier
        right = answers(network, draw.validation, setting).argmax(1) == draw.validation["label"].to_numpy()
        distance = distance_of_features(network, draw, setting)
        row = {"method": method, "weight": weight, "source_accuracy": float(right.mean()), "distance": distance}
        rows.append(row)
    return pd.DataFrame(rows)


def answers_across(
    domains: dict[str, pd.DataFrame], judged: dict[str, pd.DataFrame], labels: Sequence[str], setting: Setting
) -> dict[str, np.ndarray]:
    """The answers of a classifier for each domain to the test examples of all: log-probabilities by source domain.

    Args:
        domains: for each name, examples to learn from.
        judged: for each name, test examples; answers are to all of them, one domain after the other.
        labels: names of the classes.
        setting: how each is trained.
    """
    asked = pd.concat(judged.values())
    found = {}
    for name, examples in domains.items():
        network = load_classifier(setting.model, labels, seed=setting.seed)
        _fine_tuned(network, examples, examples, setting)
        found[name] = answers(network, asked, setting)
    return found
