"""The files of a model's folder: those that are loaded, those that are refused, and the sizes in their headers.

`largemodels.models.checkpoints` finds the folder. Nothing here imports PyTorch, but for the check of a model that
brings a program.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from largemodels.base.errors import InputError, few

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_PICKLES = re.compile(r".*\.(bin|pt|pth|ckpt|h5|msgpack|pkl)")
_BESIDE = re.compile(
    r"(config|generation_config|.*tokenizer.*|.*vocab.*|special_tokens_map|added_tokens)\.(json|txt|model)"
    r"|adapter_config\.json|adapter_model\.safetensors"
    r"|merges\.txt|spiece\.model|sentencepiece.*\.model|.*\.jinja|model\.safetensors\.index\.json"
)


class CheckpointError(InputError):
    """A model that cannot be had: its name, the reason and the remedy in one sentence."""


def is_weights(name: str) -> bool:
    """Whether a file of this name holds a model's weights, or a part of them."""
    return bool(_WEIGHTS.fullmatch(name))


def is_loaded(name: str) -> bool:
    """Whether a file of this name is loaded: weights, configuration or tokenizer."""
    return is_weights(name) or bool(_BESIDE.fullmatch(name))


def files_in(folder: Path) -> list[Path]:
    """The files of a model's folder that are loaded, sorted."""
    return [path for path in sorted(folder.iterdir()) if is_loaded(path.name) and path.is_file()]


def refuse_unsafe(name: str, files: Iterable[str]) -> None:
    """Raise `CheckpointError` for files that are no model, or whose weights can run code when they are read."""
    files = list(files)
    if "config.json" not in files:
        raise CheckpointError(f"{name}: holds no config.json, so it is no model that Transformers can read")
    if any(map(is_weights, files)):
        return
    pickles = [file for file in files if _PICKLES.fullmatch(file)]
    holds = f"only {few(pickles)}, which can run code when it is read" if pickles else "and no other weights either"
    raise CheckpointError(f"{name}: holds no model.safetensors, {holds}; choose a revision or a model that has it")


def refuse_programs(name: str, folder: Path) -> None:
    """Raise `CheckpointError` for a model that Transformers does not know and that brings a program instead."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind, brings_program = config.get("model_type"), bool(config.get("auto_map"))
    except (OSError, ValueError, AttributeError):
        raise CheckpointError(f"{name}: its config.json cannot be read") from None
    if not brings_program:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES  # imports torch

    if kind not in CONFIG_MAPPING_NAMES:
        raise CheckpointError(
            f"{name}: needs a program that comes with it (remote code), which is never run; choose another model"
        )


def parameters_in(folder: Path) -> int:
    """The number of parameters in the weights of a folder, read from the headers of its files in milliseconds.

    Raises:
        CheckpointError: for a file that is damaged or cut off.
    """
    return sum(_parameters(path) for path in files_in(folder) if is_weights(path.name))


def _parameters(path: Path) -> int:
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        raise CheckpointError(f"{path}: damaged or cut off; copy or download the model again") from None
