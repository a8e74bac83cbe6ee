"""The longest text that a network reads, by its tokenizer, its table of positions and its configuration.

Families count positions differently: BERT from 0, RoBERTa and CamemBERT from behind the id for padding, BART from 2.
Those with relative or rotary positions have no table. Instead of a rule for each name, two short texts of different
length are read, and the table is the one whose indices grow with them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel, PreTrainedTokenizerBase

UNLIMITED = 2**31 - 1
"""The number of tokens where nothing sets a limit."""

_LONG_TRIAL = 32  # tokens; buckets of relative distances grow more slowly than texts of 16 and 32 tokens


class Limit(NamedTuple):
    """A number of tokens, special ones included, and what sets it."""

    tokens: int
    reason: str


def length_limit(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Limit:
    """The most tokens of a text that tokenizer and network read, as the strictest of both says."""
    limits = [_table_limit(tokenizer, model), _stated_limit(model)]
    if tokenizer.model_max_length < UNLIMITED:
        limits.append(Limit(tokenizer.model_max_length, "its tokenizer says so"))
    known = [limit for limit in limits if limit]
    return min(known, key=lambda limit: limit.tokens) if known else Limit(UNLIMITED, "nothing sets a limit")


def _stated_limit(model: PreTrainedModel) -> Limit | None:
    """What the configuration says; XLNet's says -1 for none."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Limit(positions, "its configuration says so (max_position_embeddings)") if (positions or 0) > 0 else None


def _table_limit(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Limit | None:
    """The places for tokens in the table of positions; None for a network without one."""
    stated = _stated_limit(model)
    long = min(_LONG_TRIAL, tokenizer.model_max_length // 2, stated.tokens // 2 if stated else _LONG_TRIAL)
    short = max(1, long // 2)
    for (rows, at_short), (_, at_long) in zip(_lookups(model, short), _lookups(model, long), strict=True):
        if long > short and at_long - at_short == long - short:
            before = at_long - (long - 1)
            skipped = f", {before} of them before the first token" if before else ""
            return Limit(rows - before, f"its table of positions has {rows} rows{skipped}")
    return None


@torch.no_grad()
def _lookups(model: PreTrainedModel, length: int) -> list[tuple[int, int]]:
    """For each table of vectors that a text of so many tokens is looked up in: its rows and the largest index."""
    training, config = model.training, model.config.get_text_config()
    network = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    token = 0 if config.pad_token_id != 0 else 1  # some families give padding no position
    ids = torch.full((1, length), token, device=model.device)
    model.eval()  # dropout would draw random numbers
    try:
        with _Watching() as watching:
            network(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        model.train(training)
    return watching.lookups


class _Watching(TorchFunctionMode):
    """Notes what is looked up in tables of vectors, in the layer of a model or by a function."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups: list[tuple[int, int]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is torch.nn.functional.embedding:
            indices, table = args[:2]
            self.lookups.append((len(table), int(indices.max())))
        return function(*args, **(kwargs or {}))
