"""The interactive figure: valid, escaped, self-contained HTML that says its numbers in text as well."""

import json
import re

import numpy as np
import pytest

from html_tags import Tags
from largemodels.figures.attention_view import AttentionView

HALF = np.array([[0.25, 0.75], [1.0, 0.0]])


def test_every_tag_closes_and_every_word_is_a_button_with_its_weight():
    page = Tags(AttentionView(["one", "two"], {"head": HALF})._repr_html_())
    assert page.open == []
    buttons = [attributes for tag, attributes in page.attributes if tag == "button" and "data-word" in attributes]
    assert [(button["data-word"], button["style"]) for button in buttons] == [
        ("one", "--weight:0.25"),
        ("two", "--weight:0.75"),
    ]


def test_the_figure_carries_the_weights_of_every_head():
    page = Tags(AttentionView(["one", "two"], {"first": HALF, "second": np.eye(2)})._repr_html_())
    heads = json.loads(page.attributes[0][1]["data-heads"])
    assert heads == {"first": HALF.tolist(), "second": np.eye(2).tolist()}
    assert "0.75" in page.text  # in the tables, for readers without script


def test_words_captions_and_names_of_heads_are_escaped():
    nasty = "</script><b a='\"'>&"
    view = AttentionView([nasty, "two"], {nasty: HALF}, caption=nasty)
    page = Tags(view._repr_html_())
    assert page.open == []
    assert "b" not in {tag for tag, _ in page.attributes}
    assert any(nasty in text for text in page.text) or nasty in "".join(page.text)


def test_the_figure_needs_nothing_from_elsewhere():
    text = AttentionView(["one", "two"], {"head": HALF})._repr_html_()
    assert not re.search(r"https?:|src=|@import|url\(", text)


def test_the_same_figure_has_the_same_html_every_time_and_another_has_another_identity():
    def identity(view):
        return Tags(view._repr_html_()).attributes[0][1]["id"]

    view = AttentionView(["one", "two"], {"head": HALF})
    assert view._repr_html_() == AttentionView(["one", "two"], {"head": HALF})._repr_html_()
    assert identity(view) != identity(AttentionView(["one", "three"], {"head": HALF}))


def test_the_text_form_says_where_each_word_looks_most():
    assert repr(AttentionView(["one", "two"], {"head": HALF})) == "head:\n  one → two 75%\n  two → one 100%"


@pytest.mark.parametrize(
    ("words", "heads", "options", "message"),
    [
        ([], {"head": np.zeros((0, 0))}, {}, "needs words and heads"),
        (["one"], {}, {}, "needs words and heads"),
        (["one"], {"head": HALF}, {}, r"'head' has shape \(2, 2\), and 1 words need \(1, 1\)"),
        (["one", "two"], {"head": HALF * np.nan}, {}, "not finite"),
        (["one", "two"], {"head": HALF}, {"start": 2}, "start: 2 is not a position from 0 to 1"),
    ],
)
def test_a_figure_that_cannot_be_made_is_refused_in_one_sentence(words, heads, options, message):
    with pytest.raises(ValueError, match=message):
        AttentionView(words, heads, **options)
