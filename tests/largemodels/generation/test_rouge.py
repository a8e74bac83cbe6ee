"""Values by hand, and values of the package that everybody uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largemodels.generation.rouge import Rouge, most_typical, rouge_l, rouge_n, rouge_table, words

# The F-measures of ROUGE-1, -2 and -L that rouge_score 0.1.2 gives without its stemmer, in six digits.
OF_ROUGE_SCORE = [
    (
        "Return the sum of array elements over an axis.",
        "Sum of the array elements.",
        (0.714286, 0.333333, 0.571429),
    ),
    ("the cat sat on the mat", "the cat lay on the rug", (0.666667, 0.4, 0.666667)),
    ("the the the cat", "the cat the cat the", (0.888889, 0.285714, 0.666667)),
    ("numpy.linalg.norm(x, ord=2)", "norm of x in numpy", (0.545455, 0.0, 0.363636)),
    ("Größe des Arrays, naïve façon", "naive facon: Grosse des arrays", (0.307692, 0.181818, 0.307692)),
    ("one two three four five", "five four three two one", (1.0, 0.0, 0.2)),
    ("word", "Word!", (1.0, 0.0, 1.0)),
    ("", "something", (0.0, 0.0, 0.0)),
    ("nothing", "", (0.0, 0.0, 0.0)),
    ("a b a b c a b", "b a b a a c b", (1.0, 0.333333, 0.714286)),
    ("Kth-order_snake_case 3.5e-2", "3 5e 2 snake case", (0.833333, 0.6, 0.5)),
]


@pytest.mark.parametrize(("reference", "candidate", "expected"), OF_ROUGE_SCORE)
def test_the_scores_are_those_of_rouge_score(reference, candidate, expected):
    [row] = rouge_table([reference], [candidate]).to_numpy()
    assert row == pytest.approx(expected, abs=1e-6)


def test_two_grams_count_as_often_as_both_texts_have_them():
    # "a b" stands twice and once, "b a" once and twice: two of three and three pairs are shared.
    assert rouge_n("a b a b", "b a b a", 2) == Rouge(2 / 3, 2 / 3, 2 / 3)


def test_precision_is_of_the_candidate_and_recall_of_the_reference():
    assert rouge_n("a b c d", "a b", 1) == Rouge(1.0, 0.5, 2 / 3)
    assert rouge_l("a b c d", "d x a") == Rouge(1 / 3, 1 / 4, 2 / 7)


def test_a_common_subsequence_may_have_gaps_and_keeps_the_order():
    assert rouge_l("a x b y c", "a b c").recall == 3 / 5
    assert rouge_l("a b c", "c b a").recall == 1 / 3


def test_words_are_runs_of_letters_and_digits_in_lower_case():
    assert words("Über_all: 3.5 GiB") == ["ber", "all", "3", "5", "gib"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 do not pair with 1"):
        rouge_table(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="n: 0 is not at least 1"):
        rouge_n("a", "a", 0)


def test_the_most_typical_text_shares_most_with_the_others():
    texts = ["x y z", "a b q", "a b c d", "a b c", "b c d"]
    assert most_typical(texts) == "a b c d"
    assert most_typical(texts[::-1]) == "a b c d"
    assert most_typical(["one", "two"]) == "one"


TEXTS = st.lists(st.sampled_from("abc"), max_size=8).map(" ".join)


def longest_by_all_subsequences(first, second):
    subsequences = {()}
    for word in first:
        subsequences |= {(*each, word) for each in subsequences}

    def is_in(each):
        rest = iter(second)
        return all(word in rest for word in each)

    return max(len(each) for each in subsequences if is_in(each))


@given(TEXTS, TEXTS)
def test_the_longest_subsequence_is_the_longest_of_all(reference, candidate):
    first, second = words(reference), words(candidate)
    longest = longest_by_all_subsequences(first, second)
    assert rouge_l(reference, candidate).recall == (longest / len(first) if first else 0)


@given(TEXTS, TEXTS)
def test_the_f_measure_does_not_ask_which_text_is_the_reference(reference, candidate):
    assert (rouge_table([reference], [candidate]) == rouge_table([candidate], [reference])).all(axis=None)
