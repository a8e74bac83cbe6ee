"""Label shift: other shares of the classes in the target domain, told apart from other texts, and corrected.

The shares of the target can be estimated without a label there from the answers of a source classifier, if a class
looks the same in both domains: p(x | y) stays, p(y) changes. What else may shift is in
`largemodels.domain_adaptation.distance`. Labels that are no classes, rows or shares that are no distributions of the
same classes, and inputs of other lengths are a `ValueError` that names the argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from largemodels.base.checks import as_distributions, class_ids
from largemodels.statistics.calibration import apply_temperature, fit_temperature
from largemodels.statistics.intervals import percentile_interval, portions

SharesMethod = Literal["shares", "calibrated shares", "bbse", "map shares"]
"""Remedies that estimate the target's shares of the classes and move a source classifier's answers to them."""

_TOLERANCE = 1e-6  # the estimate of the shares ends when no share moves by more,
_MOST_ROUNDS = 10_000  # or after so many rounds


@dataclass(frozen=True)
class LabelShift:
    """How the shares of the classes differ."""

    source: np.ndarray  #: share of each class, `(classes,)`
    target: np.ndarray  #: share of each class, `(classes,)`
    total_variation: float  #: half the sum of their absolute differences, from 0 (equal) to 1 (no class in common)
    by_chance: float  #: its mean if both were drawn from one distribution, which is not 0
    p: float  #: of the permutation test of no shift, never 0


@dataclass(frozen=True)
class AccuracyDrop:
    """The part of a fall in accuracy that the shares of the labels explain; every number is `(value, low, high)`."""

    source: tuple[float, float, float]  #: the accuracy on the source's test examples
    target: tuple[float, float, float]  #: the accuracy on the target's
    reweighted: tuple[float, float, float]  #: the accuracy on the source with the target's shares of the classes
    total: tuple[float, float, float]  #: source less target, the sum of the next two
    by_labels: tuple[float, float, float]  #: source less reweighted, which the shares explain
    rest: tuple[float, float, float]  #: reweighted less target, where a class looks different or means something else


def label_shift(
    source: ArrayLike,
    target: ArrayLike,
    *,
    documents: tuple[ArrayLike, ArrayLike] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> LabelShift:
    """The total variation between two samples' shares of the classes, and a test of whether it is there at all.

    Without a shift, any of the examples may as well be the source's: a permutation test. Labels of one document
    resemble each other, so documents are permuted whole, as many to each domain as it has.

    Args:
        source: classes of the source's examples, `(n,)`, from 0.
        target: classes of the target's examples, `(m,)`.
        documents: of the source's and of the target's examples.
        resamples: permutations; p is at least 1 / (resamples + 1).
        seed: of the permutations.
    """
    counts = _class_counts((source, target), documents)
    of_source, of_target = (domain.sum(0) for domain in counts)
    observed = _total_variation(of_source, of_target)
    pooled, number = np.concatenate(counts), len(counts[0])
    random, variations = np.random.default_rng(seed), []
    for size in portions(resamples, len(pooled)):
        order = random.permuted(np.tile(np.arange(len(pooled)), (size, 1)), axis=1)
        permuted = (order < number).astype(float) @ pooled  # (size, classes)
        variations.append(_total_variation(permuted, pooled.sum(0) - permuted))
    chance = np.concatenate(variations)
    extreme = int((chance >= observed - 1e-12).sum())
    return LabelShift(
        of_source / of_source.sum(),
        of_target / of_target.sum(),
        float(observed),
        float(chance.mean()),
        (extreme + 1) / (resamples + 1),
    )


def _total_variation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The total variation of distributions, which are counts along the last axis."""
    shares = (counts / np.maximum(counts.sum(-1, keepdims=True), 1) for counts in (first, second))
    return np.abs(np.subtract(*shares)).sum(-1) / 2


def explain_drop(
    source_labels: ArrayLike,
    source_right: ArrayLike,
    target_labels: ArrayLike,
    target_right: ArrayLike,
    *,
    documents: tuple[ArrayLike, ArrayLike] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> AccuracyDrop:
    """A classifier's accuracy on source and target, and how much of the difference the labels' shares make.

    The source's accuracy on each class, averaged with the target's shares, is what a pure label shift would leave. The
    target's labels are known here, so this explains a result and chooses nothing. Intervals are percentiles of a
    bootstrap.

    Args:
        source_labels: classes of the source's test examples, `(n,)`.
        source_right: whether the classifier gets them right, `(n,)`, bool.
        target_labels: classes of the target's test examples, `(m,)`.
        target_right: whether the classifier gets them right, `(m,)`, bool.
        documents: of the source's and of the target's examples: whole documents are drawn.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: for a class of the target that the source has no example of.
    """
    of_all = _class_counts((source_labels, target_labels), documents)
    rights = (np.asarray(source_right, dtype=bool), np.asarray(target_right, dtype=bool))
    of_right = _class_counts((source_labels, target_labels), documents, rights)
    if missing := np.flatnonzero((of_all[1].sum(0) > 0) & (of_all[0].sum(0) == 0)).tolist():
        raise ValueError(f"source_labels: no example of class {missing[0]}, and the target has some")
    whole = [np.concatenate([both.sum(0), right.sum(0)])[None] for both, right in zip(of_all, of_right, strict=True)]
    measured = _parts(*whole, *whole)
    random, drawn = np.random.default_rng(seed), []
    for size in portions(resamples, max(map(len, of_all))):
        sums = []
        for both, right in zip(of_all, of_right, strict=True):
            times = random.multinomial(len(both), np.full(len(both), 1 / len(both)), size)  # (size, documents)
            sums.append(times @ np.hstack([both, right]))
        drawn.append(_parts(*sums, *whole))
    ends = percentile_interval(np.concatenate(drawn))
    return AccuracyDrop(*((float(measured[0, i]), float(ends[0, i]), float(ends[1, i])) for i in range(6)))


def _parts(source: np.ndarray, target: np.ndarray, all_source: np.ndarray, all_target: np.ndarray) -> np.ndarray:
    """The six numbers of an `AccuracyDrop`, `(resamples, 6)`, from sums of examples and right ones of each class.

    A class that a resample of the source has lost keeps its accuracy in the whole source.
    """
    (examples, right), (others, others_right) = (np.split(sums, 2, axis=1) for sums in (source, target))
    known, known_right = np.split(all_source, 2, axis=1)
    usual = known_right / np.maximum(known, 1)
    by_class = np.where(examples > 0, right / np.maximum(examples, 1), usual)  # (resamples, classes)
    on_source, on_target = right.sum(1) / examples.sum(1), others_right.sum(1) / others.sum(1)
    reweighted = (by_class * others).sum(1) / others.sum(1)
    return np.stack(
        [on_source, on_target, reweighted, on_source - on_target, on_source - reweighted, reweighted - on_target], 1
    )


def estimate_by_likelihood(
    target_probabilities: ArrayLike, source_shares: ArrayLike, *, prior: float = 0.0
) -> np.ndarray:
    """The target's shares of the classes, `(classes,)`, that make its texts most likely, by expectation maximisation.

    The E step moves the probabilities to the present shares (`with_shares`); the M step takes their mean as the next
    ones (Saerens, Latinne and Decaestecker 2002). The probabilities have to be calibrated, see `fit_vector_scaling`.

    Args:
        target_probabilities: a source classifier's, `(m, classes)`, each row a distribution.
        source_shares: the classes' in the data that the probabilities are calibrated on, `(classes,)`.
        prior: target examples that are imagined beside the m texts, with the source's shares; 0 for none. They are a
            Dirichlet prior on the shares, with parameters 1 + prior · source_shares, and the result its mode.

    Examples:
        >>> rows = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]
        >>> estimate_by_likelihood(rows, [0.5, 0.5]).round(2)
        array([1., 0.])
        >>> estimate_by_likelihood(rows, [0.5, 0.5], prior=3).round(2)
        array([0.7, 0.3])
    """
    rows = as_distributions(target_probabilities, "target_probabilities")
    source_shares = shares = shares_for(rows, source_shares, "source_shares")
    if not prior >= 0:
        raise ValueError(f"prior: {prior} is not at least 0")
    for _ in range(_MOST_ROUNDS):
        belongs = with_shares(rows, source_shares, shares)  # E: (m, classes)
        moved = (belongs.sum(0) + prior * source_shares) / (len(rows) + prior)  # M
        if np.abs(moved - shares).max() <= _TOLERANCE:
            return moved
        shares = moved
    return shares


def estimate_by_confusion(
    source_probabilities: ArrayLike,
    source_labels: ArrayLike,
    target_probabilities: ArrayLike,
) -> np.ndarray:
    """The target's shares of the classes, `(classes,)`, that explain how often it is given each answer.

    If a class looks the same in both domains, it is confused with the others as often: C w = μ, where C is the share of
    each answer together with each label in the source, μ that of each answer in the target, and w the target's shares
    over the source's (Lipton, Wang and Smola 2018: black-box shift estimation). A probability counts as a part of an
    answer, so that rows of 0 and 1 count answers alone, as Lipton et al. do. Of all w that fit as well, the nearest to
    1 is taken; negative shares are set to 0, and a class without a source example keeps that share, 0.

    Args:
        source_probabilities: of held-out source examples, `(n, classes)`, each row a distribution.
        source_labels: their classes, `(n,)`.
        target_probabilities: the same classifier's, `(m, classes)`; they need not be calibrated.

    Examples:
        >>> answers, labels = np.eye(2)[[0, 0, 0, 1, 1, 1, 1, 0]], [0, 0, 0, 0, 1, 1, 1, 1]
        >>> estimate_by_confusion(answers, labels, np.eye(2)[[0, 0, 0, 0, 0, 0, 1, 1, 1, 1]]).round(2)
        array([0.7, 0.3])
    """
    rows = as_distributions(source_probabilities, "source_probabilities")
    target = as_distributions(target_probabilities, "target_probabilities")
    labels = class_ids(source_labels, "source_labels")
    classes = rows.shape[1]
    if len(labels) != len(rows) or labels.max() >= classes or target.shape[1] != classes:
        raise ValueError(f"source_labels: they are not {len(rows)} of the {classes} classes that the target has too")
    joint = rows.T @ np.eye(classes)[labels] / len(rows)  # C: (answers, labels)
    weights = 1 + np.linalg.lstsq(joint, target.mean(0) - joint.sum(1), rcond=None)[0]  # C (w - 1) = μ - C·1
    shares = np.maximum(weights, 0) * joint.sum(0)
    return shares / shares.sum()


def fit_vector_scaling(log_probabilities: ArrayLike, labels: ArrayLike) -> tuple[float, np.ndarray]:
    """The temperature T and a bias of each class, `(classes,)`, for which softmax(log p / T + b) loses least.

    Their mean on these examples is the share of each class in them, which a temperature alone does not see to; so the
    shares that `estimate_by_likelihood` starts from are those of the probabilities (Alexandari, Kundaje and Shrikumar
    2020: bias-corrected temperature scaling). Half the sum of b² is added to the log loss of all examples, so that a
    class without an example has a bias too. Fit it on held-out source examples.

    Args:
        log_probabilities: `(n, classes)`, logits or log-probabilities, finite.
        labels: `(n,)`, the true classes.
    """
    from scipy import optimize, special

    logits = np.asarray(log_probabilities, dtype=float)
    labels = class_ids(labels, "labels")
    if logits.ndim != 2 or not np.isfinite(logits).all() or len(labels) != len(logits):
        raise ValueError(f"log_probabilities: shape {logits.shape} is not that of finite rows for {len(labels)} labels")
    if labels.max() >= logits.shape[1]:
        raise ValueError(f"labels: {labels.max()} is not one of {logits.shape[1]} classes")
    true = np.eye(logits.shape[1])[labels]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        steep, bias = np.exp(parameters[0]), parameters[1:]
        logs = special.log_softmax(steep * logits + bias, axis=1)
        wrong = np.exp(logs) - true  # (n, classes), the gradient by the logits
        slope = np.append(steep * (wrong * logits).sum(), wrong.sum(0) + bias)
        return float(bias @ bias / 2 - (logs * true).sum()), slope

    ends = [(-5.0, 5.0), *[(None, None)] * logits.shape[1]]  # of ln(1/T): a set that is all right has no best T
    best = optimize.minimize(loss, np.zeros(1 + logits.shape[1]), jac=True, bounds=ends).x
    return float(np.exp(-best[0])), best[1:]


def apply_vector_scaling(log_probabilities: ArrayLike, temperature: float, bias: ArrayLike) -> np.ndarray:
    """The probabilities softmax(log p / T + b), `(n, classes)`.

    Examples:
        >>> apply_vector_scaling(np.log([[0.5, 0.5]]), 1.0, np.log([0.9, 0.1])).round(2)
        array([[0.9, 0.1]])
    """
    from scipy import special

    return special.softmax(np.asarray(log_probabilities, dtype=float) / temperature + np.asarray(bias), axis=1)


def with_shares(probabilities: ArrayLike, source_shares: ArrayLike, target_shares: ArrayLike) -> np.ndarray:
    """A source classifier's probabilities where the classes have other shares, `(m, classes)`: Bayes' rule.

    Each is multiplied by target share / source share, and the rows are scaled to sum to 1 (Saerens et al. 2002). No
    class has a share of 0 in the source.

    Examples:
        >>> with_shares([[0.5, 0.5]], source_shares=[0.5, 0.5], target_shares=[0.9, 0.1])
        array([[0.9, 0.1]])
    """
    rows = as_distributions(probabilities)
    before = shares_for(rows, source_shares, "source_shares")
    after = shares_for(rows, target_shares, "target_shares")
    if not before.all():
        raise ValueError(f"source_shares: class {int(before.argmin())} has none, so nothing is known of it")
    moved = rows * (after / before)
    return moved / np.maximum(moved.sum(1, keepdims=True), np.finfo(float).tiny)


def corrected_answers(
    method: SharesMethod,
    on_source: np.ndarray,
    labels: np.ndarray,
    on_target: np.ndarray,
    judged: np.ndarray,
    learnt_shares: np.ndarray,
    *,
    prior: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shares that a classifier's probabilities imply, its target's by this method, and calibrated probabilities.

    "shares" divides the logits by one temperature and maximises the likelihood from the shares that were learnt from.
    The others have a bias for each class beside the temperature, and start from the shares that the calibrated
    probabilities have: "calibrated shares" maximises the likelihood, "map shares" with a prior, and "bbse" solves the
    confusion matrix. The result is `(classes,)`, `(classes,)` and `(examples, classes)`.

    Args:
        method: its name.
        on_source: log-probabilities of held-out source examples, `(n, classes)`.
        labels: their classes, `(n,)`.
        on_target: log-probabilities of unlabelled target texts, `(m, classes)`.
        judged: log-probabilities of the examples whose answers are wanted, `(examples, classes)`.
        learnt_shares: of the classes in the training examples, `(classes,)`, none of them 0.
        prior: of "map shares": the imagined target examples that have the source's shares.
    """
    if method == "shares":
        temperature = fit_temperature(on_source, labels)
        on_target, judged = (apply_temperature(logs, temperature) for logs in (on_target, judged))
        return learnt_shares, estimate_by_likelihood(on_target, learnt_shares), judged
    temperature, bias = fit_vector_scaling(on_source, labels)
    source, target, judged = (apply_vector_scaling(logs, temperature, bias) for logs in (on_source, on_target, judged))
    before = source.mean(0)
    if method == "bbse":
        answered = (np.eye(len(before))[rows.argmax(1)] for rows in (source, target))
        held_out, asked = answered
        return before, estimate_by_confusion(held_out, labels, asked), judged
    return before, estimate_by_likelihood(target, before, prior=prior if method == "map shares" else 0.0), judged


def shares_for(rows: np.ndarray, shares: ArrayLike, name: str) -> np.ndarray:
    """The shares as float64, `(classes,)`, after a check that they are a distribution of the classes of the rows."""
    shares = as_distributions([shares], name)[0]
    if len(shares) != rows.shape[1]:
        raise ValueError(f"{name}: {len(shares)} for {rows.shape[1]} classes")
    return shares


def _class_counts(
    labels: tuple[ArrayLike, ArrayLike],
    documents: tuple[ArrayLike, ArrayLike] | None,
    counted: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """The examples of each class in each document, `(documents, classes)`, counted for both domains.

    Without documents every example is one. `counted` marks the examples that count, `(n,)` and `(m,)`; else all do.
    """
    ids = [class_ids(values, name) for values, name in zip(labels, ("source labels", "target labels"), strict=True)]
    classes, tables = max(domain.max() for domain in ids) + 1, []
    for place, domain in enumerate(ids):
        _, rows = np.unique(np.arange(len(domain)) if documents is None else documents[place], return_inverse=True)
        weights = np.ones(len(domain)) if counted is None else counted[place].astype(float)
        for name, values in (("documents", rows), ("right", weights)):
            if len(values) != len(domain):
                raise ValueError(f"{name}: {len(values)} for {len(domain)} labels")
        counts = np.zeros((rows.max() + 1, classes))
        np.add.at(counts, (rows, domain), weights)
        tables.append(counts)
    return tables
