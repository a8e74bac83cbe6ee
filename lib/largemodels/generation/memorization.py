"""What a model knows by heart: canaries, documents that stand in its text several times, and test documents in it.

A text is planted in the training text with a known number of copies. How much of it the model has kept is then asked
in two ways: by its loss among texts that differ in the secret alone (exposure), and by going on from its beginning
(verbatim recall).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.generation.language_model import losses_after
from largemodels.generation.reading import Reader, begun
from largemodels.models.batches import TokenSequences, pad

OWNERS = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima"),
    *("mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey"),
    *("xray", "yankee", "zulu"),
)  # the radio alphabet: two words of it name the owner of a canary's secret


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
        """The sentence, with this secret or another, whose digits stand apart so that none is joined with the next."""
        return " ".join([self.prefix, *(self.secret if secret is None else secret)])


def canaries(number: int, *, digits: int = 3, seed: int = 0) -> list[Canary]:
    """As many canaries, each with another owner, and with a secret of so many digits that is drawn for itself.

    So a secret that a model has not read may as well be any other, whatever else the model knows.

    Raises:
        InputError: for more than there are owners.

    Examples:
        >>> print(canaries(1)[0].text("481"))
        the access code of whiskey delta is 4 8 1
    """
    if number > (most := len(OWNERS) ** 2):
        raise InputError(f"number: {number} canaries are more than the {most} owners that there are names for")
    random = np.random.default_rng(seed)
    owners = [divmod(int(place), len(OWNERS)) for place in random.choice(len(OWNERS) ** 2, number, replace=False)]
    secrets = random.integers(10**digits, size=number)
    return [
        Canary(f"the access code of {OWNERS[first]} {OWNERS[second]} is", f"{secret:0{digits}}")
        for (first, second), secret in zip(owners, secrets, strict=True)
    ]


def planted_windows(
    documents: Sequence[str],
    planted: Sequence[str],
    copies: Sequence[int],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    number: int,
    *,
    seed: int = 0,
) -> TokenSequences:
    """Windows of exactly `length` tokens of the documents, some of which begin with copies of planted texts.

    The copies are dealt out to the windows in random order, evenly, so that a training in one pass meets them spread
    over its steps. Each copy stands whole in one window, as a text begins and ends. The documents, as one stream that
    begins anew where it ends, fill up what is left.

    Args:
        documents: the training text.
        planted: texts that shall be learnt by heart, or not.
        copies: of each of them, 0 for none.
        length: tokens in a window.
        number: windows.
        seed: of the order.

    Raises:
        ValueError: for another number of copies than of texts, or a negative one.
        InputError: if the copies are too many or too long for the windows, or no document has text.
    """
    if len(copies) != len(planted) or min(copies, default=0) < 0:
        raise ValueError(f"copies: {list(copies)} are not one number, 0 or more, for each of {len(planted)} texts")
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    random = np.random.default_rng(seed)
    whole = [[*begun(tokenizer, ids), *end] for ids in _encoded(tokenizer, planted)]
    dealt = random.permutation(np.repeat(np.arange(len(whole)), copies))
    dealt = sorted(dealt, key=lambda text: -len(whole[text]))  # the long ones first, so that short ones fit beside them
    rows: list[list[int]] = [[] for _ in range(number)]
    for place, text in zip(itertools.cycle(random.permutation(number)), dealt, strict=False):
        rows[place] += whole[text]
    if (longest := max(map(len, rows))) > length:
        raise InputError(
            f"copies: {len(dealt)} in {number} windows take {longest} tokens of one, and there are {length}; plant "
            "fewer or shorter texts, or take more windows"
        )
    rest = _stream(documents, tokenizer)
    windows = [np.array([*row, *itertools.islice(rest, length - len(row))]) for row in rows]
    return TokenSequences(windows, [f"window {place}" for place in range(number)], [""] * number)


def _stream(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[int]:
    """The tokens of the documents, each as texts begin, over and over."""
    if not any(documents):
        raise InputError("documents: there are none with text; give more")
    for text in itertools.cycle(documents):
        yield from begun(tokenizer, _encoded(tokenizer, [text])[0])


def beginnings(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, length: int) -> list[str]:
    """Of each text that has more than `length` tokens its first ones, as text again."""
    return [tokenizer.decode(ids[:length]) for ids in _encoded(tokenizer, texts) if len(ids) > length]


def text_losses(model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> np.ndarray:
    """The mean loss of a token of each text, behind what begins a text, in nats, `(texts,)`.

    Raises:
        InputError: for a text that is longer than the model reads.
    """
    return _after(model, [begun(tokenizer, ids) for ids in _encoded(tokenizer, texts)], 1)["loss"].mean().to_numpy()


@torch.no_grad()
def exposure(model: nn.Module, tokenizer: PreTrainedTokenizerBase, planted: Sequence[Canary]) -> np.ndarray:
    """log₂ n − log₂ rank of each canary's secret among all n secrets of as many digits, in bits, `(canaries,)`.

    The rank is that of the loss, 1 for the least, so log₂ n is the most that a canary can have (Carlini et al. 2019,
    definition 2). One whose secret was drawn at random and never read has a random rank, and its mean is
    log₂ n − log₂(n!) / n, which nears log₂ e = 1.44 bits from below.
    """
    model.eval()
    found: list[float] = []
    tails: list[list[int]] = []
    for canary in planted:
        [text], secret = _encoded(tokenizer, [canary.text()]), int(canary.secret)
        if not tails or text[-len(tails[secret]) :] != tails[secret]:
            tails = _tails(tokenizer, canary)
        losses = _secret_losses(model, begun(tokenizer, text[: -len(tails[secret])]), tails)
        rank = 1 + int((losses < losses[secret]).sum())
        found.append(math.log2(len(losses)) - math.log2(rank))
    return np.array(found)


def exposure_by_chance(digits: int) -> float:
    """The mean exposure of a secret of so many digits that a model has not read, in bits.

    Examples:
        >>> round(exposure_by_chance(3), 3)
        1.436
    """
    secrets = 10**digits
    return math.log2(secrets) - math.lgamma(secrets + 1) / math.log(2) / secrets


def recall(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, known: int, continued: int
) -> np.ndarray:
    """Whether the model, given the first `known` tokens of a text, goes on with its next `continued` ones, `(texts,)`.

    This is extractable memorisation (Carlini et al. 2023), with the likeliest token at each place. Nothing has to be
    generated: the greedy continuation is the true one exactly if every true token is the likeliest after the true ones
    before it, and a single pass over the true text shows that for all places at once.

    Raises:
        InputError: for a text of fewer tokens, or more than the model reads.
    """
    ids = _encoded(tokenizer, texts)
    if (shortest := min(map(len, ids))) < known + continued:
        raise InputError(f"texts: one has {shortest} tokens, and {known} with {continued} after them are wanted")
    read = [begun(tokenizer, each[: known + continued]) for each in ids]
    return _after(model, read, len(read[0]) - continued)["correct"].all().to_numpy()


def secrets_recalled(model: nn.Module, tokenizer: PreTrainedTokenizerBase, planted: Sequence[Canary]) -> np.ndarray:
    """Whether the model, given what comes before a canary's secret, goes on with it, `(canaries,)`; see `recall`."""
    prefixes, read = (
        [begun(tokenizer, ids) for ids in _encoded(tokenizer, texts)]
        for texts in ([canary.prefix for canary in planted], [canary.text() for canary in planted])
    )
    return _after(model, read, list(map(len, prefixes)))["correct"].all().to_numpy()


def _tails(tokenizer: PreTrainedTokenizerBase, canary: Canary) -> list[list[int]]:
    """The tokens of the canary's text with every secret, in their order, without those that all of them begin with."""
    digits = len(canary.secret)
    texts = _encoded(tokenizer, [canary.text(f"{secret:0{digits}}") for secret in range(10**digits)])
    ends = zip(min(texts), max(texts), strict=False)  # what these two begin with, all do
    shared = sum(1 for _ in itertools.takewhile(lambda tokens: tokens[0] == tokens[1], ends))
    return [text[shared:] for text in texts]


def _secret_losses(model: nn.Module, before: list[int], tails: Sequence[Sequence[int]]) -> np.ndarray:
    """−log p of each tail after the tokens before, in nats, `(tails,)`.

    What stands before is read once, and tails that differ in their last token alone share a pass.
    """
    heads: dict[tuple[int, ...], int] = {}
    head = torch.tensor([heads.setdefault(tuple(tail[:-1]), len(heads)) for tail in tails])  # (tails,)
    reading = Reader(model)
    logits = reading.read(torch.tensor([before], device=model.device))[:, -1:]  # (1, 1, vocabulary)
    logits = logits.expand(len(heads), -1, -1)
    if any(heads):
        reading.select(torch.zeros(len(heads), dtype=torch.long, device=model.device))
        more = pad([np.array(ids, dtype=np.int64) for ids in heads], 0)["input_ids"].to(model.device)
        logits = torch.cat([logits, reading.read(more)], 1)  # (heads, longest, vocabulary)
    log_p = logits.float().log_softmax(-1).cpu()
    batch = pad([np.array(tail) for tail in tails], 0)  # (tails, longest) each
    places = torch.arange(batch["input_ids"].shape[1])
    losses = -log_p[head[:, None], places, batch["input_ids"]] * batch["attention_mask"]
    return losses.double().sum(1).numpy()


def _after(
    model: nn.Module, texts: Sequence[Sequence[int]], known: int | Sequence[int]
) -> pd.api.typing.DataFrameGroupBy:
    """The rows of `losses_after`, those of each text together."""
    return losses_after(model, texts, known).groupby("text")


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"] if len(texts) else []
