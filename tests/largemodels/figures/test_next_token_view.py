"""The view of next tokens: valid, escaped, self-contained HTML, and numbers that are those of the full softmax."""

import json
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from html_tags import Tags
from largemodels.figures.next_token_view import NextTokenView, restored_logits, token_speller, visible

WORDS = [f"w{number}" for number in range(500)]
SIZES = (2, 64, 65, 128, 129, 4096, 50_257)


def drawn(tokens, size, seed=0):
    return torch.randn(tokens, size, generator=torch.Generator().manual_seed(seed)) * 2.5


def view(tokens=3, size=500, **options):
    return NextTokenView(list(range(tokens)), drawn(tokens, size), WORDS.__getitem__, **options)


def test_every_tag_closes_and_every_token_is_a_button_of_which_one_is_reached_by_the_tab_key():
    page = Tags(view(start=1)._repr_html_())
    assert page.open == []
    buttons = [attributes for tag, attributes in page.attributes if tag == "button" and "tabindex" in attributes]
    assert [button["tabindex"] for button in buttons] == ["-1", "0", "-1"]
    assert [button["aria-pressed"] for button in buttons] == ["false", "true", "false"]


def test_every_slider_has_a_label_and_says_its_value():
    page = Tags(view()._repr_html_())
    sliders = [attributes for tag, attributes in page.attributes if tag == "input"]
    assert [slider["name"] for slider in sliders] == ["temperature", "top_p", "min_p"]
    assert all(slider["aria-valuetext"] in ("1.00", "0.00") for slider in sliders)
    assert [tag for tag, _ in page.attributes].count("label") == 3


def test_surprise_rank_and_entropy_are_those_of_torch():
    logits = drawn(4, 500)
    shown = repr(NextTokenView([7, 0, 499, 12], logits, WORDS.__getitem__))
    log_p = logits.log_softmax(-1)
    entropy = torch.distributions.Categorical(logits=logits).entropy() / np.log(2)
    for place, (line, token) in enumerate(zip(shown.splitlines(), [7, 0, 499, 12], strict=True)):
        bits = -log_p[place, token].item() / np.log(2)
        rank = (logits[place] > logits[place, token]).sum().item() + 1
        assert line == f"w{token}: {bits:.1f} bits, rank {rank} of 500; entropy {entropy[place].item():.1f} bits"


def test_the_page_says_its_numbers_without_script():
    logits = drawn(2, 500)
    text = "".join(Tags(NextTokenView([3, 4], logits, WORDS.__getitem__)._repr_html_()).text)
    probability, token = logits.softmax(-1)[0].max(0)
    assert f"w{token}{100 * probability:.1f}%" in text  # in the table of the place that is chosen
    assert f"{-logits.log_softmax(-1)[1, 4].item() / np.log(2):.2f}" in text  # in the one of all tokens


@pytest.mark.parametrize("size", SIZES)
def test_probabilities_of_what_the_page_has_are_right_at_every_temperature(size):
    logits = drawn(6, size).double()
    ours, exact = torch.tensor(restored_logits(logits)), logits.sort(descending=True).values
    assert ours.shape == exact.shape
    for temperature in (0.1, 0.3, 1.0, 1.7, 3.0):
        p, q = ((each / temperature).softmax(-1) for each in (exact, ours))
        assert (p.cumsum(-1) - q.cumsum(-1)).abs().max() < 0.002


def test_restored_logits_keep_the_shape_of_a_batch_and_begin_with_the_largest_at_zero():
    ours = restored_logits(drawn(6, 300).reshape(2, 3, 300))
    assert ours.shape == (2, 3, 300)
    assert (ours[..., 0] == 0).all()
    assert (np.diff(ours) <= 0).all()


def test_the_page_of_fifty_tokens_is_below_150_kilobytes():
    names = [f" token{number}" for number in range(4096)]
    html = NextTokenView(list(range(50)), drawn(50, 4096), names.__getitem__)._repr_html_()
    assert len(html.encode()) < 150_000


def test_tokens_and_captions_are_escaped_and_nothing_is_fetched():
    nasty = ["</script><u a='\"'>&", "\n", "\"'", "<!--", "\u202e", "]]>"]
    text = NextTokenView([0, 1, 2], drawn(3, 6), nasty.__getitem__, caption=nasty[0])._repr_html_()
    page = Tags(text)
    assert page.open == []
    assert "u" not in {tag for tag, _ in page.attributes}
    words = page.attributes[0][1]["data-words"].split("\n")
    assert sorted(words) == sorted(visible(each) for each in nasty)
    assert "\u202e" not in text
    assert not re.search(r"https?:|src=|@import|url\(", text)


def test_the_best_tokens_and_the_texts_own_are_in_the_data_in_order():
    logits = drawn(3, 500)
    data = Tags(NextTokenView([5, 6, 7], logits, WORDS.__getitem__)._repr_html_()).attributes[0][1]
    words = data["data-words"].split("\n")
    best = [[words[place] for place in row] for row in json.loads(data["data-best"])]
    assert best == [[WORDS[token] for token in row] for row in logits.topk(64).indices.tolist()]
    assert [words[place] for place in json.loads(data["data-tokens"])] == ["w5", "w6", "w7"]
    own = logits[[0, 1, 2], [5, 6, 7]]
    gaps = torch.tensor(json.loads(data["data-gap"])) * json.loads(data["data-unit"])
    assert torch.allclose(gaps, logits.amax(-1) - own, atol=1e-4)


def test_the_same_view_has_the_same_html_every_time_and_another_has_another_identity():
    def identity(one):
        return Tags(one._repr_html_()).attributes[0][1]["id"]

    assert view()._repr_html_() == view()._repr_html_()
    assert identity(view()) != identity(view(tokens=2))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "·the"),
        ("a\n\tb", "a↵⇥b"),
        ("\u200b\u00a0", "⟨U+200B⟩⟨U+00A0⟩"),
        ("\u0301", "◌\u0301"),
        ("", "⟨nothing⟩"),
        ("中🙂", "中🙂"),
    ],
)
def test_what_would_not_be_seen_has_a_sign(text, shown):
    assert visible(text) == shown


def test_a_byte_level_token_is_spelt_as_its_text_and_a_part_of_a_character_as_its_bytes():
    tokenizer = Tokenizer(models.BPE(vocab={"Ġ": 0, "t": 1, "Ġt": 2, "â": 3, "Ģ": 4, "Ķ": 5}, merges=[("Ġ", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)
    spell = token_speller(tokenizer)
    assert [spell(token) for token in tokenizer(" t—")["input_ids"]] == [" t", "⟨E2⟩", "⟨80⟩", "⟨94⟩"]
    assert spell(99) == "⟨token 99⟩"


def test_a_token_of_sentencepiece_keeps_its_blank():
    tokenizer = Tokenizer(models.BPE(vocab={"▁the": 0, "x": 1}, merges=[]))
    tokenizer.decoder = decoders.Metaspace()
    spell = token_speller(PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False))
    assert [spell(0), spell(1)] == [" the", "x"]


@pytest.mark.parametrize(
    ("ids", "logits", "options", "message"),
    [
        ([], np.zeros((0, 4)), {}, "there is no token"),
        ([0], np.zeros((2, 4)), {}, r"shape \(2, 4\) is not \(1, vocabulary\)"),
        ([0], np.zeros(4), {}, r"shape \(4,\)"),
        ([0], np.zeros((1, 1)), {}, r"shape \(1, 1\)"),
        ([0], np.full((1, 4), -np.inf), {}, "not finite"),
        ([4], np.zeros((1, 4)), {}, "4 is not a token of a vocabulary of 4"),
        ([-1], np.zeros((1, 4)), {}, "-1 is not a token"),
        ([0], np.zeros((1, 4)), {"start": 1}, "start: 1 is not a place from 0 to 0"),
    ],
)
def test_a_view_that_cannot_be_made_is_refused_in_one_sentence(ids, logits, options, message):
    with pytest.raises(ValueError, match=message):
        NextTokenView(ids, logits, str, **options)
