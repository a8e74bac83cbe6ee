"""A name stands for the model that was meant, or for one sentence, and its fingerprint follows the model's files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from largemodels.data.hub import HubId
from largemodels.models import checkpoints
from largemodels.models.checkpoints import CheckpointError


@pytest.fixture
def shelf(made, tmp_path, monkeypatch) -> Path:
    """A shelf with one shipped model."""
    monkeypatch.setattr(checkpoints, "WEIGHTS_FOLDER", tmp_path / "weights")
    return Path(shutil.copytree(made, tmp_path / "weights" / "pydocs-small"))


def test_what_lies_on_the_shelf_is_shipped(shelf):
    (shelf.parent / "notes").mkdir()
    assert checkpoints.shipped() == ("pydocs-small",)
    assert checkpoints.resolve("pydocs-small").folder == shelf
    assert checkpoints.resolve("pydocs-small").commit is None


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
