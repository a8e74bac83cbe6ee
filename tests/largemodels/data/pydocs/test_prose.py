"""Markup becomes plain words, and paragraphs become sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largemodels.data.pydocs import prose


def sentences(text):
    return [s for paragraph in prose.paragraphs(text) for s in prose.split_sentences(paragraph)]


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("It is short. It is good.", ["It is short.", "It is good."]),
        ("Use a solver, e.g. Newton's. It works.", ["Use a solver, e.g. Newton's.", "It works."]),
        ("Some norms, i.e. L1, differ (cf. Fig. 2 and Eq. 3). Done.", None),
        ("Since version 1.2 the rate is 0.5. Before, it was 1e-3.", None),
        (
            "Smith et al. 2019 showed it. So did J. Smith.",
            ["Smith et al. 2019 showed it.", "So did J. Smith."],
        ),
        ("Really? Yes! Good.", ["Really?", "Yes!", "Good."]),
        ("It ends (so it does.) Then it goes on.", ["It ends (so it does.)", "Then it goes on."]),
        ("The value is in x. numpy is fast.", ["The value is in x. numpy is fast."]),
        ("The default is kept. n_jobs is ignored.", ["The default is kept.", "n_jobs is ignored."]),
        ("It waits... And goes.", ["It waits... And goes."]),
        (
            "Lists, arrays, etc. are fine. 3 of them suffice.",
            ["Lists, arrays, etc. are fine.", "3 of them suffice."],
        ),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(paragraph, expected):
    if expected is None:  # two sentences, the second of which starts after the last full stop but one
        head, _, tail = paragraph[:-1].rpartition(". ")
        expected = [f"{head}.", f"{tail}."]
    assert list(prose.split_sentences(paragraph)) == expected


def test_a_code_word_in_small_letters_starts_a_sentence():
    assert sentences("The mean is used. `axis` says where.") == ["The mean is used.", "axis says where."]
    assert sentences("Some arrays (e.g. `a` and `b`) are kept.") == ["Some arrays (e.g. a and b) are kept."]


@given(st.text())
def test_splitting_loses_no_character_but_white_space(text):
    joined = "".join("".join(prose.split_sentences(text)).split())
    assert joined == "".join(text.replace(prose.MARK, "").split())


@given(st.text(alphabet=" \n.:>*-`|=+[]()_$\\ab~<#") | st.text())
def test_any_text_has_paragraphs_without_marks_in_their_sentences(text):
    for sentence in sentences(text):
        assert sentence == sentence.strip() != ""
        assert prose.MARK not in sentence.replace(text, "") or prose.MARK in text


@pytest.mark.parametrize(
    ("marked_up", "plain"),
    [
        ("See :class:`~torch.nn.Linear` and :func:`numpy.dot`.", "See Linear and numpy.dot."),
        (
            "See :ref:`the user guide <guide>` or `the paper <https://a.b>`_.",
            "See the user guide or the paper.",
        ),
        (
            "With ``axis=0``, `x` and **bold** or *slanted* words.",
            "With axis=0, x and bold or slanted words.",
        ),
        (
            "A [`~models.Bert`] is a [`Model`], see [the page](https://a.b/c).",
            "A Bert is a Model, see the page.",
        ),
        (
            "Shape :math:`(N, *, H_{in})` where :math:`\\alpha \\leq 1`.",
            "Shape (N, *, H_in) where alpha ≤ 1.",
        ),
        ("It is fast [1]_, as known [Smith99]_.", "It is fast as known."),
        ("Set `.rcParams` before plotting.", "Set rcParams before plotting."),
        ("Give `*args` or (`*`, `*`) to it.", "Give *args or (*, *) to it."),
        ("Call :meth:`fit`\\ s often.", "Call fits often."),
    ],
)
def test_inline_markup_becomes_the_words_it_stands_for(marked_up, plain):
    assert sentences(marked_up) == [plain]


@pytest.mark.parametrize(
    "block",
    [
        ">>> np.sum(a)\n42\nmore output",
        "```python\nThis is code in a fence.\n```",
        ".. code-block:: python\n\n    This is a code block.",
        ".. versionadded:: 1.2\n   It was added then.",
        ".. math::\n\n    x is equal to y",
        "+-----+-----+\n| a b | c d |\n+-----+-----+",
        "=====  =====\nfirst  second\n=====  =====",
        "| name | meaning of it |\n| --- | --- |\n| x | the first one |",
        "$$\nx is a formula here\n$$",
        ".. [1] An author, A book of some length.",
        "import numpy as np\nresult = np.sum(values)",
        "model.generate(inputs, max_length=20)",
    ],
)
def test_what_is_not_prose_is_dropped(block):
    assert sentences(f"Before it stands this.\n\n{block}\n\nAfter it stands that.") == [
        "Before it stands this.",
        "After it stands that.",
    ]


def test_literal_blocks_go_and_the_text_around_them_stays():
    text = "Write it like this::\n\n    not to be read\n\n    nor is this\n\nThen run it."
    assert sentences(text) == ["Write it like this:", "Then run it."]


def test_notes_keep_their_text_and_lose_their_marker():
    assert sentences(".. note:: The first line\n    and the second.\n") == ["The first line and the second."]


def test_list_items_are_paragraphs_of_their_own():
    text = "The choices are these.\n\n- 'a': the first one\n  and its second line\n* the other one\n1. the last"
    assert sentences(text) == [
        "The choices are these.",
        "'a': the first one and its second line",
        "the other one",
        "the last",
    ]


def test_headings_above_a_rule_are_dropped():
    assert sentences("A heading\n=========\nThe text below it.") == ["The text below it."]


@pytest.mark.parametrize(
    "sentence",
    [
        "Number of rows.",  # too short
        " ".join(["word"] * 61),
        "The %(klass)s is returned by it.",
        "The template {name} was not filled.",
        "A formula with \\frac{a}{b} in it.",
        "See https://example.org for the details.",
        "This call returns x = [1, 2, 3] then.",
        "A parenthesis that (never closes here.",
        "It is defined by the",
        "The equation is as follows:",
        "0 1 2 3 4 5 6 7",
        "where x is the input of it",
        "x (int, optional): the input of it",
        "Refer to [1]_ for the details.",
    ],
)
def test_unreadable_sentences_are_refused(sentence):
    assert not prose.is_readable(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The four words count.",
        "If None, the value 1e-3 is used.",
        "the input tensor to be padded",
        " ".join(["word"] * 60),
    ],
)
def test_readable_sentences_pass(sentence):
    assert prose.is_readable(sentence)
