"""The training loop written out, with the optimiser and the schedule that stand in it.

`train_loop` does in some thirty lines what `models.training.train` hands to the `Trainer` of `transformers`: the same
batches give the same losses. The chapters train by the `Trainer`, which also resumes, evaluates and knows several
devices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import PreTrainedModel

from largemodels.models.losses import cross_entropy
from largemodels.models.training import Recipe


def train_loop(
    model: PreTrainedModel, batches: Sequence[dict[str, Tensor]], recipe: Recipe, stop: int | None = None
) -> list[float]:
    """The training loss of each step, nats; `model`, a sequence classifier, is trained in place.

    Args:
        model: its parameters that require a gradient are trained, on the device where they are.
        batches: at least as many as there are steps, with `labels` `(batch,)`, as `LabelledBatches` makes them.
        recipe: the schedule runs over its `steps`.
        stop: the step to end at, for a look at the beginning; by default the last.
    """
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in learnt if parameter.ndim > 1]
    vectors = [parameter for parameter in learnt if parameter.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},  # biases and the scales of normalisations
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-6,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: rate_factor(step, recipe),
    )
    half = recipe.precision == "bfloat16"
    model.train()
    losses = []
    for step in range(recipe.steps if stop is None else min(stop, recipe.steps)):
        batch = {name: tensor.to(model.device) for name, tensor in batches[step].items()}
        labels = batch.pop("labels")
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half):
            logits = model(**batch).logits  # (batch, classes)
        loss = cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        loss.backward()
        clip_grad_norm_(learnt, recipe.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def rate_factor(step: int, recipe: Recipe) -> float:
    """The share of its peak that the learning rate has in a step, counted from 0: a straight rise, then the fall.

    Examples:
        >>> recipe = Recipe(steps=10, warmup=0.2)
        >>> [rate_factor(step, recipe) for step in range(5)]
        [0.0, 0.5, 1.0, 0.875, 0.75]
    """
    warm = round(recipe.warmup * recipe.steps)
    if step < warm:
        return step / warm
    gone = (step - warm) / max(1, recipe.steps - warm)
    return (1 + math.cos(math.pi * gone)) / 2 if recipe.schedule == "cosine" else 1 - gone


@torch.no_grad()
def adamw_step(
    weight: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    step: int,
    *,
    rate: float,
    decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.98),
    epsilon: float = 1e-6,
) -> None:
    """One update of AdamW; `weight` and the two `moments`, all of one shape, are changed in place.

    Follows Loshchilov and Hutter 2019, algorithm 2: the decay acts on the weight itself, and not through the moments.

    Args:
        moments: the running means of the gradient and of its square, zeros before the first step.
        step: counted from 1.

    Examples:
        >>> import torch
        >>> weight, moments = torch.tensor([1.0, -1.0]), (torch.zeros(2), torch.zeros(2))
        >>> adamw_step(weight, torch.tensor([0.5, 8.0]), moments, 1, rate=0.1, decay=0.0)
        >>> weight  # the first step has the length of the rate, however large the gradient
        tensor([ 0.9000, -1.1000])
    """
    mean, square = moments
    mean.mul_(betas[0]).add_((1 - betas[0]) * gradient)
    square.mul_(betas[1]).add_((1 - betas[1]) * gradient**2)
    unbiased_mean = mean / (1 - betas[0] ** step)
    unbiased_square = square / (1 - betas[1] ** step)
    weight -= rate * (unbiased_mean / (unbiased_square.sqrt() + epsilon) + decay * weight)
