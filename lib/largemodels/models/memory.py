"""Memory: how much is free, and how much a training takes, so that one that does not fit is refused before it starts.

PyTorch is imported by the functions that need it: a model's name is checked without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from largemodels.base.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

FLOAT_BYTES = 4
TRAINING_BYTES = 4 * FLOAT_BYTES  # a parameter: weight, gradient, and the two moments of AdamW


def free_memory(*, training: bool) -> int:
    """The bytes that are free in the machine; for a training those of the GPU, if there is one."""
    if training:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def training_memory(model: nn.Module, batch: dict[str, Tensor], rows: int = 8) -> int:
    """The bytes that training on such batches takes, measured on the first rows of one and scaled up.

    Weights, gradients and moments take `TRAINING_BYTES` a parameter. What the forward pass keeps for the backward pass
    grows with the number of rows.
    """
    from largemodels.models.cost import count_saved_bytes

    first_rows = {name: tensor[:rows].to(model.device) for name, tensor in batch.items()}
    kept = count_saved_bytes(lambda: model(**first_rows))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    activations = max(0, kept - FLOAT_BYTES * parameters)  # the weights are among what is kept
    return TRAINING_BYTES * parameters + activations * len(batch["input_ids"]) // len(first_rows["input_ids"])


def check_memory(model: nn.Module, batch: dict[str, Tensor]) -> None:
    """Refuse a training that the free memory does not hold, by an `InputError` that says what it needs."""
    needed, free = training_memory(model, batch), free_memory(training=True)
    if needed > free:
        raise InputError(
            f"batch_tokens: {batch['input_ids'].numel()} tokens at once need about {needed / 2**30:.1f} GiB of memory "
            f"and {free / 2**30:.1f} are free; give less, or a smaller network"
        )
