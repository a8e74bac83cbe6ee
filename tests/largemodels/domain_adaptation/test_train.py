"""Two domains in one batch: the same source texts as without, targets without labels, and a loss that acts on both."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from largemodels.base.errors import InputError
from largemodels.domain_adaptation import train
from largemodels.domain_adaptation.alignment import DomainCritic, coral_loss, mmd_squared, reversal_schedule
from largemodels.domain_adaptation.train import AlignedClassifier, TwoDomainBatches, features_of, fine_tune_across
from largemodels.models.batches import LabelledBatches
from largemodels.models.classifiers import classifier_on, fine_tune, predict
from largemodels.models.training import Recipe
from small_checkpoints import FAMILIES, checkpoint
from small_corpus import encoder, examples, tokenizer

METHODS = ("dann", "coral", "mmd")


def classifier(seed=0):
    return classifier_on(encoder(seed=seed), ("array", "other"), seed=seed)


def other_domain(n=150, seed=4):
    """The same task in other texts: each has a verb in front that no source text has."""
    found = examples(n, seed)
    return found.assign(text="reads joins " + found["text"])


def both(**options):
    given = {"max_length": 32, "batch_tokens": 128, "seed": 3} | options
    return TwoDomainBatches(examples(), other_domain(), tokenizer(), **given)


def test_a_batch_holds_the_source_texts_of_ordinary_batches_and_as_many_target_texts():
    ordinary = LabelledBatches(examples(), tokenizer(), max_length=32, batch_tokens=128, seed=3, batches=30)
    joined = both(batches=30)
    assert len(joined) == 30
    assert joined.batches_per_epoch == ordinary.batches_per_epoch
    for index in range(30):
        alone, batch = ordinary[index], joined[index]
        n, width = alone["input_ids"].shape
        assert len(batch["labels"]) == 2 * n
        assert torch.equal(batch["labels"][:n], alone["labels"])
        assert (batch["labels"][n:] == -100).all()
        assert torch.equal(batch["input_ids"][:n, :width], alone["input_ids"])
        assert batch["attention_mask"][:n].sum() == alone["attention_mask"].sum()
        for name, tensor in both(batches=30)[index].items():
            assert torch.equal(tensor, batch[name]), "a batch depends on its number alone"
        assert joined.tokens(index) == int(batch["attention_mask"].sum())


def test_target_texts_come_by_their_length_and_each_about_as_often():
    target = other_domain().drop_duplicates("text").head(120)
    batches = TwoDomainBatches(examples(), target, tokenizer(), max_length=32, batch_tokens=128, seed=3)
    places = {tuple(ids.tolist()): place for place, ids in enumerate(batches.input_ids[200:])}
    counts, lengths = np.zeros(len(places)), []
    for index in range(40 * batches.batches_per_epoch):
        batch = batches[index]
        n, sizes = len(batch["labels"]) // 2, batch["attention_mask"].sum(1)
        lengths.append((sizes[:n].float().mean().item(), sizes[n:].float().mean().item()))
        for ids, size in zip(batch["input_ids"][n:], sizes[n:], strict=True):
            counts[places[tuple(ids[:size].tolist())]] += 1
    assert len(counts) == 120
    assert counts.sum() == 40 * 200
    assert np.abs(counts - 40 * 200 / 120).max() < 30
    assert np.corrcoef(np.array(lengths).T)[0, 1] > 0.9


def test_the_targets_labels_are_not_looked_at():
    shuffled = other_domain().assign(label=7)
    one, other = both(), TwoDomainBatches(examples(), shuffled, tokenizer(), max_length=32, batch_tokens=128, seed=3)
    for index in range(5):
        for name, tensor in one[index].items():
            assert torch.equal(tensor, other[index][name])


def test_pairs_say_which_text_each_token_is_of():
    source, target = (table.assign(text_pair=table["text"].str[::-1]) for table in (examples(), other_domain()))
    batch = TwoDomainBatches(source, target, tokenizer(), max_length=64, batch_tokens=256, token_types=True)[0]
    assert batch["token_type_ids"].shape == batch["input_ids"].shape
    assert (batch["token_type_ids"].sum(1) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_the_classifiers_on_the_source_plus_the_methods(method):
    model, batch = classifier().eval(), both()[0]
    n = len(batch["labels"]) // 2
    aligned = AlignedClassifier(model, method, weight=2.0).eval()
    aligned.progress = 1.0
    found = aligned(**batch)
    model.classifier.register_forward_hook(lambda module, read, given: kept.append(read[0]))
    kept = []
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    torch.testing.assert_close(found.logits, logits)
    source, target = kept[0][:n], kept[0][n:]
    added = {
        "coral": lambda: 2 * coral_loss(source, target),
        "mmd": lambda: 2 * mmd_squared(source, target),
        "dann": lambda: aligned.critic(source, target),
    }[method]()
    torch.testing.assert_close(found.loss, F.cross_entropy(logits[:n], batch["labels"][:n]) + added)


@pytest.mark.parametrize("method", METHODS)
def test_with_a_weight_of_zero_the_training_is_that_without_the_target(method):
    recipe = Recipe(steps=6, batch_tokens=128, learning_rate=1e-3, clip=1e9)
    alone, across = classifier(), classifier()
    fine_tune(alone, tokenizer(), examples(), recipe, max_length=32)
    fine_tune_across(across, tokenizer(), examples(), other_domain(), recipe, method=method, weight=0.0, max_length=32)
    for name, weight in alone.state_dict().items():
        torch.testing.assert_close(across.state_dict()[name], weight, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize(("method", "weight", "distance"), [("coral", 1000.0, coral_loss), ("mmd", 3.0, mmd_squared)])
def test_it_learns_the_task_and_brings_the_features_of_the_domains_together(method, weight, distance):
    recipe = Recipe(steps=60, batch_tokens=512, learning_rate=3e-3)
    held_out, apart = examples(seed=1), []
    for strength in (0.0, weight):
        model = classifier()
        options = {"method": method, "weight": strength, "max_length": 32}
        fine_tune_across(model, tokenizer(), examples(), other_domain(), recipe, **options)
        features = [
            torch.tensor(features_of(model, tokenizer(), table, max_length=32))
            for table in (examples(seed=8), other_domain(200, 9))
        ]
        apart.append(distance(*features).item())
    accuracy = (predict(model, tokenizer(), held_out, max_length=32).argmax(1) == held_out["label"]).mean()
    assert accuracy > 0.85
    assert apart[1] < 0.5 * apart[0]


def test_a_critic_that_is_fought_tells_nothing_and_one_that_is_left_alone_tells_the_domains_apart(monkeypatch):
    losses = []

    class Watched(DomainCritic):
        def forward(self, *arguments):
            losses.append(super().forward(*arguments))
            return losses[-1]

    monkeypatch.setattr(train, "DomainCritic", Watched)
    last = []
    for weight in (0.0, 1.0):
        recipe = Recipe(steps=60, batch_tokens=512, learning_rate=2e-3)
        options = {"method": "dann", "weight": weight, "max_length": 32}
        fine_tune_across(classifier(), tokenizer(), examples(), other_domain(), recipe, **options)
        last.append(torch.stack(losses[-10:]).mean().item())
    assert last[0] < 0.4
    assert last[1] > 0.6, "chance is ln 2 = 0.69"


def test_the_reversal_follows_its_schedule(monkeypatch):
    strengths = []

    class Watched(DomainCritic):
        def forward(self, source, target, strength):
            strengths.append(strength)
            return super().forward(source, target, strength)

    monkeypatch.setattr(train, "DomainCritic", Watched)
    recipe = Recipe(steps=5, batch_tokens=128)
    fine_tune_across(
        classifier(), tokenizer(), examples(), other_domain(), recipe, method="dann", weight=2.0, max_length=32
    )
    assert strengths == pytest.approx([2 * reversal_schedule(step / 5) for step in range(5)])


def test_nothing_of_the_wrapper_stays_on_the_model():
    model = classifier()
    names = list(model.state_dict())
    fine_tune_across(
        model, tokenizer(), examples(), other_domain(), Recipe(steps=2, batch_tokens=128), method="dann", max_length=32
    )
    assert list(model.state_dict()) == names
    assert not model.classifier._forward_pre_hooks
    copy.deepcopy(model)


def test_a_training_is_taken_up_where_it_stopped_with_its_critic_and_its_schedule(tmp_path):
    recipe = Recipe(steps=8, batch_tokens=128, learning_rate=1e-3)

    def run(model, folder, **options):
        return fine_tune_across(
            model,
            tokenizer(),
            examples(),
            other_domain(),
            recipe,
            method="dann",
            max_length=32,
            folder=folder,
            saves=4,
            **options,
        )

    whole = classifier()
    run(whole, tmp_path / "whole")
    assert (tmp_path / "whole" / "checkpoint-6").is_dir()
    (tmp_path / "whole" / "checkpoint-8").rename(tmp_path / "aside")  # as if it had been stopped after 6 of 8 steps
    resumed = classifier(seed=9)
    run(resumed, tmp_path / "whole")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"gpt2"}))
def test_the_features_of_every_family_are_found(family, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint(family, tmp_path), num_labels=2)
    batch = both(max_length=20)[0]
    aligned = AlignedClassifier(model, "mmd")
    model.zero_grad()
    (aligned(**batch).loss - F.cross_entropy(aligned(**batch).logits, batch["labels"])).backward()
    assert any(weight.grad is not None and weight.grad.any() for weight in model.base_model.parameters())


def test_what_does_not_go_together_is_refused(tmp_path):
    short = {"max_length": 32, "batch_tokens": 128}
    with pytest.raises(InputError, match="target: there are no texts"):
        TwoDomainBatches(examples(), other_domain().head(0), tokenizer(), **short)
    with pytest.raises(InputError, match="pairs of texts and single texts"):
        TwoDomainBatches(examples(), other_domain().assign(text_pair="x"), tokenizer(), **short)
    with pytest.raises(InputError, match="method: bann is not one of dann, coral, mmd"):
        AlignedClassifier(classifier(), "bann")
    smoothed = Recipe(steps=1, label_smoothing=0.1)
    with pytest.raises(InputError, match=r"label_smoothing: 0\.1"):
        fine_tune_across(classifier(), tokenizer(), examples(), other_domain(), smoothed, method="mmd", max_length=32)
    every_token = AutoModelForSequenceClassification.from_pretrained(checkpoint("gpt2", tmp_path), num_labels=2)
    every_token.config.pad_token_id = 0
    with pytest.raises(InputError, match="reads every token"):
        AlignedClassifier(every_token, "mmd")(**both(max_length=20)[0])


def test_rows_of_one_domain_alone_have_the_classifiers_loss():
    aligned, batch = AlignedClassifier(classifier(), "coral", weight=1e6).eval(), both()[0]
    n = len(batch["labels"]) // 2
    few = {name: tensor[:n] for name, tensor in batch.items()}
    found = aligned(**few)
    torch.testing.assert_close(found.loss, F.cross_entropy(found.logits, few["labels"]))


def test_features_are_those_of_each_text_in_the_order_of_the_texts():
    network, asked = classifier(), examples(40, seed=6)
    found = features_of(network, tokenizer(), asked, max_length=32, batch_tokens=64)
    assert found.shape == (40, 32)
    for place in (0, 7, 39):
        alone = features_of(network, tokenizer(), asked.iloc[[place]], max_length=32)
        np.testing.assert_allclose(found[place], alone[0], atol=1e-5)
    with torch.no_grad():
        logits = network.classifier(torch.tensor(found))
    expected = predict(network, tokenizer(), asked, max_length=32)
    np.testing.assert_allclose(logits.log_softmax(-1).numpy(), expected, atol=1e-4)


def test_features_of_a_model_that_reads_every_token_are_refused(tmp_path):
    from largemodels.models.loading import load_classifier

    folder = checkpoint("gpt2", tmp_path)
    network = load_classifier(str(folder), ("array", "other"))
    words = AutoTokenizer.from_pretrained(folder)
    words.pad_token = words.eos_token
    with pytest.raises(InputError, match="reads every token"):
        features_of(network, words, examples(4), max_length=32)
