"""Products in int8: PyTorch's own always, the others where they are installed; and one sentence where they are not."""

import importlib.util

import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.compression import backends
from largemodels.compression.backends import EXTRAS, int8, matrix_products
from small_classifiers import batches, classifier, logits


def installed(backend):
    return all(importlib.util.find_spec(name) for name in EXTRAS.get(backend, ()))


@pytest.mark.filterwarnings("error")
def test_pytorchs_own_needs_nothing_and_says_nothing():
    int8(classifier())


@pytest.mark.parametrize("backend", ["pytorch", *EXTRAS])
def test_answers_stay_close_and_the_model_that_was_given_stays_as_it_was(backend):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    model = classifier()
    before = [logits(model, batch) for batch in batches()]
    smaller = int8(model, backend)
    for batch, expected in zip(batches(), before, strict=True):
        assert torch.equal(logits(model, batch), expected)
        gap = (logits(smaller, batch) - expected).abs().max()
        assert 0 < gap < 0.15 * expected.abs().max()


def test_a_scale_for_each_output_rounds_small_rows_beside_a_large_one_less_than_one_scale():
    model = classifier()
    dense = next(module for module in model.modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad():
        dense.weight[0] *= 100
    name = next(name for name, module in model.named_modules() if module is dense)
    errors = {}
    for per_channel in (True, False):
        kept = int8(model, per_channel=per_channel).get_submodule(name).weight().dequantize()
        errors[per_channel] = float((kept - dense.weight)[1:].norm() / dense.weight[1:].norm())
    assert errors[True] < 0.02
    assert errors[False] > 10 * errors[True]


@pytest.mark.parametrize("backend", EXTRAS)
def test_one_scale_is_pytorchs_alone(backend, monkeypatch):
    monkeypatch.setattr(backends, "check_installed", lambda backend: None)
    with pytest.raises(InputError, match="needs pytorch"):
        int8(classifier(), backend, per_channel=False)


@pytest.mark.parametrize("backend", EXTRAS)
def test_what_is_not_installed_is_said_in_one_sentence(backend, monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"large-model-workbench.{backend}") as refused:
        int8(classifier(), backend)
    assert "\n" not in str(refused.value)


def test_products_in_int8_come_close_to_that_of_floats_and_the_elementwise_one_is_none():
    results = {name: call() for name, call in matrix_products(40, 64, 96).items()}
    exact = results["float32"]
    assert exact.shape == (40, 96)
    for name in ("int8", "int8, converted"):
        gap = (results[name].dequantize() - exact).norm() / exact.norm()
        assert 0 < gap < 0.05, name
    assert results["int8, elementwise"].shape == (40, 64)
