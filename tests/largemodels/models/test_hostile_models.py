"""A model's folder that cannot be loaded safely is one sentence within seconds, before anything is computed."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from hostile import NESTED, SPECIAL, another_user, seconds, sparse
from largemodels.models import checkpoints
from largemodels.models.checkpoints import CheckpointError

PART = "model-00001-of-00002.safetensors"
OTHER = "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def header(length: int, text: bytes = b"") -> bytes:
    """The start of a file of safetensors: the length that its header says, and the header."""
    return length.to_bytes(8, "little") + text


def whole(text: str, more: bytes = b"") -> bytes:
    return header(len(text.encode()), text.encode()) + more


def model(folder: Path) -> Path:
    """A folder with the files of a model of one tensor."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer.json").write_text("{}")
    save_file({"a": np.zeros((2, 3), np.float32)}, folder / "model.safetensors")
    return folder


def in_parts(folder: Path, *, index: str | None = None) -> Path:
    """A model whose weights are in two files."""
    model(folder)
    (folder / "model.safetensors").rename(folder / PART)
    save_file({"b": np.zeros(3, np.float32)}, folder / OTHER)
    (folder / INDEX).write_text(index or json.dumps({"metadata": {}, "weight_map": {"a": PART, "b": OTHER}}))
    return folder


def refused(folder: Path, part: str = "") -> None:
    for asked in (checkpoints.check_name, checkpoints.fingerprint, checkpoints.resolve):
        with seconds(), pytest.raises(CheckpointError) as caught:
            asked(str(folder))
        assert str(caught.value).startswith(f"{folder}: ")
        assert part in str(caught.value)
        assert "\n" not in str(caught.value)


def put(path: Path, content: Callable | bytes | str) -> None:
    path.unlink(missing_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


PROGRAM = {"auto_map": {"AutoModel": "mine.Mine"}}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        *((make, "its config.json cannot be read (") for make in (*SPECIAL.values(), sparse)),
        *((text, "its config.json cannot be read (") for text in ("[]", "null", "7", '"bert"', "", "{", NESTED)),
        ('{"a": ' + NESTED + "}", "its config.json cannot be read ("),
        (b"\xff\xfe{", "its config.json cannot be read ("),
        *(
            (json.dumps({**PROGRAM, **kind}), "needs a program that comes with it (remote code), which is never run")
            for kind in ({}, {"model_type": "mine"}, {"model_type": ["bert"]}, {"model_type": 7}, {"model_type": ""})
        ),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, content, part):
    folder = model(tmp_path / "model")
    put(folder / "config.json", content)
    refused(folder, part)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "deberta-v2", "modernbert", "gpt2", "openai-gpt"])
def test_a_program_is_no_hindrance_where_transformers_knows_the_type(tmp_path, kind):
    folder = model(tmp_path / "model")
    put(folder / "config.json", json.dumps({**PROGRAM, "model_type": kind}))
    assert checkpoints.resolve(folder).folder == folder


TENSOR = '{"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}'
WEIGHTS = {
    **SPECIAL,
    "empty": b"",
    "seven bytes": b"1234567",
    "a header of 2 ** 63 bytes": header(2**63),
    "a header longer than the file": header(1000, b"{}"),
    "a header that is no JSON": whole("no JSON"),
    "a header that is a list": whole("[]"),
    "a header that is nested": whole(NESTED),
    "a header of 94 MiB": whole("{" + " " * 94 * 2**20 + "}"),
    "tensors cut off": whole(TENSOR, bytes(23)),
    "bytes without a tensor": whole(TENSOR, bytes(25)),
    "offsets beyond": whole(TENSOR.replace("24]", "1000]"), bytes(24)),
    "a shape that overflows": whole(TENSOR.replace("[2, 3]", f"[{2**62}, {2**62}]"), bytes(24)),
    "a negative shape": whole(TENSOR.replace("[2, 3]", "[-2, -3]"), bytes(24)),
    "a pickle": pickle.dumps({"a": [1.0] * 100}),
    "3 GB of nothing": sparse,
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_cannot_be_loaded_are_refused(tmp_path, kind):
    folder = model(tmp_path / "model")
    put(folder / "model.safetensors", WEIGHTS[kind])
    refused(folder, "model.safetensors")
    folder = in_parts(tmp_path / "parts")
    put(folder / OTHER, WEIGHTS[kind])
    refused(folder, OTHER)


def index(**weights: object) -> str:
    return json.dumps({"metadata": {}, "weight_map": weights})


@pytest.mark.parametrize(
    "content",
    [
        *SPECIAL.values(),
        sparse,
        *("", "[]", "null", "{}", NESTED, '{"weight_map": 7}', '{"weight_map": [7]}', '{"weight_map": ' + NESTED + "}"),
        index(a=PART, b="model-00003-of-00003.safetensors"),
        index(a=PART, b="../outside.safetensors"),
        index(a=PART, b="../model-00002-of-00002.safetensors"),
        index(a=PART, b="/dev/zero"),
        index(a=PART, b="pytorch_model.bin"),
        index(a=PART, b=7),
        index(a=PART, b=[OTHER]),
        index(),
    ],
)
def test_an_index_that_leads_nowhere_or_outside_is_refused(tmp_path, content):
    folder = in_parts(tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (tmp_path / "outside.safetensors").write_bytes((folder / OTHER).read_bytes())
    (tmp_path / OTHER).write_bytes((folder / OTHER).read_bytes())
    put(folder / INDEX, content)
    refused(folder, INDEX)


def test_parts_without_an_index_are_refused(tmp_path):
    folder = in_parts(tmp_path / "model")
    (folder / INDEX).unlink()
    refused(folder, INDEX)


def test_weights_in_parts_are_found_and_an_index_that_is_not_used_is_no_hindrance(tmp_path):
    assert checkpoints.resolve(in_parts(tmp_path / "parts")).folder == tmp_path / "parts"
    folder = model(tmp_path / "model")
    (folder / INDEX).write_text(index(a="missing.safetensors"))
    assert checkpoints.resolve(folder).folder == folder


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "generation_config.json", "chat_template.jinja"])
@pytest.mark.parametrize("make", [*SPECIAL.values(), sparse])
def test_what_is_loaded_beside_the_weights_must_be_files(tmp_path, name, make):
    folder = model(tmp_path / "model")
    put(folder / name, make)
    refused(folder, f"its {name} cannot be read (")


@pytest.mark.parametrize("make", [*SPECIAL.values(), sparse])
def test_what_is_not_loaded_may_be_anything(tmp_path, make):
    folder = model(tmp_path / "model")
    before = checkpoints.fingerprint(folder)
    for name in ("README.md", "pytorch_model.bin", "onnx"):
        put(folder / name, make)
    with seconds():
        assert checkpoints.fingerprint(folder) == before


@pytest.mark.parametrize("place", [".", "config.json", "tokenizer.json", "model.safetensors"])
def test_what_may_not_be_read_is_refused(place):
    with another_user() as home:
        folder = model(home / "model")
        (folder / place).chmod(0)
        refused(folder, "Permission denied")
        folder.chmod(0o700)


@pytest.mark.parametrize("name", ["a" * 300, "~nobody-of-this-name/model", "a\0", "closed/model"])
def test_what_can_be_no_path_is_refused(name, monkeypatch):
    with another_user() as home:
        (home / "closed").mkdir(mode=0)
        monkeypatch.chdir(home)
        for asked in (checkpoints.check_name, checkpoints.fingerprint, checkpoints.resolve):
            with pytest.raises(CheckpointError):
                asked(f"./{name}" if name[0] in "ac" else name)
        monkeypatch.undo()


def test_names_are_checked_in_milliseconds(tmp_path):
    folder = model(tmp_path / "model")
    for number in range(100):
        save_file({"a": np.zeros((2, 3), np.float32)}, folder / f"model-{number:05}-of-00100.safetensors")
    start = time.perf_counter()
    checkpoints.check_name(folder)
    assert time.perf_counter() - start < 0.5
