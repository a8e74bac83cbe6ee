"""The encoder–decoder: who reads what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from largemodels.generation.encoder_decoder import EncoderDecoder
from largemodels.models.losses import IGNORED


@pytest.fixture
def model() -> EncoderDecoder:
    return EncoderDecoder(20, width=16, num_layers=2, num_heads=2, inner=32, seed=0).eval()


SOURCE, TARGET = torch.tensor([[3, 4, 5, 6]]), torch.tensor([[0, 7, 8, 9]])


def test_every_source_token_reaches_every_target_and_no_later_target_an_earlier_one(model):
    before = model(SOURCE, decoder_input_ids=TARGET).logits
    for place in range(4):
        source = SOURCE.clone()
        source[0, place] = 15
        moved = model(source, decoder_input_ids=TARGET).logits != before
        assert moved.any(-1).all()
        target = TARGET.clone()
        target[0, place] = 15
        moved = (model(SOURCE, decoder_input_ids=target).logits != before).any(-1)[0]
        assert moved.tolist() == [other >= place for other in range(4)]


def test_padding_of_the_source_is_never_read(model):
    padded, mask = torch.cat([SOURCE, torch.tensor([[11, 12]])], dim=1), torch.tensor([[1, 1, 1, 1, 0, 0]])
    found = model(padded, attention_mask=mask, decoder_input_ids=TARGET).logits
    torch.testing.assert_close(found, model(SOURCE, decoder_input_ids=TARGET).logits, atol=1e-5, rtol=1e-4)


def test_an_encoded_source_serves_again(model):
    memory = model.encode(SOURCE)
    found = model(encoder_outputs=memory, decoder_input_ids=TARGET).logits
    assert torch.equal(found, model(SOURCE, decoder_input_ids=TARGET).logits)


def test_the_loss_is_of_the_labels_that_count(model):
    labels = torch.tensor([[7, 8, IGNORED, IGNORED]])
    output = model(SOURCE, decoder_input_ids=TARGET, labels=labels)
    expected = nn.CrossEntropyLoss()(output.logits[0, :2], labels[0, :2])
    torch.testing.assert_close(output.loss, expected)


def test_the_same_seed_draws_the_same_weights(model):
    again = EncoderDecoder(20, width=16, num_layers=2, num_heads=2, inner=32, seed=0)
    assert all(torch.equal(first, second) for first, second in zip(model.parameters(), again.parameters(), strict=True))
