"""What cannot be compressed is refused by its chapter in one sentence, before anything is rounded or trained."""

from __future__ import annotations

import importlib.util
from functools import partial

import pytest

from fake_hub import tiny_decoder, tiny_model
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract

WORDS = "return the number of dimensions of an array"


@pytest.fixture
def refused(refused_by):
    """What the real chapter says to these parameters."""
    return partial(refused_by, "compression", "grid-by-hand")


@pytest.fixture
def gpt2(tmp_path):
    """The folder of a GPT-2, whose matrices are no linear layers."""
    tiny_decoder(tmp_path / "gpt2", WORDS)
    return tmp_path / "gpt2"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"bits": 1}, "bits: 1 is not between 2 and 8"),
        ({"bits": 9}, "bits: 9 is not between 2 and 8"),
        ({"group": 50}, "group: 50 does not divide the 192 inputs of a layer"),
        ({"held_out": 5}, "held_out: 5 is not at least 20"),
        ({"calibration": 3}, "calibration: 3 is not at least 10"),
        ({"networks": 1}, "networks: 1 is not at least 2"),
        ({"students": 1}, "students: 1 is not at least 2"),
        ({"asked": 1}, "asked: 1 is not at least 20"),
    ],
)
def test_numbers_that_leave_nothing_to_round_or_to_compare(refused, parameters, said):
    assert said in refused(**parameters)


def test_a_group_that_divides_the_decoders_layers_and_not_the_encoders(refused, tmp_path):
    tiny_model(tmp_path / "bert")
    assert "group: 64 does not divide the 16 inputs of a layer" in refused(
        model=tmp_path / "bert", student_layers=1, factor_rank=4
    )


@pytest.mark.parametrize("layers", [4, 6])
def test_a_student_that_is_as_deep_as_its_teacher_or_deeper(refused, layers):
    sentence = refused(student_layers=layers)
    assert f"student_layers: {layers} is not from 1 to 3; a student has fewer layers than its teacher" in sentence


def test_two_thin_matrices_that_are_no_smaller_than_one(refused):
    assert "factor_rank: 200 is not between 1 and " in refused(factor_rank=200)


def test_a_model_with_a_layer_that_cannot_be_quantized(refused, gpt2):
    assert "a Conv1D cannot be quantized here, only linear layers with float weights" in refused(model=gpt2)


def test_a_model_whose_heads_cannot_be_removed(refused):
    assert "its heads cannot be removed here; choose a BERT or a ModernBERT" in refused(
        model="pydocs-gpt", factor_rank=8
    )


def test_int8_products_that_cannot_be_kept(refused, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: found("torch") if "onnx" in name else found(name, *rest)
    )
    sentence = refused(backend="onnxruntime", save=True)
    assert "save: the int8 classifier of onnxruntime cannot be kept; choose backend=pytorch" in sentence


def test_a_decoder_of_another_family(refused, gpt2):
    assert "GPT2LMHeadModel: no equal here; only a Llama" in refused(decoder_model=gpt2)


@pytest.mark.parametrize("backend", ["torchao", "onnxruntime"])
def test_a_backend_that_is_not_installed_with_what_brings_it(refused, monkeypatch, backend):
    found = importlib.util.find_spec
    absent = ("torchao", "onnxruntime", "onnx", "onnxscript")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in absent else found(name, *rest))
    sentence = refused(backend=backend)
    assert f"backend: {backend} " in sentence
    assert "not installed" in sentence
    assert f"pip install 'large-model-workbench[{backend}]' brings it, or choose pytorch" in sentence


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sparsity", "1", "1.* is not "),
        ("sparsity", "0", "0.* is not "),
        ("bits", "0", "0 is not at least 1"),
        ("backend", "tensorrt", "tensorrt is not "),
        ("temperature", "0", "0.* is not "),
    ],
)
def test_what_its_type_refuses_is_seen_from_the_request_alone(root, name, value, said):
    with pytest.raises(RequestError, match=rf"^{name}: {said}"):
        load_contract(Project(root), "compression").resolve({name: value})
