"""What was taken of a model is said in words that follow from the model."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from largemodels.models import description, loading
from largemodels.models.checkpoints import Checkpoint, CheckpointError
from largemodels.models.description import describe, examine
from small_checkpoints import checkpoint


def test_a_classifier_is_described_by_what_was_taken(folder):
    words, model = loading.load_tokenizer(folder), loading.load_classifier(folder, ["no", "yes"], seed=0)
    assert describe(folder, words, model) == {
        "source": "the folder model",
        "family": "bert, as BertForSequenceClassification",
        "parameters": f"{sum(weight.numel() for weight in model.parameters()):,}",
        "weights": "float32",
        "tokenizer": f"{type(words).__name__}, 13 tokens",
        "longest text": "32 tokens: its table of positions has 32 rows",
        "head": "new, because the files hold none for classes of texts",
    }
    assert describe(folder, words, loading.load_masked_lm(folder))["head"] == "for masked tokens, from the files"


def test_half_precision_and_the_family_of_the_positions_are_told(tmp_path):
    folder = checkpoint("roberta", tmp_path)
    loading.load_encoder(folder).to(torch.float16).save_pretrained(folder)
    told = examine(folder)
    assert told.description["weights"] == "float32, made of float16 in the files"
    assert told.description["longest text"].startswith(
        "64 tokens: its table of positions has 66 rows, 2 of them before"
    )
    assert list(told.suggestions) == ["-p max_length=64"]


def test_without_labels_the_head_is_said_to_be_for_its_own(folder):
    AutoModelForSequenceClassification.from_pretrained(
        folder, id2label={0: "yes", 1: "no"}, label2id={"yes": 0, "no": 1}
    ).save_pretrained(folder)
    assert examine(folder).description["head"] == "kept for data with its labels (yes, no), and new for any other"
    kept = examine(folder, ["no", "yes"]).description["head"]
    assert kept == "kept, because its labels are those of the data (yes, no), and put in their order (no, yes)"


def test_the_shipped_model_is_named_and_a_folder_by_its_name_alone(tmp_path):
    assert examine("pydocs-small").description["source"] == "pydocs-small, which comes with the workbench"
    assert str(tmp_path) not in json.dumps(examine(checkpoint("bert", tmp_path / "mine")).description)


def test_a_tokenizer_of_another_model_is_refused_here_too(folder):
    words, model = loading.load_tokenizer(folder), loading.load_encoder(folder)
    words.add_tokens(["more"])
    with pytest.raises(CheckpointError, match="it has 14 tokens and the model rows for 13"):
        describe(folder, words, model)


def test_a_model_of_the_hub_is_told_with_its_commit_and_how_to_keep_to_it(folder, monkeypatch):
    commit = "0123456789" * 4
    downloaded = Checkpoint("org/name", folder, "org/name", commit)
    monkeypatch.setattr(description, "resolve", lambda name: downloaded)
    monkeypatch.setattr(loading, "resolve", lambda name: downloaded)
    told = examine("org/name")
    assert told.description["source"] == f"the Hub, org/name at commit {commit}"
    assert list(told.suggestions) == ["-p max_length=32", f"-p model=org/name@{commit}"]
    assert list(examine(f"org/name@{commit}").suggestions) == ["-p max_length=32"]
