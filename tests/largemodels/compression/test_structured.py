"""What is removed does not count any more: the smaller network answers as the large one with these units silenced."""

import copy

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from largemodels.base.errors import InputError
from largemodels.compression.structured import check_units, keep_layers, remove_units, strongest, unit_importance
from largemodels.models.classifiers import from_weights
from largemodels.models.cost import count_flops
from largemodels.models.trainable import blocks_of
from small_classifiers import batches, classifier, logits

FAMILIES = ("modernbert", "bert", "roberta")
OUTPUTS = {
    ("modernbert", "heads"): "attn.Wo",
    ("modernbert", "neurons"): "mlp.Wo",
    ("bert", "heads"): "attention.output.dense",
    ("bert", "neurons"): "output.dense",
}


def kept(part, units=(4, 48), layers=3):
    number = units[part == "neurons"]
    generator = torch.Generator().manual_seed(3)
    return torch.stack(
        [torch.randperm(number, generator=generator)[: number // 2].sort().values for _ in range(layers)]
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["heads", "neurons"])
def test_a_network_without_some_units_answers_as_one_in_which_they_say_nothing(family, part):
    model, batch = classifier(family), batches()[0]
    silenced, units = copy.deepcopy(model), kept(part)
    size = 8 if part == "heads" else 1
    with torch.no_grad():
        for block, places in zip(blocks_of(silenced), units, strict=True):
            name = OUTPUTS["bert" if family == "roberta" else family, part]
            weight = block.get_submodule(name).weight
            there = torch.zeros(weight.shape[1] // size, dtype=torch.bool)
            there[places] = True
            weight *= there.repeat_interleave(size)
    smaller = remove_units(model, part, units)
    torch.testing.assert_close(logits(smaller, batch), logits(silenced, batch), rtol=1e-4, atol=1e-5)
    assert smaller.num_parameters() < silenced.num_parameters()
    assert count_flops(lambda: logits(smaller, batch)) < count_flops(lambda: logits(silenced, batch))


def test_a_network_with_fewer_neurons_or_layers_is_an_ordinary_one(tmp_path):
    for family in FAMILIES:
        model = keep_layers(remove_units(classifier(family), "neurons", kept("neurons")), [0, 2])
        model.save_pretrained(tmp_path / family)
        again, missing = from_weights(type(model), tmp_path / family)
        assert not missing
        assert torch.equal(logits(again, batches()[0]), logits(model, batches()[0]))


def test_the_layers_that_stay_are_those_that_were_chosen():
    model = classifier()
    before = copy.deepcopy(blocks_of(model))
    keep_layers(model, [0, 2])
    assert model.config.num_hidden_layers == 2
    assert torch.equal(blocks_of(model)[1].mlp.Wo.weight, before[2].mlp.Wo.weight)


@pytest.mark.parametrize("layers", [[], [1, 2], [0, 0], [0, 2, 1], [0, 3]])
def test_layers_that_cannot_be_kept_are_refused(layers):
    with pytest.raises(InputError, match="layers"):
        keep_layers(classifier(), layers)


@pytest.mark.parametrize("family", ["modernbert", "bert"])
@pytest.mark.parametrize("part", ["heads", "neurons"])
def test_importance_is_the_derivative_by_a_gate_of_each_text(family, part):
    model, batch = classifier(family), batches(3)[0]
    importance = unit_importance(model, [batch], part)
    assert importance.shape == (3, 4 if part == "heads" else 48)
    layer, unit, step = 1, 2, 1e-3
    size = 8 if part == "heads" else 1
    weight = blocks_of(model)[layer].get_submodule(OUTPUTS[family, part]).weight.data
    columns = slice(unit * size, unit * size + size)
    losses = []
    for factor in (1 - step, 1 + step):
        original = weight[:, columns].clone()
        weight[:, columns] *= factor
        losses.append(torch.nn.functional.cross_entropy(logits(model, batch), batch["labels"], reduction="none"))
        weight[:, columns] = original
    by_difference = ((losses[1] - losses[0]) / (2 * step)).abs().mean()
    torch.testing.assert_close(importance[layer, unit], by_difference, rtol=2e-2, atol=2e-4)


def test_importance_does_not_depend_on_the_batches():
    model = classifier()
    few, many = (unit_importance(model, batches(24, tokens), "heads") for tokens in (64, 512))
    torch.testing.assert_close(few, many, rtol=1e-3, atol=1e-5)


def test_what_cannot_be_removed_is_refused():
    importance = unit_importance(classifier(), batches(4), "heads")
    for keep in (0, 5):
        with pytest.raises(InputError, match="keep"):
            strongest(importance, keep)
    with pytest.raises(InputError, match="kept"):
        remove_units(classifier(), "heads", [torch.tensor([0])])
    other = classifier("distilbert", dim=32, n_layers=3, n_heads=4, hidden_dim=48)
    with pytest.raises(InputError, match="heads"):
        remove_units(other, "heads", kept("heads"))
    with pytest.raises(InputError, match="batches"):
        unit_importance(classifier(), [], "heads")


@pytest.mark.parametrize("family", FAMILIES)
def test_units_that_can_be_halved_are_not_refused(family):
    check_units(classifier(family))


def test_a_single_head_or_another_family_is_refused():
    single = BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32)
    with pytest.raises(InputError, match="model: a layer has only one of the heads, of which no half can go"):
        check_units(BertForSequenceClassification(single))
    distil = DistilBertConfig(vocab_size=40, dim=32, n_layers=1, n_heads=2, hidden_dim=32)
    with pytest.raises(InputError, match="TransformerBlock: its heads cannot be removed here"):
        check_units(DistilBertForSequenceClassification(distil))
