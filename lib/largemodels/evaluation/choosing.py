"""What a classifier costs where it is used: milliseconds a sentence, megabytes, and which choices are worth having.

Accuracy is in `largemodels.statistics.spread`; `largemodels.models.cost` counts arithmetic and takes the times.
"""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from largemodels.models.cost import time_calls
from largemodels.models.trainable import blocks_of

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

Answer = Callable[[Sequence[str]], np.ndarray]


def first_layers(encoder: PreTrainedModel, number: int) -> PreTrainedModel:
    """A copy of an encoder and its head that keeps the first `number` of its layers, without any retraining.

    Sajjad et al. 2023 keep the first layers of BERT so, and compare other choices.

    Raises:
        ValueError: if it has not so many layers, or none that `blocks_of` knows.
    """
    layers = encoder.config.num_hidden_layers
    if not 1 <= number <= layers:
        raise ValueError(f"number: {number} is not from 1 to {layers}, the layers of the encoder")
    smaller = copy.deepcopy(encoder)
    del blocks_of(smaller)[number:]
    smaller.config.num_hidden_layers = number
    if getattr(smaller.config, "layer_types", None):
        smaller.config.layer_types = smaller.config.layer_types[:number]
    return smaller


def answering(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Answer:
    """A function from texts to classes, `(texts,)`, as a program would use the model: one batch, the best class."""
    model.eval()

    @torch.inference_mode()
    def answer(texts: Sequence[str]) -> np.ndarray:
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
        return model(**inputs).logits.argmax(-1).cpu().numpy()

    return answer


def milliseconds_a_text(
    answers: Mapping[str, Answer], texts: Sequence[str], *, batch: int, repetitions: int
) -> pd.DataFrame:
    """The time that each model takes for a text, in batches of one size, from text to class: one row a model.

    The models take turns on the same texts, a new batch each time. Columns: the `median` of the repetitions and the
    quantiles `low` (0.1) and `high` (0.9), in milliseconds a text; the first batch is not counted.

    Raises:
        ValueError: for fewer texts than a batch.
    """
    if len(texts) < batch:
        raise ValueError(f"texts: {len(texts)} do not fill a batch of {batch}")
    batches = [texts[start : start + batch] for start in range(0, len(texts) - batch + 1, batch)]

    def call(answer: Answer) -> Callable[[], np.ndarray]:
        each = itertools.cycle(batches)
        return lambda: answer(next(each))

    seconds = time_calls({name: call(answer) for name, answer in answers.items()}, repetitions)
    quantiles = {name: np.quantile(1000 * times / batch, [0.5, 0.1, 0.9]) for name, times in seconds.items()}
    return pd.DataFrame(quantiles, index=["median", "low", "high"]).T


def stored_bytes(model: PreTrainedModel | BaseEstimator) -> int:
    """The bytes that a model takes on a disk: the weights of a network as they are, anything else pickled."""
    if isinstance(model, torch.nn.Module):
        tensors = {tensor.data_ptr(): tensor for tensor in model.state_dict().values()}  # tied weights are stored once
        return sum(tensor.nbytes for tensor in tensors.values())
    return len(pickle.dumps(model))


def on_the_front(costs: ArrayLike, values: ArrayLike) -> np.ndarray:
    """Whether no other choice beats each, bool, `(n,)`: the Pareto front, on which equal choices stay together.

    Less is better of the costs, `(n,)` or for several kinds `(n, kinds)`, and more of the values, `(n,)`.

    Examples:
        >>> on_the_front(costs=[1.0, 2.0, 3.0], values=[0.7, 0.9, 0.8])
        array([ True,  True, False])
    """
    costs, values = np.asarray(costs, dtype=float), np.asarray(values, dtype=float)
    costs = costs.reshape(len(costs), -1)
    as_good = (costs[:, None] <= costs).all(2) & (values[:, None] >= values)  # [i, j]: i is no worse than j in anything
    better = as_good & ((costs[:, None] < costs).any(2) | (values[:, None] > values))
    return ~better.any(0)
