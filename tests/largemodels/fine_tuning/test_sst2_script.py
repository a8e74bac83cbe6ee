"""The script that everyone meets first, BERT on SST-2, as the chapter prints it: what stops it, and what runs today."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest
from transformers import BertConfig, BertForSequenceClassification

from fake_hub import FILM_WORDS, FakeHub, serving, tiny_glue, tiny_model
from largemodels.models.cost import count_flops

ROOT = Path(__file__).parents[3]
SST2 = ROOT.parent / "shared" / "data" / "sst2"
BERT, GLUE = "google-bert/bert-base-uncased", "nyu-mll/glue"


def cells() -> dict[str, str]:
    """The sources of the chapter's cells by their ids."""
    notebook = json.loads((ROOT / "notebooks" / "fine-tuning.ipynb").read_text(encoding="utf-8"))
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


def script(cell: str) -> str:
    """The Python that a cell of text prints."""
    (block,) = re.findall(r"```python\n(.*?)```", cells()[cell], flags=re.DOTALL)
    return block


def stops() -> list[tuple[str, str, str]]:
    """The rows of the chapter's table: the line that stops the script, the message, and the line of today."""
    rows = [re.findall(r"`([^`]+)`", row) for row in cells()["script-stops"].splitlines() if row.startswith("| `")]
    return [(line, message, today) for line, message, today in rows]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with a tiny BERT and a tiny SST-2, under their names and under the old ones that the Hub still answers."""
    files = tiny_model(tmp_path_factory.mktemp("made"), FILM_WORDS, longest=512)
    data = tiny_glue(random.Random(0), train=48, validation=16)
    with serving() as served:
        for model, dataset in ((BERT, GLUE), (BERT.split("/")[1], GLUE.split("/")[1])):
            served.add("models", model, files)
            served.add("datasets", dataset, data)
        yield served


def run(hub: FakeHub, folder: Path, code: str) -> str:
    """What a program prints that runs in this folder, and knows this hub only."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "program.py"]
    environment = hub.environment(folder)
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Runs the script, and again after each line that stops it is mended, as long as there are lines to mend.
MENDING = """
import json
script, stops, met, heads = json.loads({given!r}), {stops!r}, [], []
while True:
    names = {{}}
    try:
        exec(script, names)
    except Exception as error:
        met.append(f"{{type(error).__name__}}: {{error}}")
        line, _, today = stops[len(met) - 1]
        assert script.count(line) == 1, line
        script = script.replace(line, today)
    else:
        break
for _ in range(2):
    exec(script[script.index("model = ") : script.index("args = ")], names)
    heads.append(names["model"].classifier.weight.tolist())
history = [sorted(entry) for entry in names["trainer"].state.log_history]
widths = sorted({{len(ids) for ids in names["tokenized"]["train"]["input_ids"]}})
secret = sorted(set(names["tokenized"]["test"]["label"]))
print(json.dumps({{"met": met, "history": history, "heads": heads, "widths": widths, "secret": secret}}))
"""


def test_the_usual_script_stops_with_the_messages_that_the_chapter_names_and_then_prints_only_a_loss(hub, tmp_path):
    given, named = script("script"), stops()
    code = MENDING.format(given=json.dumps(given), stops=named)
    found = json.loads(run(hub, tmp_path, code).splitlines()[-1])
    assert len(named) == 3
    for met, (_, message, _) in zip(found["met"], named, strict=True):
        kind, ending = message.split(": ", 1)
        assert met.startswith(f"{kind}: ")
        assert met.rstrip().endswith(ending.removeprefix("… "))
    evaluations = [entry for entry in found["history"] if "eval_loss" in entry]
    assert len(evaluations) == 3
    assert not [name for entry in evaluations for name in entry if "accuracy" in name]
    assert found["widths"] == [512]
    assert found["secret"] == [-1]
    first, second = found["heads"]
    assert first != second, "the seed is set after the head is drawn"


def test_the_script_of_today_runs_as_it_is_printed_and_says_its_accuracy_with_count_interval_and_commits(hub, tmp_path):
    printed = run(hub, tmp_path, script("script-today"))
    repositories = hub.repositories
    assert f"{BERT}@{repositories['models', BERT].commit}\n" in printed
    assert f"{GLUE}:sst2@{repositories['datasets', GLUE].commit}\n" in printed
    assert len(re.findall(r"'eval_accuracy'", printed)) == 3, "after each epoch, of what is held back"
    said = re.search(r"^accuracy (\S+) \((\d+)/(\d+); 95% interval (\S+) to (\S+)\)$", printed, flags=re.MULTILINE)
    right, n = int(said[2]), int(said[3])
    interval = binomtest(right, n).proportion_ci(method="wilson")
    assert n == 16
    assert (said[1], said[4], said[5]) == (f"{right / n:.3f}", f"{interval.low:.3f}", f"{interval.high:.3f}")
    kept = {path.name for path in (tmp_path / "sst2-bert").iterdir()}
    assert {"model.safetensors", "tokenizer.json"} <= kept
    assert json.loads((tmp_path / "sst2-bert" / "config.json").read_text())["id2label"]["1"] == "positive"


@pytest.mark.parametrize("width", [16, 128, 512])
def test_the_chapters_count_of_operations_is_the_profilers(width):
    """Up to a hundredth: the pooler and the head, which the formula leaves out, beside two layers."""
    names: dict = {}
    exec(cells()["script-operations"].partition("\n\n\n")[0], names)
    layers, d = 2, 768
    with torch.device("meta"):
        bert = BertForSequenceClassification(BertConfig(num_hidden_layers=layers))
        ids = torch.zeros(2, width, dtype=torch.long)
    counted = count_flops(lambda: bert(input_ids=ids, labels=ids[:, 0]).loss.backward()) / len(ids)
    assert names["operations"](width, layers, d) == pytest.approx(counted, rel=1e-2)


@pytest.mark.skipif(not SST2.is_dir(), reason="the real data sets are not here")
def test_most_phrases_that_sst2_could_hold_back_stand_inside_another_and_its_validation_sentences_do_not():
    train, validation = (
        pd.read_csv(SST2 / f"{name}.tsv", sep="\t", quoting=3)["sentence"].str.strip()
        for name in ("train", "validation")
    )
    held_back = np.random.default_rng(0).random(len(train)) < 0.01
    others = "\n".join(f" {phrase} " for phrase in train[~held_back])
    assert np.mean([f" {phrase} " in others for phrase in train[held_back]]) > 0.8
    assert np.mean([f" {phrase} " in others for phrase in validation]) < 0.01
