"""What a smaller model costs and what it answers, beside the model that it was made from: the rows of one table.

Bytes are counted and the same on every machine. Times are measured, with the models taking turns.
"""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedTokenizerBase

from largemodels.compression.backends import OnnxModel
from largemodels.compression.saving import stored_tensors
from largemodels.models.batches import LabelledBatches, pad
from largemodels.models.classifiers import class_log_probabilities, unlabelled_batches
from largemodels.models.cost import time_calls
from largemodels.statistics.calibration import expected_calibration_error
from largemodels.statistics.comparisons import paired_bootstrap
from largemodels.statistics.intervals import covering, proportion_interval

BATCHES = (1, 32)
"""Texts at a time for which latency is measured: one user, and a queue."""


def answers(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, examples: pd.DataFrame, *, max_length: int
) -> tuple[np.ndarray, float]:
    """The log-probability of each class for each example, `(examples, classes)`, and the CPU seconds that it took.

    CPU seconds are those of all cores together, without tokenization: on one machine the energy goes with them.
    """
    batches = unlabelled_batches(model, tokenizer, examples, max_length)
    start = time.process_time()
    logs = class_log_probabilities(model, batches)
    return logs, time.process_time() - start


def judge(logs: np.ndarray, reference: np.ndarray, labels: ArrayLike, clusters: ArrayLike | None = None) -> dict:
    """The answers of a model against the labels, and against a reference's answers to the same examples.

    Args:
        logs: log-probabilities, `(examples, classes)`.
        reference: those of the model that is compared with.
        labels: the true classes, `(examples,)`.
        clusters: `(examples,)`, such as the document of each example, which are drawn together.

    Returns:
        "accuracy", "gain" (accuracy less the reference's, paired) and "agreement" (the share of equal answers), each
        `(value, low, high)`, and "calibration_error", of 15 bins.
    """
    labels, answer, other = np.asarray(labels), logs.argmax(1), reference.argmax(1)
    gain = paired_bootstrap(answer == labels, other == labels, clusters=clusters, resamples=2000)
    probabilities = np.exp(logs.astype(float))
    probabilities /= probabilities.sum(1, keepdims=True)
    return {
        "accuracy": proportion_interval(int((answer == labels).sum()), len(labels)),
        "gain": covering(gain.difference, gain.low, gain.high),
        "agreement": proportion_interval(int((answer == other).sum()), len(labels)),
        "calibration_error": expected_calibration_error(probabilities, labels),
    }


def file_bytes(model: nn.Module) -> int:
    """The bytes of a model's weights as safetensors keep them, each tensor once.

    What safetensors cannot hold is counted as its library keeps it: a graph of ONNX Runtime, tensors of torchao.
    """
    if isinstance(model, OnnxModel):
        return model.file_bytes
    tensors = [each for each in model.state_dict().values() if isinstance(each, Tensor)]
    if any(hasattr(each, "__tensor_flatten__") for each in tensors):
        return sum(part.nbytes for each in tensors for part in _parts(each))
    return len(save(stored_tensors(model)[0]))


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    """The plain tensors that a tensor is made of, itself where it is one."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from _parts(getattr(tensor, name))


def peak_bytes(call: Callable[[], Any]) -> int:
    """The most bytes of the tensors that a call makes which are alive at the same time, its result among them.

    Counted at every operation of PyTorch; what a kernel holds for itself meanwhile is not in it.

    Examples:
        >>> import torch
        >>> peak_bytes(lambda: torch.ones(1000) + torch.ones(1000))
        12000
    """
    with _Living() as living:
        result = call()
    del result
    return living.most


class _Living(TorchDispatchMode):
    """Adds up the storages that operations make, and takes off those that go."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_leaves((args, kwargs or {})):  # what was there before is not made here, nor are views of it
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in self.known:
                self.known.add(storage._cdata)
                weakref.finalize(storage, self._gone, storage._cdata, 0)
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in self.known:
                self.known.add(storage._cdata)
                self.held += storage.nbytes()
                self.most = max(self.most, self.held)
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        return made

    def _gone(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.held -= size


def request_batches(
    tokenizer: PreTrainedTokenizerBase, examples: pd.DataFrame, size: int, *, number: int, max_length: int
) -> list[dict[str, Tensor]]:
    """So many batches of texts as they come, each padded to its own longest; the last ones go round again."""
    encoded = LabelledBatches(examples, tokenizer, max_length=max_length, batch_tokens=max_length).input_ids
    texts = itertools.cycle(encoded)
    return [pad(list(itertools.islice(texts, size)), tokenizer.pad_token_id) for _ in range(number)]


def costs(
    models: Mapping[str, nn.Module],
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    *,
    max_length: int,
    repetitions: int = 20,
    sizes: Sequence[int] = BATCHES,
) -> tuple[pd.DataFrame, dict[int, dict[str, np.ndarray]]]:
    """What each model costs, one row each, and the seconds of every repetition by batch size and name.

    Columns: bytes (of the weights), peak_bytes (weights and tensors while the largest batch is answered) and, for each
    batch size, median_ms and p95_ms. In each repetition all models answer the same texts, one after the other.
    """
    rows = {name: {"bytes": file_bytes(model.eval())} for name, model in models.items()}
    seconds = {}
    for size in sizes:
        batches = request_batches(tokenizer, examples, size, number=repetitions + 1, max_length=max_length)
        calls = {name: _answering(model, batches) for name, model in models.items()}
        seconds[size] = time_calls(calls, repetitions)
        for name, each in seconds[size].items():
            rows[name] |= {
                f"median_ms_{size}": 1e3 * float(np.median(each)),
                f"p95_ms_{size}": 1e3 * float(np.quantile(each, 0.95)),
            }
    for name, model in models.items():
        rows[name]["peak_bytes"] = rows[name]["bytes"] + peak_bytes(_answering(model, batches[:1]))
    return pd.DataFrame(rows).T, seconds


def _answering(model: nn.Module, batches: Sequence[dict[str, Tensor]]) -> Callable[[], Any]:
    """A call that answers the next of some batches, over and over."""
    following = itertools.cycle(batches)

    @torch.no_grad()
    def call() -> Any:
        return model(**next(following))

    return call


def undominated(cost: ArrayLike, value: ArrayLike) -> np.ndarray:
    """Which of some models no other one beats in one and at least equals in the other, bool: the Pareto front.

    Args:
        cost: `(models,)`, less is better.
        value: `(models,)`, more is better.

    Examples:
        >>> undominated([1, 2, 3], [0.7, 0.9, 0.8])
        array([ True,  True, False])
    """
    cost, value = np.asarray(cost, dtype=float), np.asarray(value, dtype=float)
    as_good = (cost[None] <= cost[:, None]) & (value[None] >= value[:, None])  # (model, other)
    better = (cost[None] < cost[:, None]) | (value[None] > value[:, None])
    return ~(as_good & better).any(1)
