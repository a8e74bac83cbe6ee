"""A table of one's own, whose columns have odd names, becomes a classifier that is compared, kept and used."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import product

from workbench.runs.store import all_runs

THINGS = ["strap", "hinge", "lens", "case", "screen"]
SAID = {"keep": ["works well", "is lovely", "still holds"], "send back": ["broke early", "fell off", "is useless"]}


def test_from_a_table_to_a_prediction(project, command, root):
    with (project.root / "reviews.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["what they wrote", "verdict"])
        for day, thing, (label, phrases) in product(range(3), THINGS, SAID.items()):
            table.writerows((f"the {thing} {phrase} after {day} days of rain", label) for phrase in phrases)
    shutil.copy(root / "notebooks" / "fine-tuning.ipynb", project.root / "notebooks")
    (project.root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n- file: notebooks/fine-tuning\n"
    )
    sizes = ["-p", "labelled=48", "-p", "judged=16", "-p", "epochs=1", "-p", "studies=false", "-p", "save=true"]
    done = command("run", "fine-tuning", "-p", "dataset=reviews.csv", *sizes)
    assert done.returncode == 0, done.stderr
    (run,) = all_runs(project, "fine-tuning")
    metrics = {metric["name"]: metric for metric in run.record["metrics"]}
    assert metrics["gain_over_words"]["low"] <= metrics["gain_over_words"]["value"]
    assert not {"scratch_accuracy", "head_accuracy", "best_rate", "labels_like_words"} & set(metrics)
    shown = "".join(
        "".join(output.get("text", ""))
        for cell in json.loads(run.notebook.read_text())["cells"]
        for output in cell.get("outputs", ())
    )
    assert f'pipeline("text-classification", "runs/fine-tuning/{run.id}/model", truncation=True)' in shown
    (answer,) = json.loads(command("predict", "fine-tuning", "the strap broke early", "--json").stdout)
    assert answer["answer"] in SAID
    assert sum(answer["probabilities"].values()) > 0.999
    (judged,) = json.loads(command("evaluate", "fine-tuning", "--json").stdout)
    assert {model["model"] for model in judged["models"]} == {"pretrained", "words"}
