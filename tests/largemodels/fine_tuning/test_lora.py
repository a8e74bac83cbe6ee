"""LoRA written out computes what `peft` computes, and its gradients, given the same matrices."""

import copy

import pytest
import torch
from torch import nn

from largemodels.fine_tuning.lora import LoRALinear, add_lora
from largemodels.models.classifiers import classifier_on
from largemodels.models.trainable import train_only
from small_corpus import encoder, examples, tokenizer

LABELS = ("array", "other")


def test_forward_and_gradients_are_those_of_peft():
    torch.manual_seed(0)
    plain = classifier_on(encoder(num_layers=2), LABELS)
    theirs = train_only(copy.deepcopy(plain), "lora", rank=4)
    ours = copy.deepcopy(plain)
    add_lora(ours.base_model, rank=4, alpha=8)
    pairs = []
    for name, layer in ours.named_modules():
        if isinstance(layer, LoRALinear):
            peft = theirs.get_submodule(name)
            a, b = peft.lora_A["default"].weight, peft.lora_B["default"].weight
            nn.init.normal_(b, std=0.1)  # at zero, A would have no gradient
            layer.load_state_dict({"A": a, "B": b}, strict=False)
            pairs += [(name, layer.A, a), (name, layer.B, b)]
    assert len(pairs) == 2 * sum(hasattr(module, "lora_A") for module in theirs.modules()) == 2 * 2 * 4
    batch = tokenizer()(list(examples(12)["text"]), padding=True, return_tensors="pt")
    batch["labels"] = torch.tensor(examples(12)["label"])
    losses = [model.eval()(**batch).loss for model in (plain, ours, theirs)]
    assert losses[1].item() == pytest.approx(losses[2].item(), abs=1e-6)
    assert losses[1].item() != pytest.approx(losses[0].item(), abs=1e-4), "the pairs change something"
    for loss in losses[1:]:
        loss.backward()
    for name, mine, peft in pairs:
        assert peft.grad.abs().max() > 1e-5, name
        assert torch.allclose(mine.grad, peft.grad, atol=1e-6), name
    assert all(layer.layer.weight.grad is None for layer in ours.modules() if isinstance(layer, LoRALinear))


@pytest.mark.parametrize("bias", [True, False])
def test_it_begins_as_the_layer_and_can_be_merged_into_one(bias):
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 10, bias=bias), torch.randn(4, 6)
    adapted = LoRALinear(layer, rank=2, alpha=4)
    assert torch.equal(adapted(x), layer(x))
    assert [p.shape for p in adapted.parameters() if p.requires_grad] == [(2, 6), (10, 2)]
    nn.init.normal_(adapted.B)
    expected = nn.functional.linear(x, layer.weight + 2 * adapted.B @ adapted.A, layer.bias)
    assert torch.allclose(adapted(x), expected, atol=1e-5)
    assert torch.allclose(adapted.merged()(x), expected, atol=1e-5)
    assert not torch.allclose(layer(x), expected, atol=1e-2), "the frozen layer is left as it is"
