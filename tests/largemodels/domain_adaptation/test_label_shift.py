"""Known shares of the classes are found again, a drop is split into its parts, and no shift is found in none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from largemodels.domain_adaptation.label_shift import (
    apply_vector_scaling,
    estimate_by_confusion,
    estimate_by_likelihood,
    explain_drop,
    fit_vector_scaling,
    label_shift,
    with_shares,
)

seeds = st.integers(0, 2**31)
SOURCE, TARGET = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7])
CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])


def drawn(shares, n, seed):
    """Labels with these shares, and points around the centre of their class."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, n, p=shares)
    return labels, CENTRES[labels] + random.normal(size=(n, 2))


def posterior(points, shares):
    """The exact probabilities of the classes, given their shares."""
    likelihood = np.exp(-((points[:, None] - CENTRES) ** 2).sum(-1) / 2) * shares
    return likelihood / likelihood.sum(1, keepdims=True)


@pytest.mark.parametrize("shares", [SOURCE, TARGET])
def test_the_targets_shares_are_estimated_without_its_labels(shares):
    _, points = drawn(shares, 20_000, 1)
    np.testing.assert_allclose(estimate_by_likelihood(posterior(points, SOURCE), SOURCE), shares, atol=0.02)


def test_answers_alone_and_probabilities_that_are_too_sure_give_other_shares():
    _, points = drawn(TARGET, 20_000, 1)
    rows = posterior(points, SOURCE)
    assert np.abs(np.bincount(rows.argmax(1)) / len(points) - TARGET).max() > 0.05
    too_sure = rows**4 / (rows**4).sum(1, keepdims=True)
    assert np.abs(estimate_by_likelihood(too_sure, SOURCE) - TARGET).max() > 0.03


def skewed(rows, sharpness, bias):
    """Logits whose probabilities are these ones, made surer and moved towards some classes: no longer calibrated."""
    return sharpness * np.log(rows) + np.asarray(bias)


def far(estimate):
    """The total variation between an estimate and the target's true shares."""
    return np.abs(estimate - TARGET).sum() / 2


@pytest.fixture
def shifted():
    """Held-out source labels and logits, and the target's logits, of a classifier that is not calibrated."""
    labels, points = drawn(SOURCE, 4000, 5)
    _, others = drawn(TARGET, 4000, 6)
    return labels, *(skewed(posterior(some, SOURCE), 2.5, [0.0, 1.5, -1.0]) for some in (points, others))


def test_without_calibration_the_likelihood_errs_and_every_cure_errs_less(shifted):
    labels, at_home, away = shifted
    plain = [apply_vector_scaling(logits, 1.0, 0.0) for logits in (at_home, away)]
    scaling = fit_vector_scaling(at_home, labels)
    scaled = [apply_vector_scaling(logits, *scaling) for logits in (at_home, away)]
    by_plain = far(estimate_by_likelihood(plain[1], SOURCE))
    assert by_plain > 0.15
    assert far(estimate_by_likelihood(scaled[1], scaled[0].mean(0))) < 0.03
    assert far(estimate_by_confusion(plain[0], labels, plain[1])) < 0.03
    hard = [np.eye(3)[rows.argmax(1)] for rows in plain]
    assert far(estimate_by_confusion(hard[0], labels, hard[1])) < 0.03
    with_prior = far(estimate_by_likelihood(scaled[1], scaled[0].mean(0), prior=400))
    assert 0.03 < with_prior < by_plain / 2, "a prior pays for its caution where nothing but the shares has shifted"


def test_scaled_probabilities_have_the_shares_of_the_labels_and_the_least_loss(shifted):
    labels, at_home, _ = shifted
    temperature, bias = fit_vector_scaling(at_home, labels)
    scaled = apply_vector_scaling(at_home, temperature, bias)
    np.testing.assert_allclose(scaled.mean(0), np.bincount(labels) / len(labels), atol=1e-3)
    assert temperature == pytest.approx(2.5, rel=0.15)

    def loss(temperature, bias):
        rows = apply_vector_scaling(at_home, temperature, bias)
        return -np.log(rows[np.arange(len(labels)), labels]).sum() + np.sum(np.square(bias)) / 2

    least = loss(temperature, bias)
    for direction in np.eye(4):
        for step in (-0.05, 0.05):
            assert loss(temperature + step * direction[0], bias + step * direction[1:]) > least


def test_scaling_is_scikit_learns_logistic_regression_where_the_classes_are_two():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 3000)
    logit = 3 * (labels - 0.4 + random.normal(size=3000))
    temperature, bias = fit_vector_scaling(np.stack([np.zeros(3000), logit], 1), labels)
    fitted = LogisticRegression(C=np.inf).fit(logit[:, None], labels)
    assert 1 / temperature == pytest.approx(fitted.coef_[0, 0], rel=0.01)
    assert bias[1] - bias[0] == pytest.approx(fitted.intercept_[0], abs=0.02)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_scaled_answers_do_not_move_the_shares_of_the_examples_they_were_scaled_on(seed):
    """The cause of a collapse is absent: the likelihood has no slope at the shares that the probabilities have."""
    random = np.random.default_rng(seed)
    labels, points = drawn(random.dirichlet(np.ones(3) * 3) * 0.94 + 0.02, 400, seed)
    logits = skewed(posterior(points, SOURCE), random.uniform(0.5, 4), random.normal(size=3))
    scaled = apply_vector_scaling(logits, *fit_vector_scaling(logits, labels))
    np.testing.assert_allclose(estimate_by_likelihood(scaled, scaled.mean(0)), scaled.mean(0), atol=1e-5)


def test_a_class_that_hardly_is_takes_all_where_every_answer_says_a_little_too_much_of_it():
    """Nothing has shifted: the rare class has 1%, each answer gives it 1.5%, and the likelihood gives it nearly all."""
    labels = np.repeat([0, 1, 2], [500, 490, 10])
    answers = np.full((1000, 3), 0.015)
    right = np.random.default_rng(0).random(1000) < 0.7
    answers[np.arange(1000), np.where(right, labels, (labels + 1) % 2) % 2] = 0.77
    answers[:, :2] += (0.985 - answers[:, :2].sum(1, keepdims=True)) / 2
    learnt = np.bincount(labels) / 1000
    assert estimate_by_likelihood(answers, learnt)[2] > 0.9
    temperature, bias = fit_vector_scaling(np.log(answers), labels)
    scaled = apply_vector_scaling(np.log(answers), temperature, bias)
    assert estimate_by_likelihood(scaled, scaled.mean(0))[2] == pytest.approx(0.01, abs=0.005)
    assert estimate_by_likelihood(answers, learnt, prior=1000)[2] < 0.5


def test_a_prior_moves_the_shares_from_the_most_likely_ones_to_the_sources():
    _, points = drawn(TARGET, 500, 1)
    rows = posterior(points, SOURCE)
    distances = [
        np.abs(estimate_by_likelihood(rows, SOURCE, prior=prior) - SOURCE).sum() for prior in (0, 50, 500, 1e7)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3


def test_a_class_without_a_source_example_keeps_its_share_of_nothing():
    source = np.full((4, 3), 1 / 3)
    shares = estimate_by_confusion(source, [0, 0, 1, 1], np.full((5, 3), 1 / 3))
    np.testing.assert_allclose(shares, [0.5, 0.5, 0.0], atol=1e-12)


@settings(max_examples=40)
@given(seeds)
def test_new_shares_turn_one_exact_posterior_into_the_other(seed):
    random = np.random.default_rng(seed)
    before, after = random.dirichlet(np.ones(3) * 2, 2) * 0.97 + 0.01
    _, points = drawn(SOURCE, 20, seed)
    np.testing.assert_allclose(with_shares(posterior(points, before), before, after), posterior(points, after))


def test_corrected_probabilities_are_right_more_often():
    labels, points = drawn(TARGET, 5000, 3)
    rows = posterior(points, SOURCE)
    corrected = with_shares(rows, SOURCE, estimate_by_likelihood(rows, SOURCE))
    assert (corrected.argmax(1) == labels).mean() > (rows.argmax(1) == labels).mean() + 0.02


def test_a_shift_of_the_labels_is_told_from_none():
    one, other = drawn(SOURCE, 400, 0)[0], drawn(SOURCE, 300, 1)[0]
    same, shifted = label_shift(one, other), label_shift(one, drawn(TARGET, 300, 1)[0])
    assert same.p > 0.05
    assert shifted.p == 1 / 2001
    assert 0 < same.by_chance < 0.1, "two samples differ by chance"
    assert shifted.total_variation == pytest.approx(0.5, abs=0.08)
    np.testing.assert_allclose(shifted.source, np.bincount(one) / 400)


def test_the_test_of_no_shift_rejects_as_often_as_it_says():
    random = np.random.default_rng(0)
    p = [label_shift(random.integers(0, 2, 40), random.integers(0, 2, 60), resamples=99).p for _ in range(200)]
    assert np.mean(np.array(p) <= 0.05) < 0.1


def test_documents_of_one_label_are_few_examples_and_not_many():
    random = np.random.default_rng(1)
    of_source, of_target = random.integers(0, 2, 10), random.integers(0, 2, 10)
    labels = [np.repeat(of_documents, 50) for of_documents in (of_source, of_target)]
    documents = (np.repeat(np.arange(10), 50),) * 2
    assert label_shift(*labels).p < 0.01, "taken for independent, the sentences of 20 documents differ"
    assert label_shift(*labels, documents=documents).p > 0.05


def test_a_pure_label_shift_explains_the_whole_drop_and_another_nothing():
    random, labels = np.random.default_rng(0), np.repeat([0, 1], [400, 100])

    def right(of_labels, *rates):
        return random.random(len(of_labels)) < np.array(rates)[of_labels]

    turned, held = 1 - labels, []
    for _ in range(100):
        drop = explain_drop(labels, right(labels, 0.9, 0.4), turned, right(turned, 0.9, 0.4), resamples=300)
        assert drop.by_labels[0] > 0.2
        held.append(drop.rest[1] <= 0 <= drop.rest[2])
    assert 0.88 <= np.mean(held) < 1, "a 95% interval of what is 0"
    harder = explain_drop(labels, right(labels, 0.9, 0.4), labels, right(labels, 0.6, 0.2))
    assert harder.by_labels[0] == pytest.approx(0)
    assert harder.rest[1] > 0.1


@settings(max_examples=30)
@given(seeds)
def test_the_parts_sum_to_the_drop_and_lie_in_their_intervals(seed):
    random = np.random.default_rng(seed)
    labels = [np.concatenate([[0, 1, 2], random.integers(0, 3, 40)]) for _ in range(2)]
    rights = [random.random(43) < random.random() for _ in range(2)]
    found = explain_drop(labels[0], rights[0], labels[1], rights[1], resamples=200)
    assert found.total[0] == pytest.approx(found.by_labels[0] + found.rest[0])
    assert found.total[0] == pytest.approx(rights[0].mean() - rights[1].mean())
    for value, low, high in (found.source, found.target, found.total):
        assert low - 0.05 <= value <= high + 0.05


def test_what_cannot_be_estimated_is_refused_with_its_reason():
    with pytest.raises(ValueError, match="no example of class 2"):
        explain_drop([0, 1], [True, True], [0, 2], [True, False])
    with pytest.raises(ValueError, match="class 1 has none"):
        with_shares([[0.5, 0.5]], [1, 0], [0.5, 0.5])
    with pytest.raises(ValueError, match="3 for 2 classes"):
        estimate_by_likelihood([[0.5, 0.5]], SOURCE)
    with pytest.raises(ValueError, match="2 for 3 labels"):
        label_shift([0, 1, 1], [0, 1], documents=([0, 1], [0, 1]))
    with pytest.raises(ValueError, match="prior: -1 is not at least 0"):
        estimate_by_likelihood([[0.5, 0.5]], [0.5, 0.5], prior=-1)
    with pytest.raises(ValueError, match="source_labels: they are not 1 of the 2 classes"):
        estimate_by_confusion([[0.5, 0.5]], [2], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="log_probabilities: shape"):
        fit_vector_scaling([[0.0, np.inf]], [0])
    with pytest.raises(ValueError, match="labels: 2 is not one of 2 classes"):
        fit_vector_scaling([[0.0, 0.0]], [2])
