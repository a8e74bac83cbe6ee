"""Softmax and cross-entropy, written out: the last step of every classifier and language model in the book.

Each function equals PyTorch's (`torch.softmax`, `torch.nn.functional.cross_entropy`) and shows the two things that
PyTorch hides: the subtraction that keeps exponentials finite, and the gradient, softmax minus one-hot. Classes are on
the last axis throughout, whereas PyTorch's loss has them on axis 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from largemodels.base.checks import described

IGNORED = -100  # the target of a position with nothing to predict


def logsumexp(x: Tensor, dim: int = -1) -> Tensor:
    """log Σ exp(x) along `dim`, which is removed; finite for any finite `x`.

    Since log Σ exp(x) = m + log Σ exp(x − m) for every m, taking m = max(x) leaves no exponent above 0: nothing
    overflows, and the sum is at least 1. A slice of −∞ alone gives −∞.

    Examples:
        >>> import torch
        >>> logsumexp(torch.tensor([1000.0, 1000.0]))
        tensor(1000.6932)
    """
    largest = x.detach().amax(dim, keepdim=True)
    largest = largest.masked_fill(largest.isinf(), 0.0)  # −∞ − (−∞) would be NaN
    return (x - largest).exp().sum(dim).log() + largest.squeeze(dim)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """The logarithm of `softmax(x)`, of the shape of `x`, but not the logarithm of a rounded probability.

    The largest entry is subtracted from `x` itself, not added back to the sum: 1001 − 1001.4 would lose three digits.
    """
    below = x - x.detach().amax(dim, keepdim=True)
    return below - logsumexp(below, dim).unsqueeze(dim)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x) / Σ exp(x) along `dim`, of the shape of `x`: positive numbers that sum to one.

    An entry of −∞ becomes an exact 0. A slice of −∞ alone has no softmax: it is NaN here, as in PyTorch.

    Examples:
        >>> import torch
        >>> softmax(torch.tensor([0.0, 1.0, -torch.inf]))
        tensor([0.2689, 0.7311, 0.0000])
    """
    largest = x.detach().amax(dim, keepdim=True)
    exponentials = (x - largest).exp()
    return exponentials / exponentials.sum(dim, keepdim=True)


def smoothed_targets(target: Tensor, classes: int, label_smoothing: float, dtype: torch.dtype) -> Tensor:
    """The distribution that the loss asks for, `(..., classes)`.

    With ε = `label_smoothing`, it is 1 − ε + ε/C on the target and ε/C on every other class: one-hot for ε = 0
    (Szegedy et al. 2016, section 7).
    """
    rest = torch.full(
        (*target.shape, classes),
        label_smoothing / classes,
        dtype=dtype,
        device=target.device,
    )
    on_target = torch.full_like(target.unsqueeze(-1), 1, dtype=dtype) * (1 - label_smoothing)
    return rest.scatter_add(-1, target.unsqueeze(-1), on_target)


def cross_entropy(
    logits: Tensor, target: Tensor, *, ignore_index: int = IGNORED, label_smoothing: float = 0.0
) -> Tensor:
    """The mean of −Σ q · log softmax(logits) over the positions that count, in nats: a scalar.

    Args:
        logits: `(..., classes)`, any real numbers.
        target: `(...)`, int64: a class in [0, classes), or `ignore_index` where there is nothing to predict, such as
            padding.
        ignore_index: positions with this target are in neither the sum nor the count.
        label_smoothing: ε in [0, 1], spread evenly over all classes, the target among them.

    Raises:
        ValueError: for shapes, types or targets that do not fit, or when every position is ignored.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [5.0, 5.0]])
        >>> cross_entropy(logits, torch.tensor([0, 1, IGNORED]))
        tensor(0.4100)
    """
    counts, safe_target = _counted(logits, target, ignore_index, label_smoothing)
    wanted = smoothed_targets(  # (..., classes)
        safe_target, logits.shape[-1], label_smoothing, logits.dtype
    )
    # 0 · log 0 is 0: a class that is neither wanted nor possible adds nothing.
    log_probabilities = log_softmax(logits).masked_fill(wanted == 0, 0.0)  # (..., classes)
    losses = -(wanted * log_probabilities).sum(-1)  # (...)
    return losses[counts].mean()


def cross_entropy_gradient(
    logits: Tensor, target: Tensor, *, ignore_index: int = IGNORED, label_smoothing: float = 0.0
) -> Tensor:
    """The gradient of `cross_entropy` in the logits, `(..., classes)`: (softmax − wanted) / positions.

    Each row sums to zero: what the wrong class loses, the right one gains. Rows of ignored positions are zero.
    Arguments and errors are those of `cross_entropy`.
    """
    counts, safe_target = _counted(logits, target, ignore_index, label_smoothing)
    wanted = smoothed_targets(safe_target, logits.shape[-1], label_smoothing, logits.dtype)  # (..., classes)
    difference = softmax(logits) - wanted  # (..., classes)
    return difference.masked_fill(~counts.unsqueeze(-1), 0.0) / counts.sum()


def _counted(logits: Tensor, target: Tensor, ignore_index: int, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """A mask of the positions that count, `(...)`, and the targets with a harmless 0 elsewhere, all checked."""
    if logits.ndim == 0 or not logits.is_floating_point():
        raise ValueError(f"logits: {described(logits)} is not floating point of shape (..., classes)")
    if target.dtype != torch.int64 or target.shape != logits.shape[:-1]:
        raise ValueError(f"target: {described(target)} is not int64 of shape {tuple(logits.shape[:-1])}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing: {label_smoothing} is not between 0 and 1")
    counts = target != ignore_index
    if not counts.any():
        raise ValueError(f"target: every position is ignore_index ({ignore_index}), so there is nothing to average")
    classes = logits.shape[-1]
    outside = counts & ((target < 0) | (target >= classes))
    if outside.any():
        raise ValueError(f"target: {target[outside][0].item()} is not a class from 0 to {classes - 1}")
    return counts, target.masked_fill(~counts, 0)
