"""The Transformer block against PyTorch's, against ModernBERT's, and its cost against the profiler."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import ModernBertConfig, ModernBertModel

from largemodels.attention.blocks import (
    Block,
    FeedForward,
    LayerNorm,
    RMSNorm,
    block_operations,
    block_parameters,
    gelu,
)
from largemodels.attention.layers import causal_mask, padding_mask, rotary
from largemodels.models.cost import count_flops

WIDTH, HEADS, INNER = 24, 4, 40


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(module: nn.Module) -> nn.Module:
    """The module in double precision with random weights everywhere, also where they start at 0 or 1."""
    generator = torch.Generator().manual_seed(7)
    for parameter in module.double().parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 3
    return module


def test_normalisations_and_gelu_are_pytorchs():
    x = 3 * drawn(2, 5, WIDTH) + 1
    ours, theirs = LayerNorm(WIDTH).double(), shaken(nn.LayerNorm(WIDTH))
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
    root, its = RMSNorm(WIDTH).double(), shaken(nn.RMSNorm(WIDTH, eps=1e-5))
    root.load_state_dict(its.state_dict())
    torch.testing.assert_close(root(x), its(x))
    torch.testing.assert_close(gelu(x), F.gelu(x))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("bias", [True, False])
def test_an_encoder_block_is_pytorchs(norm_first, activation, bias):
    theirs = shaken(
        nn.TransformerEncoderLayer(
            WIDTH, HEADS, INNER, 0.1, activation, batch_first=True, norm_first=norm_first, bias=bias
        )
    ).eval()
    x, real = drawn(3, 6, WIDTH), padding_mask(torch.tensor([6, 4, 1]), 6)
    expected = theirs(x, src_key_padding_mask=~real[:, 0])
    torch.testing.assert_close(Block.from_torch(theirs)(x, real)[real[:, 0]], expected[real[:, 0]])


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_decoder_block_is_pytorchs(norm_first):
    theirs = shaken(
        nn.TransformerDecoderLayer(WIDTH, HEADS, INNER, 0.1, batch_first=True, norm_first=norm_first)
    ).eval()
    x, memory, causal = drawn(2, 6, WIDTH), drawn(2, 9, WIDTH, seed=1), causal_mask(6)
    seen = padding_mask(torch.tensor([9, 3]), 9)
    expected = theirs(x, memory, tgt_mask=~causal, memory_key_padding_mask=~seen[:, 0])
    torch.testing.assert_close(Block.from_torch(theirs)(x, causal, memory, seen), expected)


def test_gradients_are_pytorchs_too():
    theirs = shaken(nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, batch_first=True, norm_first=True))
    ours = Block.from_torch(theirs)
    x, y = drawn(2, 5, WIDTH).requires_grad_(), drawn(2, 5, WIDTH).requires_grad_()
    theirs(x).square().sum().backward()
    ours(y).square().sum().backward()
    torch.testing.assert_close(y.grad, x.grad)


def test_dropout_acts_in_training_only():
    block = Block(WIDTH, HEADS, INNER, dropout=0.5).double()
    x = drawn(1, 4, WIDTH)
    torch.manual_seed(0)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


def test_dropout_of_everything_leaves_the_stream_and_the_last_bias():
    x, layer = drawn(1, 4, WIDTH), FeedForward(WIDTH, INNER, dropout=1.0).double()
    assert torch.equal(layer(x), layer.down.bias.expand_as(x))
    assert torch.equal(Block(WIDTH, HEADS, INNER, dropout=1.0).double()(x), x)


def in_pairs(matrix: torch.Tensor) -> torch.Tensor:
    """Rows of a projection in the order of our `rotary`, whose pairs are neighbours; theirs are half a head apart."""
    heads = matrix.view(HEADS, 2, -1, matrix.shape[-1])  # (heads, half, dim / 2, width)
    return heads.transpose(1, 2).reshape(matrix.shape)


@pytest.mark.parametrize("place", [0, 1])
def test_a_block_with_modernberts_weights_is_modernberts(place):
    config = ModernBertConfig(
        vocab_size=50,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        layer_types=["full_attention"] * 2,
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 10_000.0}},
        pad_token_id=0,
        attn_implementation="eager",
    )
    model = shaken(ModernBertModel(config)).eval()
    theirs = model.layers[place]
    streams: list[torch.Tensor] = []
    theirs.register_forward_hook(lambda _, given, output: streams.extend((given[0], _first(output))))
    model(torch.tensor([[3, 14, 15, 9, 2, 6]]))
    before, after = streams

    ours = Block(WIDTH, HEADS, INNER, gated=True, rotate=rotary, bias=False, eps=config.norm_eps).double()
    query, key, value = theirs.attn.Wqkv.weight.chunk(3)
    gate, up = theirs.mlp.Wi.weight.chunk(2)
    weights = {
        "attention.query.weight": in_pairs(query),
        "attention.key.weight": in_pairs(key),
        "attention.value.weight": value,
        "attention.output.weight": theirs.attn.Wo.weight,
        "feed_forward.gate.weight": gate,
        "feed_forward.up.weight": up,
        "feed_forward.down.weight": theirs.mlp.Wo.weight,
        "feed_forward_norm.weight": theirs.mlp_norm.weight,
        "attention_norm.weight": getattr(theirs.attn_norm, "weight", torch.ones(WIDTH)),
    }
    ours.load_state_dict(weights)
    if place == 0:  # the embeddings are normalised already, so that the first block has no normalisation there
        ours.attention_norm = nn.Identity()
    torch.testing.assert_close(ours(before), after)


def _first(output):
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(("rms", "bias"), [(True, False), (False, True), (False, False), (True, True)])
def test_parameters_and_operations_are_those_of_the_formulas(cross, gated, rms, bias):
    block = Block(WIDTH, HEADS, INNER, cross=cross, gated=gated, rms=rms, bias=bias)
    counted = sum(parameter.numel() for parameter in block.parameters())
    assert counted == block_parameters(WIDTH, INNER, cross=cross, gated=gated, rms=rms, bias=bias)
    x, memory = torch.randn(1, 7, WIDTH), torch.randn(1, 5, WIDTH) if cross else None
    operations = count_flops(lambda: block(x, memory=memory))
    assert operations == block_operations(7, WIDTH, INNER, memory=5 if cross else None, gated=gated)


def test_a_gated_layer_of_two_thirds_the_width_has_as_many_weights():
    plain = FeedForward(WIDTH, 48, bias=False)
    gated = FeedForward(WIDTH, 32, gated=True, bias=False)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in gated.parameters())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="norm: inside is not one of before, after"):
        Block(WIDTH, HEADS, INNER, norm="inside")
    with pytest.raises(ValueError, match="needs one if it has cross-attention"):
        Block(WIDTH, HEADS, INNER, cross=True)(torch.randn(1, 2, WIDTH))
    with pytest.raises(ValueError, match="takes none otherwise"):
        Block(WIDTH, HEADS, INNER)(torch.randn(1, 2, WIDTH), memory=torch.randn(1, 2, WIDTH))
