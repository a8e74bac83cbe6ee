"""A trial says what a training cost and answered, and a table of trials compares them on the same examples."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from largemodels.base.errors import InputError
from largemodels.fine_tuning.trials import (
    Trial,
    check_classes,
    check_length,
    draw,
    padding_table,
    readable,
    run_trial,
    surest_errors,
    trial_table,
    word_trial,
    worth_in_labels,
    worth_said,
)
from largemodels.models.classifiers import classifier_on
from largemodels.models.trainable import train_only, trained_parameters
from largemodels.statistics.comparisons import paired_permutation
from small_corpus import encoder, examples, tokenizer

LABELS = ("array", "other")


def classifier(seed=0):
    return classifier_on(encoder(seed=seed), LABELS, seed=seed)


def trial(name, right, labels):
    """A trial that gets these right, as if it had answered so."""
    answers = np.where(right, labels, 1 - labels)
    return Trial(name, np.log(np.where(answers[:, None] == np.arange(2), 0.9, 0.1)))


def test_a_trial_holds_its_cost_and_its_answers():
    judged, validation = examples(60, seed=1), examples(40, seed=2)
    model = train_only(classifier(), "head")
    found = run_trial(
        "head only", model, tokenizer(), examples(80), judged,
        epochs=3, max_length=32, validation=validation, batch_tokens=128, learning_rate=1e-2,
    )  # fmt: skip
    assert found.trained == trained_parameters(model)
    assert len(found.epoch_seconds) == 3
    assert 0 < sum(found.epoch_seconds) < found.seconds
    assert found.log_probabilities.shape == (60, 2)
    assert len(found.history["validation_loss"].dropna()) >= 3
    assert found.validation_accuracy == found.history["validation_accuracy"].dropna().iloc[-1]
    assert found.loss(judged) == pytest.approx(log_loss(judged["label"], np.exp(found.log_probabilities)), rel=1e-5)


def test_words_are_a_trial_too_and_know_every_class():
    learnt = examples(90).assign(label=lambda table: np.where(table["label"] == 1, 2, 0))  # no example of class 1
    found = word_trial("words", learnt, learnt, 3)
    assert found.log_probabilities.shape == (90, 3)
    assert found.right(learnt).mean() > 0.95
    assert np.isfinite(found.log_probabilities).all()
    assert np.exp(found.log_probabilities[:, 1]).max() < 1e-5
    assert found.trained > 0 < found.seconds


def test_both_texts_of_a_pair_are_counted():
    paired = examples(120).assign(text_pair=lambda table: table["text"], text="the same")
    assert word_trial("words", paired, paired, 2).right(paired).mean() > 0.95


def test_differences_are_to_the_first_trial_on_the_same_examples():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200)
    judged = pd.DataFrame({"text": "t", "label": labels, "document": np.arange(200) // 2})
    first = random.random(200) < 0.8
    worse = first & (random.random(200) < 0.7)
    table = trial_table([trial("a", first, labels), trial("b", worse, labels), trial("c", first, labels)], judged)
    assert list(table["right"]) == [first.sum(), worse.sum(), first.sum()]
    assert math.isnan(table["difference"][0])
    assert math.isnan(table["p"][0])
    assert table["difference"][1] == pytest.approx((worse.sum() - first.sum()) / 200)
    assert table["difference_low"][1] < table["difference"][1] < table["difference_high"][1] < 0
    assert table["difference"][2] == 0
    flipped = paired_permutation(worse, first, clusters=judged["document"])
    assert table["p"][1] == pytest.approx(2 * flipped.p)  # Holm: the smaller of two counts twice
    together = trial_table([trial("a", first, labels), trial("b", worse, labels)], judged.assign(document=labels))
    assert together["p"][1] > 0.2, "two documents cannot tell anything apart, however many sentences they have"
    assert table["p"][2] == 1
    shown = readable(table, 200, {"b": "the worse"})
    assert list(shown.index) == ["a", "the worse", "c"]
    assert shown["right"]["the worse"] == f"{worse.sum()}/200"
    assert shown["difference (95%, each)"]["the worse"].startswith(f"{(worse.sum() - first.sum()) / 200:+.3f} (-0.")
    assert list(shown["p (Holm)"]) == ["", "< 0.001", "1.000"]
    assert shown["difference (95%, each)"]["a"] == ""
    alone = trial_table([trial("a", first, labels)], judged)
    assert list(readable(alone, 200)["difference (95%, each)"]) == [""]


def test_labels_are_read_off_a_curve():
    sizes, accuracies = [100, 400, 200], [0.5, 0.7, 0.6]
    assert worth_in_labels(sizes, accuracies, 0.6) == pytest.approx(200)
    assert worth_in_labels(sizes, accuracies, 0.65) == pytest.approx(math.sqrt(200 * 400))
    assert worth_in_labels([30, 60], [0.5, 0.6], 0.5) == 30, "the smallest size itself, so that it is said to be that"
    assert worth_in_labels(sizes, accuracies, 0.4) == pytest.approx(100)
    assert worth_in_labels(sizes, accuracies, 0.71) == math.inf
    assert worth_in_labels([1, 2, 4], [0.5, 0.4, 0.6], 0.55) == pytest.approx(math.sqrt(8))  # a dip is noise


def test_padding_is_counted_as_it_would_be_computed():
    table = padding_table([10, 10, 20, 20], batch_size=4, longest=256)
    assert list(table["places"]) == [4 * 256, 4 * 128, 80, 3 * 20 + 10]
    assert list(table["padding"]) == pytest.approx([1 - 60 / 1024, 1 - 60 / 512, 0.25, 1 - 60 / 70])
    long = padding_table([300, 300], batch_size=2, longest=200)
    assert list(long["padding"]) == [0, 0, 0, 0], "what is cut is not padding"


def test_the_surest_errors_come_first():
    logs = np.log([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.99, 0.01]])
    judged = pd.DataFrame({"text": list("abcd"), "label": [1, 0, 1, 1]})
    found = surest_errors(judged, logs, LABELS, number=2)
    assert list(found["text"]) == ["d", "a"]
    assert list(found["answer"]) == ["array", "array"]
    assert list(found["label"]) == ["other", "other"]
    assert found["probability"][0] == pytest.approx(0.99)
    assert len(surest_errors(judged, logs, LABELS, number=9)) == 3


def test_smaller_draws_are_parts_of_larger_ones():
    table = examples(100)
    larger, smaller = draw(table, 50, 3), draw(table, 20, 3)
    assert list(smaller.index) == list(larger.index)[:20]
    assert len(draw(table, 1000, 3)) == 100
    rare = table.assign(label=table["label"].where(table.index > 0, 2))
    assert set(draw(rare, 20, 3)["label"]) == {0, 1}, "a rare class may be missing"
    with pytest.raises(InputError, match="labelled: 4 drawn examples hold fewer than two classes three times each"):
        draw(table, 4, 3)
    with pytest.raises(InputError, match=r"^sizes: 4 drawn examples hold fewer than two classes"):
        draw(table, 4, 3, parameter="sizes")


def test_a_limit_beyond_the_model_is_refused():
    check_length(64, tokenizer(), classifier())
    with pytest.raises(InputError, match=r"max_length: 65 is more than the 64 tokens that the model reads \(its "):
        check_length(65, tokenizer(), classifier())
    with pytest.raises(InputError, match="max_length: 2 leaves no room"):
        check_length(2, tokenizer(), classifier())


def test_numbers_with_fractions_are_no_classes():
    for labels in (("0", "1"), ("1.0", "2.0"), ("0.5", "high"), ("a", "b")):
        check_classes(labels)
    with pytest.raises(InputError, match=r"its 3 different values are numbers such as 2\.75, a target for regression"):
        check_classes(("1", "2.75", "3"))


@pytest.mark.parametrize(
    ("worth", "said"),
    [
        (math.inf, "does better than the pretrained network with any number tried"),
        (50, "does as well as the pretrained network with 50 or fewer, 50 being the fewest tried"),
        (120.4, "does as well as the pretrained network with about 120"),
    ],
)
def test_what_a_start_is_worth_in_labels_is_said_as_it_came_out(worth, said):
    assert worth_said("counting words", worth, [50, 150, 400]) == f"With 400 labels, counting words {said}."
