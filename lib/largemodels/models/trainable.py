"""The weights of a classifier that a fine-tuning changes: all, those of the last layers or the head, or a few new ones.

`train_only` marks them on the model itself, so that `classifiers.fine_tune` and any other `Trainer` train just these.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from largemodels.base.errors import InputError

Part = Literal["all", "last", "head", "lora"]


def train_only(model: PreTrainedModel, part: Part, *, layers: int = 1, rank: int = 8, seed: int = 0) -> PreTrainedModel:
    """The same model with the weights outside of `part` frozen; the head, which starts at random, always learns.

    "all" is full fine-tuning. "head" leaves the encoder as it is, and only its pooler, where there is one, learns with
    the head. "last" trains the last `layers` blocks too, with all that comes after them. "lora" freezes every matrix W
    of the encoder and learns B and A in W + (α/r)·BA, with r = `rank` columns and rows and α = 2r. B starts at zero, so
    that nothing has changed before the first step (Hu et al. 2022), and A at random by the seed alone. All linear
    layers get such a pair (Dettmers et al. 2023).

    Raises:
        InputError: for more layers than there are, or layers that share their weights, of which none is the last.
    """
    if part == "lora":
        _inject_lora(model, rank, seed)  # freezes everything else
    elif part == "last":
        _freeze_below(model, layers)
    elif part == "head":
        model.requires_grad_(False)
    elif part == "all":
        model.requires_grad_(True)
        return model
    else:
        raise ValueError(f"part: {part!r} is not 'all', 'last', 'head' or 'lora'")
    inside = f"{model.base_model_prefix}."
    for name, parameter in model.named_parameters():
        if not name.startswith(inside) or name.removeprefix(inside).startswith("pooler."):
            parameter.requires_grad_(True)
    return model


def trained_parameters(model: PreTrainedModel) -> int:
    """The number of parameters that a training changes."""
    return model.num_parameters(only_trainable=True)


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """The blocks of attention and feed-forward layer, the first one first.

    Raises:
        InputError: for a model that has none, or whose blocks share their weights, as ALBERT's do.
    """
    config = model.config.get_text_config()
    if not hasattr(config, "num_hidden_groups"):
        for module in model.base_model.modules():
            if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers:
                return module
    raise InputError(
        f"{config.model_type} has no list of layers, each with weights of its own; take another model, or all of it"
    )


def linear_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """The layers whose matrices every token is multiplied by, by name; a pooler reads one token and is left out."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and ".pooler." not in f".{name}"
    }


def _freeze_below(model: PreTrainedModel, layers: int) -> None:
    """Freeze what is computed before the last blocks. Parameters stand in the order in which they are used."""
    blocks = blocks_of(model)
    if not 1 <= layers <= len(blocks):
        raise InputError(f"layers: {layers} is not between 1 and the {len(blocks)} that the model has")
    first = next(blocks[len(blocks) - layers].parameters())
    reached = False
    for parameter in model.parameters():
        reached = reached or parameter is first
        parameter.requires_grad_(reached)


def _inject_lora(model: PreTrainedModel, rank: int, seed: int) -> None:
    """Give every linear layer of the encoder a pair of small matrices; only they are left trainable."""
    from peft import LoraConfig, inject_adapter_in_model

    inside = f"{model.base_model_prefix}."
    linear = [name for name in linear_layers(model) if name.startswith(inside)]
    transposed = any(isinstance(module, Conv1D) for module in model.modules())  # as GPT-2 keeps its matrices
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=linear, fan_in_fan_out=transposed)
        inject_adapter_in_model(config, model)
