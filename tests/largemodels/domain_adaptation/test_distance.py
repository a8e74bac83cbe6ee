"""Domains that are one are near 0 apart, disjoint ones 2, and a shift is said with what chance would make of none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from largemodels.base.errors import InputError
from largemodels.domain_adaptation.distance import bound_terms, proxy_a_distance, vocabulary_overlap

seeds = st.integers(0, 2**31)
WORDS = {"one": ["array", "axis", "shape", "matrix"], "other": ["model", "token", "head", "layer"]}


def texts(n, seed, kind="one", length=6):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS[kind], length)) for _ in range(n)]


def points(n, seed, mean=0.0, features=3):
    return np.random.default_rng(seed).normal(mean, 1.0, (n, features))


def test_domains_of_one_distribution_are_near_zero_apart_and_disjoint_ones_are_two():
    same = proxy_a_distance(points(200, 0), points(300, 1))
    assert abs(same.distance) < 0.3
    assert same.near_zero
    disjoint = proxy_a_distance(points(200, 0), points(300, 1, mean=30.0))
    assert disjoint.distance == 2
    assert 1.9 < disjoint.low < 2, "no error in 500 is not yet an error of 0"
    assert not disjoint.near_zero


def test_texts_are_told_apart_by_their_words():
    assert proxy_a_distance(texts(60, 0), texts(60, 1, "other")).distance == 2
    assert proxy_a_distance(texts(200, 0), texts(200, 1)).near_zero


@pytest.mark.parametrize("kind", ["texts", "features", "sparse", "documents"])
def test_a_target_identical_to_the_source_is_at_zero_and_not_below(kind):
    given, documents = points(100, 0), None
    if kind == "texts":
        given = texts(100, 0, length=12)
    elif kind == "sparse":
        given = sparse.csr_matrix(given)
    elif kind == "documents":
        documents = (np.repeat(np.arange(20), 5),) * 2
    found = proxy_a_distance(given, given, documents=documents)
    assert found.distance == pytest.approx(0, abs=1e-9)
    assert found.near_zero


def test_the_distance_is_that_of_the_best_classifier_where_this_is_known():
    # Two Gaussians of unit variance, 1 apart: the best error is Φ(−½) = 0.3085.
    found = proxy_a_distance(points(3000, 0, features=1), points(3000, 1, mean=1.0, features=1))
    assert found.distance == pytest.approx(2 * (1 - 2 * 0.3085), abs=0.08)
    assert found.low < 2 * (1 - 2 * 0.3085) < found.high


def test_domains_of_other_sizes_are_no_farther_apart():
    sizes = proxy_a_distance(points(100, 0), points(2000, 1))
    assert abs(sizes.distance) < 0.4, "answering the larger domain always would be right for 95%"
    assert sizes.near_zero
    shifted = proxy_a_distance(points(100, 0, features=1), points(2000, 1, mean=1.0, features=1))
    assert shifted.distance > 0.5, "and no nearer, though that answer costs hardly an error in all"


def topics(documents, seed, spread):
    """Ten points of each document, around the document's own place; and the documents."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, spread, (documents, 20))
    return np.repeat(centres, 10, 0) + random.normal(size=(documents * 10, 20)), np.repeat(np.arange(documents), 10)


def test_documents_that_are_told_apart_are_no_domains():
    (one, first), (other, second) = topics(30, 0, 3.0), topics(30, 1, 3.0)
    kept = proxy_a_distance(one, other, documents=(first, second + 100))
    split = proxy_a_distance(one, other)
    assert kept.near_zero
    assert split.distance > 0.5, "with the same documents in training and held-out folds"
    assert kept.high - kept.low > 2 * (split.high - split.low), "60 documents are not 600 examples"


def test_permutations_say_what_chance_makes_of_no_difference():
    same = proxy_a_distance(points(40, 0), points(40, 1), permutations=19)
    apart = proxy_a_distance(points(40, 0), points(40, 1, mean=2.0), permutations=19)
    assert same.by_chance.shape == (19,)
    assert abs(same.by_chance.mean()) < 0.3
    assert same.p > 0.05
    assert apart.p == 1 / 20
    assert math.isnan(proxy_a_distance(points(20, 0), points(20, 1)).p)
    identical = proxy_a_distance(points(40, 0), points(40, 0), permutations=3)
    assert identical.p > 0.05


def test_intervals_hold_the_distance_of_no_difference_as_often_as_they_say():
    held = [proxy_a_distance(points(60, 2 * seed), points(60, 2 * seed + 1)).near_zero for seed in range(40)]
    assert np.mean(held) > 0.85


def test_too_little_text_and_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="target: 3 different documents are fewer than the 5 folds"):
        proxy_a_distance(points(20, 0), points(3, 1))
    with pytest.raises(InputError, match="source: 1 different"):
        proxy_a_distance(["the same"] * 20, texts(20, 1))
    with pytest.raises(ValueError, match="does not fit"):
        proxy_a_distance(points(20, 0), points(20, 0, features=2))
    with pytest.raises(ValueError, match="39 for 40 examples"):
        proxy_a_distance(points(20, 0), points(20, 1), documents=(np.arange(20), np.arange(19)))


def test_new_words_of_the_target_by_hand():
    found = vocabulary_overlap(["An array, an axis."], ["the array of the model", "array"])
    assert (found.unseen_tokens, found.target_tokens) == (4, 6)
    assert found.unseen_tokens_share == pytest.approx(4 / 6)
    with pytest.raises(InputError, match="target: there is no word"):
        vocabulary_overlap(["one"], ["...", ""])


@settings(max_examples=40)
@given(st.lists(st.text("abc ", min_size=1), min_size=1), st.lists(st.text("abc ", min_size=1), min_size=1))
def test_a_word_is_new_where_the_source_does_not_have_it(one, other):
    one, other = [*one, "a"], [*other, "b"]
    known, there = set(" ".join(one).split()), " ".join(other).split()
    found = vocabulary_overlap(one, other)
    assert found.unseen_tokens_share == sum(word not in known for word in there) / len(there)
    assert vocabulary_overlap(one, one).unseen_tokens == 0


def test_the_terms_of_the_bound_add_up_and_an_unknown_one_is_left_out():
    near, far = proxy_a_distance(points(200, 0), points(200, 1)), proxy_a_distance(points(50, 0), points(50, 1, 30.0))
    right = np.repeat([True, False], [90, 10])
    terms = bound_terms(right, far, (right, np.repeat([True, False], [80, 20])))
    assert (terms.source_error, terms.half_distance, terms.joint_error) == pytest.approx((0.1, 1.0, 0.3))
    assert terms.bound == pytest.approx(1.4)
    unknown = bound_terms(right, near)
    assert math.isnan(unknown.joint_error)
    assert unknown.bound == pytest.approx(0.1 + max(0, near.distance) / 2)
    with pytest.raises(ValueError, match="no examples"):
        bound_terms([], near)
