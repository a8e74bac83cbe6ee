"""Masked language modelling: hidden tokens, and a model that guesses them (Devlin et al. 2019).

Masks and the loss are short and easy to get wrong: with a loss that counts padding, or a mask that covers `[SEP]`, a
model still trains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.models.batches import LengthBatches, TokenSequences, pad
from largemodels.models.losses import IGNORED, log_softmax
from largemodels.statistics.intervals import clustered_mean_interval

# --- Hiding tokens -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Masking:
    """The shares of tokens that are hidden, and in what way.

    Attributes:
        rate: the chance of each token to be chosen for prediction.
        mask_share: the share of the chosen that become `[MASK]`.
        random_share: the share of the chosen that become a random token; the rest stays as it is.
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
        input_ids: `(batch, length)`, int64; not changed. Both results are of the same shape and type.
        tokenizer: gives the vocabulary and its special tokens.
        generator: of all random numbers; the same state gives the same masks.
    """
    special = torch.tensor(tokenizer.all_special_ids)
    chosen = torch.rand(input_ids.shape, generator=generator) < masking.rate
    chosen &= ~torch.isin(input_ids, special)  # (batch, length)
    labels = input_ids.masked_fill(~chosen, IGNORED)

    fate = torch.rand(input_ids.shape, generator=generator)
    masked = chosen & (fate < masking.mask_share)
    randomised = chosen & ~masked & (fate < masking.mask_share + masking.random_share)
    vocabulary = torch.arange(len(tokenizer))
    ordinary = vocabulary[~torch.isin(vocabulary, special)]
    random_tokens = ordinary[torch.randint(len(ordinary), input_ids.shape, generator=generator)]
    hidden = input_ids.masked_fill(masked, tokenizer.mask_token_id)
    return torch.where(randomised, random_tokens, hidden), labels


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
    hidden = labels != IGNORED  # (batch, length)
    if not hidden.any():
        raise ValueError("labels: no token is hidden, so there is nothing to average")
    log_probabilities = log_softmax(logits[hidden])  # (hidden, vocabulary)
    return -log_probabilities.gather(-1, labels[hidden].unsqueeze(-1)).mean()


class MaskedBatches(LengthBatches):
    """Batches of masked text: `input_ids`, `attention_mask` and `labels`, each `(batch, length)`.

    Every epoch hides other tokens, as in RoBERTa (Liu et al. 2019).
    """

    def __init__(
        self, sequences: TokenSequences, tokenizer: PreTrainedTokenizerBase, masking: Masking, **options: Any
    ) -> None:
        """Plan the batches; `options` are batch_tokens, seed and batches, as for `LengthBatches`."""
        super().__init__(sequences.lengths, **options)
        self.sequences, self.tokenizer, self.masking = sequences, tokenizer, masking

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some sequences, with masks from the generator."""
        batch = pad([self.sequences.input_ids[i] for i in members], self.tokenizer.pad_token_id)
        batch["input_ids"], batch["labels"] = mask_tokens(batch["input_ids"], self.tokenizer, self.masking, generator)
        return batch


# --- Measuring guesses -------------------------------------------------------------------------------------


@torch.no_grad()
def masked_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sequences: TokenSequences,
    masking: Masking | None = None,
    *,
    context: bool = True,
    seed: int = 0,
    batch_tokens: int = 4096,
) -> pd.DataFrame:
    """One row for each hidden token of the text, in the order of the sequences; the same tokens for the same seed.

    Args:
        model: a masked language model; it is left in evaluation mode.
        tokenizer: the one that the sequences were made with.
        masking: the shares of hidden tokens; 15% as in BERT if not given.
        context: whether the model sees the other tokens. Without them each becomes `[MASK]`, and all that is left to go
            by is the place in the sequence and its length.
        seed: of the masks.

    Returns:
        A table of document, library, token (as text), shown (what `masking` put in its place: `[MASK]`, a random token,
        or the token itself, which a model may copy), loss (−log p of the token, in nats) and correct (whether no other
        token was likelier).
    """
    model.eval()
    batches = MaskedBatches(sequences, tokenizer, masking or Masking(), batch_tokens=batch_tokens, seed=seed)
    parts = []
    for index in range(len(batches)):
        batch = {name: tensor.to(model.device) for name, tensor in batches[index].items()}
        labels = batch.pop("labels")
        hidden = labels != IGNORED  # (batch, length)
        shown = batch["input_ids"][hidden]  # (hidden,)
        if not context:
            special = torch.isin(batch["input_ids"], torch.tensor(tokenizer.all_special_ids, device=labels.device))
            batch["input_ids"] = batch["input_ids"].masked_fill(~special, tokenizer.mask_token_id)
        logits, tokens = masked_logits(model, batch, hidden), labels[hidden]  # (hidden, vocabulary), (hidden,)
        part = {
            "sequence": np.repeat(batches.members(index), hidden.sum(1).cpu().numpy()),
            "token": tokens.cpu().numpy(),
            "shown": shown.cpu().numpy(),
            "loss": F.cross_entropy(logits, tokens, reduction="none").cpu().numpy(),
            "correct": (logits.argmax(-1) == tokens).cpu().numpy(),
        }
        parts.append(pd.DataFrame(part))
    table = pd.concat(parts).sort_values("sequence", kind="stable", ignore_index=True)
    sequence = table.pop("sequence")
    table.insert(0, "document", np.array(sequences.documents, dtype=object)[sequence])
    table.insert(1, "library", np.array(sequences.libraries, dtype=object)[sequence])
    for column in ("token", "shown"):
        table[column] = tokenizer.convert_ids_to_tokens(table[column].tolist())
    return table


def masked_logits(model: PreTrainedModel, batch: dict[str, Tensor], hidden: Tensor) -> Tensor:
    """The logits where `hidden` `(batch, length)` is true, `(hidden, vocabulary)`: the head sees no other position."""
    states = model.base_model(**batch).last_hidden_state[hidden]  # (hidden, hidden_size)
    return model.cls(states) if hasattr(model, "cls") else model.decoder(model.head(states))


def by_library(tokens: pd.DataFrame) -> pd.DataFrame:
    """The table of `masked_tokens` summed up, a row for each library and one for "all".

    Columns: library, documents, n (hidden tokens), loss (mean, nats) with low and high (95%, documents as clusters),
    correct (count) and accuracy.
    """
    rows = []
    for library, group in [*tokens.groupby("library", sort=False), ("all", tokens)]:
        loss, low, high = clustered_mean_interval(group["loss"], group["document"])
        row = {"library": library, "documents": group["document"].nunique(), "n": len(group)}
        row |= {"loss": loss, "low": low, "high": high}
        rows.append(row | {"correct": int(group["correct"].sum()), "accuracy": group["correct"].mean()})
    return pd.DataFrame(rows)


def uniform_entropy(tokenizer: PreTrainedTokenizerBase) -> float:
    """The loss of a model that knows nothing, ln of the vocabulary's size, in nats."""
    return math.log(len(tokenizer))


def unigram_entropy(tokenizer: PreTrainedTokenizerBase, sequences: TokenSequences) -> float:
    """The entropy of the tokens that masking may choose, in nats: the least that a constant guess costs."""
    counts = _counts(tokenizer, sequences)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def unigram_cross_entropy(
    tokenizer: PreTrainedTokenizerBase, sequences: TokenSequences, held_out: TokenSequences
) -> float:
    """The mean loss on held-out tokens of a prediction that knows how frequent each token is in `sequences`, in nats.

    One is added to the count of every token that masking may choose, so that none of them is impossible.
    """
    counts, asked = _counts(tokenizer, sequences), _counts(tokenizer, held_out)
    ordinary = np.ones(len(tokenizer), dtype=bool)
    ordinary[tokenizer.all_special_ids] = False
    log_shares = np.log((counts[ordinary] + 1) / (counts[ordinary] + 1).sum())
    return float(-(asked[ordinary] * log_shares).sum() / asked.sum())


def _counts(tokenizer: PreTrainedTokenizerBase, sequences: TokenSequences) -> np.ndarray:
    """How often each token of the vocabulary stands in the text, `(vocabulary,)`; special ones count 0."""
    counts = np.bincount(np.concatenate(sequences.input_ids), minlength=len(tokenizer)).astype(float)
    counts[tokenizer.all_special_ids] = 0
    return counts


@torch.no_grad()
def fill_mask(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sentence: str, top: int = 5) -> pd.DataFrame:
    """The likeliest tokens for each `[MASK]` of a sentence: a table of mask (0, 1, …), token and probability.

    Raises:
        InputError: if the sentence holds no `[MASK]`, or is longer than the model reads.

    Examples:
        >>> from largemodels.models.loading import load_masked_lm, load_tokenizer
        >>> model, tokenizer = load_masked_lm("pydocs-small"), load_tokenizer("pydocs-small")
        >>> fill_mask(model, tokenizer, "Returns the number [MASK] rows.", top=1)["token"].item()
        'of'
    """
    inputs = tokenizer(sentence, return_tensors="pt", verbose=False).to(model.device)
    places = inputs["input_ids"] == tokenizer.mask_token_id  # (1, length)
    if not places.any():
        raise InputError(
            f"sentence: {sentence!r} holds no {tokenizer.mask_token}; write it where a word is to be guessed"
        )
    if (length := places.shape[1]) > (longest := model.config.max_position_embeddings):
        raise InputError(f"sentence: {length} tokens are more than the {longest} that the model reads")
    model.eval()
    batch = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    best = masked_logits(model, batch, places).softmax(-1).topk(top)  # (masks, top) each
    return pd.DataFrame(
        {
            "mask": np.repeat(np.arange(len(best.indices)), top),
            "token": tokenizer.convert_ids_to_tokens(best.indices.flatten().tolist()),
            "probability": best.values.flatten().cpu().numpy(),
        }
    )
