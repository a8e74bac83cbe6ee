"""Products in int8: PyTorch's own always, the others where they are installed; and one sentence where they are not."""

import importlib.util

import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.compression import backends
from largemodels.compression.backends import EXTRAS, int8, matrix_products, torchao_weights
from largemodels.generation.decoder import Decoder, DecoderShape
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


@pytest.mark.parametrize("backend", ["pytorch", *EXTRAS])
def test_a_decoder_multiplies_integers_too(backend):
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    decoder = Decoder(DecoderShape(50, 64, 2, 4, 2, 96, 32)).eval()
    model = decoder.to_transformers() if backend == "onnxruntime" else decoder
    smaller = int8(model, backend)
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, 20), (1, 32), (2, 1)):  # a whole context, and a single token
        tokens = torch.randint(50, shape, generator=generator)
        mask = torch.ones_like(tokens)
        mask[1:, 12:] = 0
        with torch.inference_mode():
            for given in ({}, {"attention_mask": mask}):
                expected = decoder(tokens, **given).logits[mask.bool()]
                gap = (smaller(tokens, **given).logits[mask.bool()] - expected).norm() / expected.norm()
                assert 0 < gap < 0.1, (shape, list(given))
                assert torch.allclose(model(tokens, **given).logits[mask.bool()], expected, atol=1e-5)


def test_onnxruntime_takes_models_of_transformers(monkeypatch):
    monkeypatch.setattr(backends, "check_installed", lambda backend: None)
    with pytest.raises(InputError, match="models of transformers, and Decoder is none"):
        int8(Decoder(DecoderShape(50, 16, 1, 2, 1, 16, 8)), "onnxruntime")


def test_torchao_has_weights_of_four_or_eight_bits(monkeypatch):
    monkeypatch.setattr(backends, "check_installed", lambda backend: None)
    with pytest.raises(InputError, match="bits: 3 is not 4 or 8"):
        torchao_weights(classifier(), 3)


def test_torchao_keeps_integers_in_fewer_bytes_and_multiplies_floats():
    if not installed("torchao"):
        pytest.skip("torchao is not installed")
    model = classifier()
    (batch,) = batches()[:1]
    expected, gaps = logits(model, batch), {}
    for bits in (8, 4):
        rounded = torchao_weights(model, bits, 16)
        gaps[bits] = float((logits(rounded, batch) - expected).norm() / expected.norm())
    assert 0 < gaps[8] < 0.03 < gaps[4] < 0.5
    assert torch.equal(logits(model, batch), expected)


def test_onnxruntime_tells_the_texts_of_a_pair_apart():
    if not installed("onnxruntime"):
        pytest.skip("onnxruntime is not installed")
    model = classifier("bert")
    with torch.no_grad():
        model.base_model.embeddings.token_type_embeddings.weight[1] += 3
    smaller = int8(model, "onnxruntime")
    ids, mask = (batches()[0][name] for name in ("input_ids", "attention_mask"))
    types = torch.zeros_like(ids)
    types[:, types.shape[1] // 2 :] = 1
    expected = {}
    with torch.no_grad():
        for name, given in {"one text": {}, "pair": {"token_type_ids": types}}.items():
            expected[name] = model(input_ids=ids, attention_mask=mask, **given).logits
            got = smaller(input_ids=ids, attention_mask=mask, **given).logits
            assert (got - expected[name]).norm() < 0.15 * expected[name].norm()
    assert (expected["pair"] - expected["one text"]).norm() > 0.3 * expected["pair"].norm()


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
