"""The Hub's real clients against a hub on loopback: what arrives is recorded and checked, a bad day is a sentence."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError

from fake_hub import TOKEN, FakeHub, serving, tiny_model, tiny_reviews
from largemodels.data import hub as hub_module
from largemodels.data.hub import HubError, HubId, Unreachable, parse

ADDRESS = "http://reader:password@mirror.example"

# Runs what it is given a name for, and says what came of it: the result, or the error's class and sentence.
TRY = """
import json, os, sys
from largemodels.data import corpora, hub, sources, tasks; from largemodels.models import checkpoints
def attempt(call, *given, **options):
    try:
        return call(*given, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


@pytest.fixture(scope="module")
def model_files(tmp_path_factory) -> dict[str, bytes]:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def review_files() -> dict[str, bytes]:
    return tiny_reviews()


@pytest.fixture
def hub():
    with serving() as served:
        yield served


# Names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", HubId("org/name")),
        ("bert-base-uncased", HubId("bert-base-uncased")),
        ("org/name@v1.0", HubId("org/name", None, "v1.0")),
        ("nyu-mll/glue:sst2@refs/convert/parquet", HubId("nyu-mll/glue", "sst2", "refs/convert/parquet")),
    ],
)
def test_a_hub_id_is_told_by_its_form(text, expected):
    assert parse(text) == expected
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "a/b/c", "/a/b", "../b", "a/..", "~/b", "a b/c", "a/b@", "a/b:", "a\\b", "a/b@../c", "-a/b", "a/b\n"]
)
def test_a_path_or_a_slip_is_no_hub_id(text):
    assert parse(text) is None


# Good days


def test_a_model_is_downloaded_once_and_its_commit_recorded(hub: FakeHub, model_files, tmp_path):
    repository = hub.add("models", "org/tiny", {**model_files, "pytorch_model.bin": b"a pickle", "notes.bin": b"x"})
    code = (
        TRY
        + """
from largemodels.models import loading
labels = ["bad", "good"]
told = []
found = checkpoints.resolve("org/tiny", progress=lambda *call, unit: told.append([*call, unit]))
tokenizer = loading.load_tokenizer("org/tiny")
model = loading.load_masked_lm(f"org/tiny@{found.commit}")
classifier = loading.load_classifier("org/tiny", labels, seed=0)
loading.check_fit("org/tiny", tokenizer, model)
logits = model(**tokenizer("the sum was good", return_tensors="pt")).logits
transformers = __import__("transformers")  # itself, or this would be a test of a hub that nobody has
assert transformers.AutoModel.from_pretrained("org/tiny").config.hidden_size == 16
print(json.dumps([found.hub_id, found.commit, checkpoints.fingerprint("org/tiny"), list(logits.shape),
                  classifier.config.id2label, sorted(path.name for path in found.folder.iterdir()), told]))
"""
    )
    name, commit, fingerprint, shape, labels, files, told = hub.ask(code, tmp_path)
    assert (name, commit) == ("org/tiny", repository.commit)
    assert fingerprint == f"org/tiny@{commit}"
    assert shape == [1, 6, 13]
    assert labels == {"0": "bad", "1": "good"}
    assert "model.safetensors" in files
    size = told[-1][0]
    assert size > len(model_files["model.safetensors"])
    assert told[-1] == [size, size, "downloading org/tiny", "bytes"]
    assert all(done <= size and unit == "bytes" for done, _, _, unit in told)
    assert not [file for file in files if file.endswith(".bin")]
    fetched = [request for request in hub.requests if request.endswith("/model.safetensors") and "GET" in request]
    assert len(fetched) == 1

    # The hub is gone, and everything is still there; what was pinned asks nobody.
    hub.mood = "broken"
    hub.requests.clear()
    again = f"print(json.dumps([checkpoints.resolve('org/tiny@{commit}').commit, len(sys.modules) * 0]))"
    assert hub.ask(TRY + again, tmp_path)[0] == commit
    assert hub.requests == []
    unpinned = "print(json.dumps(checkpoints.resolve('org/tiny').commit))"
    assert hub.ask(TRY + unpinned, tmp_path) == commit
    assert hub.ask(TRY + unpinned, tmp_path, HF_HUB_OFFLINE="1") == commit


def test_a_data_set_is_a_task_and_a_corpus_and_needs_no_hub_a_second_time(hub: FakeHub, review_files, tmp_path):
    repository = hub.add("datasets", "org/reviews", review_files)
    code = (
        TRY
        + """
import datasets
films = datasets.load_dataset("org/reviews", "films")["train"]  # the library itself knows this hub for one
task = tasks.load("org/reviews:films")
assert films["sentence"][:] == list(task.frames["train"]["text"])
assert films.features["label"].names == list(task.labels)
corpus = corpora.sentences("org/reviews:books")
print(json.dumps([task.labels, {split: len(frame) for split, frame in task.frames.items()},
                  task.description["source"], task.evaluation_split, corpus["library"][0], len(corpus) > 0,
                  attempt(tasks.load, "org/reviews"), attempt(tasks.load, "org/reviews:plays")]))
"""
    )
    labels, sizes, source, evaluation, library, some, which, unknown = hub.ask(code, tmp_path)
    assert labels == ["bad", "good"]
    assert sizes == {"train": 30, "validation": 10}
    assert source == f"org/reviews:films@{repository.commit} on the Hugging Face Hub"
    assert evaluation == "validation"
    assert (library, some) == ("reviews", True)
    assert which == "TaskError: org/reviews: which configuration? add one of films, books behind a colon"
    assert unknown == "TaskError: org/reviews:plays: there is no configuration plays; there is films, books"
    hub.mood = "broken"
    assert hub.ask(TRY + "print(json.dumps(tasks.load('org/reviews:films').labels))", tmp_path) == ["bad", "good"]


# Bad days


def test_what_cannot_be_had_is_one_sentence_without_a_token_and_the_cache_stays_good(
    hub: FakeHub, model_files, review_files, tmp_path
):
    config = json.loads(model_files["config.json"])
    program = json.dumps({**config, "model_type": "mine", "auto_map": {"AutoModel": "mine.Mine"}}).encode()
    hub.add("models", "org/gated", model_files, gated=True)
    hub.add("models", "org/pickled", {"config.json": model_files["config.json"], "pytorch_model.bin": b"a pickle"})
    hub.add("models", "org/program", {**model_files, "config.json": program, "mine.py": b"raise SystemExit"})
    cut = hub.add("models", "org/cut", model_files, bad={"model.safetensors": "cut"})
    wrong = hub.add("models", "org/wrong", model_files, bad={"model.safetensors": "wrong"})
    hub.add("models", "org/empty", {"README.md": b"nothing"})
    hub.add("datasets", "org/script", {"script.py": b"raise SystemExit", "README.md": b"# A program"})
    names = ["unknown", "wrong@v9", "gated", "pickled", "program", "cut", "wrong", "empty"]
    code = (
        TRY
        + f"""
said = [attempt(checkpoints.resolve, "org/" + name) for name in {names}]
said += [attempt(tasks.load, "org/script"), attempt(corpora.sentences, "org/unknown")]
print(json.dumps([said, "torch" in sys.modules]))
"""
    )
    said, _ = hub.ask(code, tmp_path, HF_TOKEN=TOKEN)
    assert f"Bearer {TOKEN}" in hub.tokens, "the token went where it belongs"
    expected = [
        "org/unknown: neither an existing file or folder nor a model that the Hub knows",
        "org/wrong@v9: the Hub knows this model, but no revision v9",
        "config.json: the Hub gives this model only to those who accepted its terms",
        "org/pickled: holds no model.safetensors, only pytorch_model.bin, which can run code when it is read",
        "org/program: needs a program that comes with it (remote code), which is never run",
        "model.safetensors: arrived incomplete, and nothing of it is used; run it again",
        "model.safetensors: arrived damaged (not what the Hub's digest says) and was removed; run it again",
        "org/empty: holds no config.json",
        "org/script: the data set is a program, and no program of others is run",
        "org/unknown: neither an existing file or folder nor a data set that the Hub knows",
    ]
    for sentence, part in zip(said, expected, strict=True):
        assert part in sentence
        assert sentence.split(":")[0] in ("CheckpointError", "TaskError", "CorpusError")
        assert "\n" not in sentence
        assert TOKEN not in sentence
        assert "http" not in sentence

    # The next day is a good one, and nothing bad was kept.
    cut.bad.clear()
    wrong.bad.clear()
    code = (
        TRY
        + """
from largemodels.models.files import parameters_in
print(json.dumps([parameters_in(checkpoints.resolve(name).folder) for name in ("org/cut", "org/wrong")]))
"""
    )
    first, second = hub.ask(code, tmp_path)
    assert first == second > 1000


@pytest.mark.parametrize(
    ("mood", "part"),
    [("broken", "the Hub answered with an error (500)"), ("silent", "the Hub did not answer in time")],
)
def test_a_hub_that_is_ill_is_named_in_bounded_time(hub: FakeHub, tmp_path, mood, part):
    hub.mood = mood
    code = (
        TRY
        + """
print(json.dumps([attempt(checkpoints.resolve, "org/tiny"), attempt(tasks.load, "org/reviews")]))
"""
    )
    for sentence in hub.ask(code, tmp_path):
        assert part in sentence
        assert "\n" not in sentence


def test_with_no_network_at_all_it_says_so_and_what_to_do(hub: FakeHub, tmp_path):
    code = (
        TRY
        + """
print(json.dumps([attempt(checkpoints.resolve, "org/tiny"), attempt(tasks.load, "org/reviews")]))
"""
    )
    for sentence in hub.ask(code, tmp_path, HF_ENDPOINT="http://127.0.0.1:9"):
        assert "not in the cache, and the Hub cannot be reached; check the network" in sentence
        assert "give a shipped name or a local file or folder" in sentence
    for sentence in hub.ask(code, tmp_path, HF_HUB_OFFLINE="1"):
        assert "HF_HUB_OFFLINE forbids asking the Hub" in sentence


@pytest.mark.parametrize(
    ("failure", "kind", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), HubError, "could not be downloaded (the disk is full)"),
        (PermissionError(errno.EACCES, "Permission denied"), HubError, "could not be downloaded (Permission denied)"),
        (KeyError(ADDRESS), HubError, "could not be read from the Hub (KeyError)"),
        (403, HubError, "the Hub refused with an error (403)"),
        (429, Unreachable, "the Hub answered with an error (429); try again later"),
        (503, Unreachable, "the Hub answered with an error (503); try again later"),
    ],
)
def test_what_the_client_or_the_disk_raises_is_one_sentence_without_an_address(failure, kind, sentence):
    if isinstance(failure, int):
        response = SimpleNamespace(status_code=failure, headers={}, request=None)
        failure = HfHubHTTPError(f"error for {ADDRESS}", response=response)
    with pytest.raises(HubError) as caught, hub_module._sentences("model", HubId("org/tiny"), "model.safetensors"):
        raise failure
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"org/tiny: model.safetensors: {sentence}")
    assert ADDRESS not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "{}"])
def test_a_damaged_note_is_no_note(tmp_path: Path, monkeypatch, content):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    note = hub_module._note("model", "org/tiny", "refs/convert/parquet")
    hub_module._write(note, content)
    assert note.read_text() == content
    assert hub_module._read_note("model", "org/tiny", "refs/convert/parquet") == {}


def test_what_another_library_left_in_the_shared_cache_is_read_without_a_hub(hub: FakeHub, model_files, tmp_path):
    repository = hub.add("models", "org/tiny", model_files)
    load = "import transformers; transformers.AutoModelForMaskedLM.from_pretrained('org/tiny'); "
    load += "transformers.AutoTokenizer.from_pretrained('org/tiny'); print(1)"
    hub.ask(load, tmp_path)
    hub.mood = "broken"
    found = "found = checkpoints.resolve('org/tiny'); print(json.dumps([found.commit, found.folder.is_dir()]))"
    assert hub.ask(TRY + found, tmp_path) == [repository.commit, True]


def test_progress_is_told_while_the_bytes_of_one_file_come(hub: FakeHub, tmp_path):
    size = 25 * 2**20
    hub.add("datasets", "org/large", {"train.txt": bytes(size)})
    code = """
told = []
names = hub.files("dataset", HubId("org/large"))
hub.download("dataset", HubId("org/large"), list(names), lambda *call, unit: told.append([*call, unit]))
print(json.dumps(told))
"""
    told = hub.ask(TRY + "from largemodels.data.hub import HubId\n" + code, tmp_path)
    done = [call[0] for call in told]
    assert done == sorted(done)
    assert len({0 < bytes_done < size for bytes_done in done}) == 2, "something was told between start and end"
    assert {tuple(call[1:]) for call in told} == {(size, "downloading org/large", "bytes")}


def test_a_file_that_was_spoilt_after_it_arrived_is_noticed_and_fetched_again(hub: FakeHub, tmp_path):
    hub.add("datasets", "org/reviews", {"train.txt": b"a line", "large.parquet": b"a table"})
    code = """
import os, time
from largemodels.data.hub import HubId
def fetch(): return hub.download("dataset", HubId("org/reviews"), ["train.txt", "large.parquet"])
first = fetch()
said = []
for name, path in first.items():
    blob = path.resolve()
    blob.write_bytes(blob.read_bytes().swapcase())
    os.utime(blob, (time.time() + 60,) * 2)
    said += [attempt(fetch), path.exists()]
print(json.dumps([said, [path.read_text() for path in fetch().values()]]))
"""
    said, contents = hub.ask(TRY + code, tmp_path)
    assert [part if isinstance(part, bool) else part.split(": ")[3][:15] for part in said] == [
        *("arrived damaged", False),
        *("arrived damaged", False),
    ]
    assert contents == ["a line", "a table"]
