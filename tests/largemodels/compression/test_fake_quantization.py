"""The straight-through estimator is that of PyTorch; training through rounding learns, by the true gradient not."""

import copy

import pytest
import torch
from torch import nn

from largemodels.base.errors import InputError
from largemodels.compression.fake_quantization import round_for_good, straight_through, train_through_rounding
from largemodels.compression.quantization import QuantizedLinear, grid, levels
from small_decoders import VOCABULARY, decoder


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_values_and_gradients_are_those_of_fake_quantize_per_channel_affine(bits, symmetric):
    x = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    scale, zero_point = grid(x, bits, symmetric=symmetric, axis=0)
    scale = scale / 2  # so that the grid ends before the numbers do
    low, high = levels(bits, symmetric=symmetric)
    theirs_zero = torch.zeros(6).int() if symmetric else zero_point.flatten().int()
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours = straight_through(one, scale, zero_point, bits)
    theirs = torch.fake_quantize_per_channel_affine(other, scale.flatten(), theirs_zero, 0, low, high)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))
    (ours * upstream).sum().backward(), (theirs * upstream).sum().backward()
    assert torch.equal(one.grad, other.grad)
    assert 0 < int((one.grad == 0).sum()) < x.numel()


def test_the_layers_rounded_for_good_give_what_they_gave_in_training():
    model = train_through_rounding(decoder("ours"), 3)
    tokens = torch.arange(12).reshape(2, 6) % VOCABULARY
    trained = model(tokens).logits
    rounded = round_for_good(copy.deepcopy(model))
    torch.testing.assert_close(rounded(tokens).logits, trained)
    assert not any(type(each) is nn.Linear for each in rounded.modules())
    assert any(isinstance(each, QuantizedLinear) for each in rounded.modules())


def test_training_lowers_the_loss_of_the_rounded_network_only_straight_through():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=generator)
    y = (x[:, 0] * x[:, 1] > 0).long()

    def trained(straight):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
        model = train_through_rounding(model, 2, straight_through=straight)
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(150):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        moved = any(
            not torch.equal(before[name], each) for name, each in model.state_dict().items() if "weight" in name
        )
        return loss.item(), moved

    loss, moved = trained(True)
    stuck, moved_too = trained(False)
    assert moved
    assert not moved_too  # the weights' gradient is zero; the biases alone learn
    assert loss < 0.5 * stuck


def test_bits_and_layers_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="bits: 9"):
        train_through_rounding(decoder("ours"), 9)
    with pytest.raises(InputError, match="Conv1D cannot be quantized"):
        train_through_rounding(decoder("gpt2"), 4)
