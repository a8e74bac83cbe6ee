"""Two thin matrices: as near to one as its singular values say, and nearer still on the inputs that there are."""

import copy

import pytest
import torch

from largemodels.base.errors import InputError
from largemodels.compression.low_rank import (
    LowRankLinear,
    discarded,
    factorize_linear_layers,
    factors,
    input_grams,
    saving_rank,
)
from largemodels.compression.pruning import block_matrices
from small_classifiers import batches, classifier, logits


def test_the_error_is_what_the_left_out_singular_values_say():
    weight = torch.randn(24, 16)
    errors = discarded(weight)
    assert len(errors) == 17
    for rank in (1, 5, 15, 16):
        left, right = factors(weight, rank)
        torch.testing.assert_close(torch.linalg.norm(weight - left @ right), errors[rank], rtol=1e-3, atol=1e-4)
        theirs = torch.svd_lowrank(weight, q=rank, niter=8)
        best = torch.linalg.norm(weight - theirs[0] @ torch.diag(theirs[1]) @ theirs[2].T)
        assert errors[rank] <= best + 1e-4
    torch.testing.assert_close(errors[0], torch.linalg.norm(weight))


def test_the_weighted_form_has_the_smallest_error_of_outputs():
    x = torch.randn(4000, 16) @ torch.randn(16, 16)  # correlated inputs
    weight, gram = torch.randn(24, 16), x.T @ x / len(x)
    plain, weighted = (left @ right for left, right in (factors(weight, 6), factors(weight, 6, gram)))
    by_output = [float(((weight - each) @ x.T).square().mean()) for each in (plain, weighted)]
    assert by_output[1] < 0.95 * by_output[0]
    assert torch.linalg.norm(weight - plain) < torch.linalg.norm(weight - weighted)
    for _ in range(20):  # no neighbour of the same rank is better
        left, right = factors(weight, 6, gram)
        other = (left + 0.02 * torch.randn_like(left)) @ (right + 0.02 * torch.randn_like(right))
        assert ((weight - other) @ x.T).square().mean() > by_output[1]


def test_equal_inputs_make_both_forms_the_same():
    weight = torch.randn(12, 8)
    plain, weighted = (left @ right for left, right in (factors(weight, 3), factors(weight, 3, torch.eye(8))))
    torch.testing.assert_close(plain, weighted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_at_full_rank_a_layer_answers_as_before(bias):
    layer, x = torch.nn.Linear(16, 24, bias), torch.randn(5, 16)
    torch.testing.assert_close(LowRankLinear.of(layer, 16)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_the_saving_rank_is_the_last_that_saves():
    for outputs, inputs in ((768, 256), (256, 256), (3, 5)):
        rank = saving_rank(outputs, inputs)
        assert rank * (outputs + inputs) < outputs * inputs <= (rank + 1) * (outputs + inputs)


@pytest.mark.parametrize("family", ["modernbert", "bert"])
def test_a_network_of_factors_is_smaller_and_answers_nearly_as_before_at_a_high_rank(family):
    model, batch = classifier(family), batches()[0]
    with torch.no_grad():  # singular values that fall, as those of trained networks do
        for layer in block_matrices(model).values():
            left, values, right = torch.linalg.svd(layer.weight, full_matrices=False)
            layer.weight.copy_(left * values * 0.7 ** torch.arange(len(values)) @ right)
    gaps = []
    for rank in (2, 15):
        smaller = factorize_linear_layers(copy.deepcopy(model), rank)
        assert smaller.num_parameters() < model.num_parameters()
        gaps.append(float((logits(smaller, batch) - logits(model, batch)).abs().mean()))
    assert gaps[1] < gaps[0]
    weighted = factorize_linear_layers(copy.deepcopy(model), 15, input_grams(model, batches()))
    assert float((logits(weighted, batch) - logits(model, batch)).abs().mean()) < gaps[0]


def test_grams_are_of_the_tokens_and_not_of_the_padding():
    model = classifier()
    wide, narrow = (input_grams(model, batches(24, tokens)) for tokens in (512, 32))
    name = next(iter(block_matrices(model)))
    torch.testing.assert_close(wide[name], narrow[name], rtol=1e-3, atol=1e-4)
    seen = []
    hook = model.get_submodule(name).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = batches(24, 512)[0]
    logits(model, batch)
    hook.remove()
    x = seen[0][batch["attention_mask"].bool()]
    torch.testing.assert_close(input_grams(model, [batch])[name], x.T @ x / len(x), rtol=1e-4, atol=1e-5)


def test_a_rank_that_saves_nothing_or_is_none_is_refused():
    for rank in (0, -1, 17, 40):
        with pytest.raises(InputError, match=f"rank: {rank}"):
            factors(torch.randn(24, 16), rank)
    for rank in (0, 25):
        with pytest.raises(InputError, match=f"rank: {rank}"):
            factorize_linear_layers(classifier(), rank)
    with pytest.raises(InputError, match="batches"):
        input_grams(classifier(), [])
