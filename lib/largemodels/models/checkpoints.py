"""A model by name: one that is shipped, a folder on this machine, or a Hub id.

The command line checks and fingerprints names, so all of it goes without PyTorch. `resolve` finds the folder, and
`largemodels.models.loading` makes a network of it.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from largemodels.base.cache import Progress
from largemodels.base.errors import few, raised_as
from largemodels.base.files import is_here, sha256
from largemodels.data import hub
from largemodels.models.files import (
    CheckpointError,
    check_configuration,
    check_folder,
    files_in,
    is_loaded,
    is_weights,
    refuse_unsafe,
)
from largemodels.models.memory import free_memory

_BARE = re.compile(  # the models that the Hub has had since before organisations
    r"(albert|bert|camembert|distilbert|distilroberta|roberta|t5|xlm|xlnet)-[a-z0-9].*"
    r"|ctrl|distilgpt2|gpt2(-medium|-large|-xl)?|openai-gpt|transfo-xl-wt103"
)
WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True)
class Checkpoint:
    """The folder of a model's files, and for a Hub model its id and commit, which a run records."""

    name: str
    folder: Path
    hub_id: str | None = None
    commit: str | None = None


def shipped() -> tuple[str, ...]:
    """The names of the models that come with the library, sorted."""
    return tuple(sorted(path.parent.name for path in WEIGHTS_FOLDER.glob("*/config.json")))


def hub_id(name: str | os.PathLike[str]) -> hub.HubId | None:
    """The parts of a name that means a model on the Hub, and None for any other; the Hub is not read.

    That is `organisation/name[@revision]`, or a bare name of the oldest models (`bert-base-uncased`): no others have
    one, so that every other bare name is a slip. What exists here as a file or folder is no Hub id, nor is a name that
    is missing from a folder of models here, unless it has a revision.
    """
    text = str(name)
    parts = hub.parse(text)
    if parts is None or parts.config or text in shipped() or is_here(text):
        return None
    if "/" not in parts.repository:
        return parts if _BARE.fullmatch(parts.repository) else None
    return None if _models_beside(text) and not parts.revision else parts


def _models_beside(text: str) -> list[str]:
    """The folders of models in the folder where one of this name would be."""
    return [str(path.parent) for path in sorted(Path(text).expanduser().parent.glob("*/config.json"))]


@raised_as(CheckpointError)
def check_name(name: str | os.PathLike[str]) -> None:
    """Refuse what cannot be a model, by what the name and this machine's disk show, in milliseconds.

    Raises:
        CheckpointError: for what is neither shipped, nor a folder with a model's files, nor of the form of a Hub id.
    """
    text = str(name)
    if text in shipped() or hub_id(text):
        return
    here = bool(text.strip()) and is_here(text)
    if here and (folder := _local_folder(text)).is_dir():
        check_folder(text, folder)
        return
    if here:
        raise CheckpointError(f"{text} is a file, and a model is a folder with config.json and model.safetensors")
    comes = f" ({', '.join(shipped())})" if shipped() else ""
    raise CheckpointError(
        f"{text} is neither a model that comes with the workbench{comes}, nor a Hub id (organisation/name), nor an "
        f"existing folder{_meant(text)}"
    )


def _meant(text: str) -> str:
    """What to write instead of a name that stands for nothing, for the end of a sentence."""
    beside = _models_beside(text)
    near = difflib.get_close_matches(text, [*shipped(), *beside], n=1)
    if "/" in text and beside and hub.parse(text):
        here = near[0] if near else few(beside)
        return f"; this machine has {here}, and {text}@main is the Hub's model of this name"
    return f"; did you mean {near[0]}?" if near else ""


@raised_as(CheckpointError)
def fingerprint(name: str | os.PathLike[str]) -> str:
    """A text that changes when the model does.

    For a folder a hexadecimal SHA-256 of the names and bytes of the files that are loaded; for the Hub `id@commit`.

    Raises:
        CheckpointError: for a model that is not there, or that only the Hub could show.
    """
    check_name(name)
    if on_hub := hub_id(name):
        return str(on_hub.at(hub.commit_of("model", on_hub)))
    digest = hashlib.sha256()
    for path in files_in(_local_folder(name)):
        digest.update(f"{path.name}\0{sha256(path, f'{name}: its {path.name}')}\n".encode())
    return digest.hexdigest()


@raised_as(CheckpointError)
def resolve(name: str | os.PathLike[str], *, progress: Progress | None = None) -> Checkpoint:
    """The local folder of a model, which is downloaded if it is on the Hub.

    Raises:
        CheckpointError: for a model that is not there, has no safetensors, needs a program of others, or does not fit
            into the memory.
    """
    check_name(name)
    if on_hub := hub_id(name):
        return _downloaded(str(name), on_hub, progress)
    return Checkpoint(str(name), _local_folder(name))


def refuse_too_large(name: object, needed: int, *, training: bool) -> None:
    """Refuse a model that needs more bytes, to train or only to load, than are free.

    Raises:
        CheckpointError: with the memory that it needs and that is free.
    """
    if needed > (free := free_memory(training=training)):
        raise CheckpointError(
            f"{name}: takes at least {needed / 2**30:.1f} GiB of memory to {'train' if training else 'load'}, and "
            f"{free / 2**30:.1f} GiB are free; choose a smaller model"
        )


def _local_folder(name: str | os.PathLike[str]) -> Path:
    text = str(name)
    return WEIGHTS_FOLDER / text if text in shipped() else Path(text).expanduser().resolve()


def _downloaded(name: str, on_hub: hub.HubId, progress: Progress | None) -> Checkpoint:
    """A Hub model, its weights downloaded last, after everything that could refuse them."""
    commit = hub.commit_of("model", on_hub)
    pinned = on_hub.at(commit)
    listing = hub.files("model", pinned)
    refuse_unsafe(name, listing)
    wanted = [file for file in listing if is_loaded(file)]
    beside = [file for file in wanted if not is_weights(file)]
    folder = hub.download("model", pinned, beside)["config.json"].parent
    check_configuration(name, folder)
    weights = [file for file in wanted if is_weights(file)]
    refuse_too_large(name, sum(listing[file] for file in weights), training=False)
    hub.download("model", pinned, [*beside, *weights], progress)
    check_folder(name, folder)
    return Checkpoint(name, folder, on_hub.unpinned, commit)
