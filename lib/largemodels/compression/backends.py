"""Matrix products in int8 by the libraries that have kernels for them: PyTorch itself, torchao, ONNX Runtime.

All quantize the weights beforehand and the inputs of each layer as they come (dynamically), and multiply integers. The
latter two are extras, which the workbench does without. torchao also keeps integers that are multiplied as floats.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from largemodels.base.errors import InputError
from largemodels.models.batches import reads_token_types

Backend = Literal["pytorch", "torchao", "onnxruntime"]
EXTRAS = {"torchao": ("torchao",), "onnxruntime": ("onnxruntime", "onnx", "onnxscript")}
"""The packages that each extra of this name brings."""


def int8(model: nn.Module, backend: Backend = "pytorch", *, per_channel: bool = True) -> nn.Module:
    """A copy of a network, or an equal one, whose linear layers multiply in int8 on the processor.

    Args:
        model: a classifier or a decoder, which is left alone; for onnxruntime, one of `transformers`.
        backend: whose kernels multiply.
        per_channel: a scale for each output of a layer, or one for its whole matrix, which PyTorch's kernel knows too.

    Raises:
        InputError: for a backend that is not installed, with the extra that brings it, one scale elsewhere, or
            a model that is none of `transformers` in onnxruntime.
    """
    check_installed(backend)
    if not per_channel and backend != "pytorch":
        raise InputError(f"per_channel: {backend} has a scale for each output here; one for a matrix needs pytorch")
    if backend == "onnxruntime" and not isinstance(model, PreTrainedModel):
        raise InputError(f"backend: onnxruntime takes models of transformers, and {type(model).__name__} is none")
    model = copy.deepcopy(model).to("cpu").eval()
    if backend == "pytorch":
        return _by_pytorch(model, per_channel)
    return {"torchao": _by_torchao, "onnxruntime": OnnxModel}[backend](model)


def torchao_weights(model: nn.Module, bits: Literal[4, 8] = 8, group: int = 64) -> nn.Module:
    """A copy of a network whose linear layers keep integers and multiply floats, by torchao (weight-only).

    Args:
        model: a network, which is left alone.
        bits: of a weight. Eight have a scale for each output; four, a scale and a zero point for each group.
        group: weights in a row that share a scale, of four bits.

    Raises:
        InputError: where torchao is not installed, or for other bits.
    """
    check_installed("torchao")
    if bits not in (4, 8):
        raise InputError(f"bits: {bits} is not 4 or 8, which torchao's layers have")
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, PerGroup, quantize_

    model = copy.deepcopy(model).to("cpu").eval()
    four = IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(group))
    quantize_(model, Int8WeightOnlyConfig() if bits == 8 else four)
    return model


def check_installed(backend: str) -> None:
    """Refuse a backend whose packages are not there."""
    if missing := [name for name in EXTRAS.get(backend, ()) if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"backend: {backend} is not installed (it lacks {', '.join(missing)}); "
            f"pip install 'large-model-workbench[{backend}]' brings it, or choose pytorch"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep away what libraries say of themselves.

    PyTorch sends everybody to torchao, since its own int8 is deprecated, though it needs no extra; its exporter lists
    what it could do without.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logging.disable(level)


def _by_pytorch(model: nn.Module, per_channel: bool) -> nn.Module:
    settings = torch.ao.quantization
    chosen = settings.per_channel_dynamic_qconfig if per_channel else settings.default_dynamic_qconfig
    with quiet():
        return settings.quantize_dynamic(model, {nn.Linear: chosen})


def _by_torchao(model: nn.Module) -> nn.Module:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return model


class OnnxModel(nn.Module):
    """A model that ONNX Runtime answers for; it is called as the one that it was made from, without labels or cache."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Export the model, for any number of texts and any length, and quantize its linear layers."""
        super().__init__()
        import onnxruntime
        from onnxruntime.quantization import QuantType, quantize_dynamic

        self.config, self.device = model.config, torch.device("cpu")
        # A model that knows one kind of text only has nothing to tell two apart by.
        self.reads_types = reads_token_types(model) and getattr(model.config, "type_vocab_size", 0) > 1
        with quiet(), tempfile.TemporaryDirectory() as folder:
            whole, small = Path(folder, "whole.onnx"), Path(folder, "small.onnx")
            _export(model, whole, self.reads_types)
            # Seven bits of a weight: sums would overflow 16 bits on processors without instructions for int8. Left to
            # itself it rounds the table of embeddings too, with one scale.
            how = {"weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True}
            quantize_dynamic(whole, small, op_types_to_quantize=["MatMul", "Gemm"], **how)
            self.file_bytes = small.stat().st_size
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            self.session = onnxruntime.InferenceSession(small, options, providers=["CPUExecutionProvider"])

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> ModelOutput:
        """The `logits` of some texts, of the shape that the model gives; without a mask nothing is padding.

        `token_type_ids` are 0 where they are left out.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        given = {"input_ids": input_ids.numpy(), "attention_mask": mask.numpy()}
        if self.reads_types:
            types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            given["token_type_ids"] = types.numpy()
        (logits,) = self.session.run(None, given)
        return ModelOutput(logits=torch.from_numpy(logits))


class _Logits(nn.Module):
    """The logits alone, as an exported graph gives them."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits


def _export(model: PreTrainedModel, path: Path, token_types: bool) -> None:
    ids = torch.ones(2, 8, dtype=torch.long)
    mask = ids.clone()
    mask[1, 5:] = 0  # some padding, or the mask could be taken for one that masks nothing
    given = {"input_ids": ids, "attention_mask": mask}
    given |= {"token_type_ids": torch.zeros_like(ids)} if token_types else {}
    free = torch.export.Dim.DYNAMIC  # as far as the model's own limit
    shapes = {name: {0: free, 1: free} for name in given}
    torch.onnx.export(
        _Logits(model).eval(),
        tuple(given.values()),
        path,
        input_names=list(shapes),
        output_names=["logits"],
        dynamic_shapes=shapes,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def matrix_products(tokens: int, inputs: int, outputs: int, seed: int = 0) -> dict[str, Callable[[], Tensor]]:
    """Calls that each multiply the same `(tokens, inputs)` by `(inputs, outputs)`, and one that only seems to.

    "float32"; "int8", of a matrix that is integers already, with an int8 result; "int8, converted", which takes and
    gives float32 and quantizes its input each time; and "int8, elementwise", a product of each integer with itself,
    which does 1 / outputs of the arithmetic and is no matrix product. Weights are quantized beforehand, as in use.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, inputs, generator=generator)
    weight = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
    with quiet():
        input_8 = torch.quantize_per_tensor(x, float(x.abs().max()) / 127, 128, torch.quint8)
        weight_8 = torch.quantize_per_tensor(weight, float(weight.abs().max()) / 127, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weight_8, None)
    scale = float((x @ weight.T).abs().max()) / 127
    integers = input_8.int_repr()
    return {
        "float32": lambda: x @ weight.T,
        "int8": lambda: torch.ops.quantized.linear(input_8, packed, scale, 128),
        "int8, converted": lambda: torch.ops.quantized.linear_dynamic(x, packed),
        "int8, elementwise": lambda: integers * integers,
    }
