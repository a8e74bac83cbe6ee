"""A ladder of small decoders, which differ in width and in what they read, and are judged on the same documents.

The rungs are decoders of the generation chapter of two blocks. Each is trained with a schedule of its own, which ends
where its reading ends, begins with weights whose size suits its width, and learns at a peak that falls with the width.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.generation.language_model import CausalBatches, token_losses, train_decoder
from largemodels.generation.units import bits_per_byte
from largemodels.models.batches import TokenSequences
from largemodels.models.training import Recipe
from largemodels.scaling.formulas import parameters_of, shape_of, training_flops

BLOCKS, HEADS = 2, 2
"""Of every rung: only the width differs."""
BASE_WIDTH = 32
"""The width whose peak learning rate is given."""
WARMUP = 0.3
"""Share of the steps in which the rate rises: of so few, a tenth is too short for the wide rungs."""
USUAL_WIDTH = 768
"""The width, GPT-2's smallest, for which a decoder's initial deviation of 0.02 is meant."""


@dataclass(frozen=True)
class Rung:
    """A training on the ladder.

    Attributes:
        width: components of a token, a multiple of 4.
        tokens: how many it reads, padding left out, to the nearest batch.
        seed: of its weights and of the order of its text.
    """

    width: int
    tokens: int
    seed: int = 0


@dataclass(frozen=True)
class Ladder:
    """The results of some rungs.

    Attributes:
        runs: of a rung a row: width, tokens (read), seed, parameters, flops, passes (over the text), nats (a token) and
            bits, low, high (per byte, over documents).
        losses: the table of `token_losses` of each.
    """

    runs: pd.DataFrame
    losses: dict[Rung, pd.DataFrame]


def rung_shape(width: int, vocabulary_size: int, max_length: int) -> DecoderShape:
    """The shape of a rung: two blocks of two heads, and a feed-forward layer 8/3 as wide, to a multiple of 8."""
    return DecoderShape(
        vocabulary_size=vocabulary_size,
        width=width,
        num_layers=BLOCKS,
        num_heads=HEADS,
        key_value_heads=HEADS,
        inner=8 * max(1, round(width / 3)),
        max_length=max_length,
    )


def flops_a_token(width: int, vocabulary_size: int, max_length: int) -> float:
    """Operations of training a rung for each token in windows of `max_length`: 6 N + 12 · blocks · length · width.

    The second part is attention, which no weight stands for; in models as narrow as these it counts.
    """
    return training_flops(shape_of(Decoder(rung_shape(width, vocabulary_size, max_length))), 1, max_length)


def same_compute(
    widths: Iterable[int], flops: float, vocabulary_size: int, max_length: int, *, seeds: Iterable[int] = (0,)
) -> list[Rung]:
    """The rungs that spend the same compute: the wider, the less is read.

    Raises:
        InputError: for a width whose share is less than a window.
    """
    rungs = []
    for width in widths:
        tokens = round(flops / flops_a_token(width, vocabulary_size, max_length))
        if tokens < max_length:
            raise InputError(f"flops: {flops:.3g} are less than one window of a model {width} wide costs")
        rungs += [Rung(width, tokens, seed) for seed in seeds]
    return rungs


def peak_rate(width: int, base: float) -> float:
    """The peak learning rate of a width: `base` for 32, and half as much for twice the width (Yang et al. 2022)."""
    return base * BASE_WIDTH / width


def initial_decoder(shape: DecoderShape, *, seed: int = 0) -> Decoder:
    """A decoder whose matrices begin larger the narrower it is: 0.02 at a width of 768, and as 1 / √width.

    So every width begins with logits of the same spread. At 0.02 for all, narrow models spend most of a short training
    on growing their embedding.
    """
    model = Decoder(shape, seed=seed)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data *= math.sqrt(USUAL_WIDTH / shape.width)
    return model


def part_of(windows: TokenSequences, tokens: int, *, seed: int = 0) -> TokenSequences:
    """So many windows, drawn at random, that they hold at least so many tokens, or all."""
    order = np.random.default_rng(seed).permutation(len(windows))
    kept = order[: int(np.searchsorted(np.cumsum(windows.lengths[order]), tokens)) + 1]
    return TokenSequences(
        *([each[row] for row in kept] for each in (windows.input_ids, windows.documents, windows.libraries))
    )


def train_rung(
    rung: Rung,
    windows: TokenSequences,
    tokenizer: PreTrainedTokenizerBase,
    *,
    base_rate: float,
    batch_tokens: int = 512,
) -> tuple[Decoder, int]:
    """The trained decoder of a rung, and the tokens that it has read, padding left out.

    Args:
        rung: its width, tokens and seed.
        windows: the text; it is read again, in another order, where it is shorter than the reading.
        tokenizer: the one that the windows were made with.
        base_rate: the peak learning rate of a width of 32; see `peak_rate`.
        batch_tokens: tokens in a batch, at most.
    """
    longest = int(windows.lengths.max())
    model = initial_decoder(rung_shape(rung.width, len(tokenizer), longest), seed=rung.seed)
    in_a_pass = len(CausalBatches(windows, tokenizer, batch_tokens=batch_tokens, seed=rung.seed))
    steps = max(1, round(rung.tokens * in_a_pass / int(windows.lengths.sum())))
    recipe = Recipe(
        steps=steps,
        batch_tokens=batch_tokens,
        learning_rate=peak_rate(rung.width, base_rate),
        warmup=WARMUP,
        weight_decay=0.1,
        seed=rung.seed,
    )
    history = train_decoder(model, tokenizer, windows, recipe)
    return model.eval(), int(history["tokens"].iloc[-1])


def climb(
    rungs: Iterable[Rung],
    windows: TokenSequences,
    tokenizer: PreTrainedTokenizerBase,
    validation: TokenSequences,
    documents: pd.DataFrame,
    **options: float,
) -> Ladder:
    """The ladder of some rungs, trained one after the other and judged on the same documents.

    Args:
        rungs: what to train; the same rung is trained once.
        windows: the text to read.
        tokenizer: the one that all windows were made with.
        validation: held-out text.
        documents: those of the validation, as `joined_documents` gives them.
        **options: base_rate and batch_tokens, as for `train_rung`.
    """
    rows, losses = [], {}
    gc.freeze()  # the `Trainer` collects garbage before each training, a quarter of a second for what is imported
    try:
        for rung in dict.fromkeys(rungs):
            model, tokens = train_rung(rung, windows, tokenizer, **options)
            losses[rung] = token_losses(model, tokenizer, validation)
            bits, low, high = bits_per_byte(losses[rung], documents)
            shape = shape_of(model)
            counted = {
                "parameters": parameters_of(shape),
                "flops": training_flops(shape, tokens, model.shape.max_length),
                "passes": tokens / int(windows.lengths.sum()),
                "nats": losses[rung]["loss"].mean(),
            }
            rows.append(asdict(rung) | {"tokens": tokens} | counted | {"bits": bits, "low": low, "high": high})
    finally:
        gc.unfreeze()
    return Ladder(pd.DataFrame(rows), losses)
