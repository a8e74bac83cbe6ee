"""A model by name: one that is shipped, a folder on this machine, or a Hub id; every chapter gets its model here.

Only safetensors are loaded and no program of others is run. What a name stands for is settled before torch is
imported, because the command line checks and fingerprints names: `resolve` finds the files, the loading functions
give them to Transformers, and `check_fit` holds tokenizer and model to each other.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largemodels.base.cache import Progress
from largemodels.base.checks import few
from largemodels.data import hub
from largemodels.models.files import (
    CheckpointError,
    files_in,
    is_loaded,
    is_weights,
    parameters_in,
    refuse_programs,
    refuse_unsafe,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
FLOAT_BYTES = 4
TRAINING_COPIES = 4  # weights, gradients, and the two moments of Adam


@dataclass(frozen=True)
class Checkpoint:
    """Where a model's files are, and what to record of them: for a Hub model its id and the commit it was read at."""

    name: str
    folder: Path
    hub_id: str | None = None
    commit: str | None = None


def shipped() -> tuple[str, ...]:
    """Return the names of the models that come with the library, sorted."""
    if not WEIGHTS_FOLDER.is_dir():
        return ()
    return tuple(sorted(path.name for path in WEIGHTS_FOLDER.iterdir() if (path / "config.json").is_file()))


def hub_id(name: str | os.PathLike[str]) -> hub.HubId | None:
    """Return the parts of a name that means a model on the Hub, and None for any other; the Hub is not asked.

    That is `organisation/name[@revision]`, or a bare name, as the oldest models have it (`bert-base-uncased`), unless
    it resembles a shipped one, which makes a slip likelier. What exists here as a file or folder is no Hub id.
    """
    text = str(name)
    found = hub.parse(text)
    if found is None or found.config or text in shipped() or Path(text).expanduser().exists():
        return None
    bare = "/" not in found.repository
    return None if bare and difflib.get_close_matches(found.repository, shipped(), n=1, cutoff=0.75) else found


def check_name(name: str | os.PathLike[str]) -> None:
    """Refuse what cannot be a model, by what the name and this machine's disk show, in milliseconds.

    Raises:
        CheckpointError: for a name that is neither shipped, nor a folder with a model's files, nor of the form of a Hub
            id.
    """
    text = str(name)
    path = Path(text).expanduser()
    if text in shipped() or hub_id(text):
        return
    if text.strip() and path.is_dir():
        refuse_unsafe(text, [file.name for file in path.iterdir()])
        return
    if text.strip() and path.exists():
        raise CheckpointError(f"{text} is a file, and a model is a folder with config.json and model.safetensors")
    near = difflib.get_close_matches(text, shipped(), n=1)
    hint = f"; did you mean {near[0]}?" if near and "/" not in text else ""
    comes = f" ({', '.join(shipped())})" if shipped() else ""
    raise CheckpointError(
        f"{text} is neither a model that comes with the workbench{comes}, nor a Hub id (organisation/name), nor an "
        f"existing folder{hint}"
    )


def fingerprint(name: str | os.PathLike[str]) -> str:
    """Return what changes when the model does.

    For a folder a hexadecimal SHA-256 of the names and bytes of the files that are loaded; for the Hub `id@commit`.

    Raises:
        CheckpointError: for a model that is not there, or what only the Hub could show.
    """
    check_name(name)
    if found := hub_id(name):
        with _as_checkpoint_error():
            return str(found.at(hub.commit_of("model", found)))
    folder = _local_folder(name)
    digest = hashlib.sha256()
    try:
        for path in files_in(folder):
            with path.open("rb") as file:
                digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise CheckpointError(f"{name}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def resolve(name: str | os.PathLike[str], *, progress: Progress | None = None) -> Checkpoint:
    """Return the local folder of a model, downloaded where it has to be, without importing torch.

    Raises:
        CheckpointError: for a model that is not there, has no safetensors, needs a program of others, or does not fit
            into the memory.
    """
    check_name(name)
    if found := hub_id(name):
        with _as_checkpoint_error():
            return _downloaded(str(name), found, progress)
    folder = _local_folder(name)
    refuse_programs(str(name), folder)
    return Checkpoint(str(name), folder)


def count_parameters(name: str | os.PathLike[str]) -> int:
    """Return the number of parameters in a model's files, read from their headers in milliseconds.

    Raises:
        CheckpointError: as `resolve`, or for a damaged file.
    """
    return sum(parameters_in(path) for path in files_in(resolve(name).folder) if is_weights(path.name))


def memory_needed(name: str | os.PathLike[str], *, training: bool) -> int:
    """Return the bytes that a model takes at least: its parameters in float32, four times over in training with Adam.

    Activations come on top; they depend on the batch.
    """
    return count_parameters(name) * FLOAT_BYTES * (TRAINING_COPIES if training else 1)


def check_memory(name: str | os.PathLike[str], *, training: bool) -> None:
    """Refuse a model that is too large for the memory, before it is loaded.

    Raises:
        CheckpointError: with what it takes and what there is.
    """
    needed = memory_needed(name, training=training)
    _refuse_beyond_memory(str(name), needed, "to train" if training else "to load")


# Loading


def load_tokenizer(name: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model, which pads at the end.

    One without a token for padding, as GPT-2's, pads with the one that ends a text: padding is masked anyway.

    Raises:
        CheckpointError: as `resolve`, or for a folder without a tokenizer that can be read.
    """
    from transformers import AutoTokenizer

    folder = resolve(name).folder
    with _quiet(), _load_errors(name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def longest_text(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Return how many tokens a model reads at most, special ones included, by its tokenizer and its positions."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length
    if "roberta" in config.model_type:
        positions -= config.pad_token_id + 1  # its positions are counted from there
    return min(tokenizer.model_max_length, positions)


def load_masked_lm(name: str | os.PathLike[str], *, training: bool = True) -> PreTrainedModel:
    """Return a model with its masked-language head; `model(input_ids).logits` is `(batch, length, vocabulary)`.

    Args:
        name: the model.
        training: whether it will be trained, which takes four times the memory.

    Raises:
        CheckpointError: as `resolve`, or for a model without such a head, damaged, or too large for the memory.
    """
    from transformers import AutoModelForMaskedLM

    model, missing = _load(AutoModelForMaskedLM, name, training)
    if missing:
        raise CheckpointError(f"{name}: has no trained masked-language head (it lacks {few(missing)}); choose another")
    return model


def load_encoder(name: str | os.PathLike[str], *, training: bool = False) -> PreTrainedModel:
    """Return a model without a head; `model(input_ids).last_hidden_state` is `(batch, length, hidden_size)`.

    A pooler that the files do not hold starts at random; nothing else may be missing.

    Raises:
        CheckpointError: as `load_masked_lm`.
    """
    from transformers import AutoModel

    model, missing = _load(AutoModel, name, training)
    _refuse_missing(name, [key for key in missing if not key.startswith("pooler.")])
    return model


def load_classifier(
    name: str | os.PathLike[str], labels: Sequence[str], *, training: bool = True, seed: int | None = None
) -> PreTrainedModel:
    """Return a sequence classifier for these labels; `model(input_ids).logits` is `(batch, len(labels))`.

    A head that the files do not hold, or hold for another number of labels, starts at random.

    Args:
        name: the model.
        labels: their names; the position is the id.
        training: whether it will be trained, which takes four times the memory.
        seed: of the random head, which leaves the generators of others alone; None goes on from PyTorch's state.

    Raises:
        CheckpointError: as `load_masked_lm`, or for fewer than two labels.
    """
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise CheckpointError(f"{name}: a classifier needs two or more different labels, and was given {list(labels)}")
    from transformers import AutoModelForSequenceClassification

    names = dict(enumerate(labels))
    model, missing = _load(
        AutoModelForSequenceClassification,
        name,
        training,
        seed=seed,
        id2label=names,
        label2id={label: place for place, label in names.items()},
        num_labels=len(labels),
        ignore_mismatched_sizes=True,
    )
    body = f"{model.base_model_prefix}."
    _refuse_missing(name, [key for key in missing if key.startswith(body) and ".pooler." not in f".{key}"])
    config = model.config.get_text_config()
    if config.pad_token_id is None:  # as GPT-2's, which looks for the last token before the padding
        config.pad_token_id = model.config.pad_token_id = load_tokenizer(name).pad_token_id
    return model


def check_fit(name: object, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Hold a tokenizer to a model: every id that it can give must have a row among the embeddings.

    Raises:
        CheckpointError: for a tokenizer of another model.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"{name}: the tokenizer does not fit the model: it has {len(tokenizer):,} tokens and the model rows for "
            f"{rows:,}; take both from one place"
        )
    beyond = {token: place for token, place in _special(tokenizer).items() if place is None or place >= rows}
    if beyond:
        raise CheckpointError(f"{name}: the tokenizer's special tokens {few(list(beyond))} have no row in the model")
    pad = model.config.get_text_config().pad_token_id
    if tokenizer.pad_token_id is None:
        raise CheckpointError(f"{name}: the tokenizer has no token for padding, so texts cannot be put into one batch")
    if pad is not None and pad != tokenizer.pad_token_id:
        raise CheckpointError(
            f"{name}: tokenizer and model disagree on padding (ids {tokenizer.pad_token_id} and {pad}); batches would "
            "be wrong"
        )


def _special(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    return {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens}


def _load(auto: Any, name: str | os.PathLike[str], training: bool, **options: Any) -> tuple[PreTrainedModel, list[str]]:
    """The model of these files, and the names of the parameters that they lack, which start at random."""
    folder = resolve(name).folder
    check_memory(name, training=training)
    with _load_errors(name, "model"):
        return from_weights(
            auto, folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, **options
        )


def from_weights(
    build: Any, source: Path | None, *, seed: int | None = None, **options: Any
) -> tuple[PreTrainedModel, list[str]]:
    """A model in float32, in evaluation mode, and the sorted names of the parameters that the weights lack.

    Transformers draws what is lacking, as the model's family does. Every classifier gets its head here, so that the
    same seed gives the same head, whether the network comes from files or from memory.

    Args:
        build: the class with `from_pretrained`.
        source: the folder of the files, or None where the options have the `config` and the `state_dict`.
        seed: of what is lacking, which leaves the generators of others alone; None goes on from PyTorch's state.
        **options: of `from_pretrained`.
    """
    import torch

    with _quiet(), torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model, info = build.from_pretrained(source, dtype="float32", output_loading_info=True, **options)
    return model.eval(), sorted(info["missing_keys"])


def _refuse_missing(name: object, missing: list[str]) -> None:
    if missing:
        raise CheckpointError(f"{name}: the weights are incomplete (they lack {few(missing)}); choose another model")


@contextlib.contextmanager
def _load_errors(name: object, what: str) -> Iterator[None]:
    """Turn what Transformers says of files that it cannot use into one sentence."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # OSError, ValueError, KeyError, RuntimeError, SafetensorError, a tokenizer's own
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CheckpointError(f"{name}: its {what} cannot be loaded ({reason[:160]})") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Transformers from reporting a new head, which every fine-tuning has."""
    from transformers.utils import logging

    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()


# Files


def _local_folder(name: str | os.PathLike[str]) -> Path:
    text = str(name)
    return WEIGHTS_FOLDER / text if text in shipped() else Path(text).expanduser().resolve()


def _downloaded(name: str, found: hub.HubId, progress: Progress | None) -> Checkpoint:
    """Return a Hub model, its weights downloaded last, after everything that could refuse them."""
    commit = hub.commit_of("model", found)
    pinned = found.at(commit)
    listing = hub.files("model", pinned)
    refuse_unsafe(name, listing)
    wanted = [file for file in listing if is_loaded(file)]
    beside = [file for file in wanted if not is_weights(file)]
    folder = hub.download("model", pinned, beside)["config.json"].parent
    refuse_programs(name, folder)
    weights = [file for file in wanted if is_weights(file)]
    _refuse_beyond_memory(name, sum(listing[file] for file in weights), "to load")
    hub.download("model", pinned, [*beside, *weights], progress)
    return Checkpoint(name, folder, found.unpinned, commit)


def _refuse_beyond_memory(name: str, needed: int, purpose: str) -> None:
    import psutil

    available = psutil.virtual_memory().available
    if needed > available:
        raise CheckpointError(
            f"{name}: takes at least {needed / 2**30:.1f} GiB of memory {purpose}, and {available / 2**30:.1f} GiB are "
            "free; choose a smaller model"
        )


@contextlib.contextmanager
def _as_checkpoint_error() -> Iterator[None]:
    try:
        yield
    except hub.HubError as error:
        raise CheckpointError(str(error)) from None
