"""Recorded runs hold results and the way to them, and nothing private; they say when they are no longer current."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from toy_project import Silent, edit_cell, write_chapter
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters import content as subject
from workbench.parameters.contract import load_contract
from workbench.parameters.types import coerce
from workbench.recorded.recording import as_option, record_result
from workbench.recorded.result import all_recorded, changed_since, misfit, read_recorded
from workbench.runs.keys import ingredients
from workbench.runs.runner import run_chapter
from workbench.runs.store import Run, find_run

BEGIN = "from workbench.chapter import begin\nchapter = begin()"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Project:
    """A project with a completed run that has a metric and a claim, made once."""
    project = Project(tmp_path_factory.mktemp("made"))
    record, claim = "chapter.record('double', 2 * size, low=0, high=99)", "chapter.claim('Size: size', size, above=0)"
    write_chapter(project.root, BEGIN, record, claim)
    run_chapter(project, load_contract(project, "toy"), {"size": "5", "depths": "3,4"}, Silent())
    return project


@pytest.fixture
def done(project, made) -> Run:
    """That run, in a project of the test's own."""
    for folder in ("notebooks", "runs"):
        shutil.copytree(made.root / folder, project.root / folder, dirs_exist_ok=True)
    return find_run(project, "latest")


def test_a_recorded_run_has_its_results_and_its_command(project, done):
    path = record_result(project, done, "toy-five")
    assert path == project.root / "book" / "recorded" / "toy-five" / "run.json"
    (recorded,) = all_recorded(project)
    assert recorded.command == "workbench run toy -p size=5 -p depths=3,4"
    assert recorded.record["metrics"][0]["value"] == 10
    assert recorded.record["claims"][0]["holds"]
    assert misfit(project, recorded) is None
    assert changed_since(project, recorded) == []


def test_a_changed_chapter_makes_it_stale_and_a_typo_does_not(project, done):
    record_result(project, done, "toy-five")
    recorded = read_recorded(project, "toy-five")
    path = project.notebooks / "toy.ipynb"
    edit_cell(path, "title", "# A corrected title")
    assert changed_since(project, recorded) == []
    edit_cell(path, "cell-2", "chapter.record('triple', 3 * size)")
    assert changed_since(project, recorded) == ["the code of cell cell-2 changed"]
    record = json.loads(json.dumps(recorded.record))
    record["ingredients"]["definitions"]["workbench.parameters.types:gone"] = "0"
    record["ingredients"]["versions"]["numpy"] = "1.0"
    record["ingredients"]["parameters"]["seed"] = 7
    older = type(recorded)(recorded.folder, record)
    assert "`types.gone` is not used any more" in changed_since(project, older)
    assert "parameter seed 7 → 0" in changed_since(project, older), "the default of today is another one"
    assert any(change.startswith("numpy 1.0 → ") for change in changed_since(project, older))


def test_a_command_that_the_chapter_no_longer_takes_is_named(project, done):
    record_result(project, done, "toy-five")
    write_chapter(project.root, "print(size)", parameters="size: Count = 1  # how many", read=False)
    assert "toy has no parameter depths" in misfit(project, read_recorded(project, "toy-five"))


def test_a_local_file_is_recorded_by_its_public_name_only(project, run, monkeypatch):
    text = project.root / "secret-folder" / "text.txt"
    text.parent.mkdir()
    text.write_text("One sentence stands here.\n")
    parameters = 'from workbench.types import Dataset\ncorpus: Dataset = "pydocs"  # the text'
    write_chapter(project.root, "print(open(corpus).read())", parameters=parameters, read=False)
    done, _ = run(corpus=str(text))
    with pytest.raises(RequestError, match="corpus was a local file; --public corpus="):
        record_result(project, done, "local")
    for private in (str(text), "~/text.txt", "./text.txt", " "):
        with pytest.raises(RequestError, match="is a path of this machine"):
            record_result(project, done, "local", {"corpus": private})
    monkeypatch.setenv("HF_TOKEN", "averysecretone")
    with pytest.raises(RequestError, match="--public corpus: it holds the secret of the environment variable HF_TOKEN"):
        record_result(project, done, "local", {"corpus": "text.txt?token=averysecretone"})
    with pytest.raises(RequestError, match="other was no local file"):
        record_result(project, done, "local", {"corpus": "a public text", "other": "x"})
    path = record_result(project, done, "local", {"corpus": "a public text"})
    assert "secret-folder" not in path.read_text()
    assert "One sentence" not in path.read_text()
    recorded = read_recorded(project, "local")
    assert recorded.command == "workbench run toy -p 'corpus=a public text'"
    assert len(recorded.record["ingredients"]["data"]["corpus"]) == 64
    assert misfit(project, recorded) is None
    assert changed_since(project, recorded) == []


def test_a_local_path_in_a_list_is_private_too(project, done):
    edit_cell(
        project.notebooks / "toy.ipynb",
        "parameters",
        "from workbench.types import Dataset\ncorpora: list[Dataset] = ['pydocs']  # which",
    )
    edit_cell(project.notebooks / "toy.ipynb", "cell-0", "print(corpora)")
    for cell in ("cell-2", "cell-3"):
        edit_cell(project.notebooks / "toy.ipynb", cell, "pass")
    record = json.loads((done.folder / "run.json").read_text())
    record["parameters"] = {part: {"corpora": ["pydocs", "/home/me/text.txt"]} for part in ("given", "resolved")}
    (done.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match="corpora was a local file"):
        record_result(project, find_run(project, "latest"), "local")
    path = record_result(project, find_run(project, "latest"), "local", {"corpora": "pydocs and a public text"})
    assert "/home/me" not in path.read_text()


def test_the_page_gives_the_fingerprints_of_data_models_and_predictions_that_have_a_public_name(project, done):
    from workbench.book.recorded_directive import provenance

    record_result(project, done, "local")
    recorded = read_recorded(project, "local")
    recorded.record["public"] = {"corpora": "two texts", "model": "a model"}
    recorded.record["ingredients"]["data"] = {"corpora[0]": "a" * 64, "corpora[1]": "b" * 64, "other": "c" * 64}
    recorded.record["ingredients"]["checkpoints"] = {"model": "d" * 64}
    text = provenance(recorded, []).astext()
    assert f"corpora: two texts; what was read has the fingerprint {'a' * 16}…, {'b' * 16}…." in text
    assert f"model: a model; what was read has the fingerprint {'d' * 16}…." in text
    assert "cccc" not in text


def test_what_came_from_the_hub_is_public_already_and_is_not_asked_for_again(project, done, monkeypatch):
    """The page of a recorded run is built with no network."""
    path = project.notebooks / "toy.ipynb"
    parameters = "from workbench.types import *\nmodel: Model = 'org/tiny'  # which\nsize: Count = 1  # how many"
    edit_cell(path, "parameters", parameters.replace("import *", "import Count, Model"))
    for cell in ("cell-0", "cell-1", "cell-2", "cell-3"):
        with contextlib.suppress(StopIteration):
            edit_cell(path, cell, "print(model, size)")
    record = json.loads((done.folder / "run.json").read_text())
    record["parameters"] = {"given": {}, "resolved": {"model": "org/tiny", "size": 1}}
    contract = load_contract(project, "toy")
    record["ingredients"] = {**ingredients(contract, {"size": 1}), "checkpoints": {"model": f"org/tiny@{'0' * 40}"}}
    (done.folder / "run.json").write_text(json.dumps(record))
    monkeypatch.setattr(subject.checkpoints(), "fingerprint", lambda name: pytest.fail("the Hub was asked"))
    kept = json.loads(record_result(project, find_run(project, "latest"), "tiny").read_text())
    assert kept["ingredients"]["checkpoints"] == {"model": f"org/tiny@{'0' * 40}"}
    recorded = read_recorded(project, "tiny")
    assert misfit(project, recorded) is None
    assert changed_since(project, recorded) == []


@pytest.mark.parametrize("name", ["", "Two Words", "../x", "a/b", "-a", "a--b", "x.json"])
def test_a_name_is_words_joined_by_hyphens(project, done, name):
    with pytest.raises(RequestError, match="is not a name"):
        record_result(project, done, name)
    assert not project.recorded.exists()


def test_nothing_recorded_is_replaced_unless_asked(project, done, run):
    path = record_result(project, done, "toy-five")
    before = path.read_bytes()
    other, _ = run(size="6")
    with pytest.raises(RequestError, match="recorded already"):
        record_result(project, other, "toy-five")
    assert path.read_bytes() == before
    record_result(project, other, "toy-five", replace=True)
    assert read_recorded(project, "toy-five").record["run"] == other.id


def test_of_several_who_record_under_one_name_at_once_one_wins(project, done):
    at_once, outcomes = threading.Barrier(4), []

    def record():
        at_once.wait()
        try:
            outcomes.append(record_result(project, done, "toy-five").name)
        except RequestError as refused:
            outcomes.append(str(refused))

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = "toy-five is recorded already; --replace puts this one in its place"
    assert sorted(outcomes) == ["run.json", taken, taken, taken]
    assert [path.name for path in project.recorded.iterdir()] == ["toy-five"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_record_that_is_killed_before_it_is_in_place_leaves_what_was_there_and_the_same_line_completes(
    project, done, replace
):
    if replace:
        record_result(project, done, "toy-five")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from workbench.core import files; from workbench.core.project import Project\n"
        "from workbench.recorded import recording; from workbench.runs.store import find_run\n"
        "files.put_in_place = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "project = Project(Path(sys.argv[1]))\n"
        "recording.record_result(project, find_run(project, 'latest'), 'toy-five', replace=bool(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(project.root), "yes" if replace else ""], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [each.name for each in all_recorded(project)] == ["toy-five"] * replace
    assert len(list(project.recorded.glob(".*"))) == 1
    record_result(project, done, "toy-five", replace=replace)
    assert read_recorded(project, "toy-five").record["run"] == done.id
    assert [path.name for path in project.recorded.iterdir()] == ["toy-five"]


def test_a_folder_without_a_record_is_not_taken_and_what_people_have_put_there_stays(project, done):
    folder = project.recorded / "toy-five"
    (folder / ".new-of-a-killed-process").mkdir(parents=True)
    (folder / "notes.md").write_text("mine")
    (folder / "confirmed.json").write_text("of an earlier record")
    record_result(project, done, "toy-five")
    assert sorted(path.name for path in folder.iterdir()) == ["notes.md", "run.json"]


def test_a_failed_run_is_not_recorded(project, run):
    write_chapter(project.root, "1 / 0")
    with pytest.raises(RequestError, match="only a completed run"):
        record_result(project, run()[0], "broken")


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", "[" * 100_000], ids=["", "list", "empty", "null", "deep"])
def test_a_damaged_record_is_refused_by_name(project, done, content):
    record_result(project, done, "toy-five").write_text(content)
    with pytest.raises(RequestError, match=r"book/recorded/toy-five/run\.json"):
        read_recorded(project, "toy-five")


def test_the_command_line_records(project, done, command):
    assert command("record", done.id, "Bad Name").returncode == 2
    result = command("record", "latest", "toy-five")
    assert result.returncode == 0, result.stderr
    assert "book/recorded/toy-five/run.json" in result.stdout
    assert command("record", "latest", "toy-five").returncode == 2


def test_every_record_of_this_book_still_fits_its_chapter(root):
    project = Project(root)
    assert [problem for recorded in all_recorded(project) if (problem := misfit(project, recorded))] == []


@pytest.mark.parametrize("value", [[], [1], [1, 2], True, 0.5, "text"])
def test_a_value_in_a_command_is_read_back_as_it_was(value):
    annotation = list[int] if isinstance(value, list) else type(value)
    assert coerce(annotation, as_option(value)) == value
