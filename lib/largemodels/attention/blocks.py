"""The Transformer block, to be read from top to bottom: normalisation, feed-forward layer, residual stream, and cost.

Everything here equals PyTorch's to rounding. The shape of a tensor stands behind the line that makes it; `width` is
the number of components of a token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from largemodels.attention.layers import MultiHeadAttention


class LayerNorm(nn.Module):
    """Each token shifted to mean 0 and scaled to variance 1, then by learnt weights (Ba et al. 2016).

    The variance is that of the token's own components, so that no other token and no other text has a say.
    """

    def __init__(self, width: int, *, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """The normalised tokens, of the shape of `x`, `(..., width)`."""
        centred = x - x.mean(-1, keepdim=True)  # (..., width)
        variance = centred.square().mean(-1, keepdim=True)  # (..., 1)
        scaled = self.weight * centred / (variance + self.eps).sqrt()  # (..., width)
        return scaled if self.bias is None else scaled + self.bias


class RMSNorm(nn.Module):
    """Each token divided by the root mean square of its components: no shift, no bias (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised tokens, of the shape of `x`, `(..., width)`."""
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt()  # (..., width)


def gelu(x: Tensor) -> Tensor:
    """x · Φ(x), with Φ the normal distribution: a step that lets small negative values through (Hendrycks 2016)."""
    return x * (1 + torch.erf(x / 2**0.5)) / 2


class FeedForward(nn.Module):
    """Two matrices with a nonlinearity between them, at every token alike: width → inner → width.

    With a gate, a third matrix decides by the activation how much of each inner component passes (Shazeer 2020). As it
    has three matrices, a gated layer of two thirds the inner width has as many weights.
    """

    def __init__(
        self,
        width: int,
        inner: int,
        *,
        gated: bool = False,
        activation: Callable[[Tensor], Tensor] = gelu,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.up = nn.Linear(width, inner, bias=bias)
        self.gate = nn.Linear(width, inner, bias=bias) if gated else None
        self.down = nn.Linear(inner, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's contribution to each token, of the shape of `x`, `(..., width)`."""
        hidden = self.up(x)  # (..., inner)
        hidden = self.activation(hidden) if self.gate is None else self.activation(self.gate(x)) * hidden
        return self.down(self.dropout(hidden))  # (..., width)


class Block(nn.Module):
    """Attention, then a feed-forward layer, each added to what comes in: the residual stream.

    With `norm="after"` the sum is normalised (post-norm: Vaswani et al. 2017), with `norm="before"` what each layer
    reads is, and the stream runs from the first block to the last untouched (pre-norm: Xiong et al. 2020).

    An encoder's block reads its own tokens both ways, and a decoder's with `layers.causal_mask`. With `cross`, it also
    reads the output of an encoder, the `memory`, between the two.

    Args:
        width: components of a token.
        num_heads: attention heads; a divisor of `width`.
        inner: components between the two matrices of the feed-forward layer.
        norm: where the normalisation stands.
        cross: whether there is a second attention, over a memory.
        gated: whether the feed-forward layer has a gate.
        rms: whether it normalises by `RMSNorm` in place of `LayerNorm`.
        activation: of the feed-forward layer.
        rotate: applied to queries and keys of the self-attention, such as `layers.rotary`.
        dropout: the share of each layer's output, and of the inner components, that training sets to 0.
        bias: whether matrices and `LayerNorm` have one.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        inner: int,
        *,
        norm: Literal["before", "after"] = "before",
        cross: bool = False,
        gated: bool = False,
        rms: bool = False,
        activation: Callable[[Tensor], Tensor] = gelu,
        rotate: Callable[[Tensor], Tensor] | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if norm not in ("before", "after"):
            raise ValueError(f"norm: {norm} is not one of before, after")

        def normalisation() -> nn.Module:
            return RMSNorm(width, eps=eps) if rms else LayerNorm(width, eps=eps, bias=bias)

        self.norm_first = norm == "before"
        self.attention = MultiHeadAttention(width, num_heads, bias=bias, rotate=rotate)
        self.attention_norm = normalisation()
        self.cross_attention = MultiHeadAttention(width, num_heads, bias=bias) if cross else None
        self.cross_norm = normalisation() if cross else None
        self.feed_forward = FeedForward(width, inner, gated=gated, activation=activation, dropout=dropout, bias=bias)
        self.feed_forward_norm = normalisation()
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """The residual stream after the block, of the shape of `x`, `(batch, length, width)`.

        Args:
            x: the stream before it.
            mask: which tokens may read which, as for `MultiHeadAttention`.
            memory: what the cross-attention reads, `(batch, keys, width)`.
            memory_mask: which tokens may read which of the memory.

        Raises:
            ValueError: for a block with cross-attention and no memory, or a memory that nothing reads.
        """
        if (memory is None) != (self.cross_attention is None):
            raise ValueError("memory: a block needs one if it has cross-attention, and takes none otherwise")
        x = self._added(x, lambda read: self.attention(read, mask=mask)[0], self.attention_norm)
        if memory is not None:
            x = self._added(x, lambda read: self.cross_attention(read, memory, mask=memory_mask)[0], self.cross_norm)
        return self._added(x, self.feed_forward, self.feed_forward_norm)

    def _added(self, x: Tensor, layer: Callable[[Tensor], Tensor], norm: nn.Module) -> Tensor:
        """The stream with a layer's output added, and the normalisation before the layer or after the sum."""
        if self.norm_first:
            return x + self.dropout(layer(norm(x)))  # (batch, length, width)
        return norm(x + self.dropout(layer(x)))  # (batch, length, width)

    @classmethod
    def from_torch(cls, layer: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) -> Block:
        """The same function as a layer of PyTorch's Transformer, with copies of its weights."""
        decoder = isinstance(layer, nn.TransformerDecoderLayer)
        ours = cls(
            layer.linear1.in_features,
            layer.self_attn.num_heads,
            layer.linear1.out_features,
            norm="before" if layer.norm_first else "after",
            cross=decoder,
            activation=layer.activation,
            dropout=layer.dropout.p,
            bias=layer.linear1.bias is not None,
            eps=layer.norm1.eps,
        ).to(layer.linear1.weight)
        ours.attention = MultiHeadAttention.from_torch(layer.self_attn)
        pairs = [
            (ours.feed_forward.up, layer.linear1),
            (ours.feed_forward.down, layer.linear2),
            (ours.attention_norm, layer.norm1),
            (ours.feed_forward_norm, layer.norm3 if decoder else layer.norm2),
        ]
        if decoder:
            ours.cross_attention = MultiHeadAttention.from_torch(layer.multihead_attn)
            pairs.append((ours.cross_norm, layer.norm2))
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())
        return ours.train(layer.training)


def block_parameters(
    width: int, inner: int, *, cross: bool = False, gated: bool = False, rms: bool = False, bias: bool = True
) -> int:
    """The weights of a `Block`: 4 width² for each attention, 2 (or, gated, 3) width · inner, and what is thin.

    Thin are the biases, and one or two numbers a component for each normalisation.
    """
    attentions, matrices = 1 + cross, 3 if gated else 2
    wide = attentions * 4 * width**2 + matrices * width * inner
    biases = attentions * 4 * width + (matrices - 1) * inner + width if bias else 0
    norms = (attentions + 1) * width * (2 if bias and not rms else 1)
    return wide + biases + norms


def block_operations(length: int, width: int, inner: int, *, memory: int | None = None, gated: bool = False) -> int:
    """The floating-point operations of the matrix products of a `Block` forward, for one text of `length` tokens.

    Two for each weight of a matrix and token, and 4 · length · keys · width for an attention over so many keys: the
    scores and the mix. With a `memory` of so many tokens, the cross-attention too.
    """
    matrices = 4 * width**2 + (3 if gated else 2) * width * inner
    total = 2 * length * matrices + 4 * length**2 * width
    if memory is not None:  # queries and output for each token, keys and values for each of the memory
        total += 4 * (length + memory) * width**2 + 4 * length * memory * width
    return total
