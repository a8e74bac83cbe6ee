"""On problems whose answer is known each remedy gains where its assumption holds, and some harm where it does not."""

import functools
from typing import get_args

import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("Agg")

from matplotlib import pyplot as plt

from largemodels.domain_adaptation.toy import (
    Linear,
    ToyDomains,
    adapt,
    bent_boundary,
    boundary_figure,
    remedy_table,
    rotated_gaussians,
    rotated_moons,
    share_errors,
    shifted_answers,
    shifted_labels,
    stretched_gaussians,
    target_accuracy,
)
from largemodels.figures import style


def misleading_feature(seed=0, n=200):
    """Across, a feature that tells the classes apart in both domains; upwards, a better one in the source alone."""

    def draw(place, tells):
        random = np.random.default_rng((seed, place))
        labels = random.permutation(np.arange(n) % 2)
        sides = 2.0 * labels - 1
        middles = np.stack([sides, 1.5 * (sides if tells else np.ones(n))], 1)
        return middles + random.normal(size=(n, 2)) * (0.6, 0.3), labels

    return ToyDomains("a feature that misleads", *draw(0, True), *draw(1, False))


PROBLEMS = {
    "turned a little": functools.partial(rotated_gaussians, 40),
    "turned too far": functools.partial(rotated_gaussians, 120),
    "moons": functools.partial(rotated_moons, 30),
    "stretched": stretched_gaussians,
    "bent": bent_boundary,
    "misleading": misleading_feature,
    "labels": shifted_labels,
}


@functools.cache
def differences(problem, method):
    """What a remedy changes, for each draw, on new target points; networks take a second each, so there are two."""
    baseline, draws = ("network", 2) if method in ("dann", "deep coral", "mmd") else ("nothing", 5)
    return np.array([accuracy(problem, method, seed) - accuracy(problem, baseline, seed) for seed in range(draws)])


@functools.cache
def accuracy(problem, method, seed):
    draw = PROBLEMS[problem]
    return target_accuracy(adapt(draw(seed=seed), method, seed=seed), draw(seed=seed + 100))


@pytest.mark.parametrize(
    ("problem", "method", "gain"),
    [
        ("turned a little", "self-training", 0.03),
        ("stretched", "coral", 0.1),
        ("bent", "weights", 0.1),
        ("labels", "shares", 0.03),
        ("misleading", "deep coral", 0.2),
    ],
)
def test_a_remedy_gains_where_its_assumption_holds(problem, method, gain):
    found = differences(problem, method)
    assert found.mean() > gain
    assert found.min() > 0


@pytest.mark.parametrize(
    ("problem", "method", "harm"),
    [
        ("labels", "coral", 0.15),
        ("labels", "self-training", 0.1),
        ("turned too far", "self-training", 0.1),
        ("turned a little", "coral", 0.02),
    ],
)
def test_a_remedy_harms_where_its_assumption_fails(problem, method, harm):
    found = differences(problem, method)
    assert found.mean() < -harm
    assert found.max() <= 0


@pytest.mark.parametrize(
    ("problem", "method"), [("stretched", "shares"), ("labels", "weights"), ("turned a little", "weights")]
)
def test_a_remedy_for_another_change_does_next_to_nothing(problem, method):
    assert np.abs(differences(problem, method)).max() < 0.05


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_source_is_learnt_and_the_target_is_harder(problem):
    domains = PROBLEMS[problem](seed=1)
    before = adapt(domains, "nothing")
    on_source = ((before(domains.source) > 0.5) == domains.source_labels).mean()
    assert on_source > 0.8
    assert target_accuracy(before, domains) < on_source + 0.03
    assert domains.source.shape == domains.target.shape == (200, 2)


def test_domains_are_what_they_say():
    turned, straight = rotated_gaussians(90, seed=3), rotated_gaussians(0, seed=3)
    np.testing.assert_allclose(turned.target, straight.target @ np.array([[0, 1], [-1, 0]]), atol=1e-12)
    np.testing.assert_array_equal(turned.source, straight.source)
    assert not np.array_equal(straight.source, straight.target), "two draws, not one twice"
    assert shifted_labels(0.8).target_labels.mean() == 0.8
    assert shifted_labels(0.8).source_labels.mean() == 0.5
    large = stretched_gaussians(4.0, n=20_000)
    np.testing.assert_allclose(np.cov(large.source.T), np.eye(2), atol=0.05)
    np.testing.assert_allclose(np.cov(large.target.T), np.diag([16, 1 / 16]), atol=0.8)
    bent = bent_boundary()
    for points, labels in ((bent.source, bent.source_labels), (bent.target, bent.target_labels)):
        assert ((points[:, 1] > points[:, 0] ** 2 / 2 - 1) == labels).all()
    assert not np.array_equal(rotated_moons(0, seed=1).source, rotated_moons(0, seed=2).source)


@pytest.mark.parametrize("method", get_args(Linear))
def test_no_remedy_looks_at_the_targets_labels_and_each_is_the_same_again(method):
    domains = shifted_labels(n=60)
    blind = type(domains)(**vars(domains) | {"target_labels": np.full(60, -1)})
    torch.manual_seed(0)
    expected = adapt(domains, method)(domains.target)
    torch.manual_seed(1)
    np.testing.assert_array_equal(adapt(blind, method)(domains.target), expected)
    assert ((expected >= 0) & (expected <= 1)).all()


def test_a_table_has_paired_differences_to_the_right_baseline():
    table = remedy_table(stretched_gaussians, ["nothing", "coral"], seeds=range(4)).set_index("method")
    assert table.loc["coral", "compared_with"] == "nothing"
    assert table.loc["coral", "low"] > 0
    assert table.loc["nothing", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert table.loc["coral", "accuracy"] - table.loc["nothing", "accuracy"] == pytest.approx(
        table.loc["coral", "difference"]
    )
    with pytest.raises(ValueError, match="method: 'carol' is not one of nothing, coral"):
        adapt(stretched_gaussians(), "carol")


def test_the_figure_draws_the_boundary_where_the_classifier_has_it():
    domains = rotated_gaussians(40)
    figure, axes = style.panels(2)
    by_side, never = (lambda points: (points[:, 0] > 0.3).astype(float)), (lambda points: np.zeros(len(points)))
    boundary_figure(domains, {"before": by_side, "never": never}, axes=axes)
    figure.canvas.draw()
    (line,) = [found for found in axes[0].collections if len(found.get_paths()) and _is_vertical(found, 0.3)]
    assert line is not None
    assert (
        axes[0].get_title(mpl.rcParams["axes.titlelocation"])
        == f"before: {target_accuracy(by_side, domains):.2f} on the target"
    )
    drawn = [found.get_offsets() for found in axes[0].collections if len(found.get_offsets()) > 1]
    assert sum(map(len, drawn)) == 400
    with pytest.raises(ValueError, match="axes: 2 for 1"):
        boundary_figure(domains, {"before": by_side}, axes=axes)
    plt.close(figure)


def _is_vertical(found, place):
    points = np.vstack([path.vertices for path in found.get_paths()])
    return len(points) > 50 and np.allclose(points[:, 0], place, atol=0.1)


def test_every_estimate_of_the_shares_is_near_where_the_answers_are_exact():
    errors = share_errors(("shares", "calibrated shares", "bbse"), seeds=range(4)).mean()
    assert errors["nothing"] > 0.2
    assert errors.drop("nothing").max() < 0.06


def test_a_rare_class_that_is_hardly_learnt_takes_all_from_the_likelihood_and_not_from_its_cures():
    cures = ["calibrated shares", "bbse", "map shares"]
    errors = share_errors(("shares", *cures), learnt=0.1, bias=0.5, seeds=range(4)).mean()
    assert errors["shares"] > 0.8
    assert (errors[cures] < errors["nothing"]).all()


def test_a_bias_and_a_class_that_is_not_learnt_are_in_the_answers():
    exact, blind, biased = (shifted_answers(n=50, **how) for how in ({}, {"learnt": 0.0}, {"bias": 0.5}))
    np.testing.assert_allclose(np.exp(exact.on_source).sum(1), 1)
    over = blind.on_source[:, 2] - blind.on_source[:, :2].max(1)
    assert np.ptp(over - np.log(0.02)) < np.log(0.58 / 0.4) + 1e-9, "it is as likely as the likelier other class"
    odds = [answers.on_target[:, 2] - answers.on_target[:, 0] for answers in (exact, biased)]
    np.testing.assert_allclose(odds[1] - odds[0], 0.5)
