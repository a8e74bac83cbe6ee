"""Small networks of one shape trained side by side, one for each seed, in about the time of one.

A network of a few thousand weights leaves a processor waiting for the next instruction more than computing. Stacked,
the weights of all seeds pass through one instruction together (`torch.func`, Horace He and Richard Zou 2021); no number
of one seed enters another's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

Batch = tuple[Tensor, ...]
Loss = Callable[..., Tensor]

WARMUP = 30  # steps in which the learning rate rises


def train_side_by_side(
    make: Callable[[int], nn.Module],
    draw: Callable[[int, torch.Generator], Batch],
    loss: Loss,
    *,
    steps: int,
    seeds: Sequence[int],
    learning_rate: float,
) -> tuple[list[nn.Module], Tensor]:
    """The trained networks, in the order of the seeds, and their losses, `(steps, seeds)`.

    AdamW without weight decay; the learning rate rises over `WARMUP` steps, stays, and falls in the last half to zero.

    Args:
        make: makes the network of a seed; all have one shape.
        draw: makes the batch of a step from a seed's generator; in one step all seeds' batches have one shape.
        loss: takes what calls a network, and the parts of its batch; its mean loss comes back.
        steps: optimizer steps.
        seeds: one for each network: of its weights by `make`, and of its batches.
        learning_rate: its peak.

    Raises:
        ValueError: for no seed.
    """
    if not seeds:
        raise ValueError("seeds: there is none")
    models = [make(seed) for seed in seeds]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    weights, buffers = stack_module_state(models)  # (seeds, …) each

    def loss_of(weights: dict[str, Tensor], buffers: dict[str, Tensor], batch: Batch) -> Tensor:
        def call(*inputs: Any, **options: Any) -> Any:
            return functional_call(models[0], (weights, buffers), inputs, options)

        return loss(call, *batch)

    losses = torch.zeros(steps, len(seeds))
    optimizer = torch.optim.AdamW(weights.values(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_share_of_peak, steps=steps))
    for step in range(steps):
        batches = [draw(step, generator) for generator in generators]
        batch = tuple(torch.stack(parts) for parts in zip(*batches, strict=True))  # (seeds, batch, …) each
        each = torch.vmap(loss_of)(weights, buffers, batch)  # (seeds,)
        optimizer.zero_grad()
        each.sum().backward()  # a weight of one seed has a gradient from its own loss only
        optimizer.step()
        schedule.step()
        losses[step] = each.detach()
    for place, model in enumerate(models):
        model.load_state_dict({name: stacked[place] for name, stacked in (weights | buffers).items()})
        model.eval()
    return models, losses


def _share_of_peak(step: int, steps: int) -> float:
    """The learning rate of a step, as a share of its peak."""
    return min(1.0, (step + 1) / WARMUP) * min(1.0, 2 * (steps - step) / steps)
