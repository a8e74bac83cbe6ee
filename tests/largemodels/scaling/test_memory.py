"""Activations by formula: as the paper prints them, and as PyTorch keeps them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from largemodels.base.errors import InputError
from largemodels.generation.decoder import Decoder, DecoderShape
from largemodels.models.cost import count_flops, count_saved_bytes
from largemodels.scaling.formulas import TransformerShape
from largemodels.scaling.memory import block_activation_bytes, recompute_blocks
from largemodels.scaling.published import PUBLISHED

WIDTH, HEADS, LENGTH, BATCH = 64, 4, 48, 3


def test_with_dropout_and_sixteen_bits_it_is_the_formula_of_korthikanti():
    shape, length = PUBLISHED["GPT-3"].shape, 2048
    assert block_activation_bytes(shape, length, dropout=True) == 34 * 12_288 + 5 * 96 * length
    assert block_activation_bytes(shape, length, dropout=True, recomputed="attention") == 34 * 12_288
    assert block_activation_bytes(shape, length, dropout=True, recomputed="blocks") == 2 * 12_288


def kept(layer: nn.Module, backend: SDPBackend) -> int:
    """Bytes that a block keeps, weights left out."""
    x = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    weights = 4 * sum(each.numel() for each in layer.parameters() if each.ndim > 1)
    with sdpa_kernel(backend):
        return count_saved_bytes(lambda: layer(x)) - weights


@pytest.mark.parametrize(
    ("backend", "recomputed"), [(SDPBackend.FLASH_ATTENTION, "attention"), (SDPBackend.MATH, "nothing")]
)
def test_a_block_of_pytorch_keeps_hardly_more_than_the_formula(backend, recomputed):
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
    )
    shape = TransformerShape(10, WIDTH, 1, HEADS, 4 * WIDTH)
    formula = BATCH * LENGTH * block_activation_bytes(shape, LENGTH, number_bytes=4, recomputed=recomputed)
    assert 1 <= kept(layer, backend) / formula < 1.3


def test_a_gate_and_shared_keys_change_what_is_kept():
    plain = TransformerShape(10, 64, 1, 4, 100)
    gated = TransformerShape(10, 64, 1, 4, 100, gated=True)
    shared = TransformerShape(10, 64, 1, 4, 100, key_value_heads=1)
    base = block_activation_bytes(plain, 8)
    assert block_activation_bytes(gated, 8) == base + 2 * 2 * 100
    assert block_activation_bytes(shared, 8) == base - 2 * 2 * 48


def test_recomputed_blocks_keep_less_and_have_the_same_gradient():
    model = Decoder(DecoderShape(40, 32, 3, 4, 2, 64, 16))
    again = copy.deepcopy(model)
    recompute_blocks(again.blocks)
    tokens = torch.randint(40, (2, 16))
    saved = {each: count_saved_bytes(lambda each=each: each(tokens, labels=tokens).loss) for each in (model, again)}
    assert saved[again] < 0.7 * saved[model]
    for each in (model, again):
        each(tokens, labels=tokens).loss.backward()
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_recomputed_blocks_run_forward_twice():
    model = Decoder(DecoderShape(40, 32, 3, 4, 2, 64, 16))
    tokens = torch.randint(40, (2, 16))
    with sdpa_kernel(SDPBackend.MATH):
        once = count_flops(lambda: model(tokens, labels=tokens).loss.backward())
        recompute_blocks(model.blocks)
        twice = count_flops(lambda: model(tokens, labels=tokens).loss.backward())
    assert 1.2 < twice / once < 4 / 3


def test_what_is_recomputed_has_three_names():
    with pytest.raises(InputError, match="recomputed: all is not one of nothing, attention, blocks"):
        block_activation_bytes(TransformerShape(10, 8, 1, 2, 16), 4, recomputed="all")
