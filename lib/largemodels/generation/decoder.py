"""A causal language model of the attention chapter's blocks, to be read from top to bottom; equal to a Llama's.

The shape of a tensor stands behind the line that makes it. A model is called as those of `transformers` are, with the
same names for what goes in and comes out, so that every function of this chapter takes either kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from largemodels.attention.blocks import Block, RMSNorm
from largemodels.attention.layers import attention, merge_heads, rotary_waves, split_heads, turn
from largemodels.base.errors import InputError
from largemodels.generation.cache import KeyValueCache
from largemodels.models.losses import IGNORED

Remember = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes the keys and values of new tokens, and gives those of all tokens so far."""
Waves = tuple[Tensor, Tensor]
"""The cosines and sines that turn queries and keys, `(new, head_dim / 2)` each."""


@dataclass(frozen=True)
class DecoderShape:
    """The numbers that make a decoder.

    Attributes:
        vocabulary_size: tokens that it knows.
        width: components of a token.
        num_layers: blocks.
        num_heads: attention heads, for the queries.
        key_value_heads: heads for keys and values, each shared by as many query heads; `num_heads` shares none, and 1
            is multi-query attention.
        inner: components between the matrices of the gated feed-forward layer.
        max_length: tokens in a text at most.
        eps: what keeps the normalisation from dividing by zero.
    """

    vocabulary_size: int
    width: int
    num_layers: int
    num_heads: int
    key_value_heads: int
    inner: int
    max_length: int
    eps: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise InputError(f"{name}: {value} is not above 0")
        if self.width % (2 * self.num_heads):
            raise InputError(
                f"width: {self.width} is not a multiple of {2 * self.num_heads}, for {self.num_heads} heads whose "
                "components are turned in pairs"
            )
        if self.num_heads % self.key_value_heads:
            raise InputError(f"key_value_heads: {self.key_value_heads} does not divide num_heads, {self.num_heads}")

    @property
    def head_dim(self) -> int:
        """Components of a query, a key or a value."""
        return self.width // self.num_heads


class GroupedQueryAttention(nn.Module):
    """Causal self-attention in which several query heads read the same keys and values (Ainslie et al. 2023).

    Queries and keys are turned by their positions (`layers.rotary`), so that only differences of positions count.
    """

    def __init__(self, width: int, num_heads: int, key_value_heads: int) -> None:
        super().__init__()
        self.num_heads, self.key_value_heads = num_heads, key_value_heads
        narrow = width // num_heads * key_value_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, narrow, bias=False)
        self.value = nn.Linear(width, narrow, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, mask: Tensor | None, waves: Waves, remember: Remember | None = None, *, weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The output `(batch, new, width)` and, if wanted, the weights `(batch, num_heads, new, keys)`.

        Args:
            x: the new tokens, `(batch, new, width)`.
            mask: True where a query may attend to a key, `(batch or 1, new, keys)`; None for everywhere.
            waves: of the positions of the new tokens.
            remember: what keeps the keys and values of tokens that were read before.
            weights: whether the weights are formed; the fused kernel of PyTorch does without them.
        """
        query = split_heads(self.query(x), self.num_heads)  # (batch, num_heads, new, d)
        key = split_heads(self.key(x), self.key_value_heads)  # (batch, key_value_heads, new, d)
        turned = turn(torch.cat([query, key], dim=1), *waves)  # both at once: the angles are the same
        query, key = turned.split([self.num_heads, self.key_value_heads], dim=1)
        value = split_heads(self.value(x), self.key_value_heads)  # (batch, key_value_heads, new, d)
        if remember is not None:
            key, value = remember(key, value)  # (batch, key_value_heads, keys, d) each
        if weights:
            shared = self.num_heads // self.key_value_heads
            key, value = (each.repeat_interleave(shared, dim=1) for each in (key, value))  # (batch, num_heads, keys, d)
            mixed, found = attention(query, key, value, mask.unsqueeze(1))
        else:  # the kernel lets query heads share keys and values without a copy for each
            mixed = F.scaled_dot_product_attention(
                query, key, value, None if mask is None else mask.unsqueeze(1), enable_gqa=True
            )
            found = None
        return self.output(merge_heads(mixed)), found


class DecoderBlock(Block):
    """The attention chapter's pre-norm block, with RMSNorm, a SwiGLU layer, and grouped queries for its attention."""

    def __init__(self, shape: DecoderShape, dropout: float = 0.0) -> None:
        options = {"gated": True, "rms": True, "activation": F.silu, "bias": False, "eps": shape.eps}
        super().__init__(shape.width, shape.num_heads, shape.inner, dropout=dropout, **options)
        self.attention = GroupedQueryAttention(shape.width, shape.num_heads, shape.key_value_heads)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual stream after the block, `(batch, new, width)`; `attend` calls its attention."""
        x = self._added(x, attend, self.attention_norm)
        return self._added(x, self.feed_forward, self.feed_forward_norm)


class Decoder(nn.Module):
    """A causal language model: embedding, blocks, normalisation, and the embedding again as the output's matrix.

    Examples:
        >>> import torch
        >>> shape = DecoderShape(50, width=16, num_layers=2, num_heads=4, key_value_heads=2, inner=32, max_length=8)
        >>> model = Decoder(shape, seed=0).eval()
        >>> tokens = torch.tensor([[3, 1, 4, 1, 5]])
        >>> model(tokens).logits.shape
        torch.Size([1, 5, 50])
    """

    base_model_prefix = ""

    def __init__(self, shape: DecoderShape, *, dropout: float = 0.0, seed: int = 0) -> None:
        """Draw the weights, the same for the same seed; other generators are left alone.

        `dropout` is the share of the embedding, of each layer's output and of the inner components that training sets
        to 0; it is no part of the function that a trained decoder computes.
        """
        super().__init__()
        self.shape = shape
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(shape.vocabulary_size, shape.width)
            self.blocks = nn.ModuleList(DecoderBlock(shape, dropout) for _ in range(shape.num_layers))
            self.final_norm = RMSNorm(shape.width, eps=shape.eps)
            self.dropout = nn.Dropout(dropout)
            for parameter in self.parameters():
                if parameter.ndim == 2:
                    nn.init.normal_(parameter, std=0.02)
            for block in self.blocks:  # two sums a block: the stream's variance stays that of one (Radford et al. 2019)
                for matrix in (block.attention.output, block.feed_forward.down):
                    matrix.weight.data /= (2 * shape.num_layers) ** 0.5

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        past_key_values: KeyValueCache | None = None,
        use_cache: bool = False,
        output_attentions: bool = False,
    ) -> CausalLMOutputWithPast:
        """The logits of the token after each, `(batch, new, vocabulary)`, as `.logits`.

        Args:
            input_ids: the new tokens, `(batch, new)`.
            attention_mask: 1 for tokens and 0 for padding, old and new, `(batch, keys)`. A text may be padded on the
                left: only differences of positions count, so that nothing has to be moved.
            labels: the tokens themselves, `IGNORED` (−100) where none is to be predicted, `(batch, new)`; with them
                `.loss` is the mean loss of each token from the second on, in nats.
            past_key_values: what was read before; the new tokens come after it, and it grows by them.
            use_cache: begin a cache where none is given.
            output_attentions: form the attention weights of each block, `.attentions`.

        Raises:
            InputError: for more tokens than the decoder has positions for.
        """
        cache = past_key_values
        if cache is None and use_cache:
            cache = KeyValueCache(self.shape.num_layers)
        past = cache.get_seq_length() if cache is not None else 0
        total = past + input_ids.shape[1]
        if total > self.shape.max_length:
            raise InputError(f"{total} tokens are more than the {self.shape.max_length} that the decoder reads")
        keys = torch.arange(total, device=self.device)
        positions = keys[past:]  # (new,)
        mask = (keys <= positions[:, None]).unsqueeze(0)  # (1, new, keys)
        if attention_mask is not None:
            mask = mask & attention_mask.bool()[:, None, :]  # (batch, new, keys)
        elif input_ids.shape[1] == 1 and not output_attentions:
            mask = None  # a single new token may attend to all

        waves = rotary_waves(positions, self.shape.head_dim, self.embedding.weight.dtype)
        x = self.dropout(self.embedding(input_ids))  # (batch, new, width)
        attentions = []
        for number, block in enumerate(self.blocks):
            remember = None if cache is None else partial(cache.update, layer_idx=number)

            def attend(read: Tensor, block: DecoderBlock = block, remember: Remember | None = remember) -> Tensor:
                output, weights = block.attention(read, mask, waves, remember, weights=output_attentions)
                attentions.append(weights)
                return output

            x = block(x, attend)  # (batch, new, width)
        logits = self.final_norm(x) @ self.embedding.weight.T  # (batch, new, vocabulary)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=cache, attentions=tuple(attentions) if output_attentions else None
        )

    @classmethod
    def from_transformers(cls, model: LlamaForCausalLM) -> Decoder:
        """The same function as a Llama of `transformers`, with copies of its weights.

        Raises:
            InputError: for the options that this class leaves out.
        """
        config = model.config
        if (
            not isinstance(model, LlamaForCausalLM)
            or not config.tie_word_embeddings
            or config.rope_parameters["rope_theta"] != 10_000
            or config.rope_parameters["rope_type"] != "default"
            or config.attention_bias
            or config.mlp_bias
            or config.hidden_act != "silu"
            or config.head_dim != config.hidden_size // config.num_attention_heads
        ):
            raise InputError(
                f"{type(model).__name__}: no equal here; only a Llama with tied embeddings, θ of 10,000 and no biases"
            )
        shape = DecoderShape(
            vocabulary_size=config.vocab_size,
            width=config.hidden_size,
            num_layers=config.num_hidden_layers,
            num_heads=config.num_attention_heads,
            key_value_heads=config.num_key_value_heads,
            inner=config.intermediate_size,
            max_length=config.max_position_embeddings,
            eps=config.rms_norm_eps,
        )
        ours = cls(shape).to(model.device, model.dtype)
        theirs = model.state_dict()
        ours.load_state_dict({name: _in_pairs(theirs[other], heads) for name, other, heads in _names(shape)})
        return ours.train(model.training)

    def to_transformers(self, **options: int) -> LlamaForCausalLM:
        """The same function as a model of `transformers`, which can be saved; `options` go to its configuration."""
        shape = self.shape
        config = LlamaConfig(
            vocab_size=shape.vocabulary_size,
            hidden_size=shape.width,
            num_hidden_layers=shape.num_layers,
            num_attention_heads=shape.num_heads,
            num_key_value_heads=shape.key_value_heads,
            intermediate_size=shape.inner,
            max_position_embeddings=shape.max_length,
            rms_norm_eps=shape.eps,
            tie_word_embeddings=True,
            **options,
        )
        theirs = LlamaForCausalLM(config).to(self.device, self.embedding.weight.dtype)
        ours = self.state_dict()
        weights = {other: _in_halves(ours[name], heads) for name, other, heads in _names(shape)}
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
        theirs.load_state_dict(weights)
        return theirs.train(self.training)


_PARTS = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "attention_norm": "input_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
    "feed_forward_norm": "post_attention_layernorm",
}  # our names and Llama's


def _names(shape: DecoderShape) -> list[tuple[str, str, int]]:
    """Our name of each weight, Llama's, and how many heads' rows are turned by positions, 0 for none."""
    turned = {"attention.query": shape.num_heads, "attention.key": shape.key_value_heads}
    return [
        ("embedding.weight", "model.embed_tokens.weight", 0),
        ("final_norm.weight", "model.norm.weight", 0),
        *(
            (f"blocks.{number}.{ours}.weight", f"model.layers.{number}.{theirs}.weight", turned.get(ours, 0))
            for number in range(shape.num_layers)
            for ours, theirs in _PARTS.items()
        ),
    ]


def _in_pairs(matrix: Tensor, heads: int) -> Tensor:
    """Llama's rows in the order of `layers.turn`, whose pairs are neighbours; there they stand half a head apart."""
    if not heads:
        return matrix
    return matrix.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def _in_halves(matrix: Tensor, heads: int) -> Tensor:
    """The inverse of `_in_pairs`."""
    if not heads:
        return matrix
    return matrix.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
