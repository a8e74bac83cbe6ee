"""The edition `hub` with its own parameters and the Hub's real clients; on a hub of ours its names hold tiny things."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fake_hub import parquet_files, serving, tiny_model
from largemodels.data.predictions import read_predictions
from workbench.book.publish import read_edition
from workbench.core.project import Project

# Amounts, which nothing has to be learnt from here; models, data and rates are the edition's own.
SMALLER = {
    "pretraining": {
        "steps": 3,
        "pair_steps": 3,
        "held_out": 20,
        "vocabulary_size": 150,
        "labelled_sentences": 40,
        "judged_sentences": 20,
        "epochs": 1,
    },
    "fine-tuning": {},
    "domain-adaptation": {
        "labelled": 60,
        "unlabelled": 60,
        "judged": 80,
        "reading_steps": 2,
        "epochs": 1,
        "few": 10,
        "methods": ["dapt", "self-training"],
        "permutations": 2,
    },
}
BERT, SST2, WIKITEXT = "google-bert/bert-base-uncased", "nyu-mll/glue", "Salesforce/wikitext"
SUBJECTS = ("film", "plot", "cast", "story", "ending", "music", "camera", "script")
VERDICTS = {0: ("dull", "weak", "tired", "empty"), 1: ("moving", "sharp", "warm", "witty")}
LINKS = ("and", "while", "because", "although", "so", "yet")


def sentence(draw: random.Random, label: int) -> str:
    parts = [f"the {draw.choice(SUBJECTS)} of {draw.choice(SUBJECTS)} {draw.randrange(40)} was" for _ in range(2)]
    first, second = (f"{part} {draw.choice(VERDICTS[label])}" for part in parts)
    return f"{first} {draw.choice(LINKS)} {second}"


def glue(draw: random.Random) -> dict[str, bytes]:
    """SST-2 with GLUE's splits and columns; the labels of its test split are secret, which is -1."""
    splits = {}
    for split, number in (("train", 120), ("validation", 40), ("test", 20)):
        labels = [row % 2 for row in range(number)]
        sentences = [sentence(draw, label) for label in labels]
        secret = [-1] * number if split == "test" else labels
        splits[split] = {"sentence": sentences, "label": secret, "idx": list(range(number))}
    return parquet_files({"sst2": splits}, classes=["negative", "positive"])


def wikitext(draw: random.Random) -> dict[str, bytes]:
    """WikiText with its column and its headings: articles of a few paragraphs, a line each."""
    splits = {}
    for split, articles in (("train", 40), ("validation", 20), ("test", 20)):
        lines = []
        for article in range(articles):
            lines += ["", f" = {split} {article} = \n", ""]
            lines += [f" {' '.join(sentence(draw, n % 2).capitalize() + ' .' for n in range(4))} \n" for _ in range(2)]
        splits[split] = {"text": lines}
    return parquet_files({"wikitext-2-raw-v1": splits})


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub on which the edition's names are tiny, and the environment of a user of it."""
    home, draw = tmp_path_factory.mktemp("user"), random.Random(0)
    known = " ".join([*SUBJECTS, *LINKS, *VERDICTS[0], *VERDICTS[1], *map(str, range(40)), "The the of was ."])
    with serving() as served:
        served.add("models", BERT, tiny_model(home / "made", known, longest=512))
        served.add("datasets", SST2, glue(draw))
        served.add("datasets", WIKITEXT, wikitext(draw))
        yield served, {**served.environment(home), "WORKBENCH_RUNS": str(home / "runs"), "COLUMNS": "200"}


@pytest.mark.parametrize("chapter", sorted(SMALLER))
def test_the_chapter_runs_on_what_the_hub_gives_records_its_commits_and_keeps_its_answers(hub, root, tmp_path, chapter):
    served, environment = hub
    edition = read_edition(Project(root), "hub").chapters[chapter]
    parameters = tmp_path / "parameters.yml"
    parameters.write_text(yaml.safe_dump({**edition, **SMALLER[chapter]}))
    command = [sys.executable, "-m", "workbench.cli.app", "run", chapter, "-f", str(parameters)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr

    (path,) = Path(environment["WORKBENCH_RUNS"]).glob(f"{chapter}/*/run.json")
    ingredients = json.loads(path.read_text())["ingredients"]
    commits = {name: repository.commit for (_, name), repository in served.repositories.items()}
    from_hub = {name: given for name, given in edition.items() if str(given).partition(":")[0] in commits}
    expected = {name: f"{given}@{commits[given.partition(':')[0]]}" for name, given in from_hub.items()}
    recorded = {**ingredients["checkpoints"], **ingredients["data"]}
    assert expected
    assert {name: recorded[name] for name in expected} == expected
    assert set(read_predictions(path.parent / "predictions")["label"])
