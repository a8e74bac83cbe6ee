"""Masked language modelling: which tokens are hidden, and how the loss is averaged (Devlin et al. 2019).

Both are short and both are easy to get wrong: a loss that counts padding, or a mask that eats `[SEP]`, still trains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from largemodels.models.batches import LengthBatches, TokenSequences, pad
from largemodels.models.losses import cross_entropy

IGNORED = -100  # the label of a position with nothing to predict


@dataclass(frozen=True)
class Masking:
    """What happens to the tokens of a text.

    Attributes:
        rate: the chance of each token to be chosen for prediction.
        mask_share: of the chosen, how many become `[MASK]`.
        random_share: of the chosen, how many become another token; the rest stays what it is.
    """

    rate: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: {self.rate} is not between 0 and 1")
        if min(self.mask_share, self.random_share) < 0 or self.mask_share + self.random_share > 1:
            raise ValueError(
                f"mask_share and random_share: {self.mask_share} and {self.random_share} are no shares of 1"
            )


def mask_tokens(
    input_ids: Tensor, tokenizer: PreTrainedTokenizerBase, masking: Masking, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The text with some tokens hidden, and the labels: the hidden tokens, `IGNORED` (−100) everywhere else.

    Each token is chosen with chance `masking.rate`, independently; special tokens and padding never are. Of the chosen,
    80% become `[MASK]`, 10% a random token (any but the special ones) and 10% stay, so that the model has to make
    something of every token and not of `[MASK]` alone.

    Args:
        input_ids: `(batch, length)`, int64; not changed.
        tokenizer: says which ids are special, and the vocabulary.
        masking: the shares.
        generator: draws; the same state gives the same masks.

    Returns:
        Two tensors of the shape of `input_ids`.
    """
    special = torch.isin(input_ids, torch.tensor(tokenizer.all_special_ids))
    chosen = (torch.rand(input_ids.shape, generator=generator) < masking.rate) & ~special
    labels = input_ids.masked_fill(~chosen, IGNORED)

    fate = torch.rand(input_ids.shape, generator=generator)
    masked = chosen & (fate < masking.mask_share)
    randomised = chosen & ~masked & (fate < masking.mask_share + masking.random_share)
    ordinary = _ordinary_tokens(tokenizer)
    random_tokens = ordinary[torch.randint(len(ordinary), input_ids.shape, generator=generator)]
    hidden = input_ids.masked_fill(masked, tokenizer.mask_token_id)
    return torch.where(randomised, random_tokens, hidden), labels


def _ordinary_tokens(tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """All ids of the vocabulary that are not special."""
    ids = torch.arange(len(tokenizer))
    return ids[~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))]


def masked_language_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of −log p(token) over the masked positions, in nats: a scalar.

    The mean is over positions that have a label, not over all positions and not row by row, so neither padding nor the
    division into rows changes it.

    Args:
        logits: `(batch, length, vocabulary)`.
        labels: `(batch, length)`, `IGNORED` where nothing is masked.

    Raises:
        ValueError: if nothing is masked.
    """
    return cross_entropy(logits, labels, ignore_index=IGNORED)


class MaskedBatches(LengthBatches):
    """Batches of masked text: `input_ids`, `attention_mask` and `labels`, each `(batch, length)`.

    Every epoch hides other tokens, as in RoBERTa (Liu et al. 2019).
    """

    def __init__(
        self,
        sequences: TokenSequences,
        tokenizer: PreTrainedTokenizerBase,
        masking: Masking,
        *,
        batch_tokens: int,
        seed: int,
        batches: int | None = None,
    ) -> None:
        super().__init__(sequences.lengths, batch_tokens, seed, batches)
        self.sequences, self.tokenizer, self.masking = sequences, tokenizer, masking

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some sequences, with masks from the generator."""
        batch = pad([self.sequences.input_ids[i] for i in members], self.tokenizer.pad_token_id)
        batch["input_ids"], batch["labels"] = mask_tokens(batch["input_ids"], self.tokenizer, self.masking, generator)
        return batch
