"""Beam search: the most probable text is looked for among several that grow side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from largemodels.base.errors import InputError
from largemodels.generation.reading import Reader, refuse_unreadable


@dataclass(frozen=True)
class Hypothesis:
    """A text that a beam search ends with."""

    tokens: list[int]  #: the new ones, without the token that ends a text
    log_probability: float  #: of the new tokens and the end given the prompt, in nats
    score: float  #: by which hypotheses are ranked


def beam_search(
    model: nn.Module,
    prompt: Sequence[int],
    max_new_tokens: int,
    beams: int,
    *,
    stop: int | None = None,
    min_new_tokens: int = 0,
    length_penalty: float = 1.0,
) -> list[Hypothesis]:
    """The best texts that were found, at most as many as `beams`, the best first.

    At each step every open beam is continued by every token, and the most probable continuations stay. One that ends in
    `stop` is finished if it is among the first `beams`; the search goes on until no open beam can become better than
    those finished. It is that of `transformers` with `early_stopping="never"`.

    Args:
        model: a causal model.
        prompt: token ids.
        max_new_tokens: where open beams are finished too.
        beams: texts that grow side by side; 1 is greedy decoding where there is no `stop`.
        stop: the token that ends a text.
        min_new_tokens: tokens before `stop` may stand.
        length_penalty: α of the score, log p / length^α with the end counted; 0 ranks by probability, which favours
            short texts (Wu et al. 2016, with a simpler denominator).

    Raises:
        InputError: for fewer than one beam, or as `generate`.

    Examples:
        >>> from largemodels.generation.decoder import Decoder, DecoderShape
        >>> shape = DecoderShape(50, width=16, num_layers=1, num_heads=2, key_value_heads=1, inner=32, max_length=16)
        >>> model = Decoder(shape, seed=0)
        >>> found = beam_search(model, [3, 1, 4], 5, beams=2)
        >>> len(found), found[0].score >= found[1].score
        (2, True)
    """
    if beams < 1:
        raise InputError(f"beams: {beams} is not at least 1")
    refuse_unreadable(model, [prompt], max_new_tokens)
    model.eval()
    reading = Reader(model)
    new = torch.tensor([list(prompt)], device=model.device)
    log_probability = torch.zeros(1, device=model.device)  # of each open beam
    open_beams: list[list[int]] = [[]]
    finished: list[Hypothesis] = []
    for length in range(1, max_new_tokens + 1):
        step = reading.read(new)[:, -1].float().log_softmax(-1)  # (open beams, vocabulary)
        if stop is not None and length <= min_new_tokens:
            step[:, stop] = -torch.inf
        total = log_probability[:, None] + step
        vocabulary = total.shape[1]
        best, places = total.flatten().topk(min(2 * beams, total.numel()))
        rows, tokens = places // vocabulary, places % vocabulary
        stay = []
        for rank, (value, row, token) in enumerate(zip(best.tolist(), rows.tolist(), tokens.tolist(), strict=True)):
            ends = token == stop
            if ends or length == max_new_tokens:
                if rank < beams:
                    text = open_beams[row] + ([] if ends else [token])
                    finished.append(Hypothesis(text, value, value / length**length_penalty))
            elif len(stay) < beams:
                stay.append(rank)
        finished = sorted(finished, key=lambda found: -found.score)[:beams]
        if not stay:
            break
        open_beams = [[*open_beams[rows[rank]], int(tokens[rank])] for rank in stay]
        log_probability, new = best[stay], tokens[stay][:, None]
        # A log-probability only falls: this is the length at which the best open beam would score best.
        longest = max_new_tokens if length_penalty > 0 else length
        if len(finished) == beams and finished[-1].score >= float(log_probability[0]) / longest**length_penalty:
            break
        reading.select(rows[stay])
    return finished
