"""A tiny model in a folder, which the tests of names and of loading share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fake_hub import tiny_model


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    tiny_model(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A model's folder of the test's own."""
    return Path(shutil.copytree(made, tmp_path / "model"))
