"""Single weights set to zero: the smallest ones, or those that a training moves towards zero.

The matrices keep their shape, and so does the arithmetic. `largemodels.compression.structured` removes whole heads,
neurons and layers instead, which leaves smaller matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from largemodels.base.errors import InputError
from largemodels.models.classifiers import fine_tune
from largemodels.models.trainable import blocks_of
from largemodels.models.training import Recipe

Scope = Literal["global", "layer"]
Criterion = Literal["magnitude", "movement"]
UPDATES = 20  # of the masks in a training; to sort all scores costs as much as a step
RISE = 0.7  # the share of the steps in which the sparsity rises


def block_matrices(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """The linear layers inside of a model's blocks, by name: no embedding, no head.

    Raises:
        InputError: for a model without a list of blocks, or whose blocks have no linear layers.
    """
    inside = {id(module) for module in blocks_of(model).modules()}
    found = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear) and id(each) in inside}
    if not found:
        raise InputError(f"{type(model).__name__}: its blocks have no linear layers; choose a BERT or a ModernBERT")
    return found


def check_sparsity(sparsity: float) -> None:
    """Refuse a share of zeros that is negative, or leaves nothing."""
    if not 0 <= sparsity < 1:
        raise InputError(f"sparsity: {sparsity} is not from 0 to below 1; at 1 no weight is left to answer with")


def keep_masks(scores: Mapping[str, Tensor], sparsity: float, scope: Scope = "global") -> dict[str, Tensor]:
    """Which entries stay when the share `sparsity` with the lowest scores goes: bool, by name, of the scores' shapes.

    Args:
        scores: a matrix of each layer.
        sparsity: from 0 to below 1.
        scope: "global" compares all layers, so that each loses what it can spare; "layer" takes the share of each.

    Examples:
        >>> import torch
        >>> scores = {"first": torch.tensor([1.0, 2.0]), "second": torch.tensor([3.0, 4.0])}
        >>> keep_masks(scores, 0.5)
        {'first': tensor([False, False]), 'second': tensor([True, True])}
        >>> keep_masks(scores, 0.5, "layer")
        {'first': tensor([False,  True]), 'second': tensor([False,  True])}
    """
    check_sparsity(sparsity)
    scores = {name: each.detach() for name, each in scores.items()}
    if scope == "layer":
        return {name: _keep(each.flatten(), sparsity).view(each.shape) for name, each in scores.items()}
    kept = _keep(torch.cat([each.flatten() for each in scores.values()]), sparsity)
    parts = kept.split([each.numel() for each in scores.values()])
    return {name: part.view(each.shape) for (name, each), part in zip(scores.items(), parts, strict=True)}


def _keep(scores: Tensor, sparsity: float) -> Tensor:
    """Which of the scores, `(n,)`, are not among the round(sparsity · n) lowest; one stays at least."""
    kept, gone = torch.ones_like(scores, dtype=torch.bool), min(round(sparsity * len(scores)), len(scores) - 1)
    lowest = np.argpartition(scores.cpu().numpy(), gone)[:gone]  # many times faster than a sort of a network's weights
    kept[torch.from_numpy(lowest)] = False
    return kept


@torch.no_grad()
def prune_by_magnitude(model: PreTrainedModel, sparsity: float, scope: Scope = "global") -> PreTrainedModel:
    """The same model with the smallest weights of its blocks set to zero, without any training (Han et al. 2015)."""
    layers = block_matrices(model)
    masks = keep_masks({name: layer.weight.abs() for name, layer in layers.items()}, sparsity, scope)
    for name, layer in layers.items():
        layer.weight *= masks[name]
    return model


def share_of_zeros(model: PreTrainedModel) -> float:
    """The share of the weights in the matrices of a model's blocks that are zero."""
    weights = [layer.weight for layer in block_matrices(model).values()]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def sparsity_at(progress: float, final: float) -> float:
    """The sparsity when this share of a training is done: a cubic rise to the final one, quick at first.

    Follows Zhu and Gupta 2017, with the last steps left to recover in, as Sanh et al. 2020.

    Examples:
        >>> [round(sparsity_at(progress, 0.9), 2) for progress in (0.0, 0.35, 0.7, 1.0)]
        [0.0, 0.79, 0.9, 0.9]
    """
    left = max(0.0, 1 - progress / RISE)
    return final * (1 - left**3)


class PrunedWeight(nn.Module):
    """A weight times its mask, as a parametrization of a linear layer.

    By movement the mask has scores S, which learn although it is a matter of yes or no: their gradient is what the
    mask's would be, ∂L/∂(W ⊙ M) ⊙ W (a straight-through estimator, Bengio et al. 2013). A score falls where the
    gradient step would move its weight towards zero.
    """

    def __init__(self, weight: Tensor, criterion: Criterion) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones_like(weight))
        self.scores = nn.Parameter(torch.zeros_like(weight)) if criterion == "movement" else None

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with zeros, `(out, in)`."""
        if self.scores is None:
            return weight * self.mask
        return weight * (self.mask + self.scores - self.scores.detach())


class _Pruner(TrainerCallback):
    """Raises the sparsity in the course of a training, and chooses the masks anew."""

    def __init__(self, layers: Mapping[str, nn.Linear], sparsity: float, scope: Scope) -> None:
        self.layers, self.sparsity, self.scope = layers, sparsity, scope

    @torch.no_grad()
    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % max(1, state.max_steps // UPDATES):
            return
        self.choose(sparsity_at(state.global_step / state.max_steps, self.sparsity))

    @torch.no_grad()
    def choose(self, sparsity: float) -> None:
        """Mask the weights with the lowest scores, or of the lowest magnitude."""
        pruned = {name: layer.parametrizations.weight for name, layer in self.layers.items()}
        scores = {
            name: each.original.abs() if each[0].scores is None else each[0].scores for name, each in pruned.items()
        }
        for name, mask in keep_masks(scores, sparsity, self.scope).items():
            pruned[name][0].mask.copy_(mask)


def fine_tune_pruned(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: pd.DataFrame,
    recipe: Recipe,
    *,
    max_length: int,
    sparsity: float,
    criterion: Criterion,
    scope: Scope = "global",
) -> pd.DataFrame:
    """The history of a fine-tuning in whose course more and more weights of the blocks become zero, and stay so.

    Arguments are those of `classifiers.fine_tune`; `model` is trained in place, and has ordinary layers afterwards.

    Args:
        sparsity: the share of zeros at the end.
        criterion: "magnitude" keeps the largest weights (Zhu and Gupta 2017); "movement" those that the training moves
            away from zero, by scores that are learnt with the weights and at the same rate (Sanh et al. 2020).
        scope: whether the layers compete, as in `keep_masks`.
    """
    check_sparsity(sparsity)
    layers = block_matrices(model)
    for layer in layers.values():
        parametrize.register_parametrization(layer, "weight", PrunedWeight(layer.weight.detach(), criterion))
    pruner = _Pruner(layers, sparsity, scope)
    try:
        return fine_tune(model, tokenizer, examples, recipe, max_length=max_length, callbacks=[pruner])
    finally:
        pruner.choose(sparsity)
        for layer in layers.values():
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
