"""Induction heads, which continue what was read before: "… A B … A" by "B" (Elhage et al. 2021, Olsson et al. 2022).

It takes two layers. A head of the first one tells each token its predecessor; a head of the second one looks for the
token whose predecessor is the present one, and copies it. In one layer, how a query weighs two keys against one
another depends on the three tokens and their places only, and whether a key's predecessor is the present token is none
of that.

The networks are those of the papers: attention alone, and an output matrix apart from the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutput

from largemodels.attention.blocks import RMSNorm
from largemodels.attention.layers import causal_mask, rotary_waves
from largemodels.base.errors import InputError
from largemodels.generation.decoder import GroupedQueryAttention
from largemodels.generation.side_by_side import train_side_by_side

PERIODS = range(4, 13)
"""Lengths of what is repeated, in the training; several, so that no distance gives the answer away."""


class AttentionOnly(nn.Module):
    """A causal model of attention layers, each added to what comes in: no feed-forward layers.

    Examples:
        >>> import torch
        >>> model = AttentionOnly(32, width=16, num_layers=2, num_heads=2)
        >>> model(torch.tensor([[3, 1, 4, 1, 5]])).logits.shape
        torch.Size([1, 5, 32])
    """

    def __init__(
        self, vocabulary_size: int, *, width: int = 64, num_layers: int = 2, num_heads: int = 2, seed: int = 0
    ) -> None:
        """Draw the weights, the same for the same seed; other generators are left alone."""
        super().__init__()
        self.head_dim = width // num_heads
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary_size, width)
            self.layers = nn.ModuleList(GroupedQueryAttention(width, num_heads, num_heads) for _ in range(num_layers))
            self.norms = nn.ModuleList(RMSNorm(width) for _ in range(num_layers))
            self.final_norm = RMSNorm(width)
            self.output = nn.Linear(width, vocabulary_size, bias=False)

    def forward(self, input_ids: Tensor, output_attentions: bool = False) -> CausalLMOutput:
        """The logits of the token after each, `(batch, length, vocabulary)`, as `.logits`.

        With `output_attentions` the weights of each layer, `(batch, heads, length, length)`, are `.attentions`.
        """
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)  # (length,)
        waves = rotary_waves(positions, self.head_dim, self.embedding.weight.dtype)
        mask = causal_mask(len(positions)).unsqueeze(0).to(input_ids.device)  # (1, length, length)
        x = self.embedding(input_ids)  # (batch, length, width)
        attentions = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            read, weights = layer(norm(x), mask, waves, weights=True)
            x = x + read  # (batch, length, width)
            attentions.append(weights)
        logits = self.output(self.final_norm(x))  # (batch, length, vocabulary)
        return CausalLMOutput(logits=logits, attentions=tuple(attentions) if output_attentions else None)


def repeated_sequences(count: int, period: int, vocabulary_size: int, generator: torch.Generator) -> Tensor:
    """Different tokens in a random order, each row followed by itself, `(count, 2 · period)`.

    Nothing but the repetition can be predicted, and it with certainty, since no token of a row has two successors.

    Raises:
        InputError: for a period below 2, or fewer tokens than it has.

    Examples:
        >>> import torch
        >>> (row,) = repeated_sequences(1, period=4, vocabulary_size=50, generator=torch.Generator().manual_seed(0))
        >>> row.shape, bool((row[:4] == row[4:]).all())
        (torch.Size([8]), True)
    """
    if period < 2:
        raise InputError(f"period: {period} is not at least 2")
    if vocabulary_size < period:
        raise InputError(f"vocabulary_size: {vocabulary_size} tokens are fewer than a period of {period}")
    once = torch.rand(count, vocabulary_size, generator=generator).topk(period).indices  # (count, period)
    return torch.cat([once, once], dim=1)


def train_on_repeats(
    num_layers: int,
    *,
    vocabulary_size: int = 26,
    steps: int = 150,
    seeds: Sequence[int] = (0, 1, 2),
    batch: int = 32,
    learning_rate: float = 1e-2,
) -> tuple[list[AttentionOnly], Tensor]:
    """A trained network for each seed, and the losses of the training, `(steps, seeds)`.

    The loss is of the second time's tokens alone, from the one on that has a predecessor there: of the first time's,
    nothing can be learnt.
    """

    def draw(step: int, generator: torch.Generator) -> tuple[Tensor]:
        period = PERIODS[step * 5 % len(PERIODS)]  # by turns, and never neighbours in a row
        return (repeated_sequences(batch, period, vocabulary_size, generator),)

    def loss(call: nn.Module, sequences: Tensor) -> Tensor:
        return position_losses(call, sequences)[:, sequences.shape[1] // 2 :].mean()

    def make(seed: int) -> AttentionOnly:
        return AttentionOnly(vocabulary_size, num_layers=num_layers, seed=seed)

    return train_side_by_side(make, draw, loss, steps=steps, seeds=seeds, learning_rate=learning_rate)


def position_losses(model: nn.Module, sequences: Tensor) -> Tensor:
    """−log p of each token but the first, in nats, `(batch, length − 1)`; `model` is any causal one."""
    logits = model(sequences).logits[:, :-1].float()  # (batch, length − 1, vocabulary)
    return F.cross_entropy(logits.transpose(1, 2), sequences[:, 1:], reduction="none")


@torch.no_grad()
def share_continued(model: nn.Module, sequences: Tensor) -> float:
    """The share of the tokens of the second time that are the likeliest by the model.

    The first of them is left out: that the sequence begins again cannot be known before it does.

    Examples:
        >>> import torch
        >>> share_continued(circuit_by_hand(vocabulary_size=9), torch.tensor([[3, 1, 4, 2, 3, 1, 4, 2]]))
        1.0
    """
    period = sequences.shape[1] // 2
    guesses = model(sequences).logits[:, period:-1].argmax(-1)  # (batch, period − 1)
    return float((guesses == sequences[:, period + 1 :]).float().mean())


@torch.no_grad()
def attention_weights(model: nn.Module, sequences: Tensor) -> tuple[Tensor, ...]:
    """The attention weights of each layer, `(batch, heads, length, length)`.

    Raises:
        InputError: for a model that keeps its weights to itself.
    """
    with _forming_weights(model):
        attentions = model(sequences, output_attentions=True).attentions
    if not attentions or any(weights is None for weights in attentions):
        raise InputError(f"{type(model).__name__} gives no attention weights")
    return attentions


@contextmanager
def _forming_weights(model: nn.Module) -> Iterator[None]:
    """Have a model of `transformers` form its weights meanwhile, which its fused kernels do not."""
    if not hasattr(model, "set_attn_implementation"):
        yield
        return
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def induction_scores(weights: Tensor) -> Tensor:
    """The induction score of each head, `(heads,)`, between 0 and 1.

    It is the attention of a token of the second time to the token that came after it the first time, on average.

    Args:
        weights: of a layer on repeated sequences, `(batch, heads, 2 · period, 2 · period)`.
    """
    period = weights.shape[-1] // 2
    after = weights.diagonal(-(period - 1), dim1=-2, dim2=-1)  # (batch, heads, period + 1): from `period − 1` on
    return after[..., 1:].mean((0, 2))


def previous_token_scores(weights: Tensor) -> Tensor:
    """The attention of a token to the one before it, on average, of each head, `(heads,)`."""
    return weights.diagonal(-1, dim1=-2, dim2=-1).mean((0, 2))


def head_scores(model: nn.Module, sequences: Tensor) -> pd.DataFrame:
    """One row for each head: layer and head, from 1, previous (`previous_token_scores`) and induction.

    Args:
        model: any causal model that gives its attention weights.
        sequences: as `repeated_sequences` draws them.

    Examples:
        >>> import torch
        >>> head_scores(circuit_by_hand(vocabulary_size=9), torch.tensor([[3, 1, 4, 2, 3, 1, 4, 2]])).round(1)
           layer  head  previous  induction
        0      1     1       1.0        0.0
        1      2     1       0.2        0.9
    """
    rows = [
        {"layer": layer, "head": head, "previous": float(previous), "induction": float(induction)}
        for layer, weights in enumerate(attention_weights(model, sequences), start=1)
        for head, (previous, induction) in enumerate(
            zip(previous_token_scores(weights), induction_scores(weights), strict=True), start=1
        )
    ]
    return pd.DataFrame(rows)


def odds_moved(model: nn.Module, sequences: Tensor) -> list[float]:
    """How far each layer's odds between two keys move when the token before one of them changes, in nats.

    The query is the last token; the keys are the one that induction looks for and the one after it. The largest change
    over sequences and heads is given, layer by layer. It is zero in the first layer, whatever the weights.
    """
    period = sequences.shape[1] // 2
    key = sequences.shape[1] - period  # the last token's earlier occurrence is one before
    changed = sequences.clone()
    changed[:, key - 1] = (changed[:, key - 1] + 1) % (int(sequences.max()) + 1)
    before, after = (attention_weights(model, each) for each in (sequences, changed))

    def log_odds(weights: Tensor) -> Tensor:
        last = weights[:, :, -1].double().clamp_min(1e-30).log()  # (batch, heads, keys)
        return last[..., key] - last[..., key + 1]

    return [float((log_odds(one) - log_odds(other)).abs().max()) for one, other in zip(before, after, strict=True)]


@torch.no_grad()
def circuit_by_hand(vocabulary_size: int = 12, *, sharpness: float = 200.0) -> AttentionOnly:
    """A network of two layers with one head each whose weights are written down, and which continues repetitions.

    A token is a one-hot vector in a field of its own and a one that all share. The first layer's head looks one place
    back and writes what it finds into a second field; the second layer's head compares its own field with the second
    one of each key, and writes the key's token into a third field, which is the output.
    """
    v = vocabulary_size
    width = 6 * v  # three fields, and enough components for the shared one and for slow pairs
    model = AttentionOnly(v, width=width, num_layers=2, num_heads=1)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.zero_()
    own, previous, found = (torch.arange(start, start + v) for start in (0, v, 2 * v))
    shared = width - 1
    model.embedding.weight[:, own] = torch.eye(v)
    model.embedding.weight[:, shared] = 1.0

    first, second = model.layers
    angles = 10_000.0 ** (-torch.arange(0, width, 2) / width)  # how far a pair turns from one place to the next
    first.query.weight[0::2, shared] = angles.cos() * sharpness  # turned back by one place, so that the key of the
    first.query.weight[1::2, shared] = -angles.sin() * sharpness  # place before has the same direction
    first.key.weight[0::2, shared] = 1.0
    first.value.weight[own, own] = 1.0
    first.output.weight[previous, own] = 1.0

    slow = torch.arange(width - 2 * v, width, 2)  # pairs that hardly turn within a sequence: one for each token
    second.query.weight[slow, own] = sharpness
    second.key.weight[slow, previous] = 1.0
    second.value.weight[own, own] = 1.0
    second.output.weight[found, own] = 1.0
    model.output.weight[torch.arange(v), found] = sharpness
    return model.eval()
