"""Prompts as a causal model reads them: spelt, padded on the left, and kept in its cache while tokens are added.

Every way of generating (sampling, beams, a draft that is checked) reads through `Reader`, and so works with `Decoder`
and with any causal model of `transformers`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder
from largemodels.models.cost import time_calls
from largemodels.models.loading import is_causal


def begun(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[int]:
    """A text's tokens behind the one that begins a text, so that its first token is predicted like the others.

    That is the tokenizer's bos; where it has none (Qwen), its eos, which stands between the texts of a training and
    so before each; a tokenizer without either begins a text with nothing.

    Examples:
        >>> from types import SimpleNamespace
        >>> begun(SimpleNamespace(bos_token_id=None, eos_token_id=0), [3, 1, 4])
        [0, 3, 1, 4]
    """
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return [*ids] if first is None else [first, *ids]


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The tokens of a text that a model is to go on with, as `begun` has them.

    Raises:
        InputError: for a prompt without text, or with characters that the tokenizer has no token for.
    """
    if not prompt.strip():
        raise InputError("prompt: is empty; give at least a word for the model to go on from")
    tokens = tokenizer(prompt, add_special_tokens=False, verbose=False)["input_ids"]
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in tokens:
        raise InputError(
            f"prompt: the tokenizer cannot spell {prompt!r}, some of it would be read as {tokenizer.unk_token}; use "
            "other words, or a model with a byte-level tokenizer"
        )
    if not tokens:
        raise InputError(f"prompt: the tokenizer has no token for {prompt!r}; give a word that it knows")
    return begun(tokenizer, tokens)


def context_length(model: nn.Module) -> int | None:
    """The tokens that a causal model reads at most, or None where nothing sets a limit."""
    if isinstance(model, Decoder):
        return model.shape.max_length
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def vocabulary_size(model: nn.Module) -> int:
    """The tokens that a causal model knows."""
    embedding = model.embedding if isinstance(model, Decoder) else model.get_input_embeddings()
    return embedding.weight.shape[0]


def refuse_unreadable(model: nn.Module, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
    """Refuse what a model cannot go on from.

    Raises:
        InputError: if the model is no causal one or keeps no keys and values, a prompt is empty or has a token that
            the model does not know, or a prompt with its new tokens, of which there must be one, is longer than the
            context.
    """
    if not (isinstance(model, Decoder) or is_causal(model)):
        raise InputError(
            f"model: {type(model).__name__} predicts no next token (an encoder reads both sides of a text); give a "
            "causal model, as GPT-2 or a Llama"
        )
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        raise InputError(
            f"model: {type(model).__name__} keeps no keys and values of the tokens that it has read; give a Transformer"
        )
    if not prompts or not all(map(len, prompts)):
        raise InputError("prompts: there is an empty one; give each at least one token")
    rows = vocabulary_size(model)
    if outside := [token for prompt in prompts for token in prompt if not 0 <= token < rows]:
        raise InputError(f"prompts: token {outside[0]} is none of the model's {rows:,}; use the model's own tokenizer")
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens: {max_new_tokens} is not at least 1")
    longest, limit = max(map(len, prompts)), context_length(model)
    if limit is not None and longest + max_new_tokens > limit:
        raise InputError(
            f"prompt: {longest} tokens and {max_new_tokens} new ones are more than the {limit} that the model reads; "
            "shorten the prompt or generate less"
        )


def padded_left(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and their mask, 1 for tokens and 0 for padding, `(batch, longest)` each; every row ends at the right.

    So the next token of each row belongs behind the same column, however long the row is. A row is padded with its own
    first token: any would do, and this one adds none to the tokens of the text.

    Examples:
        >>> tokens, mask = padded_left([[3, 1, 4], [7]])
        >>> tokens.tolist(), mask.tolist()
        ([[3, 1, 4], [7, 7, 7]], [[1, 1, 1], [0, 0, 1]])
    """
    longest = max(map(len, rows))
    tokens = torch.tensor([[row[0]] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return tokens, mask


class Reader:
    """A causal model that reads texts of a batch piece by piece, and remembers what it has read.

    With a cache each token goes through the model once; without, all of them do at each step, for the same logits.
    """

    def __init__(self, model: nn.Module, mask: Tensor | None = None, *, use_cache: bool = True) -> None:
        """Begin with nothing read.

        Args:
            model: a causal model.
            mask: 1 for tokens and 0 for padding on the left, of the first piece, `(batch, length)`.
            use_cache: whether keys and values are kept.
        """
        self.model, self.use_cache = model, use_cache
        self.mask = None if mask is None or mask.all() else mask.to(model.device)
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self.cache: Any = None
        self.tokens: Tensor | None = None  # (batch, length), all that was read

    @property
    def length(self) -> int:
        """Tokens that were read, padding included."""
        return 0 if self.tokens is None else self.tokens.shape[1]

    @torch.no_grad()
    def read(self, tokens: Tensor) -> Tensor:
        """The logits of the token after each of these, `(batch, new, vocabulary)`; `tokens` are `(batch, new)`.

        A model with a table of positions (GPT-2) is told where each token stands in its text, the padding not counted;
        with relative positions (`Decoder`, Llama) only differences count, and padding shifts all alike.
        """
        self.tokens = tokens if self.tokens is None else torch.cat([self.tokens, tokens], dim=1)
        new = tokens.shape[1] if self.use_cache else self.length
        options: dict[str, Any] = {"use_cache": self.use_cache}
        if self.cache is not None:
            options["past_key_values"] = self.cache
        if self.mask is not None:
            more = self.mask.new_ones(len(self.mask), self.length - self.mask.shape[1])
            self.mask = torch.cat([self.mask, more], dim=1)  # (batch, length)
            options["attention_mask"] = self.mask
            if self.takes_positions:
                options["position_ids"] = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -new:]
        output = self.model(self.tokens[:, -new:], **options)
        self.cache = output.past_key_values if self.use_cache else None
        return output.logits[:, -tokens.shape[1] :]

    def crop(self, length: int) -> None:
        """Forget all tokens but the first `length`."""
        if length >= self.length:
            return
        if self.cache is not None:
            self.cache.crop(length - self.length)  # below 0: how many, as all of transformers take it
        self.tokens = self.tokens[:, :length]
        if self.mask is not None:
            self.mask = self.mask[:, :length]

    def select(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        self.tokens = self.tokens[rows]
        if self.mask is not None:
            self.mask = self.mask[rows]
        if self.cache is not None:
            self.cache.batch_select_indices(rows)


def token_seconds(model: nn.Module, lengths: Sequence[int], repetitions: int) -> pd.DataFrame:
    """Seconds that one more token takes, a row for each repetition: length, cache ("with" or "without") and seconds.

    Args:
        model: a causal model.
        lengths: tokens of the text, the further one included, each at least 2.
        repetitions: of each length.

    Raises:
        InputError: for a model that is not causal, or a length that it does not read.
    """
    refuse_unreadable(model, [[0] * (length - 1) for length in lengths], 1)
    token = torch.zeros(1, 1, dtype=torch.long, device=model.device)

    def one_more(reading: Reader) -> None:
        reading.read(token)
        reading.crop(reading.length - 1)

    calls = {}
    for length in lengths:
        for cache in ("with", "without"):
            reading = Reader(model, use_cache=cache == "with")
            reading.read(token.expand(1, length - 1))
            calls[length, cache] = partial(one_more, reading)
    rows = [(*call, value) for call, seconds in time_calls(calls, repetitions).items() for value in seconds]
    return pd.DataFrame(rows, columns=["length", "cache", "seconds"])
