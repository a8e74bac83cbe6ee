"""Compressed classifiers in a folder: their tensors as safetensors, and a JSON that says how the layers are made.

A student, or a network with fewer layers or neurons, is an ordinary model and is kept as any other. What is kept here
has layers that its family's configuration cannot describe: of integers, of two factors, or with fewer heads. Its
weights do not stand in `model.safetensors`, so that nothing takes them for those of an ordinary model.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.ao.nn.quantized.dynamic import Linear as DynamicLinear
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from largemodels.base.errors import InputError
from largemodels.base.files import check_readable, read_object, replacing_folder
from largemodels.compression.backends import quiet
from largemodels.compression.low_rank import LowRankLinear
from largemodels.compression.quantization import Quantized, QuantizedLinear
from largemodels.models.loading import check_fit

WEIGHTS, LAYERS = "compressed.safetensors", "compression.json"
FORMAT = 1
_LOCAL = {"trust_remote_code": False, "local_files_only": True}


def stored_tensors(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """A model's tensors by name, each once, and, by name, how each layer is made that is no ordinary one.

    PyTorch's own int8 layers keep their matrix in an order that suits the processor; they give it back as integers with
    a scale for each output, or with one.
    """
    tensors: dict[str, Tensor] = {}
    layers: dict[str, dict[str, Any]] = {}
    own: list[str] = []
    for name, module in model.named_modules():
        if isinstance(module, DynamicLinear):
            weight, bias = module._weight_bias()
            shared = weight.qscheme() == torch.per_tensor_affine
            scale = torch.tensor(weight.q_scale()) if shared else weight.q_per_channel_scales().float()
            tensors |= {f"{name}.integers": weight.int_repr(), f"{name}.scale": scale}
            tensors |= {} if bias is None else {f"{name}.bias": bias.detach().clone()}
            layers[name] = {"kind": "dynamic", "shape": list(weight.shape), "bias": bias is not None}
            own.append(f"{name}.")
        elif isinstance(module, QuantizedLinear):
            shape = [module.out_features, module.in_features]
            layers[name] = {"kind": "integers", "shape": shape, "bias": module.bias is not None, "bits": module.bits}
            layers[name] |= {"scale": list(module.scale.shape), "affine": module.zero_point is not None}
        elif isinstance(module, LowRankLinear):
            shape = [module[1].out_features, module[0].in_features]
            layers[name] = {"kind": "factors", "shape": shape, "bias": module[1].bias is not None, "rank": module.rank}
    seen: set[int] = set()
    for name, tensor in model.state_dict().items():
        if name.startswith(tuple(own)) or tensor.data_ptr() in seen:  # the second name of a shared matrix
            continue
        seen.add(tensor.data_ptr())
        tensors[name] = tensor.detach().contiguous()
    return tensors, layers


def save_compressed(
    folder: Path | str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, max_length: int, made: str
) -> Path:
    """The folder, which appears once everything is in it; one that stood there is replaced.

    Args:
        folder: where the classifier belongs.
        model: a classifier, of which some layers are `QuantizedLinear`, `LowRankLinear` or PyTorch's int8, or smaller.
        tokenizer: of the model.
        max_length: tokens of a text at most, which the kept tokenizer has as its limit.
        made: how the model was made, in words, for readers.

    Raises:
        InputError: for a layer of another kind, as `torchao` makes them.
    """
    tensors, layers = stored_tensors(model)
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.model_max_length = max_length
    with torch.device("meta"):
        ordinary = AutoModelForSequenceClassification.from_config(model.config)
    for name, module in ordinary.named_modules():
        now = model.get_submodule(name) if isinstance(module, nn.Linear) and name not in layers else None
        if now is None:
            continue
        if type(now) is not nn.Linear or type(now.weight) is not nn.Parameter:
            raise InputError(f"{name}: such a layer cannot be kept as safetensors; keep the float model ({now})")
        if now.weight.shape != module.weight.shape:
            layers[name] = {"kind": "linear", "shape": list(now.weight.shape), "bias": now.bias is not None}
    with replacing_folder(Path(folder)) as partial:
        model.config.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
        description = {"format": FORMAT, "made": made, "layers": layers}
        (partial / LAYERS).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    return Path(folder)


def is_compressed(folder: Path | str) -> bool:
    """Whether a folder is one that `save_compressed` wrote."""
    return (Path(folder) / LAYERS).is_file()


def load_compressed(folder: Path | str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The classifier and the tokenizer of a folder that `save_compressed` wrote, on the processor, to answer with.

    Raises:
        InputError: for a folder that holds none, or a damaged one, or one of another version of this library.
    """
    folder = Path(folder)
    description = read_object(folder / LAYERS, f"{folder}: its {LAYERS}")
    if description.get("format") != FORMAT:
        raise InputError(f"{folder}: its {LAYERS} has format {description.get('format')!r}, and {FORMAT} is read here")
    layers = description.get("layers")
    if not isinstance(layers, dict):
        raise InputError(f"{folder}: its {LAYERS} names no layers")
    check_readable(folder / WEIGHTS, f"{folder}: its {WEIGHTS}")
    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
        model, tensors = AutoModelForSequenceClassification.from_config(config), load_file(folder / WEIGHTS)
        whole = {name: _whole(layer, name, tensors) for name, layer in layers.items() if layer["kind"] == "dynamic"}
        for name, layer in layers.items():
            model.set_submodule(name, nn.Identity() if name in whole else _empty(layer, name), strict=True)
        absent, strange = model.load_state_dict(tensors, strict=False)
        for name, made in whole.items():
            model.set_submodule(name, made)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{folder}: the compressed classifier cannot be loaded ({reason[:160]})") from None
    if absent or strange:
        raise InputError(f"{folder}: its {WEIGHTS} does not fit its {LAYERS} ({[*absent, *strange][0]})")
    check_fit(folder, tokenizer, model)
    return model.eval(), tokenizer


def _whole(layer: Mapping[str, Any], name: str, tensors: dict[str, Tensor]) -> nn.Module:
    """A layer of PyTorch's int8 with its tensors, which are taken out: it packs them in an order of its own."""
    outputs, inputs = layer["shape"]
    integers, scale = tensors.pop(f"{name}.integers"), tensors.pop(f"{name}.scale")
    bias = tensors.pop(f"{name}.bias") if layer["bias"] else None
    with quiet():
        made = DynamicLinear(inputs, outputs, bias is not None)
        if scale.dim():
            zero_points = torch.zeros(outputs, dtype=torch.long)
            weight = torch._make_per_channel_quantized_tensor(integers, scale, zero_points, 0)
        else:
            weight = torch._make_per_tensor_quantized_tensor(integers, float(scale), 0)
        made.set_weight_bias(weight, bias)
    return made


def _empty(layer: Mapping[str, Any], name: str) -> nn.Module:
    """A layer of the kind and shape that is described, to be filled."""
    (outputs, inputs), bias = layer["shape"], layer["bias"]
    if layer["kind"] == "linear":
        return nn.Linear(inputs, outputs, bias)
    if layer["kind"] == "factors":
        return LowRankLinear(inputs, outputs, rank=layer["rank"], bias=bias)
    if layer["kind"] == "integers":
        scale = torch.ones(layer["scale"])
        zero_point = torch.zeros(layer["scale"], dtype=torch.uint8) if layer["affine"] else None
        integers = torch.zeros(outputs, inputs, dtype=torch.uint8 if layer["affine"] else torch.int8)
        empty = Quantized(integers, scale, zero_point, layer["bits"])
        return QuantizedLinear(empty, torch.zeros(outputs) if bias else None)
    raise ValueError(f"{name} is of the unknown kind {layer['kind']!r}")
