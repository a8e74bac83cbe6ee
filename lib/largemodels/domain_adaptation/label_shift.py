"""Label shift: other shares of the classes in the target domain, told apart from other texts, and corrected.

The shares of the target can be estimated without a label there from the answers of a source classifier, if a class
looks the same in both domains: p(x | y) stays, p(y) changes. What else may shift is in
`largemodels.domain_adaptation.distance`. Labels that are no classes, rows or shares that are no distributions of the
same classes, and inputs of other lengths are a `ValueError` that names the argument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from largemodels.base.checks import as_distributions, class_ids
from largemodels.statistics.intervals import percentile_interval, portions

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


def estimate_by_likelihood(target_probabilities: ArrayLike, source_shares: ArrayLike) -> np.ndarray:
    """The target's shares of the classes, `(classes,)`, that make its texts most likely, by expectation maximisation.

    Each round moves the probabilities to the present shares (`with_shares`) and takes their mean as the next ones
    (Saerens, Latinne and Decaestecker 2002). The probabilities have to be calibrated.

    Args:
        target_probabilities: a source classifier's, `(m, classes)`, each row a distribution.
        source_shares: the classes' in the classifier's training data, `(classes,)`.
    """
    rows = as_distributions(target_probabilities, "target_probabilities")
    source_shares = shares = shares_for(rows, source_shares, "source_shares")
    for _ in range(_MOST_ROUNDS):
        moved = with_shares(rows, source_shares, shares).mean(0)
        if np.abs(moved - shares).max() <= _TOLERANCE:
            return moved
        shares = moved
    return shares


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
