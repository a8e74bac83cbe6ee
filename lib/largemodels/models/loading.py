"""A network and a tokenizer from the files of a model; every chapter gets its models here.

Only safetensors are loaded, and no program of others is run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from largemodels.base.errors import few
from largemodels.models.checkpoints import CheckpointError, refuse_too_large, resolve
from largemodels.models.files import files_in, is_weights, parameters_in, tensors_in
from largemodels.models.heads import Head, head_for, put_in_order
from largemodels.models.lengths import length_limit
from largemodels.models.memory import FLOAT_BYTES, TRAINING_BYTES

_LOCAL = {"trust_remote_code": False, "local_files_only": True}


def load_tokenizer(name: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, which pads at the end.

    One without a token for padding, as GPT-2's, pads with the one that ends a text: padding is masked anyway.

    Raises:
        CheckpointError: as `resolve`, or for a folder without a tokenizer that can be read.
    """
    folder = resolve(name).folder
    with _quiet(), _load_errors(name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise CheckpointError(f"{name}: its tokenizer knows no word; copy its vocabulary again, or choose another")
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def longest_text(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """The number of tokens that a model reads at most, special ones included; `length_limit` says why."""
    return length_limit(tokenizer, model).tokens


def load_masked_lm(name: str | os.PathLike[str]) -> PreTrainedModel:
    """A model with its masked-language head; `model(input_ids).logits` is `(batch, length, vocabulary)`.

    Raises:
        CheckpointError: as `resolve`, or for a model without such a head, damaged, or too large to be trained in the
            free memory.
    """
    model, missing = _load(AutoModelForMaskedLM, name, training=True)
    if missing:
        raise CheckpointError(f"{name}: has no trained masked-language head (it lacks {few(missing)}); choose another")
    return model


def load_causal_lm(name: str | os.PathLike[str]) -> PreTrainedModel:
    """A decoder with its head; `model(input_ids).logits`, of the next token, is `(batch, length, vocabulary)`.

    Raises:
        CheckpointError: as `load_encoder`, or for an encoder, or an encoder and a decoder in one.
    """
    folder = resolve(name).folder
    with _quiet(), _load_errors(name, "model"):
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    if not _is_decoder(config):
        raise CheckpointError(
            f"{name}: is no decoder ({config.model_type} does not predict each token from those before it); choose a "
            "causal model, as GPT-2 or a Llama"
        )
    model, missing = _load(AutoModelForCausalLM, name, training=False)
    _refuse_missing(name, missing)
    return model


def is_causal(model: torch.nn.Module) -> bool:
    """Whether a model of `transformers` gives the logits of the next token, from the tokens before it alone."""
    return isinstance(model, PreTrainedModel) and model.can_generate() and _is_decoder(model.config)


def _is_decoder(config: PretrainedConfig) -> bool:
    """Whether a family's causal model reads from left to right; those of encoders do if their configuration says so."""
    family = type(config)
    if config.is_encoder_decoder or family not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return False
    return family not in MODEL_FOR_MASKED_LM_MAPPING or bool(config.is_decoder)


def load_encoder(name: str | os.PathLike[str]) -> PreTrainedModel:
    """A model without a head; `model(input_ids).last_hidden_state` is `(batch, length, hidden_size)`.

    A pooler that the files do not hold starts at random; nothing else may be missing. There need not be memory to
    train it.

    Raises:
        CheckpointError: as `resolve`, or for a model that is incomplete, damaged, or too large for the free memory.
    """
    model, missing = _load(AutoModel, name, training=False)
    _refuse_missing(name, [key for key in missing if not key.startswith("pooler.")])
    return model


def load_classifier(name: str | os.PathLike[str], labels: Sequence[str], *, seed: int | None = None) -> PreTrainedModel:
    """A sequence classifier for these labels, one for each text; `model(input_ids).logits` is `(batch, len(labels))`.

    A head that the files hold is kept where its labels have the same names, its rows in the order of `labels`. Any
    other starts at random.

    Args:
        labels: the names of the classes; the position is the id.
        seed: of the random head, which leaves other generators alone; None goes on from PyTorch's state.

    Raises:
        CheckpointError: as `load_masked_lm`, or for fewer than two labels.
    """
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise CheckpointError(f"{name}: a classifier needs two or more different labels, and was given {list(labels)}")
    names = dict(enumerate(labels))
    head = head_in(name, labels)
    model, missing = _load(
        AutoModelForSequenceClassification,
        name,
        training=True,
        seed=seed,
        id2label=names,
        label2id={label: place for place, label in names.items()},
        num_labels=len(labels),
        problem_type="single_label_classification",
        left_out=head.left_out,
    )
    body = f"{model.base_model_prefix}."
    _refuse_missing(name, [key for key in missing if key.startswith(body) and ".pooler." not in f".{key}"])
    if head.order:
        put_in_order(model, head.order)
    config = model.config.get_text_config()
    if config.pad_token_id is None:  # as GPT-2's, which looks for the last token before the padding
        config.pad_token_id = model.config.pad_token_id = load_tokenizer(name).pad_token_id
    return model


def head_in(name: str | os.PathLike[str], labels: Sequence[str]) -> Head:
    """What becomes of the head in a model's files in a classifier for these labels.

    Raises:
        CheckpointError: as `resolve`, or for a family that has no classifier.
    """
    folder = resolve(name).folder
    with _quiet(), _load_errors(name, "model"):
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
        return head_for(config, tensors_in(folder, name), labels)


def load_trained_classifier(name: str | os.PathLike[str]) -> PreTrainedModel:
    """A sequence classifier with the head and the labels that its files hold; there need not be memory to train it.

    Raises:
        CheckpointError: as `load_encoder`, or for a head that the files do not hold.
    """
    model, missing = _load(AutoModelForSequenceClassification, name, training=False)
    _refuse_missing(name, missing)
    return model


def check_fit(name: object, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    """Refuse a tokenizer of another model: every id that it gives must have a row among the embeddings.

    Raises:
        CheckpointError: for more tokens than rows, no token for padding, or two different ones.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"{name}: the tokenizer does not fit the model: it has {len(tokenizer):,} tokens and the model rows for "
            f"{rows:,}; take both from one place"
        )
    special = {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens}
    if beyond := [token for token, place in special.items() if place is None or place >= rows]:
        raise CheckpointError(f"{name}: the tokenizer's special tokens {few(beyond)} have no row in the model")
    pad = model.config.get_text_config().pad_token_id
    if tokenizer.pad_token_id is None:
        raise CheckpointError(f"{name}: the tokenizer has no token for padding, so texts cannot be put into one batch")
    if pad is not None and pad != tokenizer.pad_token_id:
        raise CheckpointError(
            f"{name}: tokenizer and model disagree on padding (ids {tokenizer.pad_token_id} and {pad}); batches would "
            "be wrong"
        )


def from_weights(
    build: Any, source: Path | None, *, seed: int | None = None, **options: Any
) -> tuple[PreTrainedModel, list[str]]:
    """A model in float32, in evaluation mode, and the sorted names of the parameters that the weights lack.

    Transformers draws those, as the model's family does. Every classifier gets its head here, so that the same seed
    gives the same head, whether the network comes from files or from memory.

    Args:
        build: the class with `from_pretrained`, which takes the options.
        source: the folder of the files, or None where the options have the `config` and the `state_dict`.
        seed: of the parameters that are drawn, which leaves other generators alone; None goes on from PyTorch's state.
    """
    with _quiet(), torch.random.fork_rng(enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model, info = build.from_pretrained(
            source, dtype="float32", output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    if info["mismatched_keys"]:
        tensors = few(sorted(key for key, *_ in info["mismatched_keys"]))
        raise ValueError(f"config.json and the weights disagree on the shape of {tensors}")
    return model.eval(), sorted(info["missing_keys"])


def _load(
    build: Any,
    name: str | os.PathLike[str],
    *,
    training: bool,
    seed: int | None = None,
    left_out: Collection[str] = (),
    **options: Any,
) -> tuple[PreTrainedModel, list[str]]:
    """The model of these files and the names of the parameters that they lack, if the free memory holds it.

    A classifier's weights that are `left_out` count among these.
    """
    folder = resolve(name).folder
    refuse_too_large(name, parameters_in(folder) * (TRAINING_BYTES if training else FLOAT_BYTES), training=training)
    with _load_errors(name, "model"):
        if not left_out:
            return from_weights(build, folder, seed=seed, use_safetensors=True, **_LOCAL, **options)
        config = AutoConfig.from_pretrained(folder, **_LOCAL, **options)
        build = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
        return from_weights(build, None, seed=seed, config=config, state_dict=_weights_without(folder, left_out))


def _weights_without(folder: Path, left_out: Collection[str]) -> dict[str, torch.Tensor]:
    """The weights of a folder but for some, by name."""
    weights = {}
    for path in files_in(folder):
        if is_weights(path.name):
            with safe_open(path, framework="pt") as file:
                weights |= {tensor: file.get_tensor(tensor) for tensor in set(file.keys()) - set(left_out)}
    return weights


def _refuse_missing(name: object, missing: list[str]) -> None:
    if missing:
        raise CheckpointError(f"{name}: the weights are incomplete (they lack {few(missing)}); choose another model")


@contextlib.contextmanager
def _load_errors(name: object, what: str) -> Iterator[None]:
    """Turn what Transformers says of files that it cannot use into one sentence."""
    try:
        yield
    except Exception as error:  # OSError, ValueError, KeyError, RuntimeError, SafetensorError, those of tokenizers
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CheckpointError(f"{name}: its {what} cannot be loaded ({reason[:160]})") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Transformers from reporting a new head, which every fine-tuning has."""
    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
