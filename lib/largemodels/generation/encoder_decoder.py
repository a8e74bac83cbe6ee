"""An encoder–decoder of the attention chapter's blocks (Vaswani et al. 2017): one stack reads, the other one writes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import Seq2SeqLMOutput

from largemodels.attention.blocks import Block, RMSNorm
from largemodels.attention.layers import causal_mask, rotary
from largemodels.models.losses import IGNORED


class Stack(nn.Module):
    """Pre-norm blocks with `rotary` positions, RMSNorm and no biases, and a normalisation after the last.

    With `cross`, each block reads a memory between its attention and its feed-forward layer.
    """

    def __init__(
        self, width: int, *, num_layers: int, num_heads: int, inner: int, cross: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        options = {"rotate": rotary, "rms": True, "activation": F.gelu, "bias": False}
        self.blocks = nn.ModuleList(
            Block(width, num_heads, inner, cross=cross, dropout=dropout, **options) for _ in range(num_layers)
        )
        self.norm = RMSNorm(width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, memory: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """The tokens after all blocks, of the shape of `x`, `(batch, length, width)`; the masks are as for `Block`."""
        for block in self.blocks:
            x = block(x, mask, memory, memory_mask)
        return self.norm(x)


class EncoderDecoder(nn.Module):
    """Pre-norm blocks that read a source both ways, and blocks that write a target with cross-attention to it.

    Source and target share the embedding, which is the output's matrix as well. Positions are `rotary`, in each stack
    for itself; the cross-attention has none.

    Examples:
        >>> import torch
        >>> model = EncoderDecoder(50, width=16, num_layers=1, num_heads=2, inner=32)
        >>> model(torch.tensor([[5, 6, 7]]), decoder_input_ids=torch.tensor([[0, 7]])).logits.shape
        torch.Size([1, 2, 50])
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        width: int,
        num_layers: int,
        num_heads: int,
        inner: int,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Draw the weights, the same for the same seed; `num_layers` blocks in each of the two stacks."""
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary_size, width)
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
            shape = {"num_layers": num_layers, "num_heads": num_heads, "inner": inner, "dropout": dropout}
            self.encoder = Stack(width, **shape)
            self.decoder = Stack(width, cross=True, **shape)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def encode(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """The source as the decoder reads it, `(batch, source, width)`."""
        mask = None if attention_mask is None else attention_mask.bool()[:, None, :]  # (batch, 1, source)
        return self.encoder(self.embedding(input_ids), mask)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        encoder_outputs: Tensor | None = None,
    ) -> Seq2SeqLMOutput:
        """The logits of the token after each of the target, `(batch, target, vocabulary)`, as `.logits`.

        Args:
            input_ids: the source, `(batch, source)`.
            attention_mask: 1 for tokens of the source and 0 for its padding, `(batch, source)`.
            decoder_input_ids: the target so far, `(batch, target)`, with a token that begins it.
            labels: the target, a token further, `IGNORED` (−100) at its padding; with them `.loss` is the mean loss.
            encoder_outputs: what `encode` gave, in place of the source.
        """
        memory = self.encode(input_ids, attention_mask) if encoder_outputs is None else encoder_outputs
        memory_mask = None if attention_mask is None else attention_mask.bool()[:, None, :]  # (batch, 1, source)
        mask = causal_mask(decoder_input_ids.shape[1]).to(self.device)  # (target, target)
        x = self.decoder(self.embedding(decoder_input_ids), mask, memory, memory_mask)  # (batch, target, width)
        logits = x @ self.embedding.weight.T  # (batch, target, vocabulary)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        return Seq2SeqLMOutput(loss=loss, logits=logits)
