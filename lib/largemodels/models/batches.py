"""Token sequences in batches with hardly any padding: joined within documents, grouped by length, cut by tokens.

Every chapter that trains or evaluates a model takes its batches from here. A batch is a dictionary of `input_ids`
and `attention_mask`, each `(batch, length)`, as the models of `transformers` take it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from largemodels.base.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TokenSequences:
    """Texts as token ids, `[CLS]` and `[SEP]` among them, and where each comes from.

    Attributes:
        input_ids: one int64 array a sequence.
        documents: the identity of each sequence's document.
        libraries: the library (domain) of each.
    """

    input_ids: list[np.ndarray]
    documents: list[str]
    libraries: list[str]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each sequence."""
        return np.array([len(ids) for ids in self.input_ids], dtype=int)

    def __len__(self) -> int:
        return len(self.input_ids)


def join_sentences(sentences: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenSequences:
    """The sentences of a corpus as sequences of at most `max_length` tokens, in the order of the table.

    Consecutive rows of one document go into one sequence while they fit; none is split between two. A single sentence
    that is too long is cut at the end. No sequence holds text of two documents, so nothing has to be kept apart inside.

    Args:
        sentences: as `largemodels.data.corpora.sentences` gives them: sentence, document, library.
        tokenizer: gives the ids of the words and of `[CLS]` and `[SEP]`.
        max_length: tokens at most, `[CLS]` and `[SEP]` included.

    Raises:
        InputError: if there are no sentences, or no room for a token between `[CLS]` and `[SEP]`.
    """
    if not len(sentences):
        raise InputError("sentences: there are none; give a larger text, so that each split gets some")
    if (room := max_length - 2) < 1:
        raise InputError(f"max_length: {max_length} is not at least 3, and [CLS] and [SEP] take two")
    words = tokenizer(list(sentences["sentence"]), add_special_tokens=False, verbose=False)["input_ids"]
    joined: list[list[int]] = []
    documents: list[str] = []
    libraries: list[str] = []
    for ids, document, library in zip(words, sentences["document"], sentences["library"], strict=True):
        if not joined or document != documents[-1] or len(joined[-1]) + len(ids) > room:
            joined.append([])
            documents.append(document)
            libraries.append(library)
        joined[-1].extend(ids[:room])
    frame = [np.array([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]) for ids in joined]
    return TokenSequences(frame, documents, libraries)


def plan_batches(lengths: Sequence[int], batch_tokens: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Which sequences go together: index arrays that hold every sequence once, in random order.

    Sequences are sorted by length, equal lengths in random order, and cut into batches of at most `batch_tokens`
    tokens, padding included; so nearly nothing is padded. The number of batches depends on the lengths alone.

    Raises:
        InputError: if one sequence alone is longer than `batch_tokens`.
    """
    lengths = np.asarray(lengths)
    if len(lengths) and (longest := lengths.max()) > batch_tokens:
        raise InputError(f"batch_tokens: {batch_tokens} does not hold a sequence of {longest} tokens")
    order = np.lexsort((generator.random(len(lengths)), lengths))[
        ::-1
    ].copy()  # the longest first: it decides the width
    batches, start = [], 0
    while start < len(order):
        rows = batch_tokens // lengths[order[start]]
        batches.append(order[start : start + rows])
        start += rows
    return [batches[place] for place in generator.permutation(len(batches))]


class LengthBatches(Dataset):
    """Batches of sequences of like length, by number: the i-th is the same whatever was asked for before.

    Each pass over the sequences (an epoch) groups them anew. What a batch holds, and what is drawn for it, depends on
    the seed and its number alone, so a training that is interrupted can go on as if it had not been. A subclass says in
    `make` what a batch is.
    """

    def __init__(self, lengths: Sequence[int], batch_tokens: int, seed: int, batches: int | None = None) -> None:
        """Plan the batches: `batches` of them, over as many epochs as that takes, or those of one epoch."""
        self._lengths = np.asarray(lengths)
        self.batch_tokens, self.seed = batch_tokens, seed
        self._epoch, self._plan = 0, self._plan_of(0)
        self.batches_per_epoch = len(self._plan)
        self._batches = self.batches_per_epoch if batches is None else batches

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some sequences, named by their places; all chance in it comes from the generator."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[index] for index in range(len(self)))  # without it a loop would go on: every number has a batch

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(_mixed_seed(self.seed, index))
        return self.make(self.members(index), generator)

    def members(self, index: int) -> np.ndarray:
        """Which sequences stand in a batch, by their places."""
        epoch, place = divmod(index, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._plan_of(epoch)
        return self._plan[place]

    def tokens(self, index: int) -> int:
        """Tokens in a batch, padding left out."""
        return int(self._lengths[self.members(index)].sum())

    def _plan_of(self, epoch: int) -> list[np.ndarray]:
        return plan_batches(self._lengths, self.batch_tokens, np.random.default_rng((self.seed, epoch)))


def _mixed_seed(*numbers: int) -> int:
    """One seed from several numbers, unrelated for numbers that are near."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def pad(sequences: Sequence[np.ndarray], pad_token_id: int) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` of some sequences, `(batch, longest)`, padded at the end."""
    lengths = torch.tensor([len(ids) for ids in sequences])
    attention_mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()  # (batch, longest)
    input_ids = torch.full_like(attention_mask, pad_token_id)
    input_ids[attention_mask.bool()] = torch.from_numpy(np.concatenate(sequences)).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask}
