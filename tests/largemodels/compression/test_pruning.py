"""The weights that pruning keeps are those that PyTorch's own pruning keeps, and zeros stay zeros in a training."""

import copy

import pytest
import torch
from torch.nn.utils import prune

from largemodels.base.errors import InputError
from largemodels.compression.pruning import (
    block_matrices,
    fine_tune_pruned,
    keep_masks,
    prune_by_magnitude,
    share_of_zeros,
    sparsity_at,
)
from largemodels.models.training import Recipe
from small_classifiers import classifier
from small_corpus import examples, tokenizer


def pruned(criterion, sparsity=0.8, steps=40, **options):
    model = classifier()
    recipe = Recipe(steps=steps, batch_tokens=256, learning_rate=3e-3)
    fine_tune_pruned(
        model, tokenizer(), examples(60), recipe, max_length=32, sparsity=sparsity, criterion=criterion, **options
    )
    return model


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_magnitude_pruning_keeps_what_torch_keeps(scope):
    model = classifier()
    theirs = copy.deepcopy(model)
    layers = [(layer, "weight") for layer in block_matrices(theirs).values()]
    if scope == "global":
        prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=0.6)
    else:
        for layer, name in layers:
            prune.l1_unstructured(layer, name, amount=0.6)
    for ours, (other, _) in zip(block_matrices(prune_by_magnitude(model, 0.6, scope)).values(), layers, strict=True):
        assert torch.equal(ours.weight, other.weight)


def test_only_matrices_of_blocks_are_pruned():
    model = classifier()
    before = copy.deepcopy(model)
    prune_by_magnitude(model, 0.9)
    assert share_of_zeros(model) == pytest.approx(0.9, abs=1e-3)
    assert torch.equal(model.get_input_embeddings().weight, before.get_input_embeddings().weight)
    assert torch.equal(model.classifier.weight, before.classifier.weight)


@pytest.mark.parametrize("family", ["modernbert", "bert", "distilbert"])
def test_the_matrices_of_each_family_are_found(family):
    model = classifier(family) if family != "distilbert" else classifier(family, dim=32, n_layers=3, hidden_dim=48)
    inner = sum(p.numel() for n, p in model.named_parameters() if p.ndim == 2 and (".layer" in n))
    assert sum(layer.weight.numel() for layer in block_matrices(model).values()) == inner


def test_layers_compete_only_where_they_should():
    scores = {"weak": torch.rand(50, 10), "strong": 10 + torch.rand(50, 10)}
    together, apart = keep_masks(scores, 0.5), keep_masks(scores, 0.5, "layer")
    assert not together["weak"].any()
    assert together["strong"].all()
    assert all(float(mask.float().mean()) == 0.5 for mask in apart.values())


def test_all_zeros_are_refused():
    for sparsity in (1.0, 1, -0.1, 1.5):
        with pytest.raises(InputError, match="sparsity"):
            prune_by_magnitude(classifier(), sparsity)
        with pytest.raises(InputError, match="sparsity"):
            pruned("movement", sparsity, steps=2)


@pytest.mark.parametrize("criterion", ["magnitude", "movement"])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_a_training_ends_with_the_sparsity_that_was_asked_for_and_ordinary_layers(criterion, scope):
    model = pruned(criterion, steps=4, scope=scope)
    assert share_of_zeros(model) == pytest.approx(0.8, abs=2e-3)
    assert all(type(layer) is torch.nn.Linear for layer in block_matrices(model).values())
    assert not any("parametrizations" in name or "scores" in name for name in model.state_dict())


def test_a_training_changes_what_it_keeps_and_rises_to_its_sparsity():
    model, before = pruned("movement"), block_matrices(classifier())
    for name, layer in block_matrices(model).items():
        kept = layer.weight != 0
        assert not torch.equal(layer.weight[kept], before[name].weight[kept])
    assert sparsity_at(0, 0.9) == 0
    assert sparsity_at(1, 0.9) == 0.9
    assert sparsity_at(0.2, 0.9) < sparsity_at(0.4, 0.9) < 0.9


def test_a_score_falls_where_a_step_would_bring_its_weight_nearer_to_zero():
    from torch.nn.utils import parametrize

    from largemodels.compression.pruning import PrunedWeight

    layer = torch.nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, -1.0, 2.0]])
    parametrize.register_parametrization(layer, "weight", PrunedWeight(layer.weight.detach(), "movement"))
    layer(torch.tensor([[1.0, 1.0, -1.0]])).sum().backward()  # a step lowers the first two, and raises the third
    step = -layer.parametrizations.weight[0].scores.grad
    assert step.sign().tolist() == [[-1, 1, 1]]  # towards zero, away from it, away


def test_movement_and_magnitude_keep_other_weights():
    by_movement, by_magnitude = (block_matrices(pruned(each)) for each in ("movement", "magnitude"))
    same = [
        ((by_movement[name].weight != 0) == (by_magnitude[name].weight != 0)).float().mean() for name in by_movement
    ]
    assert min(same) < 0.95


def test_of_each_set_of_weights_one_stays():
    scores = {"one": torch.tensor([[0.1, 0.3, 0.2]])}
    assert keep_masks(scores, 0.999, "layer")["one"].tolist() == [[False, True, False]]
