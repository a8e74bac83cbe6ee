"""Networks that are trained side by side are those that each seed makes alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from largemodels.generation.side_by_side import train_side_by_side


def make(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def draw(step: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return x, x[:, :2] * (1 + step % 2)


def loss(call, x, y):
    return (call(x) - y).square().mean()


def alone(seed: int, steps: int, learning_rate: float) -> tuple[nn.Module, list[float]]:
    """The same training as a plain loop over one network."""
    model, generator, losses = make(seed), torch.Generator().manual_seed(seed), []
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1, (step + 1) / 30) * min(1, 2 * (steps - step) / steps)
        value = loss(model, *draw(step, generator))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return model, losses


def test_each_network_is_what_its_seed_makes_alone():
    models, losses = train_side_by_side(make, draw, loss, steps=50, seeds=[3, 8], learning_rate=0.01)
    assert losses.shape == (50, 2)
    for place, seed in enumerate([3, 8]):
        expected, its_losses = alone(seed, 50, 0.01)
        torch.testing.assert_close(losses[:, place], torch.tensor(its_losses, dtype=losses.dtype))
        for ours, theirs in zip(models[place].parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
    assert losses[-10:].mean() < losses[:10].mean()


def test_networks_come_back_ready_for_use():
    (model,), _ = train_side_by_side(make, draw, loss, steps=2, seeds=[0], learning_rate=0.01)
    assert not model.training
    assert not any(parameter.requires_grad and parameter.grad is not None for parameter in model.parameters())


def test_no_seed_is_refused():
    with pytest.raises(ValueError, match="seeds"):
        train_side_by_side(make, draw, loss, steps=2, seeds=[], learning_rate=0.01)
