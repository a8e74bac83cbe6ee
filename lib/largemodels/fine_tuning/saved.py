"""A fine-tuned classifier kept in a folder that `transformers.pipeline` loads, and its answers to new texts.

The folder has the weights as safetensors, the labels by name, the tokenizer with the limit of the training, and a card.
The configuration also names the columns that the classifier learnt from, so that a new file of the same form is read
without naming them again; Transformers leaves that entry alone.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.base.cache import Progress
from largemodels.base.files import replacing_folder
from largemodels.data.tasks import Task
from largemodels.models.classifiers import predict
from largemodels.models.loading import check_fit, load_tokenizer, load_trained_classifier

_AT_ONCE = 4096  # texts between two reports of progress


def save_classifier(
    folder: Path | str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    task: Task,
    card: str,
) -> Path:
    """The folder, which appears once everything is in it; one that stood there is replaced.

    Args:
        folder: where the classifier belongs.
        model: the classifier, with its labels in the configuration.
        tokenizer: of the model.
        max_length: the tokens of a text at most that it was trained with, which the kept tokenizer has as its limit.
        task: that it learnt.
        card: the README, as `card.model_card` has it.
    """
    folder, kept = Path(folder), copy.deepcopy(tokenizer)
    kept.model_max_length = max_length
    with replacing_folder(folder) as partial:
        model.config.text_columns = _text_columns(task)
        model.save_pretrained(partial)
        kept.save_pretrained(partial)
        (partial / "README.md").write_text(card, encoding="utf-8")
    return folder


def lines_of_use(folder: str, task: Task) -> str:
    """The three lines of Python that load a kept classifier and answer a text, or two."""
    pair = len(_text_columns(task)) > 1
    text = '{"text": "the first text", "text_pair": "the second"}' if pair else '"the text"'
    return "\n".join(
        [
            "from transformers import pipeline",
            f'classify = pipeline("text-classification", {json.dumps(folder)}, truncation=True)',
            f"print(classify({text}, top_k=None))",
        ]
    )


def _text_columns(task: Task) -> list[str]:
    """The column of the text and, of a task on pairs, that of the second text."""
    columns = (task.reading.columns.get(name) for name in ("text_column", "pair_column"))
    return [column.name for column in columns if column] or ["text"]


def load_saved(folder: Path | str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The classifier and the tokenizer of a folder that `save_classifier` wrote; on a GPU, where there is one.

    Raises:
        CheckpointError: for a folder that holds no whole classifier.
    """
    tokenizer, model = load_tokenizer(folder), load_trained_classifier(folder)
    check_fit(folder, tokenizer, model)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def learnt_columns(model: PreTrainedModel) -> tuple[str, ...]:
    """The columns that a saved classifier learnt from: the text, and the second text of one that reads pairs."""
    return tuple(getattr(model.config, "text_columns", None) or ("text",))


def labels_of(model: PreTrainedModel) -> list[str]:
    """The names of a classifier's classes, in the order of its answers."""
    return [model.config.id2label[place] for place in range(model.config.num_labels)]


def probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    progress: Progress | None = None,
) -> np.ndarray:
    """The probability of each class for each example, `(examples, classes)`; NaN where the text is blank.

    Args:
        model: a saved classifier.
        tokenizer: of the model; longer texts are cut at its limit.
        examples: text and, for pairs, text_pair.
        progress: called as `progress(done, total, message)` where it takes long.
    """
    answers = np.full((len(examples), model.config.num_labels), np.nan)
    filled = np.flatnonzero(examples["text"].str.strip() != "")
    limit = tokenizer.model_max_length
    for start in range(0, len(filled), _AT_ONCE):
        places = filled[start : start + _AT_ONCE]
        part = examples.iloc[places].reset_index(drop=True)
        logs = predict(model, tokenizer, part, max_length=limit, batch_tokens=max(2048, limit))
        answers[places] = np.exp(logs)
        if progress and len(filled) > _AT_ONCE:
            progress(min(start + _AT_ONCE, len(filled)), len(filled), "texts answered")
    return answers
