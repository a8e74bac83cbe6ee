"""The two encoders that the book pretrains, what lies between them, and the matrices that their tokens go through.

`"bert"` normalises after each sublayer and learns its positions (Devlin et al. 2019); `"modern"` normalises before,
rotates queries and keys, and gates its feed-forward layers (ModernBERT: Warner et al. 2024). Both are `transformers`'.
A variant is the modern encoder with BERT's choice in one of these three, or in all: `OldPartsForMaskedLM`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
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
from transformers.models.modernbert.modeling_modernbert import (
    ModernBertEmbeddings,
    ModernBertEncoderLayer,
    ModernBertMLP,
)

from largemodels.base.errors import InputError
from largemodels.models.losses import IGNORED
from largemodels.models.memory import TRAINING_BYTES, free_memory
from largemodels.models.trainable import linear_layers

Architecture = Literal["modern", "bert"]
Variant = Literal["post-norm", "learnt-positions", "ungated", "all-three"]
OLD_PARTS = {
    "post-norm": {"post_norm": True},
    "learnt-positions": {"learnt_positions": True},
    "ungated": {"gated": False},
    "all-three": {"post_norm": True, "learnt_positions": True, "gated": False},
}
"""What each variant of the modern encoder has of BERT, as arguments of `OldPartsForMaskedLM`."""


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


class PostNormLayer(ModernBertEncoderLayer):
    """A block that normalises after each sublayer, on the sum, as BERT does."""

    def __init__(self, config: ModernBertConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        self.attn_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)

    def forward(self, hidden_states: Tensor, **attention: Tensor) -> Tensor:
        """The tokens after the block, `(batch, length, hidden_size)`, as before it."""
        hidden_states = self.attn_norm(hidden_states + self.attn(hidden_states, **attention)[0])
        return self.mlp_norm(hidden_states + self.mlp(hidden_states))


class LearntPositions(ModernBertEmbeddings):
    """Embeddings with a learnt vector for each place, added before the normalisation."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__(config)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, input_ids: Tensor, inputs_embeds: Tensor | None = None) -> Tensor:
        """The embedded tokens, `(batch, length, hidden_size)`, of ids `(batch, length)`."""
        tokens = self.tok_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        return self.drop(self.norm(tokens + self.position_embeddings.weight[: tokens.shape[1]]))


class Unrotated(nn.Module):
    """Rotations by no angle at all, in place of `ModernBertRotaryEmbedding`."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim

    def forward(self, x: Tensor, position_ids: Tensor, layer_type: str) -> tuple[Tensor, Tensor]:
        """Cosines and sines, ones and zeros, `(batch, length, head_dim)` each."""
        shape = (*position_ids.shape, self.head_dim)
        return x.new_ones(shape), x.new_zeros(shape)


class UngatedMLP(ModernBertMLP):
    """A feed-forward layer of two matrices, as in BERT: `inner` components between them."""

    def __init__(self, config: ModernBertConfig, inner: int) -> None:
        super().__init__(config)
        self.Wi = nn.Linear(config.hidden_size, inner, bias=config.mlp_bias)
        self.Wo = nn.Linear(inner, config.hidden_size, bias=config.mlp_bias)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """The layer's output, of the shape of its input, `(batch, length, hidden_size)`."""
        return self.Wo(self.drop(self.act(self.Wi(hidden_states))))


class OldPartsForMaskedLM(ModernBertForMaskedLM):
    """ModernBERT with BERT's choice in some of three design decisions, and everything else as it is.

    With all three, and with biases, it computes what BERT computes from the same weights. An ungated layer has half as
    many inner components again, and so as many weights as the gated one: two matrices in place of three.

    Args:
        post_norm: normalise after each sublayer, on the sum, and not before it.
        learnt_positions: add a learnt vector to each token, once, and rotate no queries and keys.
        gated: whether the feed-forward layers have their gate.
    """

    def __init__(
        self, config: ModernBertConfig, *, post_norm: bool = False, learnt_positions: bool = False, gated: bool = True
    ) -> None:
        super().__init__(config)
        if post_norm:
            self.model.layers = nn.ModuleList(PostNormLayer(config, i) for i in range(config.num_hidden_layers))
            self.model.final_norm = nn.Identity()
        if learnt_positions:
            self.model.embeddings = LearntPositions(config)
            self.model.rotary_emb = Unrotated(config.hidden_size // config.num_attention_heads)
        if not gated:
            for layer in self.model.layers:
                layer.mlp = UngatedMLP(config, config.intermediate_size * 3 // 2)
        self.post_init()  # draws the new weights as ModernBERT draws its own, and ties the decoder again


def build_encoder(
    architecture: Architecture | Variant,
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
        architecture: "modern", "bert", or a variant of the modern one with parts of BERT (`OLD_PARTS`).
        tokenizer: gives the size of the vocabulary and the ids of `[PAD]`, `[CLS]` and `[SEP]`.
        hidden_size: numbers a token; a multiple of `num_heads`, and except for "bert" of twice that, since positions
            turn pairs.
        num_layers: blocks of attention and feed-forward layer.
        max_length: the longest text, in tokens, that has a position.

    Raises:
        InputError: for sizes that do not fit each other or the free memory, or an unknown architecture.
    """
    if architecture not in (known := ("modern", "bert", *OLD_PARTS)):
        raise InputError(f"architecture: {architecture} is not one of {', '.join(known)}")
    step = num_heads * (1 if architecture == "bert" else 2)
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
    build: Callable[[PreTrainedConfig], PreTrainedModel]
    if architecture == "bert":
        build, config = SparseBertForMaskedLM, BertConfig(**shared, intermediate_size=4 * hidden_size)
    elif architecture == "modern":
        build, config = ModernBertForMaskedLM, _modern_config(shared)
    else:
        build, config = partial(OldPartsForMaskedLM, **OLD_PARTS[architecture]), _modern_config(shared)
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


def _check_size(build: Callable[[PreTrainedConfig], PreTrainedModel], config: PreTrainedConfig) -> None:
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
