"""Low-rank adaptation (LoRA) written out: what `peft` puts in the place of a linear layer, in a few lines.

The chapters train with `peft`, by `models.trainable.train_only`; given its matrices, the layer here computes the same
and has the same gradients.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """A linear layer whose weight W is frozen and becomes W + (α/r)·BA, with A and B learnt (Hu et al. 2022).

    A, `(rank, in)`, starts at random and B, `(out, rank)`, at zero, so that the layer gives what it gave before.

    Examples:
        >>> import torch
        >>> layer = torch.nn.Linear(256, 1024)
        >>> adapted = LoRALinear(layer, rank=8, alpha=16)
        >>> x = torch.randn(2, 256)
        >>> torch.equal(adapted(x), layer(x)), sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        (True, 10240)
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        """Freeze a layer and give it a pair of matrices, scaled by `alpha / rank`."""
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.A = nn.Parameter(torch.empty(rank, layer.in_features))
        self.B = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, `(..., out)`, for `x`, `(..., in)`."""
        return self.layer(x) + self.scale * (x @ self.A.T) @ self.B.T

    def merged(self) -> nn.Linear:
        """One ordinary linear layer that computes the same, so that answers cost what they cost before."""
        merged = nn.Linear(self.layer.in_features, self.layer.out_features, self.layer.bias is not None)
        merged.load_state_dict(self.layer.state_dict())
        with torch.no_grad():
            merged.weight += self.scale * self.B @ self.A
        return merged


def add_lora(model: nn.Module, rank: int, alpha: float) -> nn.Module:
    """The same model, frozen, with a `LoRALinear` in the place of each of its linear layers."""
    model.requires_grad_(False)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear) and not isinstance(module, LoRALinear):
                setattr(module, name, LoRALinear(child, rank, alpha))
    return model
