"""A training changes the weights that it was asked to change, and no others."""

import copy

import numpy as np
import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.models.classifiers import fine_tune, predict
from largemodels.models.loading import load_classifier, load_tokenizer
from largemodels.models.trainable import blocks_of, train_only, trained_parameters
from largemodels.models.training import Recipe
from small_checkpoints import FAMILIES, checkpoint
from small_corpus import examples

LABELS = ("with", "without")
OWN_LAYERS = [family for family in FAMILIES if family != "albert"]


def loaded(family, folder):
    folder = checkpoint(family, folder)
    return load_tokenizer(folder), load_classifier(folder, LABELS, seed=1)


def in_encoder(model, name):
    """Whether a parameter is the encoder's, the pooler apart."""
    inside = f"{model.base_model_prefix}."
    return name.startswith(inside) and not name.startswith(f"{inside}pooler.")


@pytest.mark.parametrize("family", FAMILIES)
def test_training_the_head_leaves_the_encoder_as_it_was(family, tmp_path):
    words, model = loaded(family, tmp_path)
    before = copy.deepcopy(dict(train_only(model, "head").named_parameters()))
    fine_tune(model, words, examples(40), Recipe(steps=3, batch_tokens=256, learning_rate=1e-2), max_length=64)
    for name, weight in model.named_parameters():
        same = torch.equal(weight.cpu(), before[name])
        assert same if in_encoder(model, name) else True, name
    assert any(not torch.equal(weight.cpu(), before[name]) for name, weight in model.named_parameters())


@pytest.mark.parametrize("family", OWN_LAYERS)
def test_the_last_blocks_learn_and_those_before_do_not(family, tmp_path):
    _, model = loaded(family, tmp_path)
    model = type(model)(two_layers(model.config))
    first, last = blocks_of(train_only(model, "last", layers=1))
    assert not any(parameter.requires_grad for parameter in first.parameters())
    assert all(parameter.requires_grad for parameter in last.parameters())
    assert not model.get_input_embeddings().weight.requires_grad
    after = [name for name, parameter in model.named_parameters() if "final_norm" in name or ".ln_f" in name]
    assert all(dict(model.named_parameters())[name].requires_grad for name in after)
    assert trained_parameters(train_only(model, "last", layers=2)) < trained_parameters(train_only(model, "all"))


def two_layers(config):
    config = copy.deepcopy(config)
    config.num_hidden_layers = 2
    if hasattr(config, "layer_types"):
        config.layer_types = config.layer_types[:1] * 2
    return config


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_changes_nothing_before_it_learns_and_adds_a_product_of_low_rank(family, tmp_path):
    words, model = loaded(family, tmp_path)
    texts = examples(20, seed=3)
    plain = predict(model, words, texts, max_length=64)
    weights = {name: weight.clone() for name, weight in model.named_parameters() if in_encoder(model, name)}
    train_only(model, "lora", rank=4)
    np.testing.assert_array_equal(predict(model, words, texts, max_length=64), plain)
    fine_tune(model, words, examples(80), Recipe(steps=20, batch_tokens=256, learning_rate=1e-2), max_length=64)
    adapted = [module for module in model.modules() if hasattr(module, "lora_A")]
    assert adapted
    learnt = predict(model, words, texts, max_length=64)
    assert np.abs(learnt - plain).max() > 1e-3
    for name, weight in model.named_parameters():
        if (old := weights.get(name.replace(".base_layer", ""))) is not None:
            assert torch.equal(weight.cpu(), old), name
    for module in adapted:  # the same predictions from W + (alpha / r) B A written into the matrix itself
        a, b = module.lora_A["default"].weight, module.lora_B["default"].weight  # (r, in), (out, r)
        assert a.shape[0] == b.shape[1] == 4
        update = 2 * b @ a  # alpha is twice r
        with torch.no_grad():
            matrix = module.base_layer.weight
            matrix += update if matrix.shape == update.shape and family != "gpt2" else update.T
            b.zero_()
    np.testing.assert_allclose(predict(model, words, texts, max_length=64), learnt, atol=1e-4)


def test_few_numbers_are_trained_and_they_can_be_counted(tmp_path):
    _, model = loaded("bert", tmp_path)
    total = trained_parameters(model)
    head = trained_parameters(train_only(model, "head"))
    assert head == 2 * 32 + 2 + 32 * 32 + 32  # the classifier and the pooler
    lora = trained_parameters(train_only(model, "lora", rank=2))
    assert lora == head + 2 * (
        4 * (32 + 32) + (32 + 64) + (64 + 32)
    )  # four matrices of attention, two that feed forward
    assert lora < total


def test_the_seed_says_where_lora_starts_and_no_generator_is_touched(tmp_path):
    def start(seed):
        _, model = loaded("bert", tmp_path)
        train_only(model, "lora", seed=seed)
        return next(weight for name, weight in model.named_parameters() if "lora_A" in name)

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _, model = loaded("bert", tmp_path)
    torch.manual_seed(5)
    train_only(model, "lora", seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


def test_what_cannot_be_trained_is_refused(tmp_path):
    _, albert = loaded("albert", tmp_path / "albert")
    with pytest.raises(InputError, match="albert has no list of layers"):
        train_only(albert, "last")
    _, bert = loaded("bert", tmp_path / "bert")
    with pytest.raises(InputError, match="layers: 2 is not between 1 and the 1 that the model has"):
        train_only(bert, "last", layers=2)
    with pytest.raises(ValueError, match="part: 'some' is not"):
        train_only(bert, "some")
