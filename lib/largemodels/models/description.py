"""What was taken of a model, in words: for the first section of a chapter, a run's record and `workbench model`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.errors import few
from largemodels.models.checkpoints import Checkpoint, resolve, shipped
from largemodels.models.files import tensors_in
from largemodels.models.lengths import UNLIMITED, length_limit
from largemodels.models.loading import check_fit, head_in, load_classifier, load_encoder, load_tokenizer

_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class Examined(NamedTuple):
    """A model that was loaded to be looked at: its description, and the parameters that would change a choice."""

    description: dict[str, str]
    suggestions: dict[str, str]  # what to write behind `workbench run CHAPTER`, and what it does


def describe(
    name: str | os.PathLike[str], tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> dict[str, str]:
    """What was taken of a model, a word or a sentence for each aspect, in the order in which people ask.

    Args:
        name: that the model was loaded by.
        tokenizer: of the model.
        model: as `largemodels.models.loading` gives it, before a training.

    Raises:
        CheckpointError: as `loading.check_fit`, for a tokenizer of another model.
    """
    check_fit(name, tokenizer, model)
    checkpoint, limit = resolve(name), length_limit(tokenizer, model)
    tokens = "no limit" if limit.tokens == UNLIMITED else f"{limit.tokens:,} tokens"
    return {
        "source": _source(checkpoint),
        "family": f"{model.config.model_type}, as {type(model).__name__}",
        "parameters": f"{model.num_parameters():,}",
        "weights": _weights(checkpoint),
        "tokenizer": f"{type(tokenizer).__name__}, {len(tokenizer):,} tokens",
        "longest text": f"{tokens}: {limit.reason}",
        "head": _head(name, model),
    }


def examine(name: str | os.PathLike[str], labels: Sequence[str] = ()) -> Examined:
    """The description of a model that is loaded for it, as a classifier where there are labels.

    Raises:
        CheckpointError: as the functions of `loading`.
    """
    tokenizer = load_tokenizer(name)
    model = load_classifier(name, labels, seed=0) if labels else load_encoder(name)
    description, longest = describe(name, tokenizer, model), length_limit(tokenizer, model).tokens
    suggestions = {}
    if longest != UNLIMITED:
        suggestions[f"-p max_length={longest}"] = "reads texts as long as the model can; a smaller one is faster"
    checkpoint = resolve(name)
    if checkpoint.commit and checkpoint.commit not in str(name):
        pinned = f"-p model={checkpoint.hub_id}@{checkpoint.commit}"
        suggestions[pinned] = "takes this very commit, whatever the Hub has later"
    return Examined(description, suggestions)


def _source(checkpoint: Checkpoint) -> str:
    """Where the files come from; of a folder its name alone, because a page may be published."""
    if checkpoint.hub_id:
        return f"the Hub, {checkpoint.hub_id} at commit {checkpoint.commit}"
    if checkpoint.name in shipped():
        return f"{checkpoint.name}, which comes with the workbench"
    return f"the folder {checkpoint.folder.name}"


def _weights(checkpoint: Checkpoint) -> str:
    """The precision of the weights; they are float32 once loaded."""
    stored = {tensor.dtype for tensor in tensors_in(checkpoint.folder, checkpoint.name).values()}
    kept = few(sorted(_TYPES.get(kind, kind) for kind in stored))
    return "float32" if kept == "float32" else f"float32, made of {kept} in the files"


def _head(name: str | os.PathLike[str], model: PreTrainedModel) -> str:
    """What became of the head of a model's files, or would in a classifier for the labels that they name."""
    kind = type(model).__name__
    if kind.endswith("ForMaskedLM"):
        return "for masked tokens, from the files"
    theirs = list(map(str, model.config.id2label.values()))
    head = head_in(name, theirs)
    if kind.endswith("ForSequenceClassification"):
        return head.said
    return f"kept for data with its labels ({few(theirs)}), and new for any other" if head.order else head.said
