"""A head is kept where its labels are those of the data, in whatever order, and is a new one for any others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoModelForTokenClassification

from largemodels.models.classifiers import classifier_on
from largemodels.models.heads import label_dimensions
from largemodels.models.loading import head_in, load_classifier, load_tokenizer
from small_checkpoints import FAMILIES, checkpoint

THEIRS = ("yes", "no", "perhaps")


def trained(folder: Path, labels: tuple[str, ...] = THEIRS, build=AutoModelForSequenceClassification, **config) -> Path:
    """The folder, with a model that has a head for these labels."""
    torch.manual_seed(7)
    names = dict(enumerate(labels))
    model = build.from_pretrained(folder, id2label=names, label2id={name: i for i, name in names.items()}, **config)
    model.save_pretrained(folder)
    return folder


def scores(model, text: str, tokenizer) -> dict[str, float]:
    """The logit of each label for a text, by the label's name."""
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits[0]
    return dict(zip(model.config.id2label.values(), logits.tolist(), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_is_kept_in_the_order_of_the_datas_labels(family, tmp_path):
    folder = trained(checkpoint(family, tmp_path))
    words = load_tokenizer(folder)
    original = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    original.config.pad_token_id = words.pad_token_id
    ours = ("no", "perhaps", "yes")
    kept = scores(load_classifier(folder, ours, seed=1), "the mean of an array", words)
    assert tuple(kept) == ours
    assert kept == pytest.approx(scores(original, "the mean of an array", words), abs=1e-6)
    assert head_in(folder, ours).said == (
        "kept, because its labels are those of the data (yes, no, perhaps), and put in their order (no, perhaps, yes)"
    )
    assert head_in(folder, THEIRS).said == "kept, because its labels are those of the data (yes, no, perhaps)"


def test_capitals_and_numbers_for_names_do_not_make_other_labels(folder):
    trained(folder, ("POSITIVE", "NEGATIVE"))
    assert head_in(folder, ["negative", "positive"]).order == (1, 0)
    config = folder / "config.json"
    for names, ours in (({"0": "a", "1": "A"}, ["A", "a"]), ({"0": 1, "1": 0}, ["0", "1"])):
        config.write_text(json.dumps({**json.loads(config.read_text()), "id2label": names}))
        assert head_in(folder, ours).order == (1, 0)
        assert head_in(folder, ["b", "B"]).order is None


@pytest.mark.parametrize(
    ("labels", "config", "why"),
    [
        (("good", "bad"), {}, "is for other labels (good, bad)"),
        (("LABEL_0", "LABEL_1"), {}, "is for other labels (LABEL_0, LABEL_1)"),
        (("a", "b", "c", "d"), {}, "is for other labels (a, b, c and 1 more)"),
        (("score",), {}, "gives a number (regression) and no class"),
        (("no", "yes"), {"problem_type": "regression"}, "gives a number (regression) and no class"),
    ],
)
def test_a_head_for_anything_else_is_a_new_one(folder, labels, config, why):
    stored = load_file(trained(folder, labels, **config) / "model.safetensors")
    model, again = (load_classifier(folder, ["no", "yes"], seed=3) for _ in range(2))
    rows = set(map(tuple, stored["classifier.weight"].tolist()))
    assert not rows & set(map(tuple, model.classifier.weight.tolist()))
    assert torch.equal(model.classifier.weight, again.classifier.weight)
    assert head_in(folder, ["no", "yes"]).said == f"new, because the one in the files {why}"
    body = model.state_dict()
    assert all(torch.equal(body[name], weight) for name, weight in stored.items() if name.startswith("bert."))


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_a_model_for_many_labels_or_a_number_learns_one_label_a_text(folder, problem):
    trained(folder, ("no", "yes"), problem_type=problem)
    batch, labels = load_tokenizer(folder)(["good", "bad"], return_tensors="pt"), torch.tensor([0, 1])
    their_own = AutoModelForSequenceClassification.from_pretrained(folder)
    for model in (load_classifier(folder, ["no", "yes"], seed=0), classifier_on(their_own, ["no", "yes"])):
        model.eval()
        expected = torch.nn.functional.cross_entropy(model(**batch).logits, labels)
        torch.testing.assert_close(model(**batch, labels=labels).loss, expected)


def test_several_labels_at_once_are_said(folder):
    trained(folder, ("no", "yes"), problem_type="multi_label_classification")
    assert "trained to give several labels to a text, and here gives one" in head_in(folder, ["no", "yes"]).said


def test_a_head_for_tokens_is_not_kept_for_texts_of_other_labels(folder):
    stored = load_file(trained(folder, ("O", "B-PER"), AutoModelForTokenClassification) / "model.safetensors")
    model = load_classifier(folder, ["no", "yes"], seed=3)
    assert not torch.equal(model.classifier.weight, stored["classifier.weight"])


def test_the_network_of_a_classifier_for_other_labels_gives_no_row_of_its_head(folder):
    source = load_classifier(folder, ["next", "not next"], seed=1)
    other = classifier_on(source, ["a", "b"], seed=2)
    assert not torch.equal(other.classifier.weight, source.classifier.weight)
    assert torch.equal(classifier_on(source, ["next", "not next"]).classifier.weight, source.classifier.weight)


def test_what_has_a_row_for_each_label_is_seen_without_drawing_numbers(folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert label_dimensions(AutoConfig.from_pretrained(folder)) == {"classifier.weight": 0, "classifier.bias": 0}
    assert torch.rand(1) == expected
