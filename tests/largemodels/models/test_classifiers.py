"""A classifier learns, starts from what it is given, and predicts in the order of its texts; a baseline stands by."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import AutoModelForSequenceClassification

from largemodels.base.errors import InputError
from largemodels.models.batches import LabelledBatches
from largemodels.models.classifiers import (
    classifier_on,
    fine_tune,
    predict,
    recipe_for,
    word_classifier,
    word_log_probabilities,
)
from largemodels.models.loading import load_classifier
from largemodels.models.training import Recipe
from small_corpus import encoder, examples, tokenizer

LABELS = ("array", "other")


@pytest.mark.parametrize("architecture", ["modern", "bert"])
def test_it_learns_to_tell_the_classes_of_texts_that_it_has_not_seen(architecture):
    model, held_out = classifier_on(encoder(architecture), LABELS), examples(seed=1)
    recipe = Recipe(steps=80, batch_tokens=512, learning_rate=5e-3)
    history = fine_tune(model, tokenizer(), examples(), recipe, max_length=32, validation=held_out, evaluations=1)
    log_probabilities = predict(model, tokenizer(), held_out, max_length=32)
    accuracy = (log_probabilities.argmax(1) == held_out["label"]).mean()
    assert accuracy > 0.9
    assert history["validation_accuracy"].iloc[-1] == accuracy
    expected = -log_probabilities[np.arange(len(held_out)), held_out["label"]].mean()
    assert history["validation_loss"].iloc[-1] == pytest.approx(expected)


def test_predictions_are_those_of_each_text_alone_whatever_its_batch():
    model, asked = classifier_on(encoder(), LABELS), examples(40)
    together = predict(model, tokenizer(), asked, max_length=32, batch_tokens=128)
    for place, text in enumerate(asked["text"]):
        with torch.no_grad():
            alone = model(**tokenizer()(text, return_tensors="pt", return_token_type_ids=False)).logits.log_softmax(-1)
        np.testing.assert_allclose(together[place], alone[0], atol=1e-5)


def test_predictions_of_pairs_are_those_of_each_pair_alone():
    pairs = examples(30).assign(text_pair=lambda table: table["text"].to_numpy()[::-1])
    model = classifier_on(encoder("bert"), LABELS)
    together = predict(model, tokenizer(), pairs, max_length=40, batch_tokens=100)
    for place, (text, pair) in enumerate(zip(pairs["text"], pairs["text_pair"], strict=True)):
        with torch.no_grad():
            alone = model(**tokenizer()(text, pair, return_tensors="pt", return_token_type_ids=True)).logits
        np.testing.assert_allclose(together[place], alone[0].log_softmax(-1), atol=1e-5)


@pytest.mark.parametrize("architecture", ["modern", "bert"])
def test_the_network_is_the_encoders_and_the_head_is_drawn(architecture):
    source = encoder(architecture, seed=5)
    model = classifier_on(source, LABELS, seed=1)
    wanted = source.base_model.state_dict()
    for name, found in model.base_model.state_dict().items():
        if not name.startswith("pooler."):
            torch.testing.assert_close(found, wanted[name], rtol=0, atol=0)
    with torch.no_grad():
        next(model.base_model.parameters()).zero_()
    assert next(source.base_model.parameters()).any(), "a copy: the encoder is left as it is"
    assert model.config.id2label == {0: "array", 1: "other"}

    scratch = classifier_on(source, LABELS, pretrained=False, seed=1)
    matrices = [name for name, weight in scratch.base_model.named_parameters() if weight.ndim == 2 and name in wanted]
    assert not any(torch.equal(scratch.base_model.state_dict()[name], wanted[name]) for name in matrices)
    drawn = "classifier.weight"
    torch.testing.assert_close(scratch.state_dict()[drawn], model.state_dict()[drawn], rtol=0, atol=0)


def test_a_model_with_another_head_gives_the_network_below_it_and_what_a_classifier_has_too():
    pairs = AutoModelForSequenceClassification.from_config(encoder().config)
    model = classifier_on(pairs, ("one", "two", "three"))
    assert model.config.num_labels == 3
    for weight in ("model.layers.0.attn.Wqkv.weight", "head.dense.weight"):
        torch.testing.assert_close(model.state_dict()[weight], pairs.state_dict()[weight], rtol=0, atol=0)
    scratch = classifier_on(pairs, ("one", "two", "three"), pretrained=False)
    assert not torch.equal(scratch.state_dict()["head.dense.weight"], pairs.state_dict()["head.dense.weight"])


@pytest.mark.parametrize("architecture", ["modern", "bert"])
def test_it_starts_as_the_checkpoint_does_when_it_is_loaded_as_a_classifier_the_head_included(architecture, tmp_path):
    masked = encoder(architecture, seed=3)
    masked.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    loaded = load_classifier(tmp_path, LABELS, seed=1).state_dict()
    started = classifier_on(masked, LABELS, seed=1).state_dict()
    assert loaded.keys() == started.keys()
    for name, weight in loaded.items():
        torch.testing.assert_close(started[name], weight, rtol=0, atol=0)


def test_an_encoder_without_a_head_gives_the_network_and_one_of_another_shape_is_refused():
    masked = encoder(seed=3)
    bare, whole = (classifier_on(network, LABELS, seed=1).state_dict() for network in (masked.base_model, masked))
    for name in whole.keys() - {"head.dense.weight", "head.norm.weight", "classifier.weight"}:
        torch.testing.assert_close(bare[name], whole[name], rtol=0, atol=0)
    masked.config.intermediate_size += 1
    with pytest.raises(ValueError, match=r"encoder: its weights do not fit a classifier \(model\.layers\.0\.mlp"):
        classifier_on(masked, LABELS)


def test_starting_a_classifier_leaves_other_generators_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    for pretrained in (True, False):
        torch.manual_seed(5)
        classifier_on(encoder(), LABELS, pretrained=pretrained, seed=1)
        assert torch.rand(1) == expected


def test_a_recipe_passes_over_the_texts_as_often_as_asked():
    batches = len(LabelledBatches(examples(), tokenizer(), max_length=64, batch_tokens=100, seed=5))
    recipe = recipe_for(tokenizer(), examples(), 3, batch_tokens=100, learning_rate=2e-3, seed=4)
    assert recipe == Recipe(steps=3 * batches, batch_tokens=100, learning_rate=2e-3, seed=4)
    assert recipe_for(tokenizer(), examples(3), 0.01).steps == 1


def test_the_baseline_counts_words_and_finds_nothing_where_there_is_nothing():
    found = word_classifier(examples())
    assert (found.predict(examples(seed=1)["text"]) == examples(seed=1)["label"]).mean() > 0.95
    shuffled = examples().assign(label=np.random.default_rng(0).permutation(examples()["label"]))
    assert word_classifier(shuffled).best_score_ < 0.65 < found.best_score_


def test_the_words_of_a_fold_do_not_help_the_choice_that_is_judged_on_it(monkeypatch):
    """Every fit of the vocabulary sees the examples that are learnt from: the whole is seen in the last one only."""
    seen = []
    fit = TfidfVectorizer.fit_transform

    def watched(words, texts, *labels):
        seen.append(len(texts))
        return fit(words, texts, *labels)

    monkeypatch.setattr(TfidfVectorizer, "fit_transform", watched)
    word_classifier(examples(90))
    assert len(seen) == 3 * 3 + 1
    assert seen.pop() == 90
    assert all(55 <= number <= 65 for number in seen)


@pytest.mark.parametrize(("rare", "folds"), [(3, 3), (2, 2), (1, 3)])
def test_a_rare_class_makes_fewer_folds_and_no_warning(rare, folds):
    table = pd.concat([examples(30), pd.DataFrame({"text": ["a rare word"] * rare, "label": 2})], ignore_index=True)
    with warnings.catch_warnings(action="error"):
        classifier = word_classifier(table)
    assert classifier.n_splits_ == folds
    assert list(classifier.classes_) == [0, 1, 2], "every class is learnt, though one may never be judged"
    with pytest.raises(InputError, match=r"^labels: no class has two examples"):
        word_classifier(table.drop_duplicates("label"))


def test_a_class_without_labelled_examples_is_never_the_answer():
    log_probabilities = word_log_probabilities(word_classifier(examples()), examples(9, seed=1)["text"], 4)
    assert log_probabilities.shape == (9, 4)
    np.testing.assert_allclose(log_probabilities[:, 2:], np.log(1e-6))
    np.testing.assert_allclose(np.exp(log_probabilities[:, :2]).sum(1), 1)


def test_a_loss_that_is_no_number_stops_the_run_with_its_step_before_the_weights_are_lost():
    model = classifier_on(encoder(), LABELS)
    with torch.no_grad():
        model.classifier.weight[0, 0] = torch.nan
    kept = copy.deepcopy(model.base_model.state_dict())
    with pytest.raises(InputError, match=r"learning_rate: in step 1 of 5 the loss is nan, .*give a smaller"):
        fine_tune(model, tokenizer(), examples(), Recipe(steps=5, batch_tokens=512), max_length=32)
    for name, weight in model.base_model.state_dict().items():
        torch.testing.assert_close(weight.cpu(), kept[name], rtol=0, atol=0)


def test_a_rate_that_is_far_too_high_is_said_to_be_one():
    recipe = Recipe(steps=60, batch_tokens=512, learning_rate=1e30, warmup=0.01)
    model = classifier_on(encoder("bert"), LABELS)
    with pytest.raises(InputError, match=r"in step \d+ of 60 the loss is (nan|inf), at a rate of"):
        fine_tune(model, tokenizer(), examples(), recipe, max_length=32)


def test_label_smoothing_keeps_the_classifier_from_being_as_sure():
    sure = {}
    for smoothing in (0.0, 0.3):
        model = classifier_on(encoder(), LABELS)
        recipe = Recipe(steps=60, batch_tokens=512, learning_rate=3e-3, label_smoothing=smoothing)
        fine_tune(model, tokenizer(), examples(), recipe, max_length=32)
        sure[smoothing] = np.exp(predict(model, tokenizer(), examples(seed=1), max_length=32)).max(1).mean()
    assert sure[0.0] > 0.95
    assert 0.7 < sure[0.3] < 0.92  # 1 - 0.3 + 0.3 / 2 = 0.85 is the smoothed target
