"""How well a masked language model guesses: token by token on held-out text, against baselines, and on one sentence."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.models.batches import TokenSequences
from largemodels.pretraining.masked_lm import IGNORED, MaskedBatches, Masking
from largemodels.statistics.intervals import clustered_mean_interval


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
        tokenizer: what the sequences were made with.
        sequences: held-out text.
        masking: which tokens are hidden; 15% as in BERT if not given.
        context: whether the model sees the other tokens. Without them each becomes `[MASK]`, and what is left to go by
            is the place in the sequence and its length.
        seed: of the masks.
        batch_tokens: tokens at once.

    Returns:
        A table of document, library, token (as text), loss (−log p of the token, in nats) and correct (whether no other
        token was likelier).
    """
    model.eval()
    batches = MaskedBatches(sequences, tokenizer, masking or Masking(), batch_tokens=batch_tokens, seed=seed)
    parts = []
    for index in range(len(batches)):
        batch = {name: tensor.to(model.device) for name, tensor in batches[index].items()}
        labels = batch.pop("labels")
        hidden = labels != IGNORED  # (batch, length)
        if not context:
            batch["input_ids"] = _without_words(batch["input_ids"], tokenizer)
        logits = masked_logits(model, batch, hidden)  # (hidden tokens, vocabulary)
        wanted = labels[hidden]
        rows = np.repeat(batches.members(index), hidden.sum(1).cpu().numpy())
        parts.append(
            pd.DataFrame(
                {
                    "sequence": rows,
                    "token": wanted.cpu().numpy(),
                    "loss": F.cross_entropy(logits, wanted, reduction="none").cpu().numpy(),
                    "correct": (logits.argmax(-1) == wanted).cpu().numpy(),
                }
            )
        )
    table = pd.concat(parts).sort_values("sequence", kind="stable", ignore_index=True)
    sequence = table.pop("sequence")
    table.insert(0, "document", np.array(sequences.documents, dtype=object)[sequence])
    table.insert(1, "library", np.array(sequences.libraries, dtype=object)[sequence])
    table["token"] = tokenizer.convert_ids_to_tokens(table["token"].tolist())
    return table


def _without_words(input_ids: torch.Tensor, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """The ids with `[MASK]` for every token but the special ones, in the same shape."""
    special = torch.tensor(tokenizer.all_special_ids, device=input_ids.device)
    return input_ids.masked_fill(~torch.isin(input_ids, special), tokenizer.mask_token_id)


def by_library(tokens: pd.DataFrame) -> pd.DataFrame:
    """The table of `masked_tokens` summed up, a row for each library and one for "all".

    Columns: library, documents, n (hidden tokens), loss (mean, nats) with low and high (95%, documents as clusters),
    correct (count) and accuracy.
    """
    groups = [*tokens.groupby("library", sort=False), ("all", tokens)]
    rows = [
        (
            library,
            group["document"].nunique(),
            len(group),
            *clustered_mean_interval(group["loss"], group["document"]),
            int(group["correct"].sum()),
            group["correct"].mean(),
        )
        for library, group in groups
    ]
    columns = ["library", "documents", "n", "loss", "low", "high", "correct", "accuracy"]
    return pd.DataFrame(rows, columns=columns)


def masked_logits(model: PreTrainedModel, batch: dict[str, torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
    """The logits where `hidden` is true, `(hidden positions, vocabulary)`: the head sees no other position."""
    states = model.base_model(**batch).last_hidden_state[hidden]
    return model.cls(states) if hasattr(model, "cls") else model.decoder(model.head(states))


def uniform_entropy(tokenizer: PreTrainedTokenizerBase) -> float:
    """The loss of a model that knows nothing, ln of the vocabulary's size, in nats."""
    return math.log(len(tokenizer))


def unigram_entropy(tokenizer: PreTrainedTokenizerBase, sequences: TokenSequences) -> float:
    """The entropy of the tokens that masking may choose, in nats: the loss of a model that knows how frequent each is.

    It is the lowest loss that can be had without looking at the rest of the sentence.
    """
    counts = np.bincount(np.concatenate(sequences.input_ids), minlength=len(tokenizer)).astype(float)
    counts[tokenizer.all_special_ids] = 0
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


@torch.no_grad()
def fill_mask(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sentence: str, top: int = 5) -> pd.DataFrame:
    """The likeliest tokens for each `[MASK]` of a sentence: a table of mask (0, 1, …), token and probability.

    Raises:
        InputError: if the sentence holds no `[MASK]`, or is longer than the model reads.
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
