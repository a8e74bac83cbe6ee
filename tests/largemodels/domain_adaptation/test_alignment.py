"""Each remedy does what its paper says, by finite differences, by hand, or by a slow computation beside it."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from largemodels.domain_adaptation.alignment import (
    BANDWIDTHS,
    DomainCritic,
    confident_pseudo_labels,
    coral,
    coral_loss,
    effective_sample_size,
    importance_weights,
    median_squared_distance,
    mmd_squared,
    reversal_schedule,
    reverse_gradient,
)

seeds = st.integers(0, 2**31)


def sample(n, seed, features=3, scale=1.0, mean=0.0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, features)) @ random.normal(size=(features, features)) * scale + mean


def tensor(*given, **options):
    return torch.tensor(sample(*given, **options))


@settings(max_examples=20)
@given(seeds, st.floats(0, 3))
def test_the_reversed_gradient_is_minus_that_of_finite_differences(seed, strength):
    torch.manual_seed(seed)
    below, above = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    x = torch.randn(2, 4, dtype=torch.float64)

    def loss(weights, reverse):
        features = torch.tanh(x @ weights)
        return ((reverse_gradient(features, strength) if reverse else features) @ above).pow(2).sum()

    weights = below.clone().requires_grad_()
    loss(weights, True).backward()
    step, differences = 1e-6, torch.zeros_like(below)
    for place in np.ndindex(4, 3):
        moved = torch.zeros_like(below)
        moved[place] = step
        differences[place] = (loss(below + moved, False) - loss(below - moved, False)) / (2 * step)
    torch.testing.assert_close(weights.grad, -strength * differences, rtol=1e-4, atol=1e-5)
    assert torch.equal(loss(below, True), loss(below, False)), "forward it is the identity"


def test_the_critic_learns_to_tell_domains_apart_while_what_stands_below_learns_the_opposite():
    critic, features = DomainCritic(3), tensor(20, 0).float().requires_grad_()
    target = tensor(30, 1, mean=1.0).float()
    loss = critic(features, target, strength=1.0)
    loss.backward()
    with torch.no_grad():
        assert critic(features + 0.1 * features.grad, target) < loss, "the features are pushed where it errs: reversed"
        for weight in critic.parameters():
            weight -= 0.01 * weight.grad
        assert critic(features, target) < loss


def test_both_domains_count_alike_for_the_critic():
    critic, source, target = DomainCritic(3), tensor(5, 0).float(), tensor(40, 1).float()
    logits = critic.layers(torch.cat([source, target])).squeeze(-1)
    losses = F.binary_cross_entropy_with_logits(logits, torch.tensor([0.0] * 5 + [1.0] * 40), reduction="none")
    torch.testing.assert_close(critic(source, target), (losses[:5].mean() + losses[5:].mean()) / 2)
    torch.testing.assert_close(critic(source.repeat(3, 1), target), critic(source, target))


def test_a_critics_weights_depend_on_its_seed_and_leave_other_generators_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = DomainCritic(3, seed=1), DomainCritic(3, seed=1), DomainCritic(3, seed=2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.layers[0].weight, same.layers[0].weight)
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_the_schedule_rises_from_zero_to_nearly_one():
    assert reversal_schedule(0) == 0
    assert reversal_schedule(0.5) == pytest.approx((1 - math.exp(-5)) / (1 + math.exp(-5)))
    strengths = [reversal_schedule(progress) for progress in np.linspace(0, 1, 20)]
    assert strengths == sorted(strengths)
    assert 0.99 < strengths[-1] < 1
    with pytest.raises(ValueError, match=r"progress: 1\.5"):
        reversal_schedule(1.5)


@settings(max_examples=40)
@given(seeds, st.integers(1, 5))
def test_coral_gives_the_source_the_targets_mean_and_covariance(seed, features):
    source, target = sample(40, seed, features, mean=2.0), sample(30, seed + 1, features, scale=3.0)
    moved = coral(source, target, ridge=0)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), rtol=1e-6, atol=1e-6 * np.var(target))
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=1e-8)


def test_coral_undoes_a_stretch_and_leaves_what_needs_no_move():
    source = sample(400, 0)
    white = np.linalg.solve(np.linalg.cholesky(np.cov(source.T)), (source - source.mean(0)).T).T
    stretch = np.array([[2.0, 0.5, 0], [0.5, 1.0, 0], [0, 0, 0.3]])
    np.testing.assert_allclose(coral(white, white @ stretch, ridge=0), white @ stretch, atol=1e-8)
    np.testing.assert_allclose(coral(source, source), source, atol=1e-8)
    assert np.abs(coral(source, 3 * source, ridge=100.0)).max() < np.abs(coral(source, 3 * source, ridge=0)).max()


def test_coral_needs_a_ridge_where_features_depend_on_each_other():
    twice = np.hstack([sample(30, 0), sample(30, 0)])
    with pytest.raises(ValueError, match="give a ridge above 0"):
        coral(twice, sample(30, 1, 6), ridge=0)
    assert np.isfinite(coral(twice, sample(30, 1, 6))).all()


@settings(max_examples=30)
@given(seeds, st.integers(1, 5))
def test_the_coral_loss_is_the_distance_of_the_covariances(seed, features):
    source, target = sample(20, seed, features), sample(30, seed + 1, features)
    one, other = (np.cov(domain.T).reshape(features, features) for domain in (source, target))
    expected = sum((one[i, j] - other[i, j]) ** 2 for i in range(features) for j in range(features))
    found = coral_loss(torch.tensor(source), torch.tensor(target))
    assert found.item() == pytest.approx(expected / (4 * features**2))
    moved = torch.tensor(coral(source, target, ridge=0))
    assert coral_loss(moved, torch.tensor(target)).item() == pytest.approx(0, abs=1e-8 * (1 + expected))


@settings(max_examples=15)
@given(seeds, st.integers(2, 6), st.integers(2, 6))
def test_the_discrepancy_is_that_of_two_slow_loops(seed, n, m):
    source, target = sample(n, seed), sample(m, seed + 1, mean=1.0)
    rows = np.vstack([source, target])
    pairs = [((rows[i] - rows[j]) ** 2).sum() for i in range(n + m) for j in range(i)]
    variance = sorted(pairs)[(len(pairs) - 1) // 2]

    def kernel(x, y):
        return np.mean([math.exp(-((x - y) ** 2).sum() / (2 * width * variance)) for width in BANDWIDTHS])

    within = sum(kernel(source[i], source[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within += sum(kernel(target[i], target[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    between = sum(kernel(x, y) for x in source for y in target) / (n * m)
    found = mmd_squared(torch.tensor(source), torch.tensor(target)).item()
    assert found == pytest.approx(within - 2 * between, abs=1e-6)
    given_width = mmd_squared(torch.tensor(source), torch.tensor(target), variance)
    assert given_width.item() == pytest.approx(found, abs=1e-6)


def test_the_discrepancy_is_unbiased_where_there_is_none_and_large_where_there_is():
    generator = torch.Generator().manual_seed(0)
    found = [mmd_squared(*torch.randn(2, 20, 2, generator=generator), 2.0).item() for _ in range(400)]
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    assert min(found) < 0
    apart = mmd_squared(torch.randn(20, 2, generator=generator), torch.randn(20, 2, generator=generator) + 3)
    assert apart > 10 * np.std(found)


def test_equal_rows_have_a_kernel_all_the_same():
    assert median_squared_distance(torch.zeros(4, 2)) > 0
    assert torch.isfinite(mmd_squared(torch.zeros(4, 2), torch.zeros(3, 2)))


@pytest.mark.parametrize("loss", [coral_loss, mmd_squared])
def test_learning_with_either_loss_brings_the_domains_together(loss):
    source, target = tensor(60, 0), tensor(60, 1, scale=2.0)
    scale = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer, before = torch.optim.Adam([scale], 0.05), loss(source, target).item()
    for _ in range(60):
        optimizer.zero_grad()
        found = loss(source * scale, target)
        found.backward()
        optimizer.step()
    assert found.item() < 0.8 * before


@pytest.mark.parametrize("remedy", [coral, coral_loss, mmd_squared])
def test_features_that_do_not_fit_are_refused(remedy):
    with pytest.raises(ValueError, match="target: 2 features, and the source has 3"):
        remedy(tensor(4, 0), tensor(4, 1, features=2))
    with pytest.raises(ValueError, match=r"source: shape \(1, 3\)"):
        remedy(tensor(1, 0), tensor(4, 1))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_importance_weights_are_the_ratio_of_the_densities(form):
    random = np.random.default_rng(0)
    source, target = random.normal(size=(4000, 1)), random.normal(1.0, 1.0, size=(2000, 1))
    found = importance_weights(form(source), form(target))
    expected = np.exp(source[:, 0] - 0.5)  # of two Gaussians
    assert found.mean() == pytest.approx(1)
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=0.35)
    assert np.average(source[:, 0], weights=found) == pytest.approx(1.0, abs=0.1)
    cut = importance_weights(form(source), form(target), largest=1.5)
    assert effective_sample_size(cut) > effective_sample_size(found)
    fewer = importance_weights(form(source), form(target[:500]), largest=1.5)
    np.testing.assert_allclose(fewer, cut, atol=0.2)  # where the odds are cut knows nothing of the domains' sizes


def test_where_the_domains_are_one_all_examples_weigh_about_the_same():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 300, 3))
    assert effective_sample_size(importance_weights(one, other)) > 280
    with pytest.raises(ValueError, match="folds: 5"):
        importance_weights(one[:4], other)


@settings(max_examples=30)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.floats(0.1, 10))
def test_the_effective_size_is_between_one_and_all_and_knows_no_scale(weights, scale):
    found = effective_sample_size(weights)
    assert 1 - 1e-9 <= found <= len(weights) + 1e-9
    assert effective_sample_size(np.array(weights) * scale) == pytest.approx(found)
    assert effective_sample_size([scale] * 7 + [0.0] * 3) == pytest.approx(7)


def test_weights_of_nothing_are_refused():
    for weights in ([0.0, 0.0], [-1.0, 2.0], []):
        with pytest.raises(ValueError, match="weights"):
            effective_sample_size(weights)


def test_pseudo_labels_are_the_surest_answers_of_each_class():
    sure = np.array([0.99, 0.98, 0.97, 0.96, 0.6, 0.7, 0.55])
    answers = np.array([0, 0, 0, 0, 1, 1, 1])
    rows = np.where(np.arange(2) == answers[:, None], sure[:, None], 1 - sure[:, None])
    places, labels = confident_pseudo_labels(rows, 4, shares=[0.5, 0.5])
    assert places.tolist() == [0, 1, 4, 5]
    assert labels.tolist() == [0, 0, 1, 1]
    places, labels = confident_pseudo_labels(rows, 7)
    assert labels.tolist() == answers.tolist(), "all of them, in the shares of the answers"
    places, labels = confident_pseudo_labels(rows, 100, shares=[0.1, 0.9])
    assert np.bincount(labels).tolist() == [4, 3], "as many as there are"
    with pytest.raises(ValueError, match="shares: 3 for 2 classes"):
        confident_pseudo_labels(rows, 4, shares=[0.2, 0.3, 0.5])


@settings(max_examples=30)
@given(seeds, st.integers(1, 40))
def test_no_answer_of_a_class_that_is_left_out_is_surer_than_one_that_is_taken(seed, number):
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), 40)
    places, labels = confident_pseudo_labels(rows, number)
    assert (rows[places].argmax(1) == labels).all()
    left = np.setdiff1d(np.arange(40), places)
    for label in np.unique(labels):
        others = left[rows[left].argmax(1) == label]
        assert rows[others].max(1).max(initial=0) <= rows[places][labels == label].max(1).min()
