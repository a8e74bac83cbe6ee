"""A model by name is the model that was meant, loaded without running anything of others, or one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from fake_hub import tiny_model
from largemodels.data.hub import HubId
from largemodels.models import checkpoints
from largemodels.models.checkpoints import CheckpointError


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    tiny_model(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A model's folder of the test's own."""
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def shelf(made, tmp_path, monkeypatch) -> Path:
    """A shelf with one shipped model."""
    monkeypatch.setattr(checkpoints, "WEIGHTS_FOLDER", tmp_path / "weights")
    return Path(shutil.copytree(made, tmp_path / "weights" / "pydocs-small"))


# Names


def test_what_lies_on_the_shelf_is_shipped(shelf):
    (shelf.parent / "notes").mkdir()
    assert checkpoints.shipped() == ("pydocs-small",)
    assert checkpoints.resolve("pydocs-small").folder == shelf
    assert checkpoints.resolve("pydocs-small").commit is None


def test_every_shipped_model_is_one_that_loads():
    for name in checkpoints.shipped():
        checkpoints.check_fit(name, checkpoints.load_tokenizer(name), checkpoints.load_masked_lm(name))


@pytest.mark.parametrize("name", ["pydocz-small", "pydocs-smal", "pydocs_small"])
def test_a_slip_in_a_shipped_name_is_refused_at_once(shelf, name):
    with pytest.raises(CheckpointError, match=rf"^{name} is neither .*; did you mean pydocs-small\?$"):
        checkpoints.check_name(name)


def test_a_hub_id_is_told_by_its_form_and_what_is_here_wins(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoints.hub_id("bert-base-uncased") == HubId("bert-base-uncased")
    assert checkpoints.hub_id("org/name@main") == HubId("org/name", None, "main")
    for name in ("pydocs-small", "./model", "/model", "~/model", "a/b/c", "org/name:config", "org\\name"):
        assert checkpoints.hub_id(name) is None
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert checkpoints.hub_id("org/name") is None


def test_names_and_fingerprints_need_no_torch(made):
    code = (
        "import sys; from largemodels.models import checkpoints as c; c.check_name('bert-base-uncased'); c.shipped(); "
        f"c.fingerprint({str(made)!r}); c.resolve({str(made)!r}); c.memory_needed({str(made)!r}, training=True); "
        "print([name for name in ('torch', 'transformers', 'datasets', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_fingerprint_follows_what_is_loaded_and_nothing_else(folder):
    before = checkpoints.fingerprint(folder)
    (folder / "README.md").write_text("A model card.")
    (folder / "training_args.bin").write_bytes(b"a pickle")
    assert checkpoints.fingerprint(folder) == before
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        assert checkpoints.fingerprint(folder) != before
        (folder / name).write_bytes(content)
    assert checkpoints.fingerprint(folder) == before


# Loading


def test_a_folder_is_loaded_as_each_kind_of_model(folder):
    tokenizer = checkpoints.load_tokenizer(folder)
    batch = tokenizer(["the sum of two arrays", "good"], padding=True, return_tensors="pt")
    masked = checkpoints.load_masked_lm(folder)
    encoder = checkpoints.load_encoder(folder)
    classifier = checkpoints.load_classifier(folder, ["no", "yes", "perhaps"], seed=1)
    assert masked(**batch).logits.shape == (2, 7, 13)
    assert encoder(**batch).last_hidden_state.shape == (2, 7, 16)
    assert classifier(**batch).logits.shape == (2, 3)
    assert classifier.config.id2label == {0: "no", 1: "yes", 2: "perhaps"}
    assert classifier.config.label2id["perhaps"] == 2
    assert {parameter.dtype for parameter in masked.parameters()} == {torch.float32}
    assert not masked.training
    body = masked.base_model.embeddings.word_embeddings.weight
    assert torch.equal(classifier.base_model.embeddings.word_embeddings.weight, body)
    again = checkpoints.load_classifier(folder, ["no", "yes", "perhaps"], seed=1)
    assert torch.equal(again.classifier.weight, classifier.classifier.weight)
    checkpoints.check_fit(folder, tokenizer, masked)
    stored = sum(parameter.numel() for parameter in masked.parameters())
    assert checkpoints.count_parameters(folder) == stored
    assert checkpoints.memory_needed(folder, training=True) == 16 * stored


def test_the_seed_of_a_head_gives_the_same_head_and_leaves_other_generators_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (checkpoints.load_classifier(folder, ["no", "yes"], seed=seed) for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert torch.equal(one.classifier.weight, same.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    torch.manual_seed(1)
    unseeded = checkpoints.load_classifier(folder, ["no", "yes"])
    assert torch.equal(unseeded.classifier.weight, one.classifier.weight)


def test_a_classifier_that_was_kept_comes_back_with_its_head_or_gets_one_for_other_labels(folder, tmp_path):
    classifier = checkpoints.load_classifier(folder, ["no", "yes"], seed=1)
    classifier.save_pretrained(tmp_path / "kept")
    kept = checkpoints.load_classifier(tmp_path / "kept", ["no", "yes"], seed=2)
    assert torch.equal(kept.classifier.weight, classifier.classifier.weight)
    assert checkpoints.load_classifier(tmp_path / "kept", ["a", "b", "c"], seed=2).classifier.out_features == 3
    with pytest.raises(CheckpointError, match="has no trained masked-language head"):
        checkpoints.load_masked_lm(tmp_path / "kept")
    with pytest.raises(CheckpointError, match="needs two or more different labels"):
        checkpoints.load_classifier(folder, ["same", "same"])


def test_a_tokenizer_of_another_model_does_not_fit(folder):
    tokenizer, model = checkpoints.load_tokenizer(folder), checkpoints.load_masked_lm(folder)
    tokenizer.add_tokens(["more"])
    with pytest.raises(CheckpointError, match="it has 14 tokens and the model rows for 13"):
        checkpoints.check_fit("mine", tokenizer, model)
    tokenizer = checkpoints.load_tokenizer(folder)
    tokenizer.pad_token = "[SEP]"
    with pytest.raises(CheckpointError, match=r"disagree on padding \(ids 3 and 0\)"):
        checkpoints.check_fit("mine", tokenizer, model)


def test_a_model_too_large_for_the_memory_is_refused_before_it_is_loaded(folder, monkeypatch):
    needed = checkpoints.memory_needed(folder, training=False)
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2 * needed))
    checkpoints.check_memory(folder, training=False)
    with pytest.raises(CheckpointError, match=r"takes at least 0\.0 GiB of memory to train, and 0\.0 GiB are free"):
        checkpoints.load_classifier(folder, ["no", "yes"], training=True)
    assert checkpoints.load_encoder(folder).config.hidden_size == 16


# What is refused


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_no_safe_model_is_refused_in_one_sentence(folder, tmp_path):
    def said(name: object = folder) -> str:
        with pytest.raises(CheckpointError) as caught:
            checkpoints.load_masked_lm(name)
        assert "\n" not in str(caught.value)
        assert caught.value._render_traceback_() == [f"Checkpoint error: {caught.value}"]
        return str(caught.value)

    weights = (folder / "model.safetensors").read_bytes()
    for damaged in (weights[:-100], weights[:4], b"", b"\xff" * 400):
        (folder / "model.safetensors").write_bytes(damaged)
        assert "damaged or cut off" in said()
    (folder / "model.safetensors").unlink()
    assert "holds no model.safetensors, and no other weights either" in said()
    torch.save({}, folder / "pytorch_model.bin")
    assert "holds no model.safetensors, only pytorch_model.bin, which can run code when it is read" in said()
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    edit_config(folder, model_type="mine", auto_map={"AutoModelForMaskedLM": "mine.Mine", "AutoConfig": "mine.Mine"})
    assert "needs a program that comes with it (remote code), which is never run" in said()
    edit_config(folder, model_type="mine", auto_map=None)
    assert "its model cannot be loaded (" in said()
    (folder / "config.json").write_text("{")
    assert "its config.json cannot be read" in said()
    (folder / "config.json").unlink()
    assert "holds no config.json" in said()
    assert not (tmp_path / "ran").exists()
    assert "is a file, and a model is a folder" in said(folder / "mine.py")
    assert "is neither a model" in said(tmp_path / "missing")


def test_weights_that_lack_a_layer_are_incomplete(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if ".layer.1." not in name}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    for load in (checkpoints.load_encoder, lambda name: checkpoints.load_classifier(name, ["no", "yes"])):
        with pytest.raises(CheckpointError, match="the weights are incomplete"):
            load(folder)
