"""Models that have memorised all, or nothing, and what is measured of them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import token_losses, token_windows
from largemodels.generation.memorization import (
    Canary,
    _secret_losses,
    _tails,
    beginnings,
    canaries,
    exposure,
    exposure_by_chance,
    planted_windows,
    recall,
    secrets_recalled,
    text_losses,
)
from largemodels.generation.sampling import generate
from largemodels.generation.tokenization import train_tokenizer

TEXTS = [
    "Return the sum of all elements along the axis, and the number of them.",
    "Compute the mean of the array over a window that moves along the axis.",
    "Draw the lines of the figure in the colours of the palette, one for each.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*TEXTS, "the access code of alpha bravo is 0 1 2 3 4 5 6 7 8 9"], 280)


class Past:
    """What a `Lookup` has read."""

    def __init__(self, tokens):
        self.tokens = tokens

    def batch_select_indices(self, rows):
        self.tokens = self.tokens[rows]


class Lookup(nn.Module):
    """Knows some texts by heart: after the beginning of one, what comes next is sure; after all else, any is likely."""

    config = SimpleNamespace(get_text_config=SimpleNamespace)  # without a limit

    def __init__(self, tokenizer, texts):
        super().__init__()
        self.vocabulary, self.device, self.next = len(tokenizer), torch.device("cpu"), {}
        for text in texts:
            ids = (tokenizer.eos_token_id, *tokenizer(text)["input_ids"])
            for place in range(1, len(ids)):
                self.next.setdefault(ids[:place], []).append(ids[place])

    def forward(self, input_ids, attention_mask=None, past_key_values=None, use_cache=False):
        new = input_ids.shape[1]
        if past_key_values is not None:
            input_ids = torch.cat([past_key_values.tokens, input_ids], 1)
        logits = torch.zeros(*input_ids.shape, self.vocabulary)
        for row, ids in enumerate(input_ids.tolist()):
            for place in range(len(ids)):
                logits[row, place, self.next.get(tuple(ids[: place + 1]), [])] = 20.0
        return CausalLMOutputWithPast(logits=logits[:, -new:], past_key_values=Past(input_ids))


def small_decoder(tokenizer, seed=0):
    shape = DecoderShape(
        len(tokenizer), width=16, num_layers=1, num_heads=2, key_value_heads=1, inner=32, max_length=96
    )
    return Decoder(shape, seed=seed)


def test_canaries_have_each_another_owner_and_secrets_of_their_own():
    drawn = canaries(600, digits=3, seed=1)
    assert len({each.prefix for each in drawn}) == 600
    assert all(len(each.secret) == 3 and each.secret.isdigit() for each in drawn)
    assert 400 < len({each.secret for each in drawn}) < 600  # drawn one by one, some come again
    assert drawn == canaries(600, digits=3, seed=1) != canaries(600, digits=3, seed=2)
    with pytest.raises(InputError, match="number: 677 canaries are more than the 676 owners"):
        canaries(677)


def runs(windows, whole):
    """How often a row of tokens begins a window, and how often it stands elsewhere."""
    found = [
        place
        for window in windows.input_ids
        for place in range(len(window) - len(whole) + 1)
        if window[place : place + len(whole)].tolist() == whole
    ]
    return sum(place == 0 for place in found), sum(place > 0 for place in found)


def test_of_a_planted_text_as_many_copies_as_wanted_begin_a_window_each(tokenizer):
    end = tokenizer.eos_token_id
    windows = planted_windows(TEXTS * 30, ["alpha bravo", "charlie", "delta"], [0, 2, 5], tokenizer, 24, 12, seed=3)
    assert len(windows) == 12
    assert set(windows.lengths) == {24}
    for text, copies in (("alpha bravo", 0), ("charlie", 2), ("delta", 5)):
        assert runs(windows, [end, *tokenizer(text)["input_ids"], end]) == (copies, 0)
    first, again, other = (
        np.stack(planted_windows(TEXTS * 30, ["x"], [4], tokenizer, 24, 12, seed=seed).input_ids) for seed in (3, 3, 4)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_the_documents_fill_up_the_windows_as_one_stream(tokenizer):
    windows = planted_windows(TEXTS, [], [], tokenizer, 16, 4)
    stream = [token for text in TEXTS for token in (tokenizer.eos_token_id, *tokenizer(text)["input_ids"])]
    assert np.concatenate(windows.input_ids).tolist() == stream[: 4 * 16]
    longer = planted_windows(TEXTS, [], [], tokenizer, 16, 2 * len(stream) // 16)
    assert np.concatenate(longer.input_ids).tolist() == (2 * stream)[: 16 * len(longer)]
    with pytest.raises(InputError, match="documents: there are none with text"):
        planted_windows([""], [], [], tokenizer, 16, 10)


def test_short_texts_stand_beside_long_ones_where_there_are_more_copies_than_windows(tokenizer):
    end, (short, long) = tokenizer.eos_token_id, ("axis", TEXTS[0])
    length = len(tokenizer(long)["input_ids"]) + 2 + 5
    windows = planted_windows(TEXTS * 9, [short, long], [6, 6], tokenizer, length, 8)
    assert runs(windows, [end, *tokenizer(long)["input_ids"], end]) == (6, 0)
    assert sum(runs(windows, [end, *tokenizer(short)["input_ids"], end])) == 6
    with pytest.raises(InputError, match=rf"copies: 12 in 4 windows take \d+ tokens of one, and there are {length}"):
        planted_windows(TEXTS * 9, [short, long], [6, 6], tokenizer, length, 4)


@pytest.mark.parametrize("copies", [[1], [1, -1]])
def test_copies_are_one_number_for_each_text(copies, tokenizer):
    with pytest.raises(ValueError, match="one number, 0 or more, for each of 2 texts"):
        planted_windows(TEXTS, ["a", "b"], copies, tokenizer, 16, 2)


def test_beginnings_are_of_the_texts_that_have_more(tokenizer):
    assert beginnings(["axis", *TEXTS], tokenizer, 8) == [
        tokenizer.decode(tokenizer(text)["input_ids"][:8]) for text in TEXTS
    ]


def test_a_memorised_canary_has_the_largest_exposure(tokenizer):
    drawn = canaries(3, digits=2, seed=2)
    model = Lookup(tokenizer, [each.text() for each in drawn[:2]])
    assert exposure(model, tokenizer, drawn)[:2] == pytest.approx(np.log2(100))
    assert secrets_recalled(model, tokenizer, drawn).tolist() == [True, True, False]


@pytest.mark.parametrize("digits", [1, 2])
def test_a_canary_that_is_less_likely_than_all_others_has_none(digits, tokenizer):
    [canary] = canaries(1, digits=digits)
    secrets = [f"{secret:0{digits}}" for secret in range(10**digits)]
    others = [canary.text(secret) for secret in secrets if secret != canary.secret]
    model = Lookup(tokenizer, others)
    assert exposure(model, tokenizer, [canary]).tolist() == [0.0]


@pytest.mark.parametrize("digits", [1, 2])
def test_canaries_that_were_not_read_have_the_exposure_of_chance(digits, tokenizer):
    """All secrets of one owner are asked for, so that each rank occurs once."""
    owner, secrets = "the access code of alpha bravo is", range(10**digits)
    model = small_decoder(tokenizer).double()  # in float32 near ties fall either way from call to call
    found = exposure(model, tokenizer, [Canary(owner, f"{each:0{digits}}") for each in secrets])
    assert found.mean() == pytest.approx(exposure_by_chance(digits))
    assert len(set(found)) == len(secrets)


def losses_by_text(model, tokenizer, canary):
    """The loss of the canary with each secret of two digits, of the whole text and of what follows what all share."""
    texts = [canary.text(f"{secret:02}") for secret in range(100)]
    encoded = [tokenizer(text)["input_ids"] for text in texts]
    tails = _tails(tokenizer, canary)
    assert len({tuple(ids[: -len(tail)]) for ids, tail in zip(encoded, tails, strict=True)}) == 1
    whole = text_losses(model, tokenizer, texts) * [len(ids) for ids in encoded]
    return whole, _secret_losses(model, [tokenizer.eos_token_id, *encoded[0][: -len(tails[0])]], tails)


@pytest.mark.parametrize("theirs", [False, True])
def test_the_losses_of_all_secrets_are_those_of_their_texts(theirs, tokenizer):
    model = small_decoder(tokenizer)
    whole, tails = losses_by_text(model.to_transformers() if theirs else model, tokenizer, Canary("the code is", "07"))
    assert tails - tails[0] == pytest.approx(whole - whole[0], abs=1e-4)


def test_secrets_may_differ_in_their_number_of_tokens():
    joined = train_tokenizer(["the code is 0 " * 9, "the code is 1"], 267)
    assert len(joined(" 0")["input_ids"]) < len(joined(" 1")["input_ids"])
    whole, tails = losses_by_text(small_decoder(joined), joined, Canary("the code is", "01"))
    assert tails - tails[0] == pytest.approx(whole - whole[0], abs=1e-4)


def test_a_tokenizer_may_join_the_secret_with_what_stands_before_it(tokenizer):
    """Then the tokens of one canary's secrets are not those of another's."""
    drawn = [Canary("alpha is", "3"), Canary("bravo is", "3"), Canary("the code is", "5")]

    def joined(texts, **options):
        ids = tokenizer(texts, **options)["input_ids"]
        last = [sum(text.encode()[:5]) % 90 + 100 for text in texts]  # another token for each owner
        return {"input_ids": [[*each[:-1], other, each[-1]] for each, other in zip(ids, last, strict=True)]}

    joined.bos_token_id = tokenizer.bos_token_id
    model = small_decoder(tokenizer)
    together = exposure(model, joined, drawn)
    assert together.tolist() == [exposure(model, joined, [each])[0] for each in drawn]


def test_the_loss_of_a_text_is_the_mean_over_its_tokens(tokenizer):
    model = small_decoder(tokenizer)
    documents = pd.DataFrame({"document": ["0", "1", "2"], "library": "numpy", "text": TEXTS})
    tokens = token_losses(model, tokenizer, token_windows(documents, tokenizer, 96))
    inside = tokens[tokens["token_id"] != tokenizer.eos_token_id]
    expected = inside.groupby("document")["loss"].mean().to_numpy()
    assert text_losses(model, tokenizer, TEXTS) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(InputError, match=r"texts: one has \d+ tokens, more than the 96 that the model reads; cut it"):
        text_losses(model, tokenizer, [*TEXTS, " ".join(TEXTS * 3)])


def test_recall_is_of_the_texts_that_are_known_by_heart(tokenizer):
    model = Lookup(tokenizer, TEXTS[:2])
    assert recall(model, tokenizer, TEXTS, known=8, continued=12).tolist() == [True, True, False]


def test_a_single_wrong_token_is_no_recall(tokenizer):
    model = Lookup(tokenizer, TEXTS[:1])
    ids = (tokenizer.eos_token_id, *tokenizer(TEXTS[0])["input_ids"])
    model.next[ids[:20]] = [tokenizer.eos_token_id]  # in place of token 20, the 19th of the text from 0
    assert recall(model, tokenizer, TEXTS[:1], known=8, continued=11).tolist() == [True]
    assert recall(model, tokenizer, TEXTS[:1], known=8, continued=12).tolist() == [False]
    assert recall(model, tokenizer, TEXTS[:1], known=20, continued=5).tolist() == [True]


def test_recall_is_what_a_greedy_continuation_says(tokenizer):
    model, ids = small_decoder(tokenizer).eval(), tokenizer(TEXTS)["input_ids"]
    model.embedding.weight.data *= 30  # so that what is likeliest hangs on more than the last token
    prompts = [[tokenizer.eos_token_id, *each[:6]] for each in ids]
    texts = []
    for prompt, rest in zip(prompts, generate(model, prompts, 6), strict=True):
        row = [*prompt[1:], *rest]  # the model's own continuation, and the same with another token in the middle
        texts += [row, [*row[:9], (row[9] + 1) % 250 + 1, *row[10:]]]

    def spelt(texts, **options):
        return {"input_ids": texts}

    spelt.bos_token_id = tokenizer.bos_token_id
    assert recall(model, spelt, texts, known=6, continued=6).tolist() == [True, False] * 3


def test_a_text_too_short_to_be_asked_for_is_refused(tokenizer):
    with pytest.raises(InputError, match="one has 1 tokens, and 8 with 12 after them"):
        recall(small_decoder(tokenizer), tokenizer, ["a", *TEXTS], known=8, continued=12)
