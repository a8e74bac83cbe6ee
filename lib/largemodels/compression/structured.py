"""Whole heads, neurons and layers removed: what is left has smaller matrices, and does less arithmetic.

A unit is a head of the attention, with its rows in the matrices of queries, keys and values and its columns in the
matrix behind them; or a neuron of the feed-forward layer, with its row (two, where it has a gate) and its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from largemodels.base.errors import InputError
from largemodels.models.trainable import blocks_of

Part = Literal["heads", "neurons"]


@dataclass(frozen=True)
class _Units:
    """Where a block keeps its heads, or its neurons."""

    inputs: dict[str, int]  # the layers that write them, by name, and how many stacked matrices each holds
    output: str  # the layer that reads them
    size: int  # components of a unit


def _units(block: nn.Module, part: Part) -> _Units:
    """Where the units of a block are, in ModernBERT and in the family of BERT.

    Raises:
        InputError: for a block of another family.
    """
    names = {name for name, module in block.named_modules() if isinstance(module, nn.Linear)}
    if {"attn.Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"} <= names:
        if part == "heads":
            return _Units({"attn.Wqkv": 3}, "attn.Wo", block.attn.head_dim)
        return _Units({"mlp.Wi": 2}, "mlp.Wo", 1)
    if {"attention.self.query", "attention.output.dense", "intermediate.dense", "output.dense"} <= names:
        if part == "heads":
            inputs = {f"attention.self.{name}": 1 for name in ("query", "key", "value")}
            return _Units(inputs, "attention.output.dense", block.attention.self.attention_head_size)
        return _Units({"intermediate.dense": 1}, "output.dense", 1)
    raise InputError(f"{type(block).__name__}: its {part} cannot be removed here; choose a BERT or a ModernBERT")


def check_units(model: PreTrainedModel) -> None:
    """Refuse a classifier whose heads or neurons cannot be halved.

    Raises:
        InputError: for another family than BERT's and ModernBERT, or a layer with a single head or neuron.
    """
    for block in blocks_of(model):
        for part in ("heads", "neurons"):
            place = _units(block, part)
            if block.get_submodule(place.output).in_features < 2 * place.size:
                raise InputError(f"model: a layer has only one of the {part}, of which no half can go")


def unit_importance(model: PreTrainedModel, batches: Iterable[dict[str, Tensor]], part: Part) -> Tensor:
    """How much the loss hangs on each head or neuron, `(layers, units)`: the mean of abs(∂L/∂ξ) over the texts.

    Each unit's output is multiplied by a ξ of 1, for each text its own; to first order the loss of the text changes by
    that derivative when the unit is removed (Michel et al. 2019).

    Args:
        model: a classifier; it is left in evaluation mode.
        batches: with `labels`, as `LabelledBatches` makes them.
        part: what is judged.
    """
    blocks = blocks_of(model)
    places = [_units(block, part) for block in blocks]
    gates: list[Tensor] = []

    def gate(size: int):
        def multiply(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
            (x,) = inputs  # (batch, length, units · size)
            gates.append(torch.ones(len(x), x.shape[-1] // size, device=x.device, requires_grad=True))
            return x * gates[-1].repeat_interleave(size, -1)[:, None]

        return multiply

    hooks = [
        block.get_submodule(place.output).register_forward_pre_hook(gate(place.size))
        for block, place in zip(blocks, places, strict=True)
    ]
    total, texts = 0, 0
    model.eval()
    try:
        for batch in batches:
            gates.clear()
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            labels = batch.pop("labels")
            loss = F.cross_entropy(model(**batch).logits, labels, reduction="sum")  # so that no text sees another
            gradients = torch.autograd.grad(loss, gates)
            total = total + torch.stack([each.abs().sum(0) for each in gradients])
            texts += len(labels)
    finally:
        for hook in hooks:
            hook.remove()
    if not texts:
        raise InputError("batches: there are none to judge the units by")
    return total / texts


def strongest(importance: Tensor, keep: int) -> Tensor:
    """The places of the `keep` most important units of each layer, in their order, `(layers, keep)`.

    Raises:
        InputError: for none, or more than there are.

    Examples:
        >>> import torch
        >>> strongest(torch.tensor([[0.1, 0.5, 0.3]]), 2)
        tensor([[1, 2]])
    """
    if not 1 <= keep <= importance.shape[1]:
        raise InputError(f"keep: {keep} is not between 1 and the {importance.shape[1]} units of a layer")
    return importance.topk(keep, 1).indices.sort(1).values


@torch.no_grad()
def remove_units(model: PreTrainedModel, part: Part, kept: Sequence[Tensor]) -> PreTrainedModel:
    """The same model with only some heads, or neurons, in smaller matrices.

    With fewer neurons it is an ordinary model of its family. With fewer heads it is not, where the family's
    configuration says that all heads together are as wide as the model: `saving.save_compressed` keeps it.

    Args:
        kept: for each layer the places of the units that stay; of neurons, as many in each.
    """
    blocks = blocks_of(model)
    if len(kept) != len(blocks) or (part == "neurons" and len({len(each) for each in kept}) > 1):
        raise InputError(f"kept: the places of {part} are needed for each of {len(blocks)} layers, of neurons as many")
    for block, units in zip(blocks, kept, strict=True):
        place = _units(block, part)
        columns = (units[:, None] * place.size + torch.arange(place.size)).flatten()
        for name, stacked in place.inputs.items():
            layer = block.get_submodule(name)
            width = layer.out_features // stacked
            rows = torch.cat([columns + each * width for each in range(stacked)])
            block.set_submodule(name, _part_of(layer, rows, torch.arange(layer.in_features)))
        layer = block.get_submodule(place.output)
        block.set_submodule(place.output, _part_of(layer, torch.arange(layer.out_features), columns))
    if part == "neurons":
        model.config.intermediate_size = len(kept[0])
    return model


def _part_of(layer: nn.Linear, rows: Tensor, columns: Tensor) -> nn.Linear:
    """A linear layer with some rows and columns of another's matrix."""
    small = nn.Linear(len(columns), len(rows), layer.bias is not None)
    small.weight.copy_(layer.weight[rows][:, columns])
    if layer.bias is not None:
        small.bias.copy_(layer.bias[rows])
    return small


def keep_layers(model: PreTrainedModel, kept: Sequence[int]) -> PreTrainedModel:
    """The same model with only some of its layers, in their order; an ordinary model of its family.

    The first one is always kept: it reads the embeddings, and in some families, as ModernBERT, it is built for that.

    Raises:
        InputError: for layers that are not there, that stand twice or out of order, or that leave out the first.
    """
    blocks, config = blocks_of(model), model.config.get_text_config()
    kept = list(kept)
    if not kept or kept[0] != 0 or kept != sorted(set(kept)) or kept[-1] >= len(blocks):
        raise InputError(f"layers: {kept} does not begin with 0 and rise to {len(blocks) - 1} at most")
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[place] for place in kept]
    for place in reversed(range(len(blocks))):
        if place not in kept:
            del blocks[place]
    config.num_hidden_layers = len(kept)
    return model
