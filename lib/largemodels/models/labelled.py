"""Labelled texts, and pairs of texts, in batches; and the probabilities that a classifier gives them."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import InputError
from largemodels.models.batches import LengthBatches, pad


class LabelledBatches(LengthBatches):
    """Batches of texts, or of pairs of texts in one sequence, with little padding.

    A batch has `input_ids` and `attention_mask`, `(batch, length)`; `token_type_ids`, which of two texts each token is
    of, where asked for; and `labels` `(batch,)` where the examples have some.
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
        """Plan the batches.

        Args:
            examples: `text`, for pairs `text_pair`, and perhaps `label` (the class, from 0), as tasks have them.
            tokenizer: the model's.
            max_length: tokens at most, special ones included; the longer text is cut at its end until both fit.
            batch_tokens: tokens in a batch at most, padding included.
            seed: of the order of batches.
            token_types: whether to say which of two texts each token is of; see `reads_token_types`.
            batches: how many; those of one epoch if not given.

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
    """Whether a model wants to be told which of two texts each token is of."""
    return "token_type_ids" in inspect.signature(model.forward).parameters


@torch.no_grad()
def class_log_probabilities(model: PreTrainedModel, batches: LabelledBatches) -> np.ndarray:
    """The log-probability of each class for each text, `(texts, classes)`, in the order of the examples.

    The model has one head of logits, or both of BERT's, of which the second is asked. It is left in evaluation mode.
    """
    model.eval()
    found: dict[int, Tensor] = {}
    for index in range(batches.batches_per_epoch):
        batch = {name: tensor.to(model.device) for name, tensor in batches[index].items() if name != "labels"}
        outputs = model(**batch)
        logits = outputs.logits if hasattr(outputs, "logits") else outputs.seq_relationship_logits
        found |= zip(batches.members(index).tolist(), logits.float().log_softmax(-1).cpu(), strict=True)
    return torch.stack([found[place] for place in range(len(found))]).numpy()
