"""Every remedy gives answers to the target, from the same steps, and none of them knows a label of the target."""

import dataclasses
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from largemodels.domain_adaptation import remedies
from largemodels.domain_adaptation.domains import Draw, as_reading
from largemodels.domain_adaptation.label_shift import corrected_answers, with_shares
from largemodels.domain_adaptation.remedies import (
    Method,
    Setting,
    adapted,
    answers,
    answers_across,
    distance_of_features,
    reading_loss,
    weight_trials,
)
from largemodels.models.batches import join_sentences
from largemodels.models.classifiers import mean_cross_entropy
from largemodels.models.loading import load_masked_lm
from largemodels.pretraining.masked_lm import masked_tokens
from largemodels.pretraining.train import save_encoder
from small_corpus import corpus, encoder, examples, tokenizer

METHODS = get_args(Method)
READS = ("dapt", "tapt", "dapt+tapt", "irrelevant")
KNOWS_LABELS = ("few labels", "ceiling")  # of the target, as they say


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """A tiny checkpoint with a head for masked words, and a training of a few steps."""
    folder = save_encoder(encoder(), tokenizer(), tmp_path_factory.mktemp("remedies") / "model")
    steps = {"epochs": 2, "batch_tokens": 128, "reading_steps": 4, "reading_tokens": 128}
    return Setting(str(folder), tokenizer(), 32, learning_rate=3e-3, **steps)


def there(n, seed):
    """The same task in other texts."""
    return examples(n, seed).assign(text=lambda rows: "reads joins " + rows["text"])


@pytest.fixture(scope="module")
def drawn():
    few, ceiling, unlabelled = there(20, 3), there(80, 4), there(60, 5).drop(columns="label")
    labelled = examples(80)
    return Draw(
        labels=("array", "other"),
        labelled=labelled,
        validation=examples(40, seed=1),
        unlabelled=unlabelled,
        few=few,
        ceiling=ceiling,
        judged=there(50, 6),
        target_text=corpus(40, seed=1),
        task_text=as_reading(pd.concat([labelled, unlabelled])),
        control_text=corpus(40, seed=2).assign(document=lambda rows: "control " + rows["document"]),
        held_text=corpus(20, seed=3),
    )


@pytest.fixture(scope="module")
def outcomes(drawn, setting):
    """What each remedy comes to; all go on from one "nothing"."""
    found = {"nothing": adapted("nothing", drawn, setting)}
    return found | {method: adapted(method, drawn, setting, found["nothing"]) for method in METHODS[1:]}


@pytest.mark.parametrize("method", METHODS)
def test_every_remedy_answers_the_target_with_probabilities(outcomes, drawn, method):
    trial = outcomes[method].trial
    assert trial.name == method
    assert trial.log_probabilities.shape == (50, 2)
    np.testing.assert_allclose(np.exp(trial.log_probabilities).sum(1), 1, atol=1e-4)
    assert trial.seconds > 0


@pytest.mark.parametrize("method", [name for name in METHODS if name not in KNOWS_LABELS])
def test_no_remedy_without_target_labels_looks_at_one(outcomes, drawn, setting, method):
    """The draw holds none but where its names say so; wrong ones there change nothing."""
    blind = dataclasses.replace(
        drawn,
        few=drawn.few.eval("label = 1 - label"),
        ceiling=drawn.ceiling.eval("label = 1 - label"),
        judged=drawn.judged.eval("label = 1 - label"),
    )
    found = adapted(method, blind, setting, outcomes["nothing"])
    np.testing.assert_allclose(
        found.trial.log_probabilities, outcomes[method].trial.log_probabilities, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("method", KNOWS_LABELS)
def test_a_remedy_with_target_labels_learns_from_them(outcomes, drawn, setting, method):
    wrong = dataclasses.replace(
        drawn, few=drawn.few.eval("label = 1 - label"), ceiling=drawn.ceiling.eval("label = 1 - label")
    )
    found = adapted(method, wrong, setting)
    assert not np.allclose(found.trial.log_probabilities, outcomes[method].trial.log_probabilities, atol=1e-3)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("nothing", "words")])
def test_every_remedy_does_something(outcomes, method):
    one, other = outcomes[method].trial.log_probabilities, outcomes["nothing"].trial.log_probabilities
    assert not np.allclose(one, other, atol=1e-4)


def test_a_weight_of_nothing_leaves_the_training_as_it_is(outcomes, drawn, setting):
    for method in ("deep coral", "mmd"):
        without = dataclasses.replace(setting, weights={**setting.weights, method: 0.0})
        found = adapted(method, drawn, without)
        expected = outcomes["nothing"].trial.log_probabilities
        np.testing.assert_allclose(found.trial.log_probabilities, expected, rtol=1e-3, atol=1e-3)


def test_reading_is_judged_by_target_text_that_nothing_read(outcomes, drawn, setting):
    before = reading_loss(load_masked_lm(setting.model), drawn, setting)
    for method in METHODS:
        assert np.isfinite(outcomes[method].reading_loss) == (method in READS)
    longer = dataclasses.replace(setting, reading_steps=40, reading_rate=3e-3)
    assert adapted("dapt", drawn, longer).reading_loss < before - 0.3


def test_the_loss_of_reading_is_that_of_the_held_out_text(drawn, setting):
    reader = load_masked_lm(setting.model)
    sequences = join_sentences(drawn.held_text, tokenizer(), setting.max_length)
    expected = masked_tokens(reader, tokenizer(), sequences)["loss"].mean()
    assert reading_loss(reader, drawn, setting) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", READS)
def test_each_remedy_reads_the_text_of_its_name_and_all_read_as_much(drawn, setting, method, monkeypatch):
    read = []
    monkeypatch.setattr(
        remedies,
        "pretrain",
        lambda model, words, sequences, recipe: read.append((set(sequences.documents), recipe.steps)),
    )
    adapted(method, drawn, setting)
    texts = {"dapt": drawn.target_text, "tapt": drawn.task_text, "irrelevant": drawn.control_text}
    assert [documents for documents, _ in read] == [set(texts[name]["document"]) for name in method.split("+")]
    assert sum(steps for _, steps in read) == setting.reading_steps


def test_what_goes_on_from_nothing_pays_for_it_and_notes_what_it_did(outcomes):
    for method in ("self-training", "shares", "coral"):
        assert outcomes[method].trial.seconds > outcomes["nothing"].trial.seconds
    assert "of 80 examples" in outcomes["weights"].note
    assert outcomes["self-training"].note == "trusts 30 answers"
    assert outcomes["shares"].note.startswith("estimates the shares array 0.")
    assert outcomes["nothing"].note == ""


@pytest.mark.parametrize(("method", "goes_on"), [("weights", False), ("dann", False), ("shares", True)])
def test_only_what_goes_on_from_nothing_costs_its_seconds(outcomes, drawn, setting, method, goes_on):
    nothing = outcomes["nothing"]
    slow = dataclasses.replace(nothing, trial=dataclasses.replace(nothing.trial, seconds=1000.0))
    assert (adapted(method, drawn, setting, slow).trial.seconds > 1000) == goes_on


def test_covariances_are_aligned_on_texts_that_the_network_was_not_trained_on(outcomes, drawn, setting, monkeypatch):
    read = []
    features = remedies.features_of
    monkeypatch.setattr(
        remedies, "features_of", lambda *network, **options: read.append(network[2]) or features(*network, **options)
    )
    adapted("coral", drawn, setting, outcomes["nothing"])
    assert [len(table) for table in read] == [len(drawn.validation), len(drawn.unlabelled), len(drawn.judged)]
    assert not set(read[0]["text"]) - set(drawn.validation["text"])


@pytest.mark.parametrize("method", ["shares", "calibrated shares", "bbse", "map shares"])
def test_what_moves_the_shares_says_which_and_starts_from_the_answers_of_nothing(outcomes, drawn, method):
    nothing, found = outcomes["nothing"], outcomes[method]
    assert nothing.on_source.shape == (len(drawn.validation), 2)
    assert nothing.on_target.shape == (len(drawn.unlabelled), 2)
    assert found.shares.sum() == pytest.approx(1)
    learnt = np.bincount(drawn.labelled["label"], minlength=2) + 1.0
    labels, logs = drawn.validation["label"].to_numpy(), nothing.trial.log_probabilities
    before, after, judged = corrected_answers(
        method, nothing.on_source, labels, nothing.on_target, logs, learnt / learnt.sum(), prior=len(drawn.labelled)
    )
    np.testing.assert_allclose(found.shares, after, atol=1e-6)
    np.testing.assert_allclose(
        np.exp(found.trial.log_probabilities), with_shares(judged, before, after), rtol=1e-4, atol=1e-5
    )


def test_nothing_is_trained_where_it_is_not_given(outcomes, drawn, setting):
    found = adapted("shares", drawn, setting)
    np.testing.assert_allclose(
        found.trial.log_probabilities, outcomes["shares"].trial.log_probabilities, rtol=1e-4, atol=1e-4
    )


def test_answers_are_those_of_the_classifier(outcomes, drawn, setting):
    found = answers(outcomes["dann"].classifier, drawn.judged, setting)
    np.testing.assert_allclose(found, outcomes["dann"].trial.log_probabilities, rtol=1e-4, atol=1e-5)
    assert outcomes["shares"].classifier is None


def test_weights_are_tried_on_the_source_and_by_a_distance(drawn, setting):
    table = weight_trials(drawn, setting, {"mmd": (0.1, 10.0)})
    assert table[["method", "weight"]].to_numpy().tolist() == [["nothing", 0.0], ["mmd", 0.1], ["mmd", 10.0]]
    plain = adapted("nothing", drawn, setting)
    right = answers(plain.classifier, drawn.validation, setting).argmax(1) == drawn.validation["label"]
    assert table["source_accuracy"][0] == pytest.approx(right.mean())
    assert table["distance"][0] == pytest.approx(distance_of_features(plain.classifier, drawn, setting), abs=1e-6)
    assert table["distance"][0] != table["distance"][2]


def test_a_classifier_for_each_domain_answers_all(setting):
    domains = {"here": examples(80), "there": there(80, 4)}
    judged = {"here": examples(30, seed=8), "there": there(20, 9)}
    found = answers_across(domains, judged, ("array", "other"), dataclasses.replace(setting, epochs=8))
    assert {name: logs.shape for name, logs in found.items()} == {"here": (50, 2), "there": (50, 2)}
    own = mean_cross_entropy(found["here"][:30], judged["here"]["label"].to_numpy())
    assert own < np.log(2)


def test_an_unknown_remedy_is_named(drawn, setting):
    with pytest.raises(ValueError, match=r"^method: 'prayer' is not one of nothing, dapt"):
        adapted("prayer", drawn, setting)
