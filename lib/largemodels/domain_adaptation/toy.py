"""Domains in the plane whose change is known, so that each remedy can be seen to help, or to harm.

The remedies are those of `largemodels.domain_adaptation.alignment` and `largemodels.domain_adaptation.label_shift`, on
points instead of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from scipy import special
from torch import nn

from largemodels.domain_adaptation.alignment import (
    DomainCritic,
    confident_pseudo_labels,
    coral,
    coral_loss,
    importance_weights,
    mmd_squared,
    reversal_schedule,
)
from largemodels.domain_adaptation.label_shift import (
    SharesMethod,
    corrected_answers,
    estimate_by_likelihood,
    with_shares,
)
from largemodels.figures.style import MARKERS, PALETTE
from largemodels.statistics.intervals import mean_interval

Linear = Literal["nothing", "coral", "weights", "self-training", "shares"]
Network = Literal["network", "dann", "deep coral", "mmd"]
Predictor = Callable[[np.ndarray], np.ndarray]
"""From points `(n, 2)` to the probability of class 1, `(n,)`."""

METHODS: tuple[str, ...] = (*get_args(Linear), *get_args(Network))
_WEIGHT = {"dann": 1.0, "deep coral": 10.0, "mmd": 10.0}  # of the added loss, the same for every pair of domains
_STEPS = 600  # of a network's training


@dataclass(frozen=True)
class ToyDomains:
    """Points of two domains."""

    name: str  #: what has changed from one to the other
    source: np.ndarray  #: `(n, 2)`
    source_labels: np.ndarray  #: 0 or 1, `(n,)`
    target: np.ndarray  #: `(n, 2)`
    target_labels: np.ndarray  #: 0 or 1, `(n,)`, for judging alone


def rotated_gaussians(degrees: float, n: int = 200, seed: int = 0) -> ToyDomains:
    """Two long Gaussians side by side, and the same turned about the point between them.

    The best boundary turns with them, and the gap between the classes stays, as self-training assumes, until the
    source's answers are wrong more often than right, beyond a quarter turn.
    """

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = random.permutation(np.arange(n) % 2)
        return random.normal(size=(n, 2)) * (0.5, 1.0) + np.stack([3.0 * labels - 1.5, np.zeros(n)], 1), labels

    return _mapped(f"turned by {degrees:g}°", draw, _rotation(degrees), seed)


def rotated_moons(degrees: float, n: int = 200, seed: int = 0) -> ToyDomains:
    """Two half moons, one in the other's arms, and the same turned; so Ganin et al. 2016 show their method."""
    from sklearn.datasets import make_moons

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        points, labels = make_moons(n, noise=0.1, random_state=int(random.integers(2**31)))
        return points - (0.5, 0.25), labels

    return _mapped(f"turned by {degrees:g}°", draw, _rotation(degrees), seed)


def stretched_gaussians(factor: float = 4.0, n: int = 200, seed: int = 0) -> ToyDomains:
    """Two Gaussians on the diagonal, of unit covariance together, and the same stretched along one axis.

    The other axis is pressed together as much. That is a symmetric map, which is what CORAL undoes exactly.
    """
    middle = np.array([0.9, 0.9]) / np.sqrt(2)  # of class 1; the other lies opposite
    spread = np.linalg.cholesky(np.eye(2) - np.outer(middle, middle))

    def draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = random.permutation(np.arange(n) % 2)
        return random.normal(size=(n, 2)) @ spread.T + np.outer(2 * labels - 1, middle), labels

    return _mapped(f"stretched {factor:g} times", draw, np.diag([factor, 1 / factor]), seed)


def bent_boundary(n: int = 200, seed: int = 0) -> ToyDomains:
    """A bent boundary that is the same in both domains, of which the target's points lie along one part.

    p(y | x) stays and p(x) changes, and no line fits the whole: the covariate shift where weights gain (Shimodaira
    2000).
    """

    def draw(random: np.random.Generator, place: float, width: float) -> tuple[np.ndarray, np.ndarray]:
        points = np.stack([random.normal(place, width, n), random.normal(0.0, 1.0, n)], 1)
        return points, (points[:, 1] > points[:, 0] ** 2 / 2 - 1).astype(int)

    first, second = _generators(seed)
    return ToyDomains("other points, same boundary", *draw(first, 0.0, 1.2), *draw(second, 1.5, 0.5))


def shifted_labels(share: float = 0.9, n: int = 200, seed: int = 0) -> ToyDomains:
    """Two Gaussians that touch, equally frequent in the source, and class 1 with another share in the target.

    Each class looks the same in both domains. Correcting the shares is right; making the domains look alike is wrong.
    """

    def draw(random: np.random.Generator, ones: float) -> tuple[np.ndarray, np.ndarray]:
        labels = random.permutation((np.arange(n) < round(ones * n)).astype(int))
        return random.normal(size=(n, 2)) + np.stack([2.0 * labels - 1, np.zeros(n)], 1), labels

    first, second = _generators(seed)
    return ToyDomains(f"class 1 at {share:.0%}", *draw(first, 0.5), *draw(second, share))


@dataclass(frozen=True)
class ToyAnswers:
    """A classifier's answers in two domains that differ in the shares of three classes, and in nothing else."""

    source_labels: np.ndarray  #: 0, 1 or 2, `(n,)`
    on_source: np.ndarray  #: log-probabilities, `(n, 3)`
    target_labels: np.ndarray  #: 0, 1 or 2, `(n,)`, for judging alone
    on_target: np.ndarray  #: log-probabilities, `(n, 3)`


def shifted_answers(learnt: float = 1.0, bias: float = 0.0, n: int = 1000, seed: int = 0) -> ToyAnswers:
    """Answers to points of three Gaussians: classes 0, 1 and 2 are 58, 40 and 2% of the source, 30, 68 and 2% there.

    Without arguments they are the exact log-probabilities in the source. Else the rare class 2 is learnt in part: its
    log-likelihood is `learnt` times its own and the rest that of the likelier other class, so that with 0 its points
    look like any others; and `bias` is added to its logit, which makes all answers say too much of it.
    """
    shares, others = np.array([0.58, 0.4, 0.02]), np.array([0.3, 0.68, 0.02])
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    domains = []
    for random, drawn in zip(_generators(seed), (shares, others), strict=True):
        labels = random.choice(3, n, p=drawn)
        points = centres[labels] + random.normal(size=(n, 2))
        likelihoods = -((points[:, None] - centres) ** 2).sum(-1) / 2  # logarithms, (n, 3)
        likelihoods[:, 2] = learnt * likelihoods[:, 2] + (1 - learnt) * likelihoods[:, :2].max(1)
        domains += [labels, special.log_softmax(np.log(shares) + likelihoods + np.array([0, 0, bias]), 1)]
    return ToyAnswers(*domains)


def share_errors(
    methods: Sequence[SharesMethod],
    *,
    learnt: float = 1.0,
    bias: float = 0.0,
    prior: float = 400.0,
    seeds: Sequence[int] = range(10),
) -> pd.DataFrame:
    """How far each method's estimate is from the target's shares of the classes: a row a seed, a column a method.

    In total variation, 0 to 1. The first column is "nothing": the source's shares. Answers are those of
    `shifted_answers`, and `prior` is that of "map shares".
    """
    rows = []
    for seed in seeds:
        toy = shifted_answers(learnt, bias, seed=seed)
        source, truth = (
            np.bincount(labels, minlength=3) / len(labels) for labels in (toy.source_labels, toy.target_labels)
        )
        answers = (toy.on_source, toy.source_labels, toy.on_target, toy.on_target, source)
        estimates = {"nothing": source}
        estimates |= {method: corrected_answers(method, *answers, prior=prior)[1] for method in methods}
        rows.append({name: float(np.abs(shares - truth).sum() / 2) for name, shares in estimates.items()})
    return pd.DataFrame(rows, index=pd.Index(seeds, name="seed"))


def _generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """The generators of the source and of the target."""
    return np.random.default_rng((seed, 0)), np.random.default_rng((seed, 1))


def _mapped(
    name: str, draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]], matrix: np.ndarray, seed: int
) -> ToyDomains:
    """Two draws of the same points and labels, of which the target's go through a linear map, `(2, 2)`."""
    (source, source_labels), (target, target_labels) = map(draw, _generators(seed))
    return ToyDomains(name, source, source_labels, target @ matrix, target_labels)


def _rotation(degrees: float) -> np.ndarray:
    """The matrix that turns points in rows to the left about the origin, `(2, 2)`."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def adapt(domains: ToyDomains, method: str, *, seed: int = 0) -> Predictor:
    """A classifier from the source's labels and the target's points, without the target's labels.

    "nothing", "coral", "weights", "self-training" and "shares" are logistic regressions, so their boundary is a line;
    "network", "dann", "deep coral" and "mmd" are one small network, without and with a loss on both domains.

    The seed is that of the network's weights, or of the folds of importance weighting.
    """
    if method not in METHODS:
        raise ValueError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    if method in get_args(Network):
        return _network(domains, method, seed)
    source, labels, target = domains.source, domains.source_labels, domains.target
    if method == "coral":
        return _logistic(coral(source, target, ridge=1e-6), labels)
    if method == "weights":
        squares = (np.hstack([points, points**2]) for points in (source, target))  # the odds of Gaussians are quadratic
        return _logistic(source, labels, importance_weights(*squares, largest=20.0, seed=seed))
    trained = _logistic(source, labels)
    if method == "self-training":
        return _self_trained(trained, target)
    if method == "shares":
        before = np.bincount(labels, minlength=2) / len(labels)
        after = estimate_by_likelihood(_both_classes(trained(target)), before)
        return lambda points: with_shares(_both_classes(trained(points)), before, after)[:, 1]
    return trained


def _logistic(points: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Predictor:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=100.0).fit(points, labels, sample_weight=weights)
    return lambda new: fitted.predict_proba(new)[:, 1]


def _both_classes(of_one: np.ndarray) -> np.ndarray:
    return np.stack([1 - of_one, of_one], 1)


def _self_trained(trained: Predictor, target: np.ndarray, rounds: int = 10) -> Predictor:
    """Each round learns from the surest answers of the one before, a tenth of the points more every time."""
    for number in range(1, rounds + 1):
        places, answers = confident_pseudo_labels(_both_classes(trained(target)), number * len(target) // rounds)
        if len(np.unique(answers)) < 2:  # one class has crowded out the other; nothing is left to learn
            return trained
        trained = _logistic(target[places], answers)
    return trained


def _network(domains: ToyDomains, method: str, seed: int, rows: int = 64) -> Predictor:
    """Two hidden layers, trained on batches of both domains; the second one's outputs are the features made alike."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        head = nn.Linear(16, 2)
    critic = DomainCritic(16, seed=seed)
    source, target = (torch.tensor(points, dtype=torch.float32) for points in (domains.source, domains.target))
    labels = torch.tensor(domains.source_labels)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters(), *critic.parameters()], 0.01)
    random, weight = np.random.default_rng(seed), _WEIGHT.get(method, 0.0)
    for step in range(_STEPS):
        drawn, opposite = (random.integers(len(points), size=rows) for points in (source, target))
        features, others = body(source[drawn]), body(target[opposite])  # (rows, 16)
        loss = F.cross_entropy(head(features), labels[drawn])
        if method == "dann":
            loss = loss + critic(features, others, weight * reversal_schedule(step / _STEPS))
        elif method != "network":
            loss = loss + weight * (coral_loss if method == "deep coral" else mmd_squared)(features, others)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def predict(points: np.ndarray) -> np.ndarray:
        return head(body(torch.tensor(points, dtype=torch.float32))).softmax(-1)[:, 1].double().numpy()

    return predict


def target_accuracy(predictor: Predictor, domains: ToyDomains) -> float:
    """The share of the target's points whose class the classifier gets right."""
    return float(((predictor(domains.target) > 0.5) == domains.target_labels).mean())


def remedy_table(
    draw: Callable[..., ToyDomains], methods: Sequence[str] = METHODS, *, seeds: Sequence[int] = range(5)
) -> pd.DataFrame:
    """The gain of each remedy over several draws of the domains: one row a method.

    Columns: method; accuracy, the mean on other target points; compared_with, "network" for networks and "nothing" for
    the others; difference to that, with low and high (95%, Student's t over the draws, which are paired). Domains are
    drawn by `draw(seed=seed)`, for two seeds or more.
    """
    accuracies: dict[str, list[float]] = {name: [] for name in (*methods, *map(_baseline, methods))}
    for seed in seeds:
        domains, judged = draw(seed=seed), draw(seed=seed + 1_000_000)
        for method, accuracy in accuracies.items():
            accuracy.append(target_accuracy(adapt(domains, method, seed=seed), judged))
    rows = []
    for method in methods:
        base = _baseline(method)
        gain = mean_interval(np.subtract(accuracies[method], accuracies[base]))
        rows.append((method, float(np.mean(accuracies[method])), base, *gain))
    return pd.DataFrame(rows, columns=["method", "accuracy", "compared_with", "difference", "low", "high"])


def _baseline(method: str) -> str:
    return "network" if method in get_args(Network) else "nothing"


def boundary_figure(domains: ToyDomains, predictors: Mapping[str, Predictor], *, axes: Sequence[Axes]) -> None:
    """Draw the boundary of each classifier over the points of both domains, one panel each, with its target accuracy.

    Source points are small and pale, target points large; classes have the palette's first two colours and markers.
    """
    if len(axes) != len(predictors):
        raise ValueError(f"axes: {len(axes)} for {len(predictors)} classifiers")
    every = np.vstack([domains.source, domains.target])
    low, high = every.min(0) - 0.5, every.max(0) + 0.5
    x, y = np.meshgrid(np.linspace(low[0], high[0], 150), np.linspace(low[1], high[1], 150))
    grid = np.stack([x.ravel(), y.ravel()], 1)
    for ax, (name, predictor) in zip(axes, predictors.items(), strict=True):
        probability = predictor(grid).reshape(x.shape)
        ax.contourf(x, y, probability, levels=[-1, 0.5, 2], colors=PALETTE[:2], alpha=0.12)
        if probability.min() < 0.5 < probability.max():
            ax.contour(x, y, probability, levels=[0.5], colors="black", linewidths=1.4)
        for label in (0, 1):
            look = {"color": PALETTE[label], "marker": MARKERS[label], "linewidths": 0}
            ax.scatter(*domains.source[domains.source_labels == label].T, s=7, alpha=0.3, **look)
            ax.scatter(*domains.target[domains.target_labels == label].T, s=20, alpha=0.85, **look)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
        ax.grid(False)
        ax.set_title(f"{name}: {target_accuracy(predictor, domains):.2f} on the target")
