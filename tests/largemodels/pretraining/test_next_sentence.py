"""Half of the pairs follow each other, false ones are never from one document, and nothing else gives them away."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from largemodels.pretraining.next_sentence import IS_NEXT, NOT_NEXT, sentence_pairs
from small_corpus import corpus

FRAME = corpus(documents=80)


@given(st.integers(0, 2**31), st.booleans())
def test_half_are_true_and_false_ones_never_come_from_one_document(seed, same_library):
    pairs = sentence_pairs(FRAME, same_library=same_library, seed=seed)
    true, false = pairs[pairs["label"] == IS_NEXT], pairs[pairs["label"] == NOT_NEXT]
    assert len(true) - len(false) in (0, 1)
    assert (true["document"] == true["second_document"]).all()
    assert (false["document"] != false["second_document"]).all()
    if same_library:
        assert (pairs["second_document"].str.partition(":")[0] == pairs["library"]).all()


def test_true_pairs_are_neighbours_in_their_document_and_a_gap_parts_them():
    frame = FRAME[FRAME.index % 7 != 3]  # a corpus without its near duplicates has gaps
    neighbours = {
        (a.sentence, b.sentence)
        for (_, a), (_, b) in zip(frame.iterrows(), list(frame.iterrows())[1:], strict=False)
        if a.document == b.document and a.position + 1 == b.position
    }
    pairs = sentence_pairs(frame)
    true = pairs[pairs["label"] == IS_NEXT]
    assert len(pairs) == len(neighbours)
    assert set(zip(true["first"], true["second"], strict=True)) <= neighbours


def test_false_seconds_come_from_other_libraries_too_unless_asked_otherwise():
    pairs = sentence_pairs(FRAME)
    false = pairs[pairs["label"] == NOT_NEXT]
    elsewhere = (false["second_document"].str.partition(":")[0] != false["library"]).sum()
    assert stats.binomtest(int(elsewhere), len(false), 0.5).pvalue > 1e-6


def test_the_same_seed_gives_the_same_pairs():
    assert sentence_pairs(FRAME, seed=3).equals(sentence_pairs(FRAME, seed=3))
    assert not sentence_pairs(FRAME, seed=3).equals(sentence_pairs(FRAME, seed=4))


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([("a", 0), ("b", 0)], {}, "sentences: no document has two consecutive ones"),
        ([("a", 0), ("a", 2)], {}, "sentences: no document has two consecutive ones"),
        ([("a", 0), ("a", 1), ("b", 0)], {}, "sentences: only one document has consecutive ones"),
        ([("a", 0), ("a", 1)], {"same_library": True}, "sentences: only one document of x has consecutive ones"),
    ],
)
def test_documents_that_give_no_pairs_are_refused_in_one_sentence(rows, options, message):
    frame = pd.DataFrame(
        [("words", "x", *row) for row in rows], columns=["sentence", "library", "document", "position"]
    )
    with pytest.raises(ValueError, match=message):
        sentence_pairs(frame, **options)
