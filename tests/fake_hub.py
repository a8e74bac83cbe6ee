"""A hub on loopback that speaks as much of the Hub's HTTP as its real clients need, and can have bad days.

`serving()` starts one; `add` puts a repository on it. Clients read `HF_ENDPOINT` when they are imported, so that they
run in a process of their own: `ask` runs code there and returns what it prints.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_API = re.compile(r"/api/(models|datasets)/(.+?)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")
_FILE = re.compile(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)")
_LARGE = (".safetensors", ".parquet", ".bin")
TOKEN = "hf_thisIsASecretThatNobodyMayRead"
SUBJECTS = ("film", "plot", "cast", "story", "ending", "music", "camera", "script")
VERDICTS = {0: ("dull", "weak", "tired", "empty"), 1: ("moving", "sharp", "warm", "witty")}
LINKS = ("and", "while", "because", "although", "so", "yet")
FILM_WORDS = " ".join([*SUBJECTS, *LINKS, *VERDICTS[0], *VERDICTS[1], *map(str, range(40)), "The the of was ."])


@dataclass
class Repository:
    """Files at one commit, and what is wrong with them.

    A gated one is given to nobody, a private one is shown to `TOKEN` only, and `bad` maps a file to "cut" or "wrong".
    """

    files: dict[str, bytes]
    gated: bool = False
    private: bool = False
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        content = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        return hashlib.sha1(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def facts(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        sha256 = hashlib.sha256(data).hexdigest()
        lfs = {"oid": sha256, "sha256": sha256, "size": len(data), "pointerSize": 130}
        return {"size": len(data), "oid": blob, "blobId": blob} | ({"lfs": lfs} if name.endswith(_LARGE) else {})

    def etag(self, name: str) -> str:
        facts = self.facts(name)
        return facts["lfs"]["sha256"] if "lfs" in facts else facts["oid"]

    def sent(self, name: str) -> bytes:
        data = self.files[name]
        fault = self.bad.get(name)
        return data[: len(data) // 2] if fault == "cut" else bytes(len(data)) if fault == "wrong" else data


class FakeHub:
    """Repositories by kind ("models", "datasets") and id. `mood` is "well", "broken" (500) or "silent"."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.mood = "well"
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self.awake = threading.Event()  # ends the silence when the server stops
        self.url = ""

    def add(self, kind: str, name: str, files: dict[str, bytes], **facts: Any) -> Repository:
        repository = Repository(files, **facts)
        self.repositories[kind, name] = repository
        return repository

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of a client that knows this hub only, and keeps what it gets under `home`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return {
            **kept,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home / "hf"),
            "WORKBENCH_CACHE": str(home / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_ETAG_TIMEOUT": "2",
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "NO_PROXY": "127.0.0.1",
        }

    def ask(self, code: str, home: Path, **environment: str) -> Any:
        """What a Python program with these lines prints last, as JSON."""
        env = {**self.environment(home), **environment}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=240)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def serving() -> Iterator[FakeHub]:
    """A hub that answers until the block ends."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.awake.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path = url.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.tokens.add(self.headers.get("Authorization") or "")
        if self.hub.mood == "silent":
            self.hub.awake.wait(30)
            self.close_connection = True
        elif self.hub.mood == "broken":
            self._send(500, b"{}")
        elif match := _API.fullmatch(path):
            self._api(*match.groups(), query=parse_qs(url.query), form=parse_qs(body.decode(errors="replace")))
        elif match := _FILE.fullmatch(path):
            self._file(*match.groups())
        else:
            self._send(404, b"{}")

    def _found(self, kind: str, name: str, revision: str | None) -> Repository | None:
        repository = self.hub.repositories.get((kind, name))
        if repository is None or (repository.private and TOKEN not in (self.headers.get("Authorization") or "")):
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return None
        if revision and unquote(revision) not in ("main", repository.commit):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return None
        return repository

    def _api(
        self,
        kind: str,
        name: str,
        what: str | None,
        revision: str | None,
        under: str | None,
        *,
        query: dict,
        form: dict,
    ) -> None:
        repository = self._found(kind, name, revision)
        if repository is None:
            return
        entries = [{"type": "file", "path": file, **repository.facts(file)} for file in sorted(repository.files)]
        folders = {str(parent) for file in repository.files for parent in PurePosixPath(file).parents} - {"."}
        entries += [{"type": "directory", "path": folder, "oid": "0" * 40} for folder in sorted(folders)]
        if what == "paths-info":
            self._json([entry for entry in entries if entry["path"] in form.get("paths", [])])
        elif what == "tree":
            above = PurePosixPath(unquote(under or ""))
            deep = query.get("recursive") in (["true"], ["True"], ["1"])
            paths = [(entry, PurePosixPath(entry["path"])) for entry in entries]
            self._json([entry for entry, path in paths if (above in path.parents if deep else above == path.parent)])
        else:
            siblings = [{"rfilename": entry["path"], **entry} for entry in entries if entry["type"] == "file"]
            facts = {"id": name, "sha": repository.commit, "private": False, "gated": repository.gated, "tags": []}
            self._json({**facts, "siblings": siblings, "downloads": 0, "likes": 0, "_id": "0"})

    def _file(self, dataset: str | None, name: str, revision: str, file: str) -> None:
        repository = self._found("datasets" if dataset else "models", name, revision)
        if repository is None:
            return
        if repository.gated:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif (file := unquote(file)) not in repository.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit})
        else:
            size = len(repository.files[file])
            data = repository.files[file] if self.command == "HEAD" else repository.sent(file)
            start = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
            headers = {
                "X-Repo-Commit": repository.commit,
                "ETag": f'"{repository.etag(file)}"',
                "X-Linked-Size": str(size),
            }
            if start:
                headers["Content-Range"] = f"bytes {start[1]}-{size - 1}/{size}"
            self._send(206 if start else 200, data[int(start[1]) if start else 0 :], headers)

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)


def tiny_model(folder: Path, known: str = "the sum of two arrays was good bad", longest: int = 32) -> dict[str, bytes]:
    """The files, made in `folder`, of a BERT of two layers of sixteen and a tokenizer that knows these words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(known.split())]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, **names).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    BertForMaskedLM(BertConfig(vocab_size=len(words), max_position_embeddings=longest, **shape)).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tiny_decoder(folder: Path, text: str, longest: int = 64, tokens: int = 280) -> dict[str, bytes]:
    """The files, made in `folder`, of a GPT-2 of two layers of sixteen, and a byte-level tokenizer learnt on a text."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from largemodels.generation.tokenization import train_tokenizer

    tokenizer = train_tokenizer([text], tokens, max_length=longest)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"n_layer": 2, "n_embd": 16, "n_head": 2, "n_positions": longest, "vocab_size": len(tokenizer)}
    end = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    GPT2LMHeadModel(GPT2Config(**shape, **end)).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tiny_reviews() -> dict[str, bytes]:
    """The files of a data set with two configurations, two splits, and names of labels."""

    def rows(config: str, split: str, number: int) -> dict[str, list]:
        sentences = [f"{config} number {row} of {split} was {'good' if row % 2 else 'bad'}" for row in range(number)]
        return {"sentence": sentences, "label": [row % 2 for row in range(number)]}

    configs = {
        config: {split: rows(config, split, number) for split, number in (("train", 30), ("validation", 10))}
        for config in ("films", "books")
    }
    return parquet_files(configs, classes=["bad", "good"])


def film_sentence(draw: random.Random, label: int) -> str:
    """A sentence on a film whose verdicts are the label's: 0 is bad, 1 good."""
    parts = [f"the {draw.choice(SUBJECTS)} of {draw.choice(SUBJECTS)} {draw.randrange(40)} was" for _ in range(2)]
    first, second = (f"{part} {draw.choice(VERDICTS[label])}" for part in parts)
    return f"{first} {draw.choice(LINKS)} {second}"


def tiny_glue(draw: random.Random, train: int = 120, validation: int = 40) -> dict[str, bytes]:
    """The files of SST-2 with GLUE's splits and columns; the labels of its test split are secret, which is -1."""
    splits = {}
    for split, number in (("train", train), ("validation", validation), ("test", 20)):
        labels = [row % 2 for row in range(number)]
        sentences = [film_sentence(draw, label) for label in labels]
        secret = [-1] * number if split == "test" else labels
        splits[split] = {"sentence": sentences, "label": secret, "idx": list(range(number))}
    return parquet_files({"sst2": splits}, classes=["negative", "positive"])


def parquet_files(configs: dict[str, dict[str, dict[str, list]]], classes: list[str] | None = None) -> dict[str, bytes]:
    """The files of a data set as the Hub keeps them: for each configuration and split a Parquet file, and a README.

    Args:
        configs: columns by configuration and split.
        classes: names of the classes that the column "label" has, where there is one.
    """
    import io

    import datasets

    files, described = {}, []
    for config, splits in configs.items():
        entries = []
        for split, columns in splits.items():
            table = datasets.Dataset.from_dict(columns)
            if classes:
                table = table.cast_column("label", datasets.ClassLabel(names=classes))
            opened = io.BytesIO()
            table.to_parquet(opened)
            files[f"{config}/{split}-00000-of-00001.parquet"] = opened.getvalue()
            entries.append(f"  - split: {split}\n    path: {config}/{split}-*\n")
        described.append(f"- config_name: {config}\n  data_files:\n{''.join(entries)}")
    files["README.md"] = f"---\nconfigs:\n{''.join(described)}---\n# A data set\n".encode()
    return files
