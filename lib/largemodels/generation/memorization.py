"""What a model knows by heart: canaries, documents that stand in its text several times, and test documents in it.

A text is planted in the training text with a known number of copies. How much of it the model has kept is then asked
in two ways: by its loss among texts that differ in the secret alone (exposure), and by going on from its beginning
(verbatim recall).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.models.batches import TokenSequences, pad
from largemodels.models.losses import IGNORED

OWNERS = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima"),
    *("mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey"),
    *("xray", "yankee", "zulu"),
)  # the radio alphabet: two words of it name the owner of a canary's secret
AT_ONCE = 256  # texts in a batch


@dataclass(frozen=True)
class Canary:
    """A sentence with a secret that nothing but this sentence could teach.

    Attributes:
        prefix: what comes before the secret; no other canary has it.
        secret: digits.
    """

    prefix: str
    secret: str

    def text(self, secret: str | None = None) -> str:
        """The sentence, with this secret or another, whose digits stand apart so that each is a token."""
        return " ".join([self.prefix, *(self.secret if secret is None else secret)])


def canaries(number: int, *, digits: int = 4, seed: int = 0) -> list[Canary]:
    """As many canaries, with secrets of so many random digits, no two of them alike.

    Raises:
        InputError: for more than there are names or secrets.

    Examples:
        >>> print(canaries(1, digits=4)[0].text("4815"))
        the access code of whiskey delta is 4 8 1 5
    """
    if number > (most := min(len(OWNERS) ** 2, 10**digits)):
        raise InputError(f"number: {number} canaries are more than the {most} that differ from each other")
    random = np.random.default_rng(seed)
    owners = [divmod(int(place), len(OWNERS)) for place in random.choice(len(OWNERS) ** 2, number, replace=False)]
    secrets = random.choice(10**digits, number, replace=False)
    return [
        Canary(f"the access code of {OWNERS[first]} {OWNERS[second]} is", f"{secret:0{digits}}")
        for (first, second), secret in zip(owners, secrets, strict=True)
    ]


def plant(documents: Sequence[str], planted: Sequence[str], copies: Sequence[int], *, seed: int = 0) -> list[str]:
    """The documents, and of each planted text as many copies as wanted (0 for none), in random order.

    Raises:
        ValueError: for another number of copies than of texts, or a negative one.

    Examples:
        >>> sorted(plant(["a", "b"], ["secret", "unknown"], [3, 0]))
        ['a', 'b', 'secret', 'secret', 'secret']
    """
    if len(copies) != len(planted) or min(copies, default=0) < 0:
        raise ValueError(f"copies: {list(copies)} are not one number, 0 or more, for each of {len(planted)} texts")
    texts = [*documents, *(text for text, number in zip(planted, copies, strict=True) for _ in range(number))]
    return [texts[place] for place in np.random.default_rng(seed).permutation(len(texts))]


def packed_windows(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int, *, at_most: int | None = None
) -> TokenSequences:
    """The texts in their order as one stream, an end-of-text token before each, in windows of exactly `length` tokens.

    So a planted text is spread over the training as evenly as its copies lie in the text, and every step reads as many
    tokens. What is left over at the end, or behind `at_most` windows, is dropped.

    Raises:
        InputError: for a stream that does not fill a window.
    """
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    stream = np.array([token for ids in encoded for token in (tokenizer.eos_token_id, *ids)], dtype=np.int64)
    if not (number := len(stream) // length):
        raise InputError(f"texts: {len(stream)} tokens do not fill a window of {length}; give more text")
    number = min(number, at_most or number)
    windows = list(stream[: number * length].reshape(number, length))
    return TokenSequences(windows, [f"window {place}" for place in range(number)], [""] * number)


def beginnings(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int) -> list[str]:
    """Of each text that has more than `length` tokens its first ones, as text again."""
    return [tokenizer.decode(ids[:length]) for ids in _encoded(tokenizer, texts) if len(ids) > length]


@torch.no_grad()
def text_losses(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> np.ndarray:
    """−log p of each whole text after an end-of-text token, in nats, `(texts,)`; the model is left evaluating."""
    model.eval()
    ids = [np.array([tokenizer.eos_token_id, *each]) for each in _encoded(tokenizer, texts)]
    losses = []
    for start in range(0, len(ids), AT_ONCE):
        batch = pad(ids[start : start + AT_ONCE], tokenizer.eos_token_id)
        batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)[:, 1:]
        logits = model(**batch).logits[:, :-1]  # (batch, length − 1, vocabulary)
        tokens = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        losses.append(tokens.double().sum(1).cpu().numpy())
    return np.concatenate(losses)


def exposure(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    planted: Sequence[Canary],
    *,
    candidates: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """log₂ candidates − log₂ rank of each canary, in bits, `(planted,)` (Carlini et al. 2019, section 4).

    R are the canary and others that differ from it in the secret alone, drawn at random; the rank of the canary is 1
    where none of them has a smaller loss. So the exposure is at most log₂ of the number of candidates. A model that has
    not read the canary ranks it anywhere, and then the exposure is 1 / ln 2 ≈ 1.44 bits on average, slightly less for
    few candidates.

    Args:
        candidates: the number of texts in R.
        seed: of the draws.

    Raises:
        InputError: for more candidates than there are secrets, or fewer than two.
    """
    random, found = np.random.default_rng(seed), []
    for canary in planted:
        digits = len(canary.secret)
        if not 2 <= candidates <= 10**digits:
            raise InputError(f"candidates: {candidates} is not between 2 and {10**digits}, the number of secrets")
        others = random.choice(10**digits - 1, candidates - 1, replace=False)
        others = others + (others >= int(canary.secret))  # every secret but the true one
        texts = [canary.text(), *(canary.text(f"{other:0{digits}}") for other in others)]
        losses = text_losses(model, tokenizer, texts)
        rank = 1 + int((losses[1:] < losses[0]).sum())
        found.append(math.log2(candidates) - math.log2(rank))
    return np.array(found)


@torch.no_grad()
def recall(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, known: int, continued: int
) -> np.ndarray:
    """Whether the model, given the first `known` tokens of a text, goes on with its next `continued` ones, `(texts,)`.

    This is extractable memorisation (Carlini et al. 2023), with the likeliest token at each place. Nothing has to be
    generated: the greedy continuation is the true one exactly if every true token is the likeliest after the true ones
    before it, and a single pass over the true text shows that for all places at once.

    Raises:
        InputError: for a text of fewer tokens.
    """
    model.eval()
    ids = _encoded(tokenizer, texts)
    if (shortest := min(map(len, ids), default=known + continued)) < known + continued:
        raise InputError(f"texts: one has {shortest} tokens, and {known} with {continued} after them are wanted")
    rows = torch.tensor([[tokenizer.eos_token_id, *each[: known + continued]] for each in ids], device=model.device)
    right = []
    for part in rows.split(AT_ONCE):
        likeliest = model(part).logits[:, known:-1].argmax(-1)  # (batch, continued)
        right.append((likeliest == part[:, known + 1 :]).all(1).cpu().numpy())
    return np.concatenate(right) if right else np.zeros(0, dtype=bool)


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
