"""`workbench model` prints what a chapter would take of a model, and refuses what a chapter would refuse."""

from __future__ import annotations

import json
import shutil

import pytest

from fake_hub import tiny_model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "reviews"
    folder.mkdir()
    tiny_model(folder)
    return folder


def test_a_model_is_described_in_lines_and_as_json(command, made):
    done = command("model", str(made), "--labels", "no, yes")
    assert done.returncode == 0
    assert "longest text 32 tokens: its table of positions has 32 rows\n" in done.stdout
    assert "head         new, because the files hold none for classes of texts\n" in done.stdout
    assert done.stdout.endswith("-p max_length=32  reads texts as long as the model can; a smaller one is faster\n")
    told = json.loads(command("model", str(made), "--json").stdout)
    assert told["source"] == str(made)
    assert told["description"]["family"] == "bert, as BertModel"
    assert list(told["suggestions"]) == ["-p max_length=32"]


def test_what_a_chapter_would_refuse_is_refused_by_the_same_sentence(command, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "reviews")
    (folder / "tokenizer.json").rename(folder / "elsewhere")
    requests = {
        ("distil",): "distil is neither a model that comes with the workbench",
        (str(folder),): "holds no tokenizer (neither tokenizer.json nor a vocabulary)",
        (str(made), "--labels", "yes"): "--labels yes: expected two or more different names, separated by commas",
        (str(made), "--labels", "yes,"): "--labels yes,: expected two or more different names, separated by commas",
    }
    for request, sentence in requests.items():
        done = command("model", *request)
        assert (done.returncode, done.stdout) == (2, "")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_only_loading_shows_is_one_sentence_and_exit_code_1(command, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "reviews")
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "vocab_size": 9}))
    done = command("model", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert "config.json and the weights disagree on the shape of " in done.stderr
    assert done.stderr.count("\n") == 1
