"""One fine-tuning with its cost and its answers, and several of them in one table.

The fine-tuning chapter changes one thing at a time: the start, the weights that learn, the rate, the number of labels.
Each change is a `Trial`, judged on the same examples, so that it can be compared with the first one pair by pair.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from largemodels.base.errors import InputError
from largemodels.data.predictions import example_ids
from largemodels.data.texts import joined_texts
from largemodels.models.batches import plan_batches
from largemodels.models.classifiers import (
    fine_tune,
    mean_cross_entropy,
    predict,
    recipe_for,
    word_classifier,
    word_log_probabilities,
)
from largemodels.models.lengths import length_limit
from largemodels.models.trainable import trained_parameters
from largemodels.statistics.comparisons import adjusted_p, paired_bootstrap, paired_permutation
from largemodels.statistics.intervals import proportion_interval


@dataclass(frozen=True)
class Trial:
    """A trained classifier's answers, and what they cost.

    Attributes:
        name: of the setting.
        log_probabilities: of each class for each example that it is judged on, `(examples, classes)`.
        history: the table of `training.train`; empty for a classifier that was not trained in steps.
        trained: the parameters that the training may change.
        epoch_seconds: time of each pass in optimizer steps, without evaluation.
        seconds: of the training, evaluation on validation examples included.
    """

    name: str
    log_probabilities: np.ndarray
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    trained: int = 0
    epoch_seconds: tuple[float, ...] = ()
    seconds: float = 0.0

    def right(self, examples: pd.DataFrame) -> np.ndarray:
        """Whether it is right about each of the examples that it is judged on, `(examples,)`."""
        return self.log_probabilities.argmax(1) == examples["label"].to_numpy()

    def loss(self, examples: pd.DataFrame) -> float:
        """The mean cross-entropy on the examples that it is judged on, nats."""
        return mean_cross_entropy(self.log_probabilities, examples["label"].to_numpy())

    @property
    def validation_accuracy(self) -> float:
        """The accuracy on validation examples at the end of the training."""
        return float(self.history["validation_accuracy"].dropna().iloc[-1])


def check_length(max_length: int, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Raise `InputError` for a limit that is beyond the model's, or that leaves no room for text."""
    longest = length_limit(tokenizer, model)
    if max_length > longest.tokens:
        raise InputError(
            f"max_length: {max_length} is more than the {longest.tokens} tokens that the model reads ({longest.reason})"
        )
    if max_length <= (special := tokenizer.num_special_tokens_to_add()):
        raise InputError(f"max_length: {max_length} leaves no room for text beside {special} special tokens")


def check_classes(labels: Sequence[str]) -> None:
    """Raise `InputError` for measurements, which in a file look like names of classes: numbers, some with fractions."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return
    if fractions := [label for label, number in zip(labels, numbers, strict=True) if not number.is_integer()]:
        raise InputError(
            f"label_column: its {len(labels)} different values are numbers such as {fractions[0]}, a target for "
            "regression, and this is classification; name another column, or cut the numbers into classes"
        )


def draw(examples: pd.DataFrame, number: int, seed: int, *, parameter: str = "labelled") -> pd.DataFrame:
    """So many of the examples, or all of them, at random; a smaller draw is part of a larger one.

    A rare class may be missing. A classifier still has an answer for it, which it learns never to give.

    Raises:
        InputError: unless two classes are drawn three times each, without which nothing can be learnt or validated; it
            names the parameter of the chapter that the number comes from.
    """
    drawn = examples.sample(min(number, len(examples)), random_state=seed)
    if (drawn["label"].value_counts() >= 3).sum() < 2:
        raise InputError(
            f"{parameter}: {len(drawn)} drawn examples hold fewer than two classes three times each; draw more"
        )
    return drawn


def fixed(examples: pd.DataFrame, number: int) -> pd.DataFrame:
    """So many of the examples, or all of them: those whose digests come first, the same for every seed."""
    return examples.iloc[np.argsort(example_ids(examples), kind="stable")[:number]]


def run_trial(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    judged: pd.DataFrame,
    *,
    epochs: int,
    max_length: int,
    validation: pd.DataFrame | None = None,
    folder: str | None = None,
    **recipe: object,
) -> Trial:
    """The trial of training `model`, in place, on some examples, and of judging it on others.

    Args:
        model: a sequence classifier; `trainable.train_only` freezes some of its weights.
        examples: to learn from, with at most `max_length` tokens each.
        judged: held-out examples for the answers.
        epochs: passes; the model is evaluated on `validation` after each.
        validation: held-out examples, other than the judged ones.
        folder: for checkpoints, as for `training.train`.
        **recipe: rates, batch_tokens, seed and the rest of `training.Recipe`.
    """
    trained, clock, start = trained_parameters(model), _StepClock(), time.perf_counter()
    history = fine_tune(
        model,
        tokenizer,
        examples,
        recipe_for(tokenizer, examples, epochs, max_length=max_length, **recipe),
        max_length=max_length,
        validation=validation,
        evaluations=epochs,
        folder=folder,
        callbacks=[clock],
    )
    seconds = time.perf_counter() - start
    log_probabilities = predict(model, tokenizer, judged, max_length=max_length)
    passes = np.array_split(clock.seconds, epochs)
    return Trial(name, log_probabilities, history, trained, tuple(float(part.sum()) for part in passes), seconds)


def word_trial(name: str, examples: pd.DataFrame, judged: pd.DataFrame, classes: int) -> Trial:
    """The trial of the baseline that counts words, `classifiers.word_classifier`; texts of a pair are joined."""
    start = time.perf_counter()
    classifier = word_classifier(examples.assign(text=joined_texts(examples)))
    seconds = time.perf_counter() - start
    logs = word_log_probabilities(classifier, joined_texts(judged), classes)
    return Trial(name, logs, trained=int(classifier.best_estimator_[-1].coef_.size), seconds=seconds)


class _StepClock(TrainerCallback):
    """The seconds of each optimizer step, evaluation and logging left out."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *arguments, **options) -> None:
        self._start = time.perf_counter()

    def on_step_end(self, *arguments, **options) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def trial_table(trials: Sequence[Trial], judged: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """One row for each trial, judged on the same examples; the differences are to the first trial.

    Columns: setting, trained (parameters), seconds (of the optimizer steps, or of fitting where there are none), loss
    (nats), right (count), accuracy with low and high (95%, Wilson), difference with difference_low and difference_high
    (95% for each row by itself, paired bootstrap), and p (sign-flip test, Holm's correction for all rows). In both, all
    examples of a document go together, where the examples name one.
    """
    first = trials[0].right(judged)
    rows, p_values = [], []
    clusters = judged["document"].to_numpy() if "document" in judged else None
    for trial in trials:
        right = trial.right(judged)
        accuracy, low, high = proportion_interval(int(right.sum()), len(right))
        row = {
            "setting": trial.name,
            "trained": trial.trained,
            "seconds": sum(trial.epoch_seconds) or trial.seconds,
            "loss": trial.loss(judged),
        }
        row |= {"right": int(right.sum()), "accuracy": accuracy, "low": low, "high": high}
        if trial is not trials[0]:
            gain = paired_bootstrap(right, first, clusters=clusters, resamples=resamples)
            row |= {"difference": gain.difference, "difference_low": gain.low, "difference_high": gain.high}
            p_values.append(paired_permutation(right, first, clusters=clusters).p)
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.assign(p=[np.nan, *adjusted_p(p_values)])


def readable(table: pd.DataFrame, examples: int, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The table of `trial_table` for readers: counts out of `examples`, differences with their intervals."""
    difference = [
        "" if np.isnan(row.p) else f"{row.difference:+.3f} ({row.difference_low:+.3f} to {row.difference_high:+.3f})"
        for row in table.itertuples()
    ]
    return pd.DataFrame(
        {
            "trained": [f"{number:,}" for number in table["trained"]],
            "seconds": [f"{seconds:.1f}" for seconds in table["seconds"]],
            "loss": [f"{loss:.2f}" for loss in table["loss"]],
            "right": [f"{count}/{examples}" for count in table["right"]],
            "difference (95%, each)": difference,
            "p (Holm)": ["" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}" for p in table["p"]],
        },
        index=pd.Index([(names or {}).get(name, name) for name in table["setting"]], name="setting"),
    )


def worth_in_labels(sizes: Sequence[int], accuracies: Sequence[float], wanted: float) -> float:
    """The number of labels at which a learning curve, of accuracies at sizes, comes to an accuracy.

    Between two sizes the curve is a line over the logarithm of the size, and it is taken as rising: a size counts as
    good as the best up to it. Infinite where the curve never comes so far; the smallest size where it begins above.
    """
    order = np.argsort(sizes)
    logs = np.log(np.asarray(sizes, dtype=float)[order])
    best = np.maximum.accumulate(np.asarray(accuracies, dtype=float)[order])
    if wanted > best[-1]:
        return float("inf")
    place = int(np.searchsorted(best, wanted))
    if place == 0:
        return float(min(sizes))
    share = (wanted - best[place - 1]) / (best[place] - best[place - 1])
    return float(np.exp(logs[place - 1] + share * (logs[place] - logs[place - 1])))


def padding_table(lengths: Sequence[int], batch_size: int, longest: int, seed: int = 0) -> pd.DataFrame:
    """The share of the places in a batch that hold padding, by four ways of making batches of texts of these lengths.

    Rows: to the model's longest, to 128 (the default of the Hugging Face example script), to the longest in a random
    batch, and by length, with as many tokens in a batch on average. Columns: batches, places, padding (share).
    """
    lengths = np.asarray(lengths)
    random = np.random.default_rng(seed)
    shuffled = np.array_split(random.permutation(lengths), max(1, round(len(lengths) / batch_size)))
    budget = max(int(lengths.max()), round(batch_size * lengths.mean()))
    by_length = [lengths[members] for members in plan_batches(lengths, budget, random)]
    ways = {
        f"to the model's {longest}": [(part.clip(max=longest), longest) for part in shuffled],
        "to 128": [(part.clip(max=128), 128) for part in shuffled],
        "to the longest of a random batch": [(part, part.max()) for part in shuffled],
        f"by length, {budget} places at most": [(part, part.max()) for part in by_length],
    }
    rows = []
    for way, batches in ways.items():
        places = int(sum(len(part) * width for part, width in batches))
        tokens = int(sum(part.sum() for part, _ in batches))
        rows.append({"padded": way, "batches": len(batches), "places": places, "padding": 1 - tokens / places})
    return pd.DataFrame(rows)


def surest_errors(
    judged: pd.DataFrame, log_probabilities: np.ndarray, labels: Sequence[str], number: int = 8
) -> pd.DataFrame:
    """The wrong answers that a classifier was surest of: text, label, answer and the probability of that answer."""
    names, label, answer = np.array(labels, dtype=object), judged["label"].to_numpy(), log_probabilities.argmax(1)
    table = pd.DataFrame({"text": joined_texts(judged).to_numpy(), "label": names[label], "answer": names[answer]})
    wrong = table.assign(probability=np.exp(log_probabilities.max(1)))[answer != label]
    return wrong.sort_values("probability", ascending=False, kind="stable").head(number).reset_index(drop=True)


def worth_said(other: str, worth: float, sizes: Sequence[int]) -> str:
    """The sentence on what `worth_in_labels` found: the labels with which the first curve does as well as another.

    Args:
        other: the setting with all labels, as a subject.
        worth: the number of labels.
        sizes: those that were tried, the largest of which the other setting had.
    """
    if math.isinf(worth):
        return f"With {max(sizes):,} labels, {other} does better than the pretrained network with any number tried."
    fewest = min(sizes)
    about = f"{fewest:,} or fewer, {fewest:,} being the fewest tried" if worth <= fewest else f"about {worth:,.0f}"
    return f"With {max(sizes):,} labels, {other} does as well as the pretrained network with {about}."
