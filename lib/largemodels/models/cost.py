"""The cost of a computation: arithmetic and memory, which are counted, and time, which is measured.

Counts are the same on every machine and may carry a claim. Times are not: they come as one value per repetition, so
that their spread can be shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def count_flops(compute: Callable[[], Any]) -> int:
    """Floating-point operations in the matrix products of one call; a multiply-add counts as two.

    PyTorch's counter knows matrix products and convolutions. Softmax, masks and the fused CPU kernel of attention are
    not in it.

    Examples:
        >>> import torch
        >>> count_flops(lambda: torch.ones(2, 3) @ torch.ones(3, 4))
        48
    """
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops()


def count_saved_bytes(compute: Callable[[], Any]) -> int:
    """Bytes of the distinct tensors that one call keeps for its backward pass, its inputs among them.

    That is what training has to hold in memory between the forward and the backward pass.
    """
    kept: dict[int, Tensor] = {}  # the tensors themselves, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        compute()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def time_calls(calls: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, np.ndarray]:
    """Seconds of each repetition of each call, `(repetitions,)` for each name, after one call that is not counted.

    The calls take turns, so that a machine that is briefly busy slows all of them alike.
    """
    for call in calls.values():
        call()
    seconds = {name: np.empty(repetitions) for name in calls}
    for repetition in range(repetitions):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name][repetition] = time.perf_counter() - start
    return seconds
