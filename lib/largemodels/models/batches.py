"""Token sequences in batches with hardly any padding: joined within documents, grouped by length, cut by tokens.

Every chapter that trains or evaluates a model takes its batches from here. A batch is a dictionary of `input_ids`
and `attention_mask`, each `(batch, length)`, and whatever else the forward pass of a model of `transformers` takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError


@dataclass(frozen=True)
class TokenSequences:
    """Texts as token ids, `[CLS]` and `[SEP]` among them, and their sources.

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
        """Tokens in each sequence, `(sequences,)`."""
        return np.array([len(ids) for ids in self.input_ids], dtype=int)

    def __len__(self) -> int:
        return len(self.input_ids)


def join_sentences(sentences: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenSequences:
    """The sentences of a corpus as sequences of at most `max_length` tokens, in the order of the table.

    Consecutive rows of one document go into one sequence while they fit; none is split between two. A single sentence
    that is too long is cut at the end. No sequence holds text of two documents, so nothing has to be kept apart inside.
    The table is as `largemodels.data.corpora.sentences` gives it; `[CLS]` and `[SEP]` count among the tokens.

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
    framed = [np.array([tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]) for ids in joined]
    return TokenSequences(framed, documents, libraries)


def plan_batches(lengths: Sequence[int], batch_tokens: int, generator: np.random.Generator) -> list[np.ndarray]:
    """The sequences of each batch: index arrays that hold every sequence once, in random order.

    Sequences are sorted by length, equal lengths in random order, and cut into batches of at most `batch_tokens`
    tokens, padding included; so nearly nothing is padded. The number of batches depends on the lengths alone.

    Raises:
        InputError: if one sequence alone is longer than `batch_tokens`.

    Examples:
        >>> import numpy as np
        >>> batches = plan_batches([3, 9, 3, 8], batch_tokens=18, generator=np.random.default_rng(0))
        >>> sorted(sorted(batch.tolist()) for batch in batches)
        [[0, 2], [1, 3]]
    """
    lengths = np.asarray(lengths)
    if len(lengths) and (longest := lengths.max()) > batch_tokens:
        raise InputError(f"batch_tokens: {batch_tokens} does not hold a sequence of {longest} tokens")
    shortest_first = np.lexsort((generator.random(len(lengths)), lengths))
    order = shortest_first[::-1].copy()  # the first of a batch decides its width
    batches, start = [], 0
    while start < len(order):
        rows = batch_tokens // lengths[order[start]]
        batches.append(order[start : start + rows])
        start += rows
    return [batches[place] for place in generator.permutation(len(batches))]


def pad(sequences: Sequence[np.ndarray], pad_token_id: int) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` of some sequences, `(batch, longest)`, padded at the end.

    Examples:
        >>> import numpy as np
        >>> pad([np.array([5, 6, 7]), np.array([8])], pad_token_id=0)
        {'input_ids': tensor([[5, 6, 7],
                [8, 0, 0]]), 'attention_mask': tensor([[1, 1, 1],
                [1, 0, 0]])}
    """
    lengths = torch.tensor([len(ids) for ids in sequences])
    attention_mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()  # (batch, longest)
    input_ids = torch.full_like(attention_mask, pad_token_id)
    input_ids[attention_mask.bool()] = torch.from_numpy(np.concatenate(sequences)).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask}


class LengthBatches(Dataset):
    """Numbered batches of sequences of similar length.

    Each pass over the sequences (an epoch) groups them differently. The content of a batch, and all that is drawn for
    it, depends on the seed and its number alone, so a training that is interrupted can go on as if it had not been. A
    subclass says in `make` what a batch is.
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
        mixed = np.random.SeedSequence((self.seed, index)).generate_state(1, np.uint64)[0]  # near seeds, unrelated ones
        return self.make(self.members(index), torch.Generator().manual_seed(int(mixed >> 1)))

    def members(self, index: int) -> np.ndarray:
        """The places of the sequences in a batch, `(batch,)`."""
        epoch, place = divmod(index, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._plan_of(epoch)
        return self._plan[place]

    def tokens(self, index: int) -> int:
        """Tokens in a batch, padding left out."""
        return int(self._lengths[self.members(index)].sum())

    def _plan_of(self, epoch: int) -> list[np.ndarray]:
        return plan_batches(self._lengths, self.batch_tokens, np.random.default_rng((self.seed, epoch)))


class LabelledBatches(LengthBatches):
    """Batches of texts, or of pairs of texts in one sequence.

    A batch has `input_ids` and `attention_mask`, `(batch, length)`; for pairs, if wanted, `token_type_ids`, 0 for the
    tokens of the first text and 1 for the second's; and `labels` `(batch,)` where the examples have some.
    """

    def __init__(
        self,
        examples: pd.DataFrame,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        batch_tokens: int,
        seed: int = 0,
        token_types: bool = False,
        batches: int | None = None,
    ) -> None:
        """Plan the batches, as `LengthBatches` does.

        Args:
            examples: `text`, for pairs `text_pair`, and perhaps `label` (the class, from 0), as tasks have them.
            max_length: tokens at most, special ones included; the longer text is cut at its end until both fit.
            batch_tokens: tokens in a batch at most, padding included.
            token_types: whether pairs get `token_type_ids`; see `reads_token_types`.

        Raises:
            InputError: if there are no examples.
        """
        if not len(examples):
            raise InputError("examples: there are none")
        texts = [examples[name].tolist() for name in ("text", "text_pair") if name in examples]
        encoded = tokenizer(
            *texts,
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        self.input_ids = [np.array(ids) for ids in encoded["input_ids"]]
        types = encoded["token_type_ids"] if token_types and len(texts) > 1 else None
        self.token_type_ids = None if types is None else [np.array(ids) for ids in types]
        self.labels = torch.tensor(examples["label"].to_numpy(dtype=np.int64)) if "label" in examples else None
        self.pad_token_id = tokenizer.pad_token_id
        super().__init__([len(ids) for ids in self.input_ids], batch_tokens, seed, batches)

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some texts; nothing in it is drawn."""
        batch = pad([self.input_ids[i] for i in members], self.pad_token_id)
        if self.token_type_ids is not None:
            batch["token_type_ids"] = pad([self.token_type_ids[i] for i in members], 0)["input_ids"]
        if self.labels is not None:
            batch["labels"] = self.labels[torch.from_numpy(members)]
        return batch


def reads_token_types(model: PreTrainedModel) -> bool:
    """Whether a model takes `token_type_ids`, which tell the two texts of a pair apart."""
    return "token_type_ids" in inspect.signature(model.forward).parameters
