"""How far are two domains apart? By a classifier between them, by their words, and by a bound on the error.

The part of a difference that lies in the labels' shares is in `largemodels.domain_adaptation.label_shift`. Features or
documents that do not fit each other are a `ValueError`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from largemodels.base.errors import InputError
from largemodels.data.texts import words
from largemodels.statistics.intervals import clustered_variance, proportion_interval

FOLDS = 5  # of every cross-validation between domains


@dataclass(frozen=True)
class ADistance:
    """How well a classifier tells two domains apart."""

    distance: float  #: 2(1 − 2·error): 0 where it does no better than chance, 2 where it never errs; by chance below 0
    low: float  #: the lower end of its interval
    high: float  #: the upper end
    error: float  #: the share of held-out examples that it puts into the wrong domain, the mean of both domains' shares
    n: int  #: examples
    by_chance: np.ndarray  #: distances with the domains permuted, `(permutations,)`: of no difference at all
    p: float  #: of the permutation test that there is no difference, never 0; NaN without permutations

    @property
    def near_zero(self) -> bool:
        """Whether the interval reaches down to 0: so many examples do not show that the domains differ."""
        return self.low <= 0


def proxy_a_distance(
    source: ArrayLike | Sequence[str],
    target: ArrayLike | Sequence[str],
    *,
    documents: tuple[ArrayLike, ArrayLike] | None = None,
    permutations: int = 0,
    seed: int = 0,
) -> ADistance:
    """The proxy A-distance of two domains, from the cross-validated error of a logistic regression between them.

    Both domains count alike, however many examples they have. No document has examples in training and held-out
    folds: else a document of both domains would be learnt as one of them and judged as the other, and the error would
    lie above a half. Without documents, equal examples are one document.

    The interval combines the Wilson intervals of the two domains' errors (Newcombe 1998), each for as many independent
    examples as the errors' spread over documents leaves (Kish 1965). It is of this classifier, and takes the folds'
    errors as independent, which they nearly are; permutations test the same without that (Lopez-Paz and Oquab 2017).
    Follows Ben-David et al. 2007.

    Args:
        source: texts, which become TF-IDF vectors, or features, `(n, features)`, sparse or not.
        target: texts, or features of the same kind, `(m, features)`.
        documents: of the source's and of the target's examples.
        permutations: of whole documents; each costs as much time as the distance itself.
        seed: of folds and permutations.

    Raises:
        InputError: if a domain has fewer documents than there are folds.
    """
    features = _features(source, target)
    sizes = [np.shape(domain)[0] for domain in (source, target)]
    domains = np.repeat([0, 1], sizes)
    groups = _groups(features, source, target, documents)
    for place, name in enumerate(("source", "target")):
        if (number := len(np.unique(groups[domains == place]))) < FOLDS:
            raise InputError(f"{name}: {number} different documents are fewer than the {FOLDS} folds; give more text")
    random = np.random.default_rng(seed)
    wrong = _held_out_errors(features, domains, groups, seed)
    error = _balanced_error(wrong, domains)
    chance = []
    for _ in range(permutations):
        permuted = _permuted(domains, groups, random)
        mistaken = _held_out_errors(features, permuted, groups, seed)
        chance.append(_a_distance(_balanced_error(mistaken, permuted)))
    distance, by_chance = _a_distance(error), np.array(chance)
    low, high = _error_interval(wrong, domains, groups)
    p = (1 + int((by_chance >= distance).sum())) / (permutations + 1) if permutations else math.nan
    return ADistance(distance, _a_distance(high), _a_distance(low), error, len(domains), by_chance, p)


def _a_distance(error: float) -> float:
    return 2 * (1 - 2 * error)


def _features(source: ArrayLike | Sequence[str], target: ArrayLike | Sequence[str]) -> np.ndarray | sparse.csr_matrix:
    """Both domains' features in one matrix, `(n + m, features)`, scaled without regard to the domains."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import StandardScaler

    if sparse.issparse(source):
        return sparse.vstack([source, target]).tocsr()
    if len(source) and isinstance(next(iter(source)), str):
        return TfidfVectorizer(sublinear_tf=True, tokenizer=words, token_pattern=None).fit_transform([*source, *target])
    source, target = np.asarray(source, dtype=float), np.asarray(target, dtype=float)
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise ValueError(f"target: shape {target.shape} does not fit the source's {source.shape}")
    return StandardScaler().fit_transform(np.vstack([source, target]))


def _groups(features, source, target, documents: tuple[ArrayLike, ArrayLike] | None) -> np.ndarray:
    """A number for the document of each row, `(n + m,)`; without documents equal rows have one number."""
    if documents is not None:
        rows = np.concatenate([np.asarray(names, dtype=object) for names in documents])
        if len(rows) != features.shape[0]:
            raise ValueError(f"documents: {len(rows)} for {features.shape[0]} examples")
        keys: Iterable = rows
    elif sparse.issparse(features):
        keys = ((row.indices.tobytes(), row.data.tobytes()) for row in features)
    else:
        keys = (row.tobytes() for row in features)
    numbers: dict = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def _held_out_errors(features, domains, groups, seed: int) -> np.ndarray:
    """Whether a classifier that did not see its document puts a row into the wrong domain, `(n + m,)`, bool."""
    from sklearn.model_selection import StratifiedGroupKFold

    splits = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return (domain_log_odds(features, domains, splits, groups) > 0) != domains


def domain_log_odds(features, domains, splits, groups: np.ndarray | None = None) -> np.ndarray:
    """The log-odds of domain 1 for each row, `(n + m,)`, by a logistic regression that did not see it.

    Args:
        features: of both domains, `(n + m, features)`, sparse or not.
        domains: 0 or 1 for each row; both count alike, however many rows they have.
        splits: scikit-learn's splitter into folds.
        groups: of the rows, for a splitter that keeps them together.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    return cross_val_predict(classifier, features, domains, groups=groups, cv=splits, method="decision_function")


def _balanced_error(wrong: np.ndarray, domains: np.ndarray) -> float:
    return float((wrong[domains == 0].mean() + wrong[domains == 1].mean()) / 2)


def _permuted(domains: np.ndarray, groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The domains of the rows with whole documents permuted; a document of both domains swaps them within itself."""
    shares = np.bincount(groups, weights=domains) / np.bincount(groups)
    one, swapped = np.isin(shares, (0, 1)), random.random(len(shares)) < 0.5
    permuted = shares.copy()
    permuted[one] = random.permutation(shares[one])
    return np.where(one[groups], permuted[groups], domains ^ swapped[groups]).astype(int)


def _error_interval(wrong, domains, groups) -> tuple[float, float]:
    """The ends of the interval of the balanced error, by squaring and adding the distances of each domain's ends."""
    ends = []
    for place in (0, 1):
        errors_there, documents = wrong[domains == place], groups[domains == place]
        n = _independent_examples(errors_there, documents)
        ends.append(proportion_interval(errors_there.mean() * n, n))
    error, low, high = np.array(ends).T  # (domains,) each
    middle = error.mean()
    return float(middle - math.hypot(*(error - low) / 2)), float(middle + math.hypot(*(high - error) / 2))


def _independent_examples(wrong: np.ndarray, documents: np.ndarray) -> float:
    """The number of independent examples with the variance of these, which come in documents; at least 2.

    Where all are right, or all wrong, there is no variance, and the documents are counted.
    """
    number, rate = len(np.unique(documents)), float(wrong.mean())
    if number == len(wrong) or rate in (0.0, 1.0):
        return float(max(2, number))
    _, variance = clustered_variance(wrong, documents)
    return float(np.clip(rate * (1 - rate) / max(variance, 1e-12), 2, len(wrong)))


@dataclass(frozen=True)
class VocabularyOverlap:
    """The words of the target that the source does not have."""

    target_tokens: int  #: running words of the target
    unseen_tokens: int  #: those of them that the source does not have

    @property
    def unseen_tokens_share(self) -> float:
        """The share of the target's running words that the source does not have."""
        return self.unseen_tokens / self.target_tokens


def vocabulary_overlap(source: Iterable[str], target: Iterable[str]) -> VocabularyOverlap:
    """The new words of the target's texts, in small letters and without punctuation.

    Compare samples of one size: the fewer the texts of the source, the more words are new.

    Raises:
        InputError: for a domain without any word.

    Examples:
        >>> vocabulary_overlap(["a good film"], ["a good phone"]).unseen_tokens_share
        0.3333333333333333
    """
    counts = [Counter(word for text in texts for word in words(text)) for texts in (source, target)]
    for name, counted in zip(("source", "target"), counts, strict=True):
        if not counted:
            raise InputError(f"{name}: there is no word in it")
    known, words_there = counts
    unseen = sum(number for word, number in words_there.items() if word not in known)
    return VocabularyOverlap(words_there.total(), unseen)


@dataclass(frozen=True)
class BoundTerms:
    """The terms of the bound on the target's error, whose sum it is (Ben-David et al. 2010)."""

    source_error: float  #: ε_S, the classifier's error on held-out source examples
    #: ½ d, from the proxy A-distance, which stands in for d_HΔH: it is that of one kind of classifier, fitted
    #: to a sample, and so more likely too small than too large
    half_distance: float
    #: λ at most: the sum of both domains' held-out errors of one classifier that learnt from both. NaN where
    #: it is unknown, since it takes labels of the target.
    joint_error: float = math.nan

    @property
    def bound(self) -> float:
        """The sum of the known terms; without the joint error it bounds nothing."""
        known = (self.source_error, self.half_distance, self.joint_error)
        return sum(term for term in known if not math.isnan(term))


def bound_terms(
    source_right: ArrayLike, distance: ADistance, joint_right: tuple[ArrayLike, ArrayLike] | None = None
) -> BoundTerms:
    """The terms of ε_T ≤ ε_S + ½ d_HΔH + λ that samples give; it holds for two classes and large samples.

    Args:
        source_right: whether the classifier gets held-out source examples right, `(n,)`, bool.
        distance: of the domains, in the features that the classifier reads; below 0 it counts as 0.
        joint_right: whether a classifier that learnt from both gets held-out examples of source and of target right.
    """
    for right in (source_right, *(joint_right or ())):
        if not np.size(right):
            raise ValueError("right: there are no examples")
    joint = math.nan if joint_right is None else sum(1 - float(np.mean(right)) for right in joint_right)
    return BoundTerms(1 - float(np.mean(source_right)), max(0.0, distance.distance) / 2, joint)
