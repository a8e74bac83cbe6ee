"""Word vectors: the counts are counts, the association is the formula, and the vectors reproduce it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from largemodels.attention import vectors as lm

words = st.lists(st.sampled_from(list("abcde")), max_size=8)


def counted_by_hand(sentences, vocabulary, window):
    """Windows walked one by one, as a reader would."""
    table = np.zeros((len(vocabulary), len(vocabulary)))
    for sentence in sentences:
        for here, word in enumerate(sentence):
            for there in range(max(0, here - window), min(len(sentence), here + window + 1)):
                if there != here and word in vocabulary and sentence[there] in vocabulary:
                    table[vocabulary.index(word), vocabulary.index(sentence[there])] += 1
    return table


def topics(seed=0, sentences=400):
    """Sentences about one of two things, whose words never meet; "w" stands in both."""
    rng = np.random.default_rng(seed)
    kinds = ([f"sea{n}" for n in range(8)] + ["w"], [f"sky{n}" for n in range(8)] + ["w"])
    return [list(rng.choice(kinds[rng.integers(2)], size=6)) for _ in range(sentences)]


def test_words_are_lower_case_runs_of_letters():
    assert lm.words_of("Returns the FFT's x-axis, in 3 parts (see `fft2`).") == [
        "returns", "the", "fft's", "x-axis", "in", "parts", "see", "fft",
    ]  # fmt: skip
    assert lm.words_of("") == []
    assert lm.words_of("Größe, 数组") == ["größe", "数组"]


@given(st.lists(words, max_size=5), st.integers(1, 4))
def test_cooccurrences_are_what_one_counts_by_hand(sentences, window):
    vocabulary = ["a", "b", "c"]
    counts = lm.cooccurrences([*sentences, ["a", "b"]], vocabulary, window)
    assert np.array_equal(counts.toarray(), counted_by_hand([*sentences, ["a", "b"]], vocabulary, window))


def test_windows_do_not_reach_from_one_sentence_into_the_next():
    counts = lm.cooccurrences([["a"], ["b"]], ["a", "b"], window=5)
    assert counts.nnz == 0


def test_ppmi_is_the_formula():
    counts = sparse.csr_matrix(np.array([[0.0, 3.0], [3.0, 2.0]]))
    together, apart = lm.ppmi(counts, smoothing=1.0).toarray(), math.log((3 / 8) / ((3 / 8) * (5 / 8)))
    assert together[0, 1] == pytest.approx(apart)
    assert together[1, 1] == 0  # rarer together than by chance: cut off at zero
    contexts = np.array([3, 5]) ** 0.75
    smoothed = math.log(3 / (3 * contexts[1] / contexts.sum()))
    assert lm.ppmi(counts).toarray()[0, 1] == pytest.approx(smoothed)


@given(st.integers(0, 2**31))
def test_factors_of_full_rank_give_back_the_matrix(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.random((6, 2)) @ rng.random((2, 6))
    left, right = lm.factorised(sparse.csr_matrix(matrix), size=2)
    assert np.allclose(left @ right.T, matrix)


def test_the_sign_of_a_dimension_does_not_depend_on_the_seed():
    matrix = sparse.csr_matrix(np.random.default_rng(0).random((30, 30)))
    for left, right in zip(lm.factorised(matrix, 5, seed=0), lm.factorised(matrix, 5, seed=1), strict=True):
        assert np.allclose(left, right, atol=1e-8)


def test_words_of_one_topic_are_nearest_to_each_other():
    model = lm.word_vectors(topics(), vector_size=4)
    for word in ("sea0", "sky3"):
        near = [other for other, _ in model.nearest(model.look_up([word])[0], 5, leave_out=[word, "w"])]
        assert all(other[:3] == word[:3] for other in near)


def test_dot_products_of_words_and_contexts_approximate_the_association():
    sentences = topics()
    model = lm.word_vectors(sentences, vector_size=10)
    wanted = lm.ppmi(lm.cooccurrences(sentences, model.words, 5)).toarray()
    assert np.abs(model.vectors @ model.contexts.T - wanted).mean() < 0.1 * wanted.mean()


def test_the_vocabulary_holds_the_frequent_words_most_frequent_first():
    sentences = [["a", "b"], ["a", "c"], ["a", "b"], ["a", "d"], ["c", "d"]] * 5
    model = lm.word_vectors(sentences, vector_size=1, max_words=3)
    assert model.words == ("a", "b", "c")
    assert model.counts.tolist() == [20, 10, 10]
    assert model.index == {"a": 0, "b": 1, "c": 2}


def test_an_unknown_word_has_a_vector_of_zeros():
    model = lm.word_vectors(topics(), vector_size=4)
    known, unknown = model.look_up(["w", "never seen"])
    assert np.array_equal(known, model.vectors[model.index["w"]])
    assert not unknown.any()


def test_too_few_words_for_the_dimensions_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"vector_size: 50 dimensions need at least 52 words .* there are 17"):
        lm.word_vectors(topics(), vector_size=50)


def test_plurals_are_paired_by_spelling():
    assert lm.plural_pairs(["array", "a", "as", "arrays", "axis", "axes"]) == [("array", "arrays")]


def test_the_share_nearer_than_chance_counts_every_pair_once():
    model = lm.word_vectors(topics(), vector_size=4)
    pairs = [("sea0", "sea1"), ("sky0", "sky1")]
    assert lm.share_nearer_than_chance(model, pairs, np.random.default_rng(0)) == (2, 2)
    assert lm.share_nearer_than_chance(model, [(a, d) for (a, _), (_, d) in zip(pairs, pairs[::-1], strict=True)],
                                       np.random.default_rng(0)) == (0, 2)  # fmt: skip
    assert lm.share_nearer_than_chance(model, [], np.random.default_rng(0)) == (0, 0)


def test_the_mean_cosine_leaves_out_each_row_with_itself():
    assert lm.mean_cosine(np.eye(3)) == 0
    assert lm.mean_cosine(np.ones((3, 2))) == pytest.approx(1)
    assert math.isnan(lm.mean_cosine(np.ones((1, 2))))
