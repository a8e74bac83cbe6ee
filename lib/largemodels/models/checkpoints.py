"""A model by name: one that is shipped, a folder on this machine, or a Hub id.

The command line checks and fingerprints names, so all of it goes without PyTorch. `resolve` finds the folder, and
`largemodels.models.loading` makes a network of it.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from largemodels.base.cache import Progress
from largemodels.base.errors import raised_as
from largemodels.base.files import is_here, sha256
from largemodels.data import hub
from largemodels.models.files import (
    CheckpointError,
    check_folder,
    files_in,
    is_loaded,
    is_weights,
    refuse_programs,
    refuse_unsafe,
)
from largemodels.models.memory import free_memory

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

    That is `organisation/name[@revision]`, or a bare name, as the oldest models have it (`bert-base-uncased`), unless
    it resembles a shipped one, which makes a slip likelier. What exists here as a file or folder is no Hub id.
    """
    text = str(name)
    parts = hub.parse(text)
    if parts is None or parts.config or text in shipped() or is_here(text):
        return None
    bare = "/" not in parts.repository
    return None if bare and difflib.get_close_matches(parts.repository, shipped(), n=1, cutoff=0.75) else parts


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
    near = difflib.get_close_matches(text, shipped(), n=1)
    hint = f"; did you mean {near[0]}?" if near and "/" not in text else ""
    comes = f" ({', '.join(shipped())})" if shipped() else ""
    raise CheckpointError(
        f"{text} is neither a model that comes with the workbench{comes}, nor a Hub id (organisation/name), nor an "
        f"existing folder{hint}"
    )


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
    refuse_programs(name, folder)
    weights = [file for file in wanted if is_weights(file)]
    refuse_too_large(name, sum(listing[file] for file in weights), training=False)
    hub.download("model", pinned, [*beside, *weights], progress)
    check_folder(name, folder)
    return Checkpoint(name, folder, on_hub.unpinned, commit)
