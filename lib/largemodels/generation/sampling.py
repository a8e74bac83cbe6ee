"""From logits to the next token: the most probable one, or a draw from a distribution that filters have shaped.

Each filter is a function of logits, `(…, vocabulary)`, that leaves out a token by setting its logit to −∞. `Sampling`
puts them one behind the other, in the order of `transformers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from largemodels.base.errors import InputError
from largemodels.generation.reading import Reader, padded_left, refuse_unreadable


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Logits in which those of tokens that have been read are less, for a penalty above 1.

    A logit above 0 is divided by the penalty and one below 0 multiplied by it, as in `transformers`. The penalty of
    Keskar et al. (2019) divides all of them, which makes a token of negative logit likelier.

    Args:
        logits: `(…, vocabulary)`.
        seen: True for the tokens that stand in the text so far, of the same shape.
        penalty: 1 changes nothing.

    Examples:
        >>> import torch
        >>> penalise_repetition(torch.tensor([2.0, -1.0, 3.0]), torch.tensor([True, True, False]), 2.0).tolist()
        [1.0, -2.0, 3.0]
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def scale_by_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Logits over the temperature: below 1 the likely tokens gain, above 1 the unlikely ones do.

    Examples:
        >>> import torch
        >>> scale_by_temperature(torch.tensor([2.0, 1.0]), 0.5).softmax(-1)
        tensor([0.8808, 0.1192])
    """
    return logits / temperature


def keep_top_k(logits: Tensor, top_k: int) -> Tensor:
    """Logits of the `top_k` most probable tokens and of those as probable as the last of these (Fan et al. 2018).

    Examples:
        >>> import torch
        >>> keep_top_k(torch.tensor([2.0, 1.0, 3.0]), 2)
        tensor([2., -inf, 3.])
    """
    smallest = logits.topk(min(top_k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < smallest, -torch.inf)


def keep_top_p(logits: Tensor, top_p: float) -> Tensor:
    """Logits of the nucleus: the fewest most probable tokens with `top_p` of the probability (Holtzman et al. 2020).

    Examples:
        >>> import torch
        >>> keep_top_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.6).softmax(-1)
        tensor([0.6250, 0.3750, 0.0000])
    """
    probabilities, order = logits.softmax(-1).sort()  # the least probable first
    outside = probabilities.cumsum(-1) <= 1 - top_p
    outside[..., -1] = False  # the most probable token stays, however small top_p is
    return logits.masked_fill(outside.scatter(-1, order, outside), -torch.inf)


def keep_min_p(logits: Tensor, min_p: float) -> Tensor:
    """Logits of the tokens with at least `min_p` of the probability of the most probable one (Nguyen et al. 2024).

    Examples:
        >>> import torch
        >>> keep_min_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.5).softmax(-1)
        tensor([0.6250, 0.3750, 0.0000])
    """
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < min_p * probabilities.amax(-1, keepdim=True), -torch.inf)


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    Attributes:
        temperature: the logits are divided by it; below 1 the likely tokens gain.
        top_k: the number of tokens to draw from, None for all.
        top_p: the probability of the tokens to draw from, above 0 and at most 1, None for all.
        min_p: the least probability as a share of the largest, above 0 and at most 1, None for none.
        repetition_penalty: of the tokens that were read; 1 for none.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"temperature: {self.temperature} is not above 0; leave the sampling out for the most probable tokens"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k: {self.top_k} is not at least 1; leave it out to draw from all tokens")
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise InputError(f"{name}: {value} is not above 0 and at most 1; leave it out to draw from all tokens")
        if not 0 < self.repetition_penalty < float("inf"):
            raise InputError(f"repetition_penalty: {self.repetition_penalty} is not above 0; 1 is no penalty")

    def shaped(self, logits: Tensor, seen: Tensor | None = None) -> Tensor:
        """The logits of the distribution that is drawn from, of the shape of `logits`, `(…, vocabulary)`.

        `seen` has True for the tokens that were read, which the penalty needs.
        """
        if self.repetition_penalty != 1:
            if seen is None:
                raise ValueError("seen: the tokens that were read are needed for a repetition penalty")
            logits = penalise_repetition(logits, seen, self.repetition_penalty)
        logits = scale_by_temperature(logits, self.temperature)
        if self.top_k is not None:
            logits = keep_top_k(logits, self.top_k)
        if self.top_p is not None:
            logits = keep_top_p(logits, self.top_p)
        if self.min_p is not None:
            logits = keep_min_p(logits, self.min_p)
        return logits


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """A token of each distribution, `(…)`, where its cumulative sum passes a number drawn from (0, 1) evenly.

    One number a token is enough so. `torch.multinomial` draws one for each token of the vocabulary, which takes longer
    than a small model's step.

    Args:
        probabilities: `(…, vocabulary)`.
        generator: of the numbers, on the same device.

    Examples:
        >>> import torch
        >>> draw(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.Generator())
        tensor([1, 2])
    """
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)  # in float32 the sum of a large vocabulary rounds
    shape, device = probabilities.shape[:-1], probabilities.device
    numbers = torch.rand(*shape, 1, generator=generator, device=device, dtype=torch.float64) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, numbers, right=True)[..., 0]  # the first sum above the number


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    sampling: Sampling | None = None,
    stop: int | None = None,
    min_new_tokens: int = 0,
    seed: int = 0,
    use_cache: bool = True,
) -> list[list[int]]:
    """The new tokens of each prompt, without the token that ends a text.

    Prompts of different lengths are read in one batch, padded on the left. The model is left in evaluation mode.

    Args:
        model: a causal model, `Decoder` or of `transformers`.
        prompts: token ids.
        max_new_tokens: tokens for each prompt at most.
        sampling: how tokens are drawn; None takes the most probable one each time (greedy decoding).
        stop: the token that ends a text.
        min_new_tokens: tokens of each text before `stop` may be drawn.
        seed: of the draws.
        use_cache: whether keys and values are kept; without, every step reads the whole text again.

    Raises:
        InputError: for a model that is not causal, an empty prompt, or one that is too long with its new tokens.

    Examples:
        >>> from largemodels.generation.decoder import Decoder, DecoderShape
        >>> shape = DecoderShape(50, width=16, num_layers=1, num_heads=2, key_value_heads=1, inner=32, max_length=16)
        >>> model = Decoder(shape, seed=0)
        >>> texts = generate(model, [[3, 1, 4], [7]], 5, sampling=Sampling(top_k=10), seed=1)
        >>> [len(text) for text in texts]
        [5, 5]
    """
    refuse_unreadable(model, prompts, max_new_tokens)
    model.eval()
    tokens, mask = (each.to(model.device) for each in padded_left(prompts))
    reading = Reader(model, mask, use_cache=use_cache)
    generator = torch.Generator(model.device).manual_seed(seed)
    seen = None
    drawn, ended = [], torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    new = tokens
    for _ in range(max_new_tokens):
        logits = reading.read(new)[:, -1]  # (batch, vocabulary)
        if stop is not None and len(drawn) < min_new_tokens:
            logits[:, stop] = -torch.inf
        if sampling is None:
            new = logits.argmax(-1, keepdim=True)  # (batch, 1)
        else:
            if sampling.repetition_penalty != 1:
                seen = torch.zeros_like(logits, dtype=torch.bool) if seen is None else seen
                seen.scatter_(1, new, True)  # padding repeats the first token of its prompt, and so adds none
            probabilities = sampling.shaped(logits.float(), seen).softmax(-1)
            new = draw(probabilities, generator)[:, None]  # (batch, 1)
        drawn.append(new)
        if stop is not None:
            ended |= new[:, 0] == stop
            if ended.all():
                break
    rows = torch.cat(drawn, dim=1).tolist()
    return [row[: row.index(stop)] if stop is not None and stop in row else row for row in rows]
