"""The two encoders that the book pretrains, and the matrices that their tokens are multiplied by.

`"bert"` normalises after each block and learns its positions (Devlin et al. 2019); `"modern"` normalises before,
rotates queries and keys, and gates its feed-forward layers (ModernBERT: Warner et al. 2024). Both are `transformers`'.
"""

from __future__ import annotations

from typing import Literal

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import MaskedLMOutput

from largemodels.base.errors import InputError
from largemodels.models.losses import IGNORED
from largemodels.models.memory import TRAINING_BYTES, free_memory
from largemodels.models.trainable import linear_layers

Architecture = Literal["modern", "bert"]


class SparseBertForMaskedLM(BertForMaskedLM):
    """BERT whose prediction head sees the masked positions only, as ModernBERT's does with `sparse_prediction`.

    The head multiplies by the whole vocabulary, which for a small network is most of the work, and the loss needs the
    masked positions only. The weights are those of `BertForMaskedLM`.
    """

    def forward(self, input_ids, attention_mask=None, labels=None, num_items_in_batch=None, **kwargs) -> MaskedLMOutput:
        """The loss and, with labels, the logits of the masked positions alone, `(masked, vocabulary)`."""
        outputs = self.bert(input_ids, attention_mask=attention_mask, **kwargs)
        hidden = outputs.last_hidden_state  # (batch, length, hidden_size)
        if labels is None:
            return MaskedLMOutput(logits=self.cls(hidden))
        masked = labels != IGNORED
        logits = self.cls(hidden[masked])  # (masked, vocabulary)
        loss = self.loss_function(
            logits, labels[masked], vocab_size=self.config.vocab_size, num_items_in_batch=num_items_in_batch
        )
        return MaskedLMOutput(loss=loss, logits=logits)


def build_encoder(
    architecture: Architecture,
    tokenizer: PreTrainedTokenizerBase,
    *,
    hidden_size: int,
    num_layers: int,
    num_heads: int,
    max_length: int,
    seed: int = 0,
) -> PreTrainedModel:
    """A masked language model with random weights, the same for the same seed; other generators are left alone.

    With `labels`, it predicts the masked positions only. Its attention is PyTorch's fused kernel, over all tokens in
    every layer: ModernBERT's local windows save nothing on texts this short.

    Args:
        tokenizer: gives the size of the vocabulary and the ids of `[PAD]`, `[CLS]` and `[SEP]`.
        hidden_size: numbers a token; a multiple of `num_heads`, for "modern" of twice that, since positions turn pairs.
        num_layers: blocks of attention and feed-forward layer.
        max_length: the longest text, in tokens, that has a position.

    Raises:
        InputError: for sizes that do not fit each other or the free memory, or an unknown architecture.
    """
    if architecture not in ("modern", "bert"):
        raise InputError(f"architecture: {architecture} is not one of modern, bert")
    step = num_heads * (2 if architecture == "modern" else 1)
    if hidden_size % step:
        raise InputError(f"hidden_size: {hidden_size} is not a multiple of {step}, for {num_heads} heads")
    shared = {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "max_position_embeddings": max_length,
        "pad_token_id": tokenizer.pad_token_id,
        "cls_token_id": tokenizer.cls_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "attn_implementation": "sdpa",
    }
    if architecture == "modern":
        build, config = ModernBertForMaskedLM, _modern_config(shared)
    else:
        build, config = SparseBertForMaskedLM, BertConfig(**shared, intermediate_size=4 * hidden_size)
    _check_size(build, config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(config)


def _modern_config(shared: dict) -> ModernBertConfig:
    return ModernBertConfig(
        **shared,
        intermediate_size=shared["hidden_size"] * 3 // 2,  # the ratio of ModernBERT-base, 1152 to 768
        layer_types=["full_attention"] * shared["num_hidden_layers"],
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}},
        sparse_prediction=True,
        classifier_pooling="mean",  # nothing is ever predicted at [CLS], so it is learnt least
    )


def _check_size(build: type[PreTrainedModel], config: PreTrainedConfig) -> None:
    """Refuse a network whose training the free memory cannot hold; it is drawn up without memory for its weights."""
    with torch.device("meta"):
        parameters = build(config).num_parameters()
    needed, free = TRAINING_BYTES * parameters, free_memory(training=True)
    if needed > free:
        raise InputError(
            f"hidden_size: {config.hidden_size} in {config.num_hidden_layers} layers makes {parameters / 1e6:,.0f} "
            f"million parameters, whose training needs {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} are "
            "free; give less"
        )


def matrix_parameters(model: PreTrainedModel) -> tuple[int, int]:
    """The weights that every token is multiplied by, and those of the prediction head: `(body, head)`.

    Embeddings are looked up, not multiplied; their matrix counts once, in the head, where it is tied to the decoder. A
    pooler reads one token of a text and is left out; layers that share their weights, as ALBERT's, count once.
    """
    counts = {name: layer.weight.numel() for name, layer in linear_layers(model).items()}
    network = f"{model.base_model_prefix}." if model.base_model is not model else ""
    body = sum(count for name, count in counts.items() if name.startswith(network))
    return body, sum(counts.values()) - body
