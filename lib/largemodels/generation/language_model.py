"""Documents for a causal language model, its training, and its loss: nats, perplexity, bits per byte.

The loss of a token depends on how a tokenizer cuts; bits per byte do not: the loss of all tokens of a text over the
bytes of that text is the length of its shortest encoding by the model, whatever the tokens are (Gao et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.generation.reading import begun, context_length
from largemodels.models.batches import LengthBatches, TokenSequences, pad, plan_batches
from largemodels.models.losses import IGNORED
from largemodels.models.training import Recipe, train


def joined_documents(sentences: pd.DataFrame) -> pd.DataFrame:
    """The documents of a corpus, a row each, in their order: document, library, text (sentences joined by spaces).

    The table is as `largemodels.data.corpora.sentences` gives it.
    """
    groups = sentences.groupby("document", sort=False)
    return groups.agg(library=("library", "first"), text=("sentence", " ".join)).reset_index()


def token_windows(documents: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, max_length: int) -> TokenSequences:
    """Documents as token ids, each `begun` and with an end-of-text token behind it, in windows of at most `max_length`.

    A window begins with the last token of the one before, so that every token but the one that begins a document is
    predicted once, and none is predicted across documents.

    Raises:
        InputError: if there are no documents, no room for a token and its successor, or no end-of-text token.
    """
    if not len(documents):
        raise InputError("documents: there are none; give a larger text, so that each split gets some")
    if max_length < 2:
        raise InputError(f"max_length: {max_length} is not at least 2, a token and the one that is predicted")
    if (end := tokenizer.eos_token_id) is None:
        raise InputError("tokenizer: has no end-of-text token, which is to stand behind each document")
    windows, names, libraries = [], [], []
    tokens = tokenizer(documents["text"].tolist(), add_special_tokens=False, verbose=False)["input_ids"]
    for ids, document, library in zip(tokens, documents["document"], documents["library"], strict=True):
        whole = np.array([*begun(tokenizer, ids), end])
        for start in range(0, len(whole) - 1, max_length - 1):
            windows.append(whole[start : start + max_length])
            names.append(document)
            libraries.append(library)
    return TokenSequences(windows, names, libraries)


class CausalBatches(LengthBatches):
    """Batches of windows: `input_ids`, `attention_mask` and `labels`, each `(batch, length)`.

    The labels are the tokens themselves, and `IGNORED` at the padding: a model compares each with the logits of the
    position before.
    """

    def __init__(self, windows: TokenSequences, tokenizer: PreTrainedTokenizerBase, **options: Any) -> None:
        """Plan the batches; `options` are batch_tokens, seed and batches, as for `LengthBatches`."""
        super().__init__(windows.lengths, **options)
        self.windows, self.pad_token_id = windows, tokenizer.pad_token_id

    def make(self, members: np.ndarray, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch of some windows; nothing in it is drawn."""
        batch = pad([self.windows.input_ids[i] for i in members], self.pad_token_id)
        return {**batch, "labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)}


def train_decoder(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    windows: TokenSequences,
    recipe: Recipe,
    *,
    validation: TokenSequences | None = None,
    **options: Any,
) -> pd.DataFrame:
    """The history of a training by next-token prediction; `model` is trained in place.

    Args:
        model: a causal language model, such as `Decoder`.
        tokenizer: the one that the windows were made with.
        validation: held-out text, evaluated whole each time.
        **options: evaluations, folder, saves and callbacks, as for `largemodels.models.training.train`, whose table
            comes back.
    """

    def evaluate(model: nn.Module) -> dict[str, float]:
        tokens = token_losses(model, tokenizer, validation)
        return {"loss": tokens["loss"].mean(), "accuracy": tokens["correct"].mean()}

    batches = partial(CausalBatches, windows, tokenizer)
    return train(model, tokenizer, batches, recipe, evaluate=evaluate if validation else None, **options)


def token_losses(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, windows: TokenSequences, *, batch_tokens: int = 8192
) -> pd.DataFrame:
    """One row for each predicted token, in the order of the windows: document, library, token_id, loss and correct.

    The loss is −log p of the token given those before it in its window, in nats; `correct` says whether no other token
    was likelier. The model is left in evaluation mode.

    Raises:
        InputError: for a window that is longer than the model reads.
    """
    options = {"batch_tokens": batch_tokens, "pad_token_id": tokenizer.pad_token_id}
    table = losses_after(model, windows.input_ids, **options)
    window = table.pop("text")
    table.insert(0, "document", np.array(windows.documents, dtype=object)[window])
    table.insert(1, "library", np.array(windows.libraries, dtype=object)[window])
    return table


@torch.no_grad()
def losses_after(
    model: nn.Module,
    texts: Sequence[Sequence[int]],
    known: int | Sequence[int] = 1,
    *,
    batch_tokens: int = 8192,
    pad_token_id: int | None = 0,
) -> pd.DataFrame:
    """One row for each token of some texts behind their first ones, in their order: text, token_id, loss and correct.

    The loss is −log p of the token given all before it in its text, in nats; `correct` says whether no other token was
    likelier. A causal model of `transformers` or `Decoder` is left in evaluation mode.

    Args:
        texts: token ids, of which one text may have as many as the model reads.
        known: how many tokens of each text are given and have no row, 1 or more: one number, or one for each text.
        batch_tokens: tokens in a batch, padding included; a longer text is a batch by itself.
        pad_token_id: what stands behind the shorter texts of a batch, where nothing reads it.

    Raises:
        InputError: for a text that is longer than the model reads.
        ValueError: if there are no texts, or not a single token of one is known.
    """
    if not len(texts):
        raise ValueError("texts: there are none")
    known = np.broadcast_to(np.asarray(known, dtype=int), len(texts))
    lengths = np.array([len(ids) for ids in texts], dtype=int)
    if min(known.min(), lengths.min()) < 1:
        raise ValueError("known: the first token of a text is never predicted, so each has to have one that is given")
    longest, limit = int(lengths.max()), context_length(model)
    if limit is not None and longest > limit:
        raise InputError(f"texts: one has {longest} tokens, more than the {limit} that the model reads; cut it")
    model.eval()
    parts = []
    for members in plan_batches(lengths, max(batch_tokens, longest), np.random.default_rng(0)):
        batch = pad([np.asarray(texts[place]) for place in members], pad_token_id or 0)
        places = torch.arange(1, batch["input_ids"].shape[1])
        asked = (places >= torch.from_numpy(known[members])[:, None]) & batch["attention_mask"][:, 1:].bool()
        batch, asked = {name: each.to(model.device) for name, each in batch.items()}, asked.to(model.device)
        logits = model(**batch).logits[:, :-1][asked].float()  # (asked, vocabulary)
        tokens = batch["input_ids"][:, 1:][asked]  # (asked,)
        part = {
            "text": np.repeat(members, asked.sum(1).cpu().numpy()),
            "token_id": tokens.cpu().numpy(),
            "loss": F.cross_entropy(logits, tokens, reduction="none").cpu().numpy(),
            "correct": (logits.argmax(-1) == tokens).cpu().numpy(),
        }
        parts.append(pd.DataFrame(part))
    return pd.concat(parts).sort_values("text", kind="stable", ignore_index=True)
