"""Attention, to be read from top to bottom: scaled dot-product attention, masks, many heads, positions, its weights.

Everything here equals PyTorch's to rounding, and returns the attention weights, which the fused kernels never form. The
shape of a tensor stands behind the line that makes it; the scores have queries on axis −2 and keys on axis −1. The
softmax is that of `largemodels.models.losses`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from largemodels.attention.inputs import check_inputs, is_whole
from largemodels.base.checks import described
from largemodels.models.losses import softmax


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """For each query, the mean of the values, weighted by softmax(q · k · scale) (Vaswani et al. 2017, section 3.2.1).

    A query whose every key is masked attends to nothing: its weights and its output are zero, and so are its gradients,
    as in `torch.nn.functional.scaled_dot_product_attention`; a bare softmax would give NaN.

    Args:
        query: `(..., queries, d_k)`.
        key: `(..., keys, d_k)`.
        value: `(..., keys, d_v)`.
        mask: anything that broadcasts to the scores, `(..., queries, keys)`. Boolean: True where a query *may* attend
            (the opposite of `torch.nn.MultiheadAttention`). Floating: added to the scaled scores.
        scale: the factor of q · k; 1/√d_k if not given, which keeps the variance of the scores at 1 when the components
            of q and k are independent with variance 1.

    Returns:
        The output `(..., queries, d_v)` and the weights `(..., queries, keys)`.

    Raises:
        ValueError: for shapes or types that do not fit together.

    Examples:
        >>> import torch
        >>> x = torch.eye(3)
        >>> output, weights = attention(x, x, x, causal_mask(3), scale=1.0)
        >>> weights
        tensor([[1.0000, 0.0000, 0.0000],
                [0.2689, 0.7311, 0.0000],
                [0.2119, 0.2119, 0.5761]])
    """
    check_inputs(query, key, value, mask)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale  # (..., queries, keys)
    if mask is not None:
        boolean = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -math.inf) if boolean else scores + mask.to(scores.dtype)
    # A row without any key is replaced before the softmax: NaN would come back through the gradient.
    nothing = (scores == -math.inf).all(-1, keepdim=True)  # (..., queries, 1)
    weights = softmax(scores.masked_fill(nothing, 0.0)).masked_fill(nothing, 0.0)  # (..., queries, keys)
    return weights @ value, weights  # (..., queries, d_v), (..., queries, keys)


# --- Masks: boolean, True where a query may attend to a key. They combine with `&` and `|`. ----------------


def padding_mask(lengths: Tensor, length: int) -> Tensor:
    """True at the real tokens of each row, `(batch, 1, length)`; it broadcasts over queries.

    Of the `length` positions in a row the first `lengths`, `(batch,)` whole numbers, are real; the rest is padding.

    Raises:
        ValueError: for lengths that are not a vector of whole numbers between 0 and `length`.

    Examples:
        >>> import torch
        >>> padding_mask(torch.tensor([3, 1]), length=3)[:, 0].int()
        tensor([[1, 1, 1],
                [1, 0, 0]], dtype=torch.int32)
    """
    if lengths.ndim != 1 or not is_whole(lengths):
        raise ValueError(f"lengths: {described(lengths)} is not a vector of whole numbers")
    if lengths.numel() and not 0 <= int(lengths.min()) <= int(lengths.max()) <= length:
        raise ValueError(f"lengths: {lengths.tolist()} are not all between 0 and {length}")
    return (torch.arange(length, device=lengths.device) < lengths[:, None])[:, None, :]  # (batch, 1, length)


def causal_mask(length: int) -> Tensor:
    """True where the key is not later than the query, `(length, length)`.

    Examples:
        >>> causal_mask(3).int()
        tensor([[1, 0, 0],
                [1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    queries, keys = _positions(length)
    return keys <= queries  # (length, length)


def sliding_window_mask(length: int, window: int) -> Tensor:
    """True where query and key are at most `window` positions apart, `(length, length)`.

    Stacked layers see further: after n of them a position depends on n · `window` positions on each side (Beltagy et
    al. 2020). Combine with `causal_mask` for a window that looks back only.

    Examples:
        >>> sliding_window_mask(4, window=1).int()
        tensor([[1, 1, 0, 0],
                [1, 1, 1, 0],
                [0, 1, 1, 1],
                [0, 0, 1, 1]], dtype=torch.int32)
        >>> (sliding_window_mask(4, window=1) & causal_mask(4)).int()
        tensor([[1, 0, 0, 0],
                [1, 1, 0, 0],
                [0, 1, 1, 0],
                [0, 0, 1, 1]], dtype=torch.int32)
    """
    if window < 0:
        raise ValueError(f"window: {window} is not at least 0")
    queries, keys = _positions(length)
    return (queries - keys).abs() <= window  # (length, length)


def prefix_mask(length: int, prefix_length: int) -> Tensor:
    """Causal, but the first `prefix_length` positions see one another whole, `(length, length)`.

    The mask of a prefix language model (Raffel et al. 2020, figure 4): the input is read both ways, the answer one way.

    Examples:
        >>> prefix_mask(4, prefix_length=2).int()
        tensor([[1, 1, 0, 0],
                [1, 1, 0, 0],
                [1, 1, 1, 0],
                [1, 1, 1, 1]], dtype=torch.int32)
    """
    if not 0 <= prefix_length <= length:
        raise ValueError(f"prefix_length: {prefix_length} is not between 0 and the length, {length}")
    _, keys = _positions(length)
    return causal_mask(length) | (keys < prefix_length)  # (length, length)


def document_mask(documents: Tensor) -> Tensor:
    """True where query and key are of the same document, `(..., length, length)`.

    Several short documents packed into one row must not read one another. `documents`, `(..., length)`, are whole
    numbers; a negative one is padding, which attends to nothing and is attended by nothing.

    Examples:
        >>> import torch
        >>> document_mask(torch.tensor([0, 0, 1, -1])).int()
        tensor([[1, 1, 0, 0],
                [1, 1, 0, 0],
                [0, 0, 1, 0],
                [0, 0, 0, 0]], dtype=torch.int32)
    """
    if documents.ndim == 0 or not is_whole(documents):
        raise ValueError(f"documents: {described(documents)} is not whole numbers of shape (..., length)")
    queries, keys = documents.unsqueeze(-1), documents.unsqueeze(-2)  # (..., length, 1), (..., 1, length)
    return (queries == keys) & (keys >= 0)  # (..., length, length)


def _positions(length: int) -> tuple[Tensor, Tensor]:
    """Query positions as a column and key positions as a row: `(length, 1)` and `(1, length)`."""
    if length < 1:
        raise ValueError(f"length: {length} is not at least 1")
    positions = torch.arange(length)
    return positions[:, None], positions[None, :]


# --- Many heads --------------------------------------------------------------------------------------------


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its projection of the tokens (Vaswani et al. 2017, section 3.2.2).

    Tokens have `embed_dim` components, and each head works in `embed_dim / num_heads` dimensions. `rotate`, such as
    `rotary`, is applied to the queries and keys of each head, `(batch, num_heads, length, d)`.

    Raises:
        ValueError: when `embed_dim` is not a multiple of `num_heads`.

    Examples:
        >>> import torch
        >>> attend = MultiHeadAttention(embed_dim=8, num_heads=2)
        >>> output, weights = attend(torch.randn(1, 5, 8))
        >>> output.shape, weights.shape
        (torch.Size([1, 5, 8]), torch.Size([1, 2, 5, 5]))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, *, bias: bool = True, rotate: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"embed_dim: {embed_dim} is not a multiple of num_heads, {num_heads}")
        self.num_heads = num_heads
        self.rotate = rotate
        self.query = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.key = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.value = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.output = nn.Linear(embed_dim, embed_dim, bias=bias)

    def forward(
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The output `(batch, queries, embed_dim)` and the weights of each head `(batch, num_heads, queries, keys)`.

        Args:
            query: `(batch, queries, embed_dim)`.
            key: `(batch, keys, embed_dim)`; the query if not given, which is self-attention.
            value: `(batch, keys, embed_dim)`; the key if not given.
            mask: as for `attention`: `(queries, keys)`, `(batch, queries, keys)` or `(batch, num_heads, queries,
                keys)`, each axis but the last possibly 1.
        """
        key = query if key is None else key
        value = key if value is None else value
        q = split_heads(self.query(query), self.num_heads)  # (batch, num_heads, queries, d)
        k = split_heads(self.key(key), self.num_heads)  # (batch, num_heads, keys, d)
        v = split_heads(self.value(value), self.num_heads)  # (batch, num_heads, keys, d)
        if self.rotate is not None:
            q, k = self.rotate(q), self.rotate(k)
        if mask is not None and mask.ndim == 3:
            mask = mask.unsqueeze(1)  # the same for every head
        mixed, weights = attention(q, k, v, mask)  # (batch, num_heads, queries, d)
        return self.output(merge_heads(mixed)), weights

    @classmethod
    def from_torch(cls, module: nn.MultiheadAttention) -> MultiHeadAttention:
        """The same function as a `torch.nn.MultiheadAttention`, with copies of its weights.

        Raises:
            ValueError: for the options that this class leaves out: other widths for keys and values, an extra bias
                token, an added zero token.
        """
        if module.in_proj_weight is None or module.bias_k is not None or module.add_zero_attn:
            raise ValueError("MultiheadAttention with kdim, vdim, add_bias_kv or add_zero_attn has no equal here")
        has_bias = module.in_proj_bias is not None
        ours = cls(module.embed_dim, module.num_heads, bias=has_bias).to(module.in_proj_weight)
        projections = (ours.query, ours.key, ours.value, ours.output)
        for kind in ("weight", "bias") if has_bias else ("weight",):
            stacked, last = getattr(module, f"in_proj_{kind}"), getattr(module.out_proj, kind)
            for part, theirs in zip(projections, (*stacked.chunk(3), last), strict=True):
                getattr(part, kind).data.copy_(theirs)
        return ours


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """`(batch, length, num_heads · d)` as `(batch, num_heads, length, d)`."""
    batch, length, width = x.shape
    return x.view(batch, length, num_heads, width // num_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """`(batch, num_heads, length, d)` as `(batch, length, num_heads · d)`: the inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(2)


# --- Positions: attention itself does not know the order of its keys. --------------------------------------


def sinusoidal_positions(length: int, dim: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sines and cosines of each position at dim/2 wavelengths from 2π to 10,000 · 2π, `(length, dim)`.

    Added to the token vectors. Moving by k positions is one rotation of every (sine, cosine) pair, the same wherever it
    starts (Vaswani et al. 2017, section 3.5). Even columns are sines, odd ones cosines.

    Raises:
        ValueError: for an odd `dim`.

    Examples:
        >>> sinusoidal_positions(3, dim=4)
        tensor([[ 0.0000,  1.0000,  0.0000,  1.0000],
                [ 0.8415,  0.5403,  0.0100,  0.9999],
                [ 0.9093, -0.4161,  0.0200,  0.9998]])
    """
    angles = _angles(torch.arange(length), dim)  # (length, dim/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)  # (length, dim)


def rotary(x: Tensor, positions: Tensor | None = None) -> Tensor:
    """Queries or keys, `(..., length, dim)`, with each pair of components turned by an angle that grows with position.

    After it, q · k depends on the contents and on the *difference* of the two positions only (Su et al. 2021).

    Positions are `(length,)`; 0, 1, 2, … if not given.

    Raises:
        ValueError: for an odd `dim`, or another number of positions.

    Examples:
        >>> import torch
        >>> query, key = torch.randn(2, 1, 8)
        >>> here, there = torch.tensor([3]), torch.tensor([5])
        >>> near = rotary(query, here) @ rotary(key, there).T
        >>> far = rotary(query, here + 100) @ rotary(key, there + 100).T
        >>> torch.allclose(near, far, atol=1e-5)
        True
    """
    length, dim = x.shape[-2:]
    positions = torch.arange(length) if positions is None else positions
    if positions.shape != (length,):
        raise ValueError(f"positions: shape {tuple(positions.shape)} is not ({length},), one for each row of x")
    return turn(x, *rotary_waves(positions.to(x.device), dim, x.dtype))  # (..., length, dim)


def rotary_waves(positions: Tensor, dim: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """The cosines and sines by which `turn` turns, `(length, dim/2)` each: the same for all blocks of a network."""
    angles = _angles(positions, dim)  # (length, dim/2)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair of components of x, `(..., length, dim)`, turned by the angle whose cosine and sine are given."""
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., length, dim/2) each
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)  # (..., length, dim/2, 2)
    return turned.flatten(-2)  # (..., length, dim)


def _angles(positions: Tensor, dim: int) -> Tensor:
    """position · 10000^(−2i/dim) for i = 0 … dim/2 − 1, in float64, as a far position needs."""
    if dim < 2 or dim % 2:
        raise ValueError(f"dim: {dim} is not even: sines and cosines come in pairs")
    exponents = torch.arange(0, dim, 2, dtype=torch.float64, device=positions.device) / dim  # (dim/2,)
    return positions.double()[:, None] * 10_000.0**-exponents  # (length, dim/2)


def alibi(num_heads: int, length: int) -> Tensor:
    """−slope · abs(query position − key position), `(num_heads, length, length)`: an additive mask (Press et al. 2022).

    The paper is about causal models; there, add `causal_mask` with `masked_fill(~mask, -inf)`.

    Examples:
        >>> alibi(num_heads=2, length=3)[0]
        tensor([[-0.0000, -0.0625, -0.1250],
                [-0.0625, -0.0000, -0.0625],
                [-0.1250, -0.0625, -0.0000]])
    """
    queries, keys = _positions(length)
    distance = (queries - keys).abs()  # (length, length)
    return -alibi_slopes(num_heads)[:, None, None] * distance  # (num_heads, length, length)


def alibi_slopes(num_heads: int) -> Tensor:
    """The steepness with which each head of ALiBi looks away from distant keys, `(num_heads,)`.

    For n heads 2^(−8/n), 2^(−16/n), … down to 2^−8. If n is not a power of two, the slopes of the next lower power,
    then every other slope of the next higher one, as in the authors' code.
    """
    if num_heads < 1:
        raise ValueError(f"num_heads: {num_heads} is not at least 1")
    power = 2 ** math.floor(math.log2(num_heads))
    slopes = [2 ** (-8 * head / power) for head in range(1, power + 1)]
    between = [2 ** (-8 * head / (2 * power)) for head in range(1, 2 * power + 1, 2)]
    return torch.tensor(slopes + between[: num_heads - power])


# --- The weights -------------------------------------------------------------------------------------------


def entropy(weights: Tensor) -> Tensor:
    """−Σ w log w along the last axis, which is removed, in nats: from 0 (one key) to log n (n keys alike).

    Examples:
        >>> import torch
        >>> entropy(torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]))
        tensor([0.6931, 1.3863])
    """
    return -torch.special.xlogy(weights, weights).sum(-1)


def softmax_gradient_norm(weights: Tensor) -> Tensor:
    """The Frobenius norm of the softmax's Jacobian diag(w) − w wᵀ, from its output w `(..., keys)`; the last axis goes.

    It says how much of a gradient at the weights reaches the scores. Written out, its square is Σw² − 2Σw³ + (Σw²)²,
    which needs no n × n matrix. It is 0 for a one-hot row: such a head has stopped learning.
    """
    squares = weights.square().sum(-1)  # (...)
    return (squares - 2 * weights.pow(3).sum(-1) + squares.square()).clamp_min(0).sqrt()


def score_study(dim: int, keys: int, draws: int, *, scaled: bool, generator: torch.Generator) -> dict[str, Tensor]:
    """The scores of one query with so many keys, of `dim` independent unit-variance components, in `draws` trials.

    They are divided by √dim, as `attention` does, or left as they are.

    Returns:
        `(draws,)` each: `variance`, of the dot products q · k over the keys; `entropy`, of the weights, as a share of
        log(keys); `gradient`, the norm of the softmax's Jacobian.
    """
    query = torch.randn(draws, 1, dim, generator=generator)
    key = torch.randn(draws, keys, dim, generator=generator)
    _, weights = attention(query, key, key, scale=None if scaled else 1.0)  # (draws, 1, keys)
    return {
        "variance": (query @ key.transpose(-2, -1)).var(-1).squeeze(1),  # (draws,)
        "entropy": entropy(weights).squeeze(1) / math.log(keys),  # (draws,)
        "gradient": softmax_gradient_norm(weights).squeeze(1),  # (draws,)
    }
