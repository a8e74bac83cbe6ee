"""A matrix as the product of two thin ones, by its singular values, and a linear layer made of them.

Of all matrices of a rank, the truncated singular value decomposition is the nearest (Eckart and Young 1936). What a
layer needs is near outputs, and its inputs do not fill all directions alike: the weighted form takes them into account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from largemodels.base.errors import InputError
from largemodels.compression.pruning import block_matrices

DAMPING = 1e-4  # of the mean square of an input; so that directions which no text showed do not count as free


def factors(weight: Tensor, rank: int, gram: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Two matrices, `(out, rank)` and `(rank, in)`, whose product is as near to the weight as the rank allows.

    Without `gram`, near means the Frobenius norm of W − W′ (Eckart and Young 1936). With it, the mean square of
    (W − W′)x over the inputs: with G = L Lᵀ, W L is truncated and L taken out again (Chen et al. 2021).

    Args:
        weight: `(out, in)`.
        rank: 1 to the smaller of the two.
        gram: G, the mean of x xᵀ over the layer's inputs, `(in, in)`, as `input_grams` gives it.

    Raises:
        InputError: for a rank that the matrix cannot have.

    Examples:
        >>> import torch
        >>> left, right = factors(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 2)
        >>> (left @ right).abs().round(decimals=4)
        tensor([[3., 0., 0.],
                [0., 2., 0.],
                [0., 0., 0.]])
    """
    if not 1 <= rank <= min(weight.shape):
        raise InputError(f"rank: {rank} is not between 1 and {min(weight.shape)}, the largest that such a matrix has")
    if gram is None:
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        return left[:, :rank] * values[:rank], right[:rank]
    damped = gram.double() + DAMPING * gram.double().diagonal().mean() * torch.eye(len(gram), dtype=torch.double)
    root = torch.linalg.cholesky(damped)
    left, values, right = torch.linalg.svd(weight.double() @ root, full_matrices=False)
    right = torch.linalg.solve_triangular(root, right[:rank], upper=False, left=False)  # right · L⁻¹
    return (left[:, :rank] * values[:rank]).to(weight.dtype), right.to(weight.dtype)


def discarded(weight: Tensor) -> Tensor:
    """The Frobenius norm of what each rank leaves out, from 0 to the full one: √(Σ σᵢ² over i > rank).

    Examples:
        >>> import torch
        >>> discarded(torch.diag(torch.tensor([4.0, 3.0])))
        tensor([5., 3., 0.])
    """
    squares = torch.linalg.svdvals(weight).square()
    return torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)]).sqrt()


def saving_rank(outputs: int, inputs: int) -> int:
    """The largest rank at which two factors hold fewer numbers than the matrix: r (out + in) < out · in."""
    return (outputs * inputs - 1) // (outputs + inputs)


class LowRankLinear(nn.Sequential):
    """A linear layer through a bottleneck: `rank` outputs without bias, then all outputs.

    Examples:
        >>> import torch
        >>> LowRankLinear(256, 768, rank=64)(torch.zeros(2, 256)).shape
        torch.Size([2, 768])
    """

    def __init__(self, inputs: int, outputs: int, *, rank: int, bias: bool = True) -> None:
        super().__init__(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=bias))
        self.rank = rank

    @classmethod
    @torch.no_grad()
    def of(cls, layer: nn.Linear, rank: int, gram: Tensor | None = None) -> LowRankLinear:
        """The layer's nearest one of this rank; arguments are those of `factors`."""
        thin = cls(layer.in_features, layer.out_features, rank=rank, bias=layer.bias is not None)
        left, right = factors(layer.weight, rank, gram)
        thin[1].weight.copy_(left)
        thin[0].weight.copy_(right)
        if layer.bias is not None:
            thin[1].bias.copy_(layer.bias)
        return thin


def factorize_linear_layers(
    model: PreTrainedModel, rank: int, grams: Mapping[str, Tensor] | None = None
) -> PreTrainedModel:
    """The same model with a `LowRankLinear` for each matrix of its blocks that is smaller so; others stay.

    Args:
        rank: of all of them.
        grams: of the layers' inputs, by name, for the weighted form.

    Raises:
        InputError: for a rank at which no matrix gets smaller.
    """
    layers = block_matrices(model)
    smaller = {name: each for name, each in layers.items() if rank <= saving_rank(*each.weight.shape)}
    if not smaller or rank < 1:
        most = max(saving_rank(*each.weight.shape) for each in layers.values())
        raise InputError(f"rank: {rank} is not between 1 and {most}, above which no matrix of the model gets smaller")
    for name, layer in smaller.items():
        model.set_submodule(name, LowRankLinear.of(layer, rank, None if grams is None else grams[name]))
    return model


@torch.no_grad()
def input_grams(model: PreTrainedModel, batches: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of x xᵀ over the inputs x of each matrix in the blocks, `(in, in)` by name; padding is left out.

    Args:
        model: it is left in evaluation mode.
        batches: of texts, as `LabelledBatches` makes them.
    """
    layers, mask = block_matrices(model), torch.empty(0)
    sums, tokens = dict.fromkeys(layers, 0.0), 0

    def add(name: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0][mask]  # (tokens, in)
            sums[name] = sums[name] + x.T @ x

        return hook

    hooks = [layer.register_forward_pre_hook(add(name)) for name, layer in layers.items()]
    model.eval()
    try:
        for batch in batches:
            batch = {name: tensor.to(model.device) for name, tensor in batch.items() if name != "labels"}
            mask = batch["attention_mask"].bool()
            model(**batch)
            tokens += int(mask.sum())
    finally:
        for hook in hooks:
            hook.remove()
    if not tokens:
        raise InputError("batches: there are none to measure the inputs of the layers on")
    return {name: each / tokens for name, each in sums.items()}
