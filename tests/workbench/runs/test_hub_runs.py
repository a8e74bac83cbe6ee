"""Runs whose model and data come from a hub: the commit is recorded, the chapter gets just that, and is reused."""

from __future__ import annotations

import json

import pytest

from fake_hub import TOKEN, FakeHub, serving, tiny_model, tiny_reviews
from toy_project import write_chapter

PARAMETERS = """\
from workbench.types import Dataset, Model

model: Model = "org/tiny"  # which model
dataset: Dataset = "org/reviews:films"  # which data
"""
LOAD = """\
from largemodels.data import tasks; from largemodels.models import loading
task = tasks.load(dataset)
classifier = loading.load_classifier(model, task.labels)
chapter.record("hidden_size", classifier.config.hidden_size)
chapter.record("rows", len(task.frames["train"]))
print(model, dataset, "HF_TOKEN" in __import__("os").environ)"""


@pytest.fixture
def hub():
    with serving() as served:
        yield served


def test_a_run_records_the_commits_and_is_reused_until_the_hub_moves_on(hub: FakeHub, project, workbench, tmp_path):
    files = tiny_model(tmp_path / "made")
    model = hub.add("models", "org/tiny", files, private=True)
    data = hub.add("datasets", "org/reviews", tiny_reviews())
    write_chapter(
        project.root, "from workbench.chapter import begin\nchapter = begin()", LOAD, parameters=PARAMETERS, read=False
    )
    environment = {**hub.environment(tmp_path), "HF_TOKEN": TOKEN}

    first = workbench("run", "toy", **environment)
    assert first.returncode == 0, first.stderr
    (folder,) = project.runs.glob("toy/*/run.json")
    record = json.loads(folder.read_text())
    pinned = (f"org/tiny@{model.commit}", f"org/reviews:films@{data.commit}")
    assert record["ingredients"]["checkpoints"] == {"model": pinned[0]}
    assert record["ingredients"]["data"] == {"dataset": pinned[1]}
    assert record["parameters"]["resolved"] == {"model": "org/tiny", "dataset": "org/reviews:films"}
    assert {metric["name"]: metric["value"] for metric in record["metrics"]} == {"hidden_size": 16, "rows": 30}
    executed = next(folder.parent.glob("*.ipynb")).read_text()
    assert f"{pinned[0]} {pinned[1]} False" in executed, "the chapter got the commits, and no token"

    hub.requests.clear()
    second = workbench("run", "toy", **environment)
    assert second.returncode == 0, second.stderr
    assert len(list(project.runs.glob("toy/*/run.json"))) == 1, "the first run was reused"
    assert not [request for request in hub.requests if "/resolve/" in request]

    hub.mood = "broken"
    assert json.loads(workbench("status", "--json", **environment).stdout)[0]["state"] == "current"
    hub.mood = "well"
    model.files["README.md"] = b"A new commit."
    status = json.loads(workbench("status", "--json", **environment).stdout)[0]
    assert (status["state"], status["reasons"]) == ("stale", ["model: model changed"])


def test_what_the_request_shows_ends_with_2_and_what_the_hub_shows_with_1(hub: FakeHub, project, workbench, tmp_path):
    write_chapter(project.root, "print(model, dataset)", parameters=PARAMETERS, read=False)
    hub.add("datasets", "org/reviews", tiny_reviews())
    hub.add("models", "org/pickled", {"config.json": b"{}", "pytorch_model.bin": b"a pickle"})
    environment = {**hub.environment(tmp_path), "HF_TOKEN": TOKEN}
    slip = workbench("run", "toy", "-p", "dataset=pydocz", "-p", "model=./missing", **environment)
    assert slip.returncode == 2
    assert "did you mean pydocs?" in slip.stderr
    assert hub.requests == [], "nobody was asked"
    for name, sentence in (
        ("org/unknown", "nor a model that the Hub knows"),
        ("org/pickled", "holds no model.safetensors, only pytorch_model.bin"),
    ):
        refused = workbench("run", "toy", "-p", f"model={name}", **environment)
        assert refused.returncode == 1
        assert sentence in " ".join(refused.stderr.split())
        assert "Traceback" not in refused.stderr
        assert TOKEN not in refused.stderr + refused.stdout
    assert not list(project.runs.glob("toy/*/run.json"))
