"""The files of a model's folder: those that are loaded, those that are refused, and the sizes in their headers.

`largemodels.models.checkpoints` finds the folder. Nothing here imports PyTorch.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from largemodels.base.errors import InputError, few
from largemodels.base.files import check_readable, read_object, reading

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_PICKLES = re.compile(r".*\.(bin|pt|pth|ckpt|h5|msgpack|pkl)")
_VOCABULARY = re.compile(
    r"tokenizer\.(json|model)|.*vocab.*\.(json|txt|model)|merges\.txt|(spiece|spm|sentencepiece.*)\.model"
    r"|tekken\.json|bpe\.codes|dict\.txt|.*\.spm"
)
_BESIDE = re.compile(
    r"(config|generation_config|.*tokenizer.*|special_tokens_map|added_tokens)\.(json|txt|model)"
    r"|.*\.jinja|model\.safetensors\.index\.json"
)
_WITHOUT_VOCABULARY = ("canine", "perceiver", "byt5")  # they read characters or bytes
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"
_LARGEST_BESIDE = 256 * 2**20  # bytes of a vocabulary or tokenizer, which are read whole
_LARGEST_HEADER = 16 * 2**20  # bytes; a hundred and fifty thousand tensors


class CheckpointError(InputError):
    """A model that cannot be had: its name, the reason and the remedy in one sentence."""


def is_weights(name: str) -> bool:
    """Whether a file of this name holds a model's weights, or a part of them."""
    return bool(_WEIGHTS.fullmatch(name))


def is_loaded(name: str) -> bool:
    """Whether a file of this name is loaded: weights, configuration or tokenizer."""
    return any(files.fullmatch(name) for files in (_WEIGHTS, _BESIDE, _VOCABULARY))


def files_in(folder: Path) -> list[Path]:
    """The files of a model's folder that are loaded, sorted."""
    return [path for path in sorted(folder.iterdir()) if is_loaded(path.name)]


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder that holds no model, or one that could not be loaded, or not safely, in milliseconds.

    The configuration, the index and the headers of the weights are read, each within bounds.

    Raises:
        InputError: for the first file that is missing, damaged, no ordinary file, too large, or outside.
    """
    with reading(f"{name}:"):
        _refuse_folder_of_models(name, folder)
        refuse_unsafe(name, [path.name for path in folder.iterdir()])
        for path in files_in(folder):
            most = None if path.suffix == ".safetensors" else _LARGEST_BESIDE
            check_readable(path, f"{name}: its {path.name}", most)
        check_configuration(name, folder)
        _refuse_stray_parts(name, folder)
        tensors_in(folder, name)


def _refuse_folder_of_models(name: str, folder: Path) -> None:
    """Raise `CheckpointError` for a folder whose subfolders are the models: the checkpoints of a training, for one."""
    if (folder / "config.json").exists() or (folder / _ADAPTER).exists():
        return
    inside = [path.parent.name for path in sorted(folder.glob("*/config.json"))]
    steps = {int(part.removeprefix("checkpoint-")): part for part in inside if re.fullmatch(r"checkpoint-\d+", part)}
    if steps:
        raise CheckpointError(
            f"{name}: holds the checkpoints of a training and no model itself; give the newest, "
            f"{Path(name) / steps[max(steps)]}"
        )
    if inside:
        paths = few([str(Path(name) / part) for part in inside])
        raise CheckpointError(f"{name}: holds no model itself, but folders of models; give one of them: {paths}")


def _refuse_stray_parts(name: str, folder: Path) -> None:
    """Raise `CheckpointError` for weights in parts whose index names other files than those beside it."""
    if (folder / "model.safetensors").exists():
        return
    parts = read_object(folder / _INDEX, f"{name}: its {_INDEX}").get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise CheckpointError(f"{name}: its {_INDEX} names no weights")
    there = [path.name for path in files_in(folder) if is_weights(path.name)]
    if stray := [repr(part)[:60] for part in parts.values() if part not in there]:
        raise CheckpointError(f"{name}: its {_INDEX} names {few(stray)}, and these weights are not beside it")


def refuse_unsafe(name: str, files: Iterable[str]) -> None:
    """Raise `CheckpointError` for files that are no whole model, or whose weights can run code when they are read."""
    files = list(files)
    if _ADAPTER in files:
        beside = "beside a model" if any(map(is_weights, files)) else "without the model that it was trained on"
        raise CheckpointError(
            f"{name}: holds an adapter ({_ADAPTER}) {beside}; merge the two by PEFT's merge_and_unload, save the "
            "result with its tokenizer, and give that folder"
        )
    if "config.json" not in files:
        raise CheckpointError(f"{name}: holds no config.json, so it is no model that Transformers can read")
    if any(map(is_weights, files)):
        return
    pickles = [file for file in files if _PICKLES.fullmatch(file)]
    holds = f"only {few(pickles)}, which can run code when it is read" if pickles else "and no other weights either"
    raise CheckpointError(f"{name}: holds no model.safetensors, {holds}; choose a revision or a model that has it")


def check_configuration(name: str, folder: Path) -> None:
    """Refuse what the configuration and the files beside the weights show to be of no use, before weights are read.

    Raises:
        InputError: for a model that Transformers does not know and that brings a program instead, one whose weights are
            quantised, and one without a tokenizer.
    """
    config = read_object(folder / "config.json", f"{name}: its config.json")
    kind = str(config.get("model_type"))
    if config.get("auto_map") and not _is_known(kind):
        raise CheckpointError(
            f"{name}: needs a program that comes with it (remote code), which is never run; choose another model"
        )
    if config.get("quantization_config"):
        raise CheckpointError(
            f"{name}: its weights are quantised, and only whole ones can be trained; give the model that they were "
            "made from"
        )
    if not _has_tokenizer(name, folder, kind):
        raise CheckpointError(
            f"{name}: holds no tokenizer (neither tokenizer.json nor a vocabulary); save the one that the model was "
            "trained with into the same folder, by its save_pretrained"
        )


def _has_tokenizer(name: str, folder: Path, kind: str) -> bool:
    """Whether there is a vocabulary, or a tokenizer of characters or bytes, which needs none."""
    if any(_VOCABULARY.fullmatch(path.name) for path in folder.iterdir()):
        return True
    settings = folder / "tokenizer_config.json"
    described = read_object(settings, f"{name}: its {settings.name}") if settings.exists() else {}
    return f"{described.get('tokenizer_class') or kind}".lower().startswith(_WITHOUT_VOCABULARY)


def _is_known(kind: str) -> bool:
    """Whether the installed Transformers has this type of model, as the text of its tables says.

    To import them would import PyTorch.
    """
    package = importlib.util.find_spec("transformers")
    tables = Path(package.submodule_search_locations[0], "models", "auto").glob("*.py")
    entry = re.compile(rf'"{re.escape(kind)}"[,:] "\w+Config"')
    return any(entry.search(table.read_text(encoding="utf-8")) for table in tables)


def parameters_in(folder: Path, name: object = None) -> int:
    """The number of parameters in the weights of a folder; errors are those of `tensors_in`."""
    return sum(math.prod(tensor.shape) for tensor in tensors_in(folder, name).values())


class Stored(NamedTuple):
    """A tensor in a file of weights: its type, as safetensors names it ("F32"), and its shape."""

    dtype: str
    shape: tuple[int, ...]


def tensors_in(folder: Path, name: object = None) -> dict[str, Stored]:
    """The tensors in the weights of a folder, read from the headers of its files in milliseconds.

    Raises:
        CheckpointError: for a file that is damaged or cut off, or has a header of more than 16 MiB.
    """
    tensors: dict[str, Stored] = {}
    for path in files_in(folder):
        if is_weights(path.name):
            tensors |= _tensors(path, name or folder)
    return tensors


def _tensors(path: Path, name: object) -> dict[str, Stored]:
    try:
        with path.open("rb") as opened:
            if int.from_bytes(opened.read(8), "little") > _LARGEST_HEADER:
                raise SafetensorError("header too large")
        with safe_open(path, framework="numpy") as file:
            slices = {tensor: file.get_slice(tensor) for tensor in file.keys()}  # noqa: SIM118
            return {tensor: Stored(part.get_dtype(), tuple(part.get_shape())) for tensor, part in slices.items()}
    except (OSError, SafetensorError):
        raise CheckpointError(f"{name}: its {path.name} is damaged or cut off; copy or download it again") from None
