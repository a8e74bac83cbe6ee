"""The checkpoints that the book ships are small, safe, what their cards say, and better than counting."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import largemodels
from largemodels.data import corpora
from largemodels.generation.decoder import Decoder
from largemodels.generation.language_model import joined_documents, token_losses, token_windows
from largemodels.generation.reading import context_length
from largemodels.generation.units import bits_per_byte
from largemodels.models import checkpoints, loading
from largemodels.models.batches import join_sentences
from largemodels.pretraining.masked_lm import masked_tokens
from largemodels.statistics.intervals import mean_interval
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.parameters.types import plain

ENCODER, DECODER = "pydocs-small", "pydocs-gpt"
MOST_BYTES = {ENCODER: 12_000_000, DECODER: 8_000_000}
both = pytest.mark.parametrize("name", [ENCODER, DECODER])


def folder_of(name: str) -> Path:
    """Where a shipped checkpoint lies."""
    return Path(largemodels.__path__[0]) / "weights" / name


def record_of(name: str) -> dict[str, Any]:
    """What was recorded of its training."""
    return json.loads((folder_of(name) / "training.json").read_text(encoding="utf-8"))


def held_out() -> pd.DataFrame:
    """Sentences of 300 validation documents of the libraries that pretraining reads."""
    sentences = corpora.sentences()
    held = sentences[(sentences.split == "validation") & ~sentences.library.isin(corpora.UNSEEN_LIBRARIES)]
    documents = held.document.drop_duplicates().sample(300, random_state=1)
    return held[held.document.isin(set(documents))]


@both
def test_it_is_shipped_whole_and_small_and_without_pickles(name):
    assert name in checkpoints.shipped()
    files = {path.name: path.stat().st_size for path in folder_of(name).iterdir()}
    assert {"README.md", "config.json", "history.csv", "model.safetensors", "tokenizer.json"} <= files.keys()
    assert sum(files.values()) < MOST_BYTES[name]
    assert {Path(file).suffix for file in files} <= {".md", ".json", ".csv", ".safetensors"}


@both
def test_it_loads_in_single_precision_and_its_tokenizer_fits(name):
    load = loading.load_causal_lm if name == DECODER else loading.load_masked_lm
    model, tokenizer = load(name), loading.load_tokenizer(name)
    loading.check_fit(name, tokenizer, model)
    assert {str(tensor.dtype) for tensor in model.parameters()} == {"torch.float32"}
    assert sum(tensor.numel() for tensor in model.parameters()) == record_of(name)["model_parameters"]


@both
def test_it_was_trained_on_exactly_what_pretraining_may_read(name):
    record = record_of(name)
    recorded = {each: version.partition("+")[0] for each, version in record["libraries"].items()}
    if any(metadata.version(each).partition("+")[0] != version for each, version in recorded.items()):
        pytest.skip("other versions of the libraries have another documentation")
    text = corpora.pretraining_sentences()
    assert len(text) == record["training_sentences"]
    assert hashlib.sha256("\n".join(text.sentence).encode()).hexdigest() == record["training_text_sha256"]


def test_on_held_out_documents_the_encoder_is_as_good_as_its_record_says():
    model, tokenizer, record = loading.load_masked_lm(ENCODER), loading.load_tokenizer(ENCODER), record_of(ENCODER)
    sequences = join_sentences(held_out(), tokenizer, record["parameters"]["max_length"])
    loss = masked_tokens(model, tokenizer, sequences)["loss"].mean()
    seen = [row for row in record["validation"] if row["library"] not in (*corpora.UNSEEN_LIBRARIES, "all")]
    recorded = sum(row["loss"] * row["n"] for row in seen) / sum(row["n"] for row in seen)
    assert loss == pytest.approx(recorded, abs=0.3)  # 300 of some 3,000 documents
    assert loss < record["unigram_entropy"] - 2


def test_on_held_out_documents_the_decoder_is_as_good_as_its_record_says():
    model = Decoder.from_transformers(loading.load_causal_lm(DECODER))
    tokenizer, record = loading.load_tokenizer(DECODER), record_of(DECODER)
    documents = joined_documents(held_out())
    losses = token_losses(model, tokenizer, token_windows(documents, tokenizer, context_length(model)))
    value, _, _ = bits_per_byte(losses, documents)
    assert value == pytest.approx(record["validation_bits_per_byte"], abs=0.1)  # 300 of some 3,000 documents
    assert all(row["below_counting"][1] > 0 for row in record["validation"])  # on every library, and by its interval


@pytest.mark.parametrize("baseline", ["scratch", "words"])
@pytest.mark.parametrize("domain", ["home", "pandas", "torch", "transformers"])
@pytest.mark.parametrize(("labels", "least"), [(500, 0.0), (4000, 0.02)])
def test_the_recorded_gain_over_each_baseline_is_above_zero_on_every_domain(root, labels, least, domain, baseline):
    record = root / "book" / "recorded" / "pretraining-labels"
    assert json.loads((record / "sweep.json").read_text())["ingredients"]["checkpoints"][
        "model"
    ] == checkpoints.fingerprint(ENCODER)
    rows = pd.read_parquet(record / "results.parquet").query("labelled_sentences == @labels")
    accuracy = rows.pivot_table(index="seed", columns="metric", values="value")
    _, low, _ = mean_interval(accuracy[f"checkpoint_{domain}"] - accuracy[f"{baseline}_{domain}"])
    assert low > least


@both
def test_the_card_says_what_the_record_says(name):
    card, record = (folder_of(name) / "README.md").read_text(encoding="utf-8"), record_of(name)
    assert record["training_text_sha256"] in card
    for row in record["validation"]:
        loss, low, high = (f"{row[end]:.2f}" for end in ("loss", "low", "high"))
        shown = f"| {row['library']} | {row['documents']:,} | {loss} ({low} to {high}) |"
        if name == DECODER:
            bits, low, high = (f"{row[end]:.3f}" for end in ("bits_per_byte", "bits_low", "bits_high"))
            lead = "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["below_counting"])
            counting = f"{row['counting_bits_per_byte']:.3f}"
            shown = f"| {row['documents']:,} | {loss} | {bits} ({low} to {high}) | {counting} | {lead} |"
        assert shown in card, shown
    numbers = [f"{record['model_parameters']:,}", f"{record['tokens_read']:,}", f"{record['training_sentences']:,}"]
    if name == ENCODER:
        numbers.append(f"{record['unigram_entropy']:.2f}")
    assert [number for number in numbers if number not in card] == []


@both
def test_the_parameters_that_train_it_fit_the_chapter(root, name):
    given = yaml.safe_load((root / "notebooks" / "params" / f"{name}.yml").read_text(encoding="utf-8"))
    values = load_contract(Project(root), {ENCODER: "pretraining", DECODER: "generation"}[name]).resolve(given)
    recorded = record_of(name)["parameters"]
    assert {parameter: plain(values[parameter]) for parameter in recorded} == recorded
