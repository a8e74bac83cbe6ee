"""Adaptation without a label of the target domain: features made alike, examples weighted, answers trusted.

Each remedy rests on an assumption about the change between the domains, which its docstring names; where that does not
hold, it may do harm. Source features are `(n, features)`, target features `(m, features)`; what does not fit is a
`ValueError` that names the argument. Changed shares of the labels and their correction are in
`largemodels.domain_adaptation.label_shift`, the training of a classifier with these losses in `.train`.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from largemodels.base.checks import as_distributions
from largemodels.domain_adaptation.distance import FOLDS, domain_log_odds
from largemodels.domain_adaptation.label_shift import shares_for

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Variances of the Gaussian kernels, as multiples of the median squared distance."""
_SINGULAR = 1e-10  # an eigenvalue below this share of the largest is taken for 0

Alignment = Literal["dann", "coral", "mmd"]


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient has its sign changed."""

    @staticmethod
    def forward(context, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(features: Tensor, strength: float = 1.0) -> Tensor:
    """The features as they are, whose gradient is multiplied by −strength on the way back.

    Layers above learn to lower a loss, and layers below learn to raise the same loss (Ganin et al. 2016). With a
    strength of 0 no layer below learns from it.
    """
    return _Reversal.apply(features, strength)


def reversal_schedule(progress: float) -> float:
    """The strength λ of the reversal after a share of the training: 2 / (1 + exp(−10 · progress)) − 1.

    It rises from 0 towards 1, so that a domain classifier that knows nothing yet has no influence (Ganin et al. 2016,
    whose γ is 10 too).

    Examples:
        >>> [round(reversal_schedule(progress), 2) for progress in (0.0, 0.1, 0.5, 1.0)]
        [0.0, 0.46, 0.99, 1.0]
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress: {progress} is not between 0 and 1")
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DomainCritic(nn.Module):
    """A small network that tells source features from target features, behind a gradient reversal.

    Its loss, added to the classifier's, makes a domain-adversarial network (DANN) of it: the critic tells the domains
    apart as well as it can, and the features below learn to prevent that (Ganin et al. 2016). It assumes
    that features which look alike in both domains mean the same in both; where the labels' shares differ, alike
    features cannot be right in both domains (Zhao et al. 2019).
    """

    def __init__(self, features: int, seed: int = 0) -> None:
        """Draw the weights for vectors of so many features; the global generator is left alone."""
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, source: Tensor, target: Tensor, strength: float = 1.0) -> Tensor:
        """The domain classifier's cross-entropy, a scalar in nats; both domains count alike, whatever their sizes."""
        of_source, of_target = (
            self.layers(reverse_gradient(domain, strength)).squeeze(-1) for domain in (source, target)
        )
        loss = F.binary_cross_entropy_with_logits
        return (loss(of_source, torch.zeros_like(of_source)) + loss(of_target, torch.ones_like(of_target))) / 2


def coral(source: ArrayLike, target: ArrayLike, ridge: float = 1.0) -> np.ndarray:
    """The source features with the mean and the covariance of the target's, `(n, features)`: CORAL in closed form.

    Centred source features are whitened by (C_S + ridge·I)^−½ and coloured by (C_T + ridge·I)^½ (Sun, Feng and Saenko
    2016, who take a ridge of 1 on features of unit variance). A classifier is then trained on them with the source's
    labels. With a ridge of 0 the covariances become equal. It assumes that the domains differ by a symmetric linear
    map, such as a stretch of each feature; a rotation it cannot undo, and where the labels' shares differ, it moves
    the classes for the wrong reason.
    """
    source, target = _pair(np.asarray(source, dtype=float), np.asarray(target, dtype=float))
    identity = ridge * np.eye(source.shape[1])
    whitening = _power(np.cov(source, rowvar=False).reshape(identity.shape) + identity, -0.5)
    colouring = _power(np.cov(target, rowvar=False).reshape(identity.shape) + identity, 0.5)
    return (source - source.mean(0)) @ whitening @ colouring + target.mean(0)


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(symmetric)
    values = np.maximum(values, 0.0)
    if exponent < 0 and values[0] <= _SINGULAR * values[-1]:
        raise ValueError("ridge: the source's covariance has no inverse; give a ridge above 0")
    return (vectors * values**exponent) @ vectors.T


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """The squared distance of two covariances, ‖C_S − C_T‖²_F / (4·features²), a scalar: deep CORAL.

    Follows Sun and Saenko 2016. It is a loss on features that learn, under the assumptions of `coral`, except that the
    map may be any that the network can compute. Means are left alone.

    Examples:
        >>> import torch
        >>> source = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> coral_loss(source, 2 * source)
        tensor(0.1562)
    """
    source, target = _pair(source, target)
    first, second = (torch.cov(domain.T).reshape(source.shape[1], -1) for domain in (source, target))
    return ((first - second) ** 2).sum() / (4 * source.shape[1] ** 2)


def mmd_squared(source: Tensor, target: Tensor, variance: float | Tensor | None = None) -> Tensor:
    """The squared maximum mean discrepancy of two samples, a scalar; unbiased, so that it may be below 0.

    Its expectation is 0 if and only if the distributions are the same: with k the mean of Gaussian kernels
    exp(−‖x − y‖² / 2σ²), it is the mean of k within the source, without a point's own, plus that within the target,
    less twice the mean between them (Gretton et al. 2012, lemma 6). Variances σ² are `BANDWIDTHS` times the median
    squared distance of all pairs, or `variance` where it is not None; no gradient passes through either. As a loss it
    makes features alike, under the assumption of `DomainCritic`.
    """
    source, target = _pair(source, target)
    n, m = len(source), len(target)
    rows = torch.cat([source, target])
    distances = _squared_distances(rows)  # (n + m, n + m)
    scale = median_squared_distance(rows) if variance is None else torch.as_tensor(variance)
    kernel = torch.stack([torch.exp(-distances / (2 * width * scale)) for width in BANDWIDTHS]).mean(0)
    kernel = kernel * ~torch.eye(n + m, dtype=torch.bool, device=rows.device)
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()


@torch.no_grad()
def median_squared_distance(rows: Tensor) -> Tensor:
    """The median of the squared distances of all pairs of rows, a scalar above 0; the median heuristic for a kernel."""
    first, second = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    return _squared_distances(rows)[first, second].median().clamp_min(torch.finfo(torch.float32).tiny)


def _squared_distances(rows: Tensor) -> Tensor:
    """‖x − y‖² of all pairs, by ‖x‖² + ‖y‖² − 2xy, which makes no array of `(rows, rows, features)`."""
    rows = rows - rows.detach().mean(0)  # small norms: less is lost by rounding
    norms = rows.pow(2).sum(-1)
    return (norms[:, None] + norms - 2 * rows @ rows.T).clamp_min(0.0)


def importance_weights(
    source: ArrayLike, target: ArrayLike, *, largest: float | None = None, seed: int = 0
) -> np.ndarray:
    """The weights with which the source looks like the target: `(n,)`, of mean 1.

    A logistic regression tells the domains apart, both counted alike; its odds of "target" for a source example are the
    weight, p_T(x) / p_S(x) (Bickel et al. 2009). They come from a classifier that did not see the example. Weighted
    training assumes that p(y | x) is the same in both domains, that the source covers the target, and it gains only
    where the model cannot be right everywhere (Shimodaira 2000). See `effective_sample_size`.

    Args:
        source: `(n, features)`, sparse or not.
        target: `(m, features)`, sparse or not.
        largest: the weight, before scaling, that larger ones are cut to: less variance, some bias.
        seed: of the folds.
    """
    from scipy import sparse
    from sklearn.model_selection import StratifiedKFold

    number = np.shape(source)[0]
    if min(number, np.shape(target)[0]) < FOLDS:
        raise ValueError(f"folds: {FOLDS} are more than the rows of a domain")
    stacked = sparse.vstack([source, target]).tocsr() if sparse.issparse(source) else np.vstack([source, target])
    domains = np.repeat([0, 1], [number, np.shape(target)[0]])
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    weights = np.exp(domain_log_odds(stacked, domains, splits)[:number])
    if largest is not None:
        weights = np.minimum(weights, largest)
    return weights / weights.mean()


def effective_sample_size(weights: ArrayLike) -> float:
    """The number of equally weighted examples that weigh as much: (Σw)² / Σw², from 1 to their number (Kish 1965).

    Examples:
        >>> effective_sample_size([1, 1, 1, 1])
        4.0
        >>> effective_sample_size([4, 0, 0, 0])
        1.0
    """
    weights = np.asarray(weights, dtype=float)
    if not (weights >= 0).all() or not weights.any():
        raise ValueError("weights: they are not numbers of at least 0, one of them above")
    return float(weights.sum() ** 2 / (weights**2).sum())


def confident_pseudo_labels(
    probabilities: ArrayLike, number: int, *, shares: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The target examples to learn from as if their answers were labels, and these labels: `(places, labels)`.

    Of each class the answers with the highest probability are taken, as many as its share of `number`, or all where
    there are fewer: otherwise the easiest class crowds out the others round after round (Zou et al. 2018). Places
    rise. Self-training (Yarowsky 1995) assumes that sure answers are mostly right; where the source's classifier is
    surely wrong, it learns its own mistakes.

    Args:
        probabilities: of the classes for each target example, `(m, classes)`, each row a distribution.
        number: of examples to take, over all classes.
        shares: of each class, `(classes,)`, such as the source's labels have or `label_shift` estimates of the
            target's; without them, those of the answers.

    Examples:
        >>> places, labels = confident_pseudo_labels([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], number=2)
        >>> places, labels
        (array([0, 2]), array([0, 1]))
    """
    rows = as_distributions(probabilities)
    answers, confidence = rows.argmax(1), rows.max(1)
    if shares is None:
        shares = np.bincount(answers, minlength=rows.shape[1]) / len(rows)
    shares = shares_for(rows, shares, "shares")
    order = np.argsort(-confidence, kind="stable")
    taken = [order[answers[order] == label][: round(number * share)] for label, share in enumerate(shares)]
    places = np.sort(np.concatenate(taken))
    return places, answers[places]


def _pair(source, target):
    """Both as they are, after a check that they are samples of vectors of one width."""
    for name, domain in (("source", source), ("target", target)):
        if domain.ndim != 2 or domain.shape[0] < 2:
            raise ValueError(f"{name}: shape {tuple(domain.shape)} is not (rows, features) with at least 2 rows")
    if source.shape[1] != target.shape[1]:
        raise ValueError(f"target: {target.shape[1]} features, and the source has {source.shape[1]}")
    return source, target
