"""The memory of a training is what its weights, averages and activations take, and one that does not fit is refused."""

import psutil
import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.models.memory import check_memory, training_memory
from small_corpus import encoder, masked_batch

ARCHITECTURES = ["modern", "bert"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_memory_grows_with_the_batch_and_covers_weights_gradients_and_averages(architecture):
    model = encoder(architecture).eval()
    parameters = sum(p.numel() for p in model.parameters())
    once = masked_batch()
    four_times = {name: torch.cat([tensor] * 4) for name, tensor in once.items()}
    small, large = training_memory(model, once, rows=100), training_memory(model, four_times, rows=100)
    assert small > 16 * parameters
    assert large - 16 * parameters == pytest.approx(4 * (small - 16 * parameters), rel=0.1)
    assert training_memory(model, four_times) == pytest.approx(large, rel=0.1)  # from 8 rows


def test_a_training_that_does_not_fit_is_refused_before_it_starts(monkeypatch):
    class Full:
        available = 1000

    model = encoder()
    monkeypatch.setattr(psutil, "virtual_memory", Full)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        InputError, match=r"batch_tokens: \d+ tokens at once need about .* GiB of memory and 0.0 are free"
    ):
        check_memory(model, masked_batch())
