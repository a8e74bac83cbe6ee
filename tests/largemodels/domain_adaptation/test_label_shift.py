"""Known shares of the classes are found again, a drop is split into its parts, and no shift is found in none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from largemodels.domain_adaptation.label_shift import (
    estimate_by_likelihood,
    explain_drop,
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
