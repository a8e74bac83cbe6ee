"""The key–value cache: what a decoder need not compute again for the tokens that it has read.

A causal model's keys and values of a token do not change when others follow. Kept, they turn a step over n tokens,
whose cost grows as n, into one over a single token that reads the n it has; the price is memory, which grows as n.
"""

from __future__ import annotations

from torch import Tensor

ROOM = 64  # tokens; the buffers grow by doubling from here


class KeyValueCache:
    """The keys and values of each block, `(batch, key_value_heads, tokens, head_dim)`.

    Its methods are named as those of `transformers.DynamicCache`, so that either can be handed on. The buffers grow by
    doubling: a new token is written once, and not copied with all the others at each step.
    """

    def __init__(self, num_layers: int) -> None:
        self._buffers: list[Tensor | None] = [None] * num_layers  # (2, batch, key_value_heads, room, head_dim) each
        self._lengths = [0] * num_layers

    def update(self, key: Tensor, value: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        """All keys and values of a block, after those of new tokens are written behind the others.

        Both are `(batch, key_value_heads, new, head_dim)`; the results have all tokens on axis −2.
        """
        start, stop = self._lengths[layer_idx], self._lengths[layer_idx] + key.shape[-2]
        buffer = self._buffers[layer_idx]
        if buffer is None or buffer.shape[-2] < stop:
            room = max(ROOM, 2 * stop)
            wider = key.new_empty(2, *key.shape[:-2], room, key.shape[-1])
            if buffer is not None:
                wider[..., :start, :] = buffer[..., :start, :]
            buffer = self._buffers[layer_idx] = wider
        buffer[0, ..., start:stop, :], buffer[1, ..., start:stop, :] = key, value
        self._lengths[layer_idx] = stop
        return buffer[0, ..., :stop, :], buffer[1, ..., :stop, :]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens whose keys and values are kept."""
        return self._lengths[layer_idx]

    def crop(self, max_length: int) -> None:
        """Forget all tokens but the first `max_length`, or the last −`max_length` tokens where it is below 0."""
        self._lengths = [length + max_length if max_length < 0 else min(length, max_length) for length in self._lengths]

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch, in this order, as a beam search does."""
        self._buffers = [None if buffer is None else buffer[:, indices] for buffer in self._buffers]

    @property
    def bytes(self) -> int:
        """Bytes of the keys and values that are kept; `allocated_bytes` has the room behind them too."""
        pairs = zip(self._buffers, self._lengths, strict=True)
        return sum(
            buffer[..., :length, :].numel() * buffer.element_size() for buffer, length in pairs if buffer is not None
        )

    @property
    def allocated_bytes(self) -> int:
        """Bytes of memory that the buffers hold, used or not: with growth by doubling, up to about twice `bytes`."""
        return sum(buffer.untyped_storage().nbytes() for buffer in self._buffers if buffer is not None)


def cache_bytes(
    tokens: int, num_layers: int, key_value_heads: int, head_dim: int, *, batch: int = 1, number_bytes: int = 4
) -> int:
    """The bytes of a cache: a key and a value for each token, block and head.

    Examples:
        >>> cache_bytes(2048, num_layers=96, key_value_heads=96, head_dim=128, number_bytes=2)  # GPT-3, half precision
        9663676416
    """
    return 2 * batch * tokens * num_layers * key_value_heads * head_dim * number_bytes
