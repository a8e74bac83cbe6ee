"""The training loop that is written out gives the losses and the weights that the `Trainer` gives."""

import copy

import pytest
import torch

from largemodels.fine_tuning.loop import adamw_step, rate_factor, train_loop
from largemodels.models.batches import LabelledBatches
from largemodels.models.classifiers import classifier_on, fine_tune
from largemodels.models.loading import load_classifier, load_tokenizer
from largemodels.models.trainable import train_only
from largemodels.models.training import Recipe
from small_checkpoints import checkpoint
from small_corpus import encoder, examples, tokenizer

LABELS = ("array", "other")
DECAYING = {"steps": 12, "batch_tokens": 256, "learning_rate": 1e-2, "weight_decay": 0.5, "seed": 3}


def both(model, words, recipe, stop=None):
    """The losses and the weights of the loop, and those of the `Trainer`."""
    ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
    batches = LabelledBatches(
        examples(80), words, max_length=32, batch_tokens=recipe.batch_tokens, seed=recipe.seed, batches=recipe.steps
    )
    losses = train_loop(ours, batches, recipe, stop)
    history = fine_tune(theirs, words, examples(80), recipe, max_length=32)
    return losses, ours, list(history["loss"].dropna()), theirs.to(ours.device)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"warmup": 0.0, "schedule": "cosine"},
        {"clip": 0.05, "warmup": 0.5},
        {"label_smoothing": 0.2},
        {"precision": "bfloat16"},
    ],
    ids=lambda changed: "-".join(changed) or "default",
)
def test_the_loop_gives_the_losses_and_the_weights_of_the_trainer(changed):
    losses, ours, theirs, trained = both(classifier_on(encoder(), LABELS), tokenizer(), Recipe(**DECAYING | changed))
    exact = "precision" not in changed  # bfloat16 rounds to three digits, and sums in another order round otherwise
    assert losses == pytest.approx(theirs, abs=1e-5 if exact else 1e-2)
    assert losses[-1] != pytest.approx(losses[0], abs=0.01), "it learns"
    for (name, weight), other in zip(ours.named_parameters(), trained.parameters(), strict=True):
        assert torch.allclose(weight, other, atol=1e-4 if exact else 2e-2), name


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_what_decays_is_what_the_trainer_lets_decay(family, tmp_path):
    folder = checkpoint(family, tmp_path)
    model = load_classifier(folder, LABELS, seed=1)
    for module in model.modules():  # two runs that draw dropout draw it differently
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    losses, ours, theirs, trained = both(model, load_tokenizer(folder), Recipe(**DECAYING | {"steps": 4}))
    assert losses == pytest.approx(theirs, abs=1e-5)
    for (name, weight), other in zip(ours.named_parameters(), trained.parameters(), strict=True):
        assert torch.allclose(weight, other, atol=1e-4), name


def test_a_look_at_the_beginning_is_the_beginning_and_what_is_frozen_stays():
    model = train_only(classifier_on(encoder(), LABELS), "head")
    losses, ours, theirs, _ = both(model, tokenizer(), Recipe(**DECAYING), stop=5)
    assert len(losses) == 5
    assert losses == pytest.approx(theirs[:5], abs=1e-5)
    for (name, weight), before in zip(ours.named_parameters(), model.parameters(), strict=True):
        assert weight.requires_grad or torch.equal(weight, before), name


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    for schedule in ("linear", "cosine"):
        factors = [rate_factor(step, Recipe(steps=20, warmup=0.25, schedule=schedule)) for step in range(21)]
        assert factors[0] == factors[20] == pytest.approx(0.0)
        assert max(factors) == factors[5] == 1
    assert rate_factor(0, Recipe(steps=4, warmup=0.0)) == 1


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adamw_is_the_one_of_torch(decay):
    torch.manual_seed(0)
    ours, theirs = torch.randn(5, 3), torch.nn.Parameter(torch.empty(5, 3))
    theirs.data.copy_(ours)
    optimizer = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.98), eps=1e-6, weight_decay=decay)
    moments = torch.zeros(5, 3), torch.zeros(5, 3)
    for step in range(1, 11):
        theirs.grad = torch.randn(5, 3)
        adamw_step(ours, theirs.grad, moments, step, rate=0.01, decay=decay)
        optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)
