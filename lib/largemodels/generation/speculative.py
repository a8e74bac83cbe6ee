"""Speculative decoding: a small model drafts, the large one checks several tokens at once (Leviathan et al. 2023).

A large model's step takes the time of reading its weights, whether it is over one token or over five. So a small model
proposes some tokens, one after the other, and the large one reads all of them in a step. How they are accepted leaves
its distribution as it is: a draft changes the time, and no text becomes likelier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder
from largemodels.generation.reading import Reader, refuse_unreadable, vocabulary_size
from largemodels.generation.sampling import Sampling, draw


@dataclass(frozen=True)
class Speculated:
    """A text that was generated with a draft.

    A step judges the drafted tokens in their order up to the first that is refused; those behind it are dropped
    unjudged, since they continue a text that is no more.
    """

    tokens: list[int]  #: the new ones, without the token that ends a text
    drafted: int  #: tokens that the small model proposed
    judged: int  #: those of them that were accepted or refused
    accepted: int  #: those of them that were accepted
    steps: int  #: of the large model

    @property
    def accepted_share(self) -> float:
        """The share of the judged tokens that were accepted, which estimates the α of Leviathan et al."""
        return self.accepted / self.judged


def first_blocks(model: Decoder, num_layers: int) -> Decoder:
    """A draft made of a model itself: its first blocks, its embedding and its last normalisation, as copies.

    Raises:
        InputError: if the model has fewer blocks, or none is asked for.
    """
    if num_layers > model.shape.num_layers:
        raise InputError(f"num_layers: {num_layers} is more than the {model.shape.num_layers} blocks of the model")
    draft = Decoder(replace(model.shape, num_layers=num_layers)).to(model.device, model.embedding.weight.dtype)
    wanted = draft.state_dict()
    draft.load_state_dict({name: weight for name, weight in model.state_dict().items() if name in wanted})
    return draft.eval()


def acceptance(target: Tensor, draft: Tensor) -> Tensor:
    """The probability with which each token is kept if it is drafted, min(1, p / q), `(…, vocabulary)`.

    Args:
        target: p, the large model's distribution, `(…, vocabulary)`.
        draft: q, the small model's.

    Examples:
        >>> import torch
        >>> acceptance(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.25, 0.75, 0.0]))
        tensor([1.0000, 0.4000, 1.0000])
    """
    return torch.where(draft > 0, target / draft, torch.inf).clamp(max=1)  # what is never drafted does not matter


def residual(target: Tensor, draft: Tensor) -> Tensor:
    """What a token is drawn from where the drafted one is not kept: max(0, p − q), scaled to sum to 1.

    Examples:
        >>> import torch
        >>> residual(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.25, 0.75, 0.0]))
        tensor([0.5556, 0.0000, 0.4444])
    """
    missing = (target - draft).clamp(min=0)
    mass = missing.sum(-1, keepdim=True)
    return torch.where(mass > 0, missing / mass, target)  # equal distributions: every draft is kept, nothing is missing


def kept(drafted: Tensor, target: Tensor, draft: Tensor, generator: torch.Generator) -> tuple[int, int]:
    """How many drafted tokens are kept, and the token that follows them.

    The first that is not kept is replaced by a draw from the residual, and those behind it are dropped. Where all are
    kept, the large model has read them all, and a further token is drawn from its distribution.

    Args:
        drafted: token ids, `(n,)`.
        target: the large model's distributions, at the place of each drafted token and behind the last,
            `(n + 1, vocabulary)`.
        draft: the small model's, from which the tokens were drawn, `(n, vocabulary)`.
        generator: of the draws.
    """
    places = torch.arange(len(drafted), device=drafted.device)
    probability = acceptance(target[:-1], draft)[places, drafted]  # (n,)
    keep = torch.rand(len(drafted), generator=generator, device=drafted.device) < probability
    number = int(keep.long().cumprod(0).sum())
    behind = target[number] if number == len(drafted) else residual(target[number], draft[number])
    return number, int(draw(behind, generator))


def speculate(
    model: nn.Module,
    draft_model: nn.Module,
    prompt: Sequence[int],
    max_new_tokens: int,
    *,
    ahead: int = 4,
    sampling: Sampling | None = None,
    stop: int | None = None,
    seed: int = 0,
) -> Speculated:
    """The new tokens of a prompt, distributed as those of `generate` by the large model alone.

    Args:
        model: the large causal model.
        draft_model: the small one, of the same vocabulary.
        prompt: token ids.
        max_new_tokens: tokens at most.
        ahead: tokens that are drafted for each step of the large model.
        sampling: how tokens are drawn, without a penalty on repetition; None is greedy decoding.
        stop: the token that ends a text.
        seed: of the draws.

    Raises:
        InputError: for models of different vocabularies, fewer than one token ahead, or as `generate`.

    Examples:
        >>> from largemodels.generation.decoder import Decoder, DecoderShape
        >>> shape = DecoderShape(50, width=16, num_layers=1, num_heads=2, key_value_heads=1, inner=32, max_length=16)
        >>> model = Decoder(shape, seed=0)
        >>> found = speculate(model, model, [3, 1, 4], 8, ahead=3)  # it drafts for itself, and is always right
        >>> len(found.tokens), found.accepted_share, found.steps
        (8, 1.0, 2)
    """
    if ahead < 1:
        raise InputError(f"ahead: {ahead} is not at least 1 drafted token")
    if sampling is not None and sampling.repetition_penalty != 1:
        raise InputError("sampling: a draft is checked without a repetition penalty; leave it out")
    sizes = [vocabulary_size(each) for each in (model, draft_model)]
    if sizes[0] != sizes[1]:
        raise InputError(f"draft_model: it has {sizes[1]:,} tokens and the model {sizes[0]:,}; both need one tokenizer")
    for each in (model, draft_model):
        refuse_unreadable(each, [prompt], max_new_tokens)
        each.eval()

    def probabilities(reading: Reader, tokens: list[int], places: int) -> Tensor:
        """Read what is new of these tokens: the distributions behind the last `places`, `(places, vocabulary)`."""
        logits = reading.read(torch.tensor([tokens[reading.length :]], device=model.device))[0, -places:].float()
        if sampling is None:
            return F.one_hot(logits.argmax(-1), logits.shape[-1]).float()
        return sampling.shaped(logits).softmax(-1)

    generator = torch.Generator(model.device).manual_seed(seed)
    large, small = Reader(model), Reader(draft_model)
    text, end = list(prompt), len(prompt) + max_new_tokens
    drafted = judged = accepted = steps = 0
    while len(text) < end and stop not in text[len(prompt) :]:
        proposed: list[int] = []
        draft: list[Tensor] = []
        for _ in range(min(ahead, end - len(text))):
            draft.append(probabilities(small, text + proposed, 1)[0])
            proposed.append(int(draw(draft[-1], generator)))
            if proposed[-1] == stop:
                break
        target = probabilities(large, text + proposed, len(proposed) + 1)
        number, following = kept(torch.tensor(proposed, device=model.device), target, torch.stack(draft), generator)
        drafted, judged = drafted + len(proposed), judged + min(number + 1, len(proposed))
        accepted, steps = accepted + number, steps + 1
        text += [*proposed[:number], following]
        for reading in (large, small):
            reading.crop(len(text) - 1)  # what was dropped is forgotten, and the last token is still to be read
    new = text[len(prompt) : end]
    return Speculated(new[: new.index(stop)] if stop in new else new, drafted, judged, accepted, steps)
