"""A name stands for the model that was meant, or for one sentence, and its fingerprint follows the model's files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from largemodels.data.hub import HubId
from largemodels.models import checkpoints
from largemodels.models.checkpoints import CheckpointError


def edited(folder: Path, **changes: object) -> None:
    """Change a model's configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def shelf(made, tmp_path, monkeypatch) -> Path:
    """A shelf with two shipped models."""
    monkeypatch.setattr(checkpoints, "WEIGHTS_FOLDER", tmp_path / "weights")
    for name in ("pydocs-small", "pydocs-gpt"):
        shutil.copytree(made, tmp_path / "weights" / name)
    return tmp_path / "weights"


@pytest.mark.parametrize("name", ["pydocs-small", "pydocs-gpt"])
def test_what_lies_on_the_shelf_is_shipped(shelf, name):
    (shelf / "notes").mkdir()
    assert checkpoints.shipped() == ("pydocs-gpt", "pydocs-small")
    assert checkpoints.resolve(name).folder == shelf / name
    assert checkpoints.resolve(name).commit is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pydocz-small", "pydocs-small"),
        ("pydocs-smal", "pydocs-small"),
        ("pydocs_small", "pydocs-small"),
        ("pydocs-gtp", "pydocs-gpt"),
        ("pydoc-gpt", "pydocs-gpt"),
    ],
)
def test_a_slip_in_a_shipped_name_is_refused_at_once(shelf, name, meant):
    with pytest.raises(CheckpointError, match=rf"^{name} is neither .*; did you mean {meant}\?$"):
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
        "import sys; from largemodels.models import checkpoints as c, files; c.check_name('bert-base-uncased'); "
        f"c.shipped(); c.fingerprint({str(made)!r}); files.parameters_in(c.resolve({str(made)!r}).folder); "
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
        changed = content[:-1] + bytes([content[-1] ^ 1]) if name == "model.safetensors" else content + b" "
        (folder / name).write_bytes(changed)
        assert checkpoints.fingerprint(folder) != before
        (folder / name).write_bytes(content)
    assert checkpoints.fingerprint(folder) == before


def said(name: object) -> str:
    """The one sentence by which a name is refused."""
    with pytest.raises(CheckpointError) as caught:
        checkpoints.check_name(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "deberta-v2", "modernbert", "xlnet", "t5", "camembert"])
def test_a_model_without_a_tokenizer_is_refused_whatever_its_family(folder, kind):
    (folder / "tokenizer.json").unlink()
    assert "holds no tokenizer (neither tokenizer.json nor a vocabulary)" in said(folder)
    edited(folder, model_type=kind)
    (folder / "special_tokens_map.json").write_text("{}")
    (folder / "added_tokens.json").write_text("{}")
    assert "holds no tokenizer" in said(folder)
    for vocabulary in ("vocab.txt", "merges.txt", "spm.model", "spiece.model", "sentencepiece.bpe.model"):
        (folder / vocabulary).write_text("a word")
        checkpoints.check_name(folder)
        (folder / vocabulary).unlink()


def test_a_tokenizer_of_characters_or_bytes_needs_no_vocabulary(folder):
    (folder / "tokenizer.json").unlink()
    settings = folder / "tokenizer_config.json"
    settings.write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    checkpoints.check_name(folder)
    settings.unlink()
    edited(folder, model_type="canine")
    checkpoints.check_name(folder)


def test_an_adapter_is_no_model_and_none_is_applied_in_silence(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    (folder / "adapter_model.safetensors").write_bytes(b"")
    assert "holds an adapter (adapter_config.json) beside a model; merge the two by PEFT's" in said(folder)
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
        assert "an adapter (adapter_config.json) without the model that it was trained on; merge" in said(folder)


def test_quantised_weights_are_refused(folder):
    edited(folder, quantization_config={"quant_method": "bitsandbytes"})
    assert "its weights are quantised, and only whole ones can be trained" in said(folder)


def test_of_a_folder_of_checkpoints_the_newest_is_named(made, tmp_path):
    for step in (500, 1500, 1000):
        shutil.copytree(made, tmp_path / "out" / f"checkpoint-{step}")
    assert said(tmp_path / "out").endswith(
        f"holds the checkpoints of a training and no model itself; give the newest, {tmp_path}/out/checkpoint-1500"
    )
    checkpoints.check_name(tmp_path / "out" / "checkpoint-1500")
    shutil.copytree(made, tmp_path / "run" / "model")
    assert said(tmp_path / "run").endswith(f"folders of models; give one of them: {tmp_path}/run/model")


@pytest.mark.parametrize("name", ["distil", "bert", "my-model", "reviews", "checkpoint-500"])
def test_a_bare_name_that_none_of_the_hubs_oldest_models_has_is_no_hub_id(name):
    assert checkpoints.hub_id(name) is None
    assert said(name).startswith(f"{name} is neither a model that comes with the workbench")


@pytest.mark.parametrize("name", ["bert-base-uncased", "distilbert-base-uncased", "gpt2", "xlm-roberta-base"])
def test_the_oldest_models_of_the_hub_have_bare_names(name):
    assert checkpoints.hub_id(name) == HubId(name)


def test_a_name_missing_from_a_folder_of_models_is_no_hub_id(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "models" / "reviews")
    assert said("models/review").endswith(
        "; this machine has models/reviews, and models/review@main is the Hub's model of this name"
    )
    assert checkpoints.hub_id("models/review@main") == HubId("models/review", None, "main")
    assert checkpoints.hub_id("google/review") == HubId("google/review")
    assert said("./models/revews").endswith("nor an existing folder; did you mean models/reviews?")
