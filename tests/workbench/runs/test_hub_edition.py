"""The edition `hub` and a kept file of parameters, with the Hub's real clients; on a hub of ours all is tiny."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys

import pytest
import yaml

from amounts import COMPRESSION, GENERATION, SCALING
from fake_hub import FILM_WORDS, film_sentence, parquet_files, serving, tiny_decoder, tiny_glue, tiny_model
from largemodels.base.cache import cache_folder
from largemodels.data.corpora import sentences
from largemodels.data.predictions import read_predictions
from workbench.book.publish import read_edition
from workbench.core.project import Project
from workbench.kernels.warm import warm_kernels

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
    "generation": GENERATION,
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
    "compression": COMPRESSION | {"group": 16, "factor_rank": 4},
    "scaling": SCALING,
}
WITHOUT_ANSWERS = ("compression", "scaling")  # which keep none
BERT, GPT2 = "google-bert/bert-base-uncased", "openai-community/gpt2"
SST2, WIKITEXT = "nyu-mll/glue", "Salesforce/wikitext"


def wikitext(draw: random.Random) -> dict[str, bytes]:
    """WikiText with its column and its headings: articles of a few paragraphs, a line each."""
    splits = {}
    for split, articles in (("train", 40), ("validation", 20), ("test", 20)):
        lines = []
        for article in range(articles):
            lines += ["", f" = {split} {article} = \n", ""]
            lines += [
                f" {' '.join(film_sentence(draw, n % 2).capitalize() + ' .' for n in range(4))} \n" for _ in range(2)
            ]
        splits[split] = {"text": lines}
    return parquet_files({"wikitext-2-raw-v1": splits})


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub on which the edition's names are tiny, in the environment of a user of it who has built the corpus."""
    home, draw = tmp_path_factory.mktemp("user"), random.Random(0)
    sentences("pydocs")
    (home / "cache").mkdir()
    for kept in cache_folder().glob("pydocs-*"):
        shutil.copy(kept, home / "cache")
    with serving() as served:
        served.add("models", BERT, tiny_model(home / "made", FILM_WORDS, longest=512))
        served.add("models", GPT2, tiny_decoder(home / "decoder", FILM_WORDS, longest=512, tokens=390))
        served.add("datasets", SST2, tiny_glue(draw))
        served.add("datasets", WIKITEXT, wikitext(draw))
        with pytest.MonkeyPatch.context() as patched:  # the kernels' libraries read the hub's address when imported
            given = {**served.environment(home), "COLUMNS": "200"}
            for name in os.environ.keys() - given.keys():
                patched.delenv(name)
            for name, value in given.items():
                patched.setenv(name, value)
            with warm_kernels(["sklearn", "transformers", "datasets"]):
                yield served


@pytest.mark.parametrize("chapter", [*sorted(SMALLER), "fine-tuning with sst2-bert.yml"])
def test_the_chapter_runs_on_what_the_hub_gives_records_its_commits_and_keeps_its_answers(hub, root, tmp_path, chapter):
    chapter, _, kept = chapter.partition(" with ")
    if kept:
        parameters = root / "notebooks" / "params" / kept
        given = yaml.safe_load(parameters.read_text())
    else:
        parameters, given = tmp_path / "parameters.yml", read_edition(Project(root), "hub").chapters[chapter]
        parameters.write_text(yaml.safe_dump({**given, **SMALLER[chapter]}))
    command = [sys.executable, "-m", "workbench.cli.app", "run", chapter, "-f", str(parameters)]
    environment = {**os.environ, "WORKBENCH_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr

    (path,) = (tmp_path / "runs").glob(f"{chapter}/*/run.json")
    ingredients = json.loads(path.read_text())["ingredients"]
    commits = {name: repository.commit for (_, name), repository in hub.repositories.items()}
    from_hub = {name: value for name, value in given.items() if str(value).partition(":")[0] in commits}
    expected = {name: f"{value}@{commits[value.partition(':')[0]]}" for name, value in from_hub.items()}
    recorded = {**ingredients["checkpoints"], **ingredients["data"]}
    assert expected
    assert {name: recorded[name] for name in expected} == expected
    if chapter not in WITHOUT_ANSWERS:
        assert set(read_predictions(path.parent / "predictions")["label"])
