"""One toy task with exact answers for an encoder, a decoder and an encoder–decoder: what each mask makes impossible.

A source is a row of houses, each a letter: the later in the alphabet, the higher. Its answer is the houses that are
seen from the right, those higher than all that follow; of `badbca` these are `dca`. It is written in small letters or
in capitals: either is right, and a mixture is wrong. So an answer asks for two things. Whether a house is seen depends
on what *follows* it, and all letters must agree on a choice that nothing in the source settles.

The networks have blocks of the attention chapter and about as many weights; what differs is who may read whom, and
whether an answer is read off all places of the source at once or written behind it, token by token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from largemodels.attention.blocks import Block, LayerNorm
from largemodels.attention.layers import causal_mask, prefix_mask, rotary
from largemodels.base.errors import InputError
from largemodels.generation.encoder_decoder import EncoderDecoder
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

    def sources(self, count: int, generator: torch.Generator, *, held_out: bool = False) -> Tensor:
        """Random sources, `(count, length)`.

        Those whose letters, numbered from 0, add up to a multiple of `letters` are held out of training, so that no
        source of one kind is of the other.
        """
        source = torch.randint(self.letters, (count, self.length), generator=generator)  # (count, length)
        remainder = 0 if held_out else torch.randint(1, self.letters, (count,), generator=generator)
        source[:, -1] = (remainder - source[:, :-1].sum(1)) % self.letters
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


class Stack(nn.Module):
    """Blocks over one row of tokens, and the embedding again as the output's matrix; the mask says who reads whom."""

    def __init__(
        self, vocabulary_size: int, *, width: int, num_layers: int, num_heads: int, inner: int, seed: int = 0
    ) -> None:
        """Draw the weights, the same for the same seed; other generators are left alone."""
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary_size, width)
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
            self.blocks = nn.ModuleList(Block(width, num_heads, inner, rotate=rotary) for _ in range(num_layers))
            self.norm = LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The logits at each token, `(batch, length, vocabulary)`."""
        x = self.embedding(tokens)  # (batch, length, width)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x) @ self.embedding.weight.T


def network(kind: Kind, task: SkylineTask, *, width: int = 32, seed: int = 0) -> nn.Module:
    """An untrained network of two blocks: a stack of two, or an encoder and a decoder of one each.

    The weights of the cross-attention are made up for by wider feed-forward layers in the stack.
    """
    shape = {"width": width, "num_heads": 2, "seed": seed}
    if kind == "encoder–decoder":
        return EncoderDecoder(task.vocabulary_size, num_layers=1, inner=4 * width, **shape)
    return Stack(task.vocabulary_size, num_layers=2, inner=5 * width, **shape)


def mask_of(kind: Kind, task: SkylineTask) -> Tensor:
    """Who may read whom in the single stack, `(tokens, tokens)` of the source or of source, beginning and answer.

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
    }
    return masks[kind]


def answer_logits(kind: Kind, model: nn.Module, task: SkylineTask, source: Tensor, written: Tensor) -> Tensor:
    """The logits of an answer's tokens: at the places of the source, or each given the written tokens before it.

    Args:
        kind: of the network.
        model: the network.
        task: what it answers.
        source: `(batch, length)`.
        written: an answer as a text, `(batch, length + 1)`; a network that answers in place does not read it.

    Returns:
        `(batch, length, vocabulary)` in place, `(batch, length + 1, vocabulary)` written.
    """
    if kind in IN_PLACE:
        return model(source, mask_of(kind, task))
    begun = F.pad(written[:, :-1], (1, 0), value=task.begin)  # (batch, length + 1): each token's predecessor
    if kind == "encoder–decoder":
        return model(source, decoder_input_ids=begun).logits
    row = torch.cat([source, begun], dim=1)  # (batch, 2 · length + 1)
    return model(row, mask_of(kind, task))[:, task.length :]


def train_kind(
    kind: Kind,
    task: SkylineTask,
    *,
    steps: int = 250,
    seeds: Sequence[int] = (0, 1, 2),
    batch: int = 32,
    learning_rate: float = 8e-3,
) -> tuple[list[nn.Module], Tensor]:
    """A trained network for each seed, and the losses of the training, `(steps, seeds)`.

    Every source comes with one of its two answers, drawn anew.
    """

    def draw(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        source = task.sources(batch, generator)
        return source, torch.randint(2, (batch,), generator=generator)

    def loss(call: nn.Module, source: Tensor, capitals: Tensor) -> Tensor:
        written = task.written(source, capitals)
        logits = answer_logits(kind, call, task, source, written)
        if kind in IN_PLACE:
            labels = task.in_place(source, capitals)
        else:
            ended = (written == task.end).cumsum(1) > 1  # only the first end is a token of the answer
            labels = written.masked_fill(ended, IGNORED)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)

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
    for place in range(task.length + 1):
        token = drawn(answer_logits(kind, model, task, source, written)[:, place])
        ended = (written[:, :place] == task.end).any(1)
        written[:, place] = torch.where(ended, task.end, token)
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


def one_case_by_chance(task: SkylineTask, source: Tensor) -> float:
    """The share of right answers in one case where each of k letters draws its case for itself: the mean of 2^(1 − k).

    Examples:
        >>> import torch
        >>> one_case_by_chance(SkylineTask(length=3, letters=4), torch.tensor([[2, 1, 0], [0, 1, 2]]))
        0.625
    """
    return float((2.0 ** (1 - task.seen(source).sum(1))).mean())


def best_without_future(task: SkylineTask) -> float:
    """The largest share of places at which anybody can say whether a house is seen who sees no house behind it.

    A house of height h, from 0, is seen over m that follow with probability (h / letters)^m; the likelier of the two
    is guessed. For a view from the right.

    Examples:
        >>> best_without_future(SkylineTask(length=2, letters=4))
        0.875
    """
    heights = torch.arange(task.letters) / task.letters  # (letters,): the share that is lower
    following = torch.arange(task.length)[:, None]  # (length, 1)
    seen = heights**following  # (length, letters)
    return float(torch.maximum(seen, 1 - seen).mean())


@torch.no_grad()
def cross_attention(model: EncoderDecoder, source: Tensor, begun: Tensor) -> list[Tensor]:
    """The weights of each block's cross-attention, `(batch, heads, target, source)`, as the tokens `begun` read."""
    found: list[Tensor] = []
    hooks = [
        block.cross_attention.register_forward_hook(lambda module, inputs, output: found.append(output[1]))
        for block in model.decoder
    ]
    try:
        model(source, decoder_input_ids=begun)
    finally:
        for hook in hooks:
            hook.remove()
    return found
