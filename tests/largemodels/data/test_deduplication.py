"""The join keeps what a comparison of all pairs would keep."""

from hypothesis import given
from hypothesis import strategies as st

from largemodels.data.deduplication import keep_first, resembling

SENTENCES = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]), max_size=12).map(" ".join),
    max_size=30,
)


def jaccard(first: str, second: str) -> float:
    """The share of two sentences' different words that they have in common."""
    one, other = set(first.split()), set(second.split())
    return len(one & other) / len(one | other)


@given(SENTENCES)
def test_the_join_agrees_with_comparing_all_pairs(sentences):
    kept = []
    for position, sentence in enumerate(sentences):
        if sentence and all(jaccard(sentence, sentences[other]) < 0.8 for other in kept):
            kept.append(position)
    assert keep_first(sentences) == kept


def test_case_punctuation_and_order_do_not_matter():
    assert keep_first(["The input array.", "the INPUT, array", "array the input", "the output array"]) == [
        0,
        3,
    ]


def test_the_threshold_itself_counts_as_near():
    # 4 words of 5 in common is exactly 0.8
    assert keep_first(["one two three four", "one two three four five"]) == [0]
    assert keep_first(["one two three", "one two three four"]) == [0, 1]


def test_sentences_without_words_are_dropped():
    assert keep_first(["...", "", "a word"]) == [2]


def test_resembling_finds_what_comparing_all_with_all_finds():
    numbers = [(n * 37) % 101 for n in range(80)]
    texts = [" ".join(f"w{(start + step * step) % 9}" for step in range(2 + start % 5)) for start in numbers]
    first, second = texts[:50], texts[50:]
    expected = [i for i, text in enumerate(first) if any(jaccard(text, other) >= 0.8 for other in second)]
    assert resembling(first, second) == expected
    assert 0 < len(expected) < 50
    assert resembling(["?!"], ["?!"]) == []
    assert keep_first([*second, *(first[i] for i in resembling(first, second))]) == keep_first(second)
