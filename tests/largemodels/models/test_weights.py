"""The checkpoint that the book ships is small, safe, what its card says, and better than counting words."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
import yaml

import largemodels
from largemodels.data import corpora
from largemodels.models import checkpoints, loading
from largemodels.models.batches import join_sentences
from largemodels.pretraining.masked_lm import masked_tokens
from largemodels.statistics.intervals import mean_interval

NAME = "pydocs-small"
FOLDER = Path(largemodels.__path__[0]) / "weights" / NAME
RECORD = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))
SAME_TEXT = all(metadata.version(name).partition("+")[0] == version for name, version in RECORD["libraries"].items())


def test_it_is_shipped_whole_and_small_and_without_pickles():
    assert NAME in checkpoints.shipped()
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert {"README.md", "config.json", "history.csv", "model.safetensors", "tokenizer.json"} <= files.keys()
    assert sum(files.values()) < 12_000_000
    assert {Path(name).suffix for name in files} <= {".md", ".json", ".csv", ".safetensors"}


def test_it_loads_in_single_precision_and_its_tokenizer_fits():
    model, tokenizer = loading.load_masked_lm(NAME), loading.load_tokenizer(NAME)
    loading.check_fit(NAME, tokenizer, model)
    assert {str(tensor.dtype) for tensor in model.parameters()} == {"torch.float32"}
    assert sum(tensor.numel() for tensor in model.parameters()) == RECORD["model_parameters"]


@pytest.mark.skipif(not SAME_TEXT, reason="other versions of the libraries have another documentation")
def test_it_was_trained_on_exactly_what_pretraining_may_read():
    text = corpora.pretraining_sentences()
    assert len(text) == RECORD["training_sentences"]
    assert hashlib.sha256("\n".join(text.sentence).encode()).hexdigest() == RECORD["training_text_sha256"]


def test_on_held_out_documents_it_is_as_good_as_its_record_says():
    model, tokenizer = loading.load_masked_lm(NAME), loading.load_tokenizer(NAME)
    sentences = corpora.sentences()
    held = sentences[(sentences.split == "validation") & ~sentences.library.isin(corpora.UNSEEN_LIBRARIES)]
    documents = held.document.drop_duplicates().sample(300, random_state=1)
    sequences = join_sentences(held[held.document.isin(set(documents))], tokenizer, RECORD["parameters"]["max_length"])
    loss = masked_tokens(model, tokenizer, sequences)["loss"].mean()
    seen = [row for row in RECORD["validation"] if row["library"] not in (*corpora.UNSEEN_LIBRARIES, "all")]
    recorded = sum(row["loss"] * row["n"] for row in seen) / sum(row["n"] for row in seen)
    assert loss == pytest.approx(recorded, abs=0.3)  # 300 of some 3,000 documents
    assert loss < RECORD["unigram_entropy"] - 2


@pytest.mark.parametrize("baseline", ["scratch", "words"])
@pytest.mark.parametrize("domain", ["home", "pandas", "torch", "transformers"])
@pytest.mark.parametrize(("labels", "least"), [(500, 0.0), (4000, 0.02)])
def test_the_recorded_gain_over_each_baseline_is_above_zero_on_every_domain(root, labels, least, domain, baseline):
    record = root / "book" / "recorded" / "pretraining-labels"
    assert json.loads((record / "sweep.json").read_text())["ingredients"]["checkpoints"][
        "model"
    ] == checkpoints.fingerprint(NAME)
    rows = pd.read_parquet(record / "results.parquet").query("labelled_sentences == @labels")
    accuracy = rows.pivot_table(index="seed", columns="metric", values="value")
    _, low, _ = mean_interval(accuracy[f"checkpoint_{domain}"] - accuracy[f"{baseline}_{domain}"])
    assert low > least


def test_the_card_says_what_the_record_says():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert RECORD["training_text_sha256"] in card
    for row in RECORD["validation"]:
        shown = (
            f"| {row['library']} | {row['documents']:,} | {row['loss']:.2f} ({row['low']:.2f} to {row['high']:.2f}) |"
        )
        assert shown in card, shown
    for number in (f"{RECORD['model_parameters']:,}", f"{RECORD['unigram_entropy']:.2f}", f"{RECORD['tokens_read']:,}"):
        assert number in card


def test_the_parameters_that_train_it_fit_the_chapter(request):
    root = request.config.rootpath
    given = yaml.safe_load((root / "notebooks" / "params" / f"{NAME}.yml").read_text(encoding="utf-8"))
    assert {name: given[name] for name in RECORD["parameters"]} == RECORD["parameters"]
