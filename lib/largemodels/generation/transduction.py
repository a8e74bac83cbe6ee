"""One toy task with exact answers for an encoder, a decoder and an encoder–decoder: what each of them can learn of it.

A source is a row of houses, each a letter: the later in the alphabet, the higher. Its answer is the houses that are
seen from the right, those higher than all that follow; of `badbca` these are `dca`. It is written in small letters or
in capitals: either is right, and a mixture is wrong. So an answer asks for two things. Whether a house is seen depends
on what *follows* it, and all letters must agree on a choice that nothing in the source settles.

The networks have blocks of the attention chapter and about as many weights; what differs is who may read whom, and
whether an answer is read off all places of the source at once or written behind it, token by token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from largemodels.attention.layers import causal_mask, prefix_mask
from largemodels.base.errors import InputError
from largemodels.generation.encoder_decoder import EncoderDecoder, Stack
from largemodels.generation.side_by_side import train_side_by_side
from largemodels.models.losses import IGNORED

Kind = Literal["encoder", "causal encoder", "decoder", "prefix decoder", "encoder–decoder"]
KINDS: tuple[Kind, ...] = ("encoder", "causal encoder", "decoder", "prefix decoder", "encoder–decoder")
IN_PLACE: tuple[Kind, ...] = ("encoder", "causal encoder")
"""The kinds that answer at the places of the source; the others write behind it."""


@dataclass(frozen=True)
class SkylineTask:
    """Rows of houses, and those of them that are seen from one end.

    Token ids are the small letters, the capitals, a blank, the beginning and the end of an answer.

    Attributes:
        length: houses in a row.
        letters: how many heights there are.
        seen_from: the end from which they are looked at.

    Examples:
        >>> import torch
        >>> task = SkylineTask(length=6, letters=4)
        >>> source = torch.tensor([[1, 0, 3, 1, 2, 0]])
        >>> task.text(source[0]), task.text(task.written(source, capitals=torch.tensor([1]))[0])
        ('badbca', 'DCA')
    """

    length: int = 6
    letters: int = 6
    seen_from: Literal["left", "right"] = "right"

    def __post_init__(self) -> None:
        if self.seen_from not in ("left", "right"):
            raise InputError(f"seen_from: {self.seen_from!r} is not one of left, right")
        if self.length < 2:
            raise InputError(f"length: {self.length} is not at least 2")
        if not 2 <= self.letters <= 26:
            raise InputError(f"letters: {self.letters} is not between 2 and 26")

    @property
    def blank(self) -> int:
        """The token of a place whose house is not seen."""
        return 2 * self.letters

    @property
    def begin(self) -> int:
        """The token before an answer that is written."""
        return 2 * self.letters + 1

    @property
    def end(self) -> int:
        """The token after an answer that is written."""
        return 2 * self.letters + 2

    @property
    def vocabulary_size(self) -> int:
        """Small letters, capitals, and three signs."""
        return 2 * self.letters + 3

    def held_out(self, source: Tensor) -> Tensor:
        """True for the sources that are kept from training, about one in eight, `(batch,)`.

        A hash of the whole row decides, so that no letter, and no answer, tells the two sorts apart: the training has
        seen every house behind any others, seen or not.
        """
        number = (source * self.letters ** torch.arange(self.length)).sum(1)  # (batch,): of the row, in base `letters`
        mixed = (number ^ (number >> 7)) * 0x2C1B3C6D
        mixed = (mixed ^ (mixed >> 13)) * 0x297A2D39
        return (mixed >> 15) % 8 == 0

    def sources(self, count: int, generator: torch.Generator, *, held_out: bool = False) -> Tensor:
        """Random sources, `(count, length)`: all that are `held_out` alike, or all others, drawn until they fit.

        Raises:
            InputError: for a task with fewer than 512 sources, of which perhaps none is held out.
        """
        if self.letters**self.length < 512:
            raise InputError(f"{self.letters} letters at {self.length} places are too few sources to hold some out")
        source = torch.randint(self.letters, (count, self.length), generator=generator)  # (count, length)
        while (wrong := self.held_out(source) != held_out).any():
            source[wrong] = torch.randint(self.letters, (int(wrong.sum()), self.length), generator=generator)
        return source

    def seen(self, source: Tensor) -> Tensor:
        """True at each house that is seen, `(batch, length)`."""
        hides = source.unsqueeze(1) >= source.unsqueeze(2)  # (batch, length, length): the second one hides the first
        between = torch.ones_like(hides[0]).triu(1) if self.seen_from == "right" else torch.ones_like(hides[0]).tril(-1)
        return ~(hides & between).any(2)

    def in_place(self, source: Tensor, capitals: Tensor) -> Tensor:
        """The answer at the places of the source, blanks where no house is seen, `(batch, length)`.

        `capitals` says of each source whether its answer is in capitals, `(batch,)` of 0 and 1.
        """
        return torch.where(self.seen(source), source + self.letters * capitals[:, None], self.blank)

    def written(self, source: Tensor, capitals: Tensor) -> Tensor:
        """The answer as a text, its letters first and then ends, `(batch, length + 1)`."""
        seen = self.seen(source)
        order = (~seen).int().argsort(dim=1, stable=True)  # (batch, length): those seen first, in their order
        letters = torch.where(seen, source + self.letters * capitals[:, None], self.end).gather(1, order)
        return F.pad(letters, (0, 1), value=self.end)

    def text(self, tokens: Tensor | Sequence[int]) -> str:
        """Tokens as a string up to the first end, without blanks."""
        letters = [chr(ord(first) + place) for first in "aA" for place in range(self.letters)]
        return "".join([*letters, "", "?", "$"][int(token)] for token in tokens).split("$")[0]


class SingleStack(nn.Module):
    """One stack over a row of tokens, and the embedding again as the output's matrix; the mask says who reads whom."""

    def __init__(
        self, vocabulary_size: int, *, width: int, num_layers: int, num_heads: int, inner: int, seed: int = 0
    ) -> None:
        """Draw the weights, the same for the same seed; other generators are left alone."""
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary_size, width)
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
            self.stack = Stack(width, num_layers=num_layers, num_heads=num_heads, inner=inner)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The logits at each token, `(batch, length, vocabulary)`."""
        return self.stack(self.embedding(tokens), mask) @ self.embedding.weight.T


def network(kind: Kind, task: SkylineTask, *, width: int = 32, seed: int = 0) -> nn.Module:
    """An untrained network of two blocks: a stack of two, or an encoder and a decoder of one each.

    The weights of the cross-attention are made up for by wider feed-forward layers in the stack.
    """
    shape = {"width": width, "num_heads": 4, "seed": seed}
    if kind == "encoder–decoder":
        return EncoderDecoder(task.vocabulary_size, num_layers=1, inner=2 * width, **shape)
    return SingleStack(task.vocabulary_size, num_layers=2, inner=3 * width, **shape)


def mask_of(kind: Kind, task: SkylineTask) -> Tensor:
    """Who may read whom, `(tokens, tokens)`: of the source, or of the source, a beginning and the answer behind it.

    An encoder–decoder has the mask of the prefix decoder in three parts: the encoder reads the source, the
    cross-attention carries it to the answer, and the decoder reads the answer.

    Examples:
        >>> mask_of("prefix decoder", SkylineTask(length=2)).int()
        tensor([[1, 1, 0, 0, 0],
                [1, 1, 0, 0, 0],
                [1, 1, 1, 0, 0],
                [1, 1, 1, 1, 0],
                [1, 1, 1, 1, 1]], dtype=torch.int32)
    """
    n = task.length
    masks = {
        "encoder": torch.ones(n, n, dtype=torch.bool),
        "causal encoder": causal_mask(n),
        "decoder": causal_mask(2 * n + 1),
        "prefix decoder": prefix_mask(2 * n + 1, n),
        "encoder–decoder": prefix_mask(2 * n + 1, n),
    }
    return masks[kind]


def answer_logits(kind: Kind, model: nn.Module, task: SkylineTask, source: Tensor, written: Tensor) -> Tensor:
    """The logits of an answer's tokens: at the places of the source, or each given the written tokens before it.

    Args:
        kind: of the network.
        model: the network.
        task: what it answers.
        source: `(batch, length)`.
        written: an answer as a text or its beginning, `(batch, tokens)`; a network that answers in place does not read
            it.

    Returns:
        `(batch, length, vocabulary)` in place, `(batch, tokens, vocabulary)` written.
    """
    if kind in IN_PLACE:
        return model(source, mask_of(kind, task))
    begun = F.pad(written[:, :-1], (1, 0), value=task.begin)  # (batch, tokens): each token's predecessor
    if kind == "encoder–decoder":
        return model(source, decoder_input_ids=begun).logits
    row = torch.cat([source, begun], dim=1)  # (batch, length + tokens)
    mask = mask_of(kind, task)[: row.shape[1], : row.shape[1]]
    return model(row, mask)[:, task.length :]


def answer_losses(
    kind: Kind, model: Callable[..., Tensor], task: SkylineTask, source: Tensor, capitals: Tensor
) -> Tensor:
    """−log p of the whole right answer in the case that `capitals`, `(batch,)` of 0 and 1, says, in nats, `(batch,)`.

    In place it is the sum over the places of the source; of a text, over its letters and the end.
    """
    written = task.written(source, capitals)
    logits = answer_logits(kind, model, task, source, written)
    if kind in IN_PLACE:
        labels = task.in_place(source, capitals)
    else:
        ended = (written == task.end).cumsum(1) > 1  # only the first end is a token of the answer
        labels = written.masked_fill(ended, IGNORED)
    return F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none").sum(1)


def train_kind(
    kind: Kind,
    task: SkylineTask,
    *,
    steps: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    batch: int = 32,
    learning_rate: float = 8e-3,
) -> tuple[list[nn.Module], Tensor]:
    """A trained network for each seed, and the losses of the training in nats an answer, `(steps, seeds)`.

    Every source comes with one of its two answers, drawn anew.
    """

    def draw(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        source = task.sources(batch, generator)
        return source, torch.randint(2, (batch,), generator=generator)

    def loss(call: Callable[..., Tensor], source: Tensor, capitals: Tensor) -> Tensor:
        return answer_losses(kind, call, task, source, capitals).mean()

    def make(seed: int) -> nn.Module:
        return network(kind, task, seed=seed)

    return train_side_by_side(make, draw, loss, steps=steps, seeds=seeds, learning_rate=learning_rate)


@torch.no_grad()
def answers(kind: Kind, model: nn.Module, task: SkylineTask, source: Tensor, generator: torch.Generator) -> Tensor:
    """An answer to each source, drawn from the network's probabilities: `(batch, length)` or `(batch, length + 1)`.

    In place, all tokens are drawn at once and apart from one another; a text is drawn token by token, each from the
    probabilities that those before it leave.
    """

    def drawn(logits: Tensor) -> Tensor:
        return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]

    written = torch.full((len(source), task.length + 1), task.end)
    if kind in IN_PLACE:
        logits = answer_logits(kind, model, task, source, written)  # (batch, length, vocabulary)
        return drawn(logits.flatten(0, 1)).view(source.shape)
    unfinished = torch.arange(len(source))
    for place in range(task.length + 1):
        if not len(unfinished):
            break
        so_far = written[unfinished, : place + 1]  # (unfinished, place + 1): the last one is not read
        tokens = drawn(answer_logits(kind, model, task, source[unfinished], so_far)[:, place])
        written[unfinished, place] = tokens
        unfinished = unfinished[tokens != task.end]
    return written


def judged(task: SkylineTask, source: Tensor, answers: Tensor) -> pd.DataFrame:
    """One row for each answer: source, answer, houses (whether they are the right ones), one_case, exact (both).

    Examples:
        >>> import torch
        >>> task = SkylineTask(length=3, letters=4)
        >>> judged(task, torch.tensor([[0, 3, 1]]), torch.tensor([[8, 7, 1]]))
          source answer  houses  one_case  exact
        0    adb     Db    True     False  False
    """
    expected = task.written(source, torch.zeros(len(source), dtype=torch.long))
    table = pd.DataFrame(
        {
            "source": [task.text(row) for row in source],
            "answer": [task.text(row) for row in answers],
            "expected": [task.text(row) for row in expected],
        }
    )
    small, large = table["answer"].str.lower(), table["answer"].str.upper()
    table["houses"] = small == table.pop("expected")
    table["one_case"] = (table["answer"] == small) | (table["answer"] == large)
    table["exact"] = table["houses"] & table["one_case"]
    return table


@torch.no_grad()
def measured(
    kind: Kind, models: Sequence[nn.Module], task: SkylineTask, source: Tensor, *, seed: int = 0
) -> pd.DataFrame:
    """One row for each network: its mean loss in nats an answer, and the shares of its drawn answers that are right.

    The columns are loss (the mean over both cases of each source), houses, one_case and exact, as `judged` has them.
    """
    rows = []
    for place, model in enumerate(models):
        generator = torch.Generator().manual_seed(seed + place)
        shares = judged(task, source, answers(kind, model, task, source, generator))
        both = [answer_losses(kind, model, task, source, torch.full((len(source),), case)) for case in (0, 1)]
        rows.append({"loss": float(torch.stack(both).mean()), **shares[["houses", "one_case", "exact"]].mean()})
    return pd.DataFrame(rows)


def ideal(kind: Kind, task: SkylineTask, source: Tensor) -> pd.Series:
    """What `measured` would find of the network of a kind with the least loss that its factorisation allows.

    A network that answers in place gives each place its own distribution, whatever is drawn at the others. The best one
    for a place is the true one given what the place may read: either case in a half of the answers, and the house
    seen with the probability that all houses behind it are lower, where it may not read them. Its loss is the entropy
    of these distributions, summed over the places, which no network of that kind can go below (Gibbs' inequality), and
    is given here as the mean over the sources. What is written token by token has no such bound but that of the answer
    itself, the log 2 nats of its case.

    Args:
        kind: of the network.
        task: what is answered.
        source: what the means go over, `(batch, length)`: all rows alike likely, as `sources` draws them.
    """
    if kind not in IN_PLACE:
        return pd.Series({"loss": math.log(2), "houses": 1.0, "one_case": 1.0, "exact": 1.0})
    seen = task.seen(source)
    sure = seen.double()  # (batch, length): the probability that a house is seen, for one who sees all others
    if kind == "causal encoder" and task.seen_from == "right":
        following = torch.arange(task.length - 1, -1, -1)
        sure = (source.double() / task.letters) ** following  # all that follow are lower
    uncertain = -torch.xlogy(sure, sure / 2) - torch.xlogy(1 - sure, 1 - sure)  # the entropy of small, capital or blank
    houses = torch.where(seen, sure, 1 - sure).prod(1)  # (batch,): all places are right but for the case
    return pd.Series(
        {
            "loss": float(uncertain.sum(1).mean()),
            "houses": float(houses.mean()),
            "one_case": float((2 * (1 - sure / 2).prod(1)).mean()),  # no capital, or no small letter
            "exact": float((houses * 2.0 ** (1 - seen.sum(1))).mean()),
        }
    )


@torch.no_grad()
def cross_attention(model: EncoderDecoder, source: Tensor, begun: Tensor) -> list[Tensor]:
    """The weights of each block's cross-attention, `(batch, heads, target, source)`, as the tokens `begun` read."""
    found: list[Tensor] = []
    hooks = [
        block.cross_attention.register_forward_hook(lambda module, inputs, output: found.append(output[1]))
        for block in model.decoder.blocks
    ]
    try:
        model(source, decoder_input_ids=begun)
    finally:
        for hook in hooks:
            hook.remove()
    return found
