"""What a chapter itself refuses ends its run, on the command line, in one sentence and before anything is trained."""

from __future__ import annotations

import json
import random
import shutil

import numpy as np
import pandas as pd
import pytest

from largemodels.data.predictions import predictions_table
from workbench.book.contents import with_chapter

pytestmark = pytest.mark.usefixtures("warm_stack")
# The recorded results that are defaults of a chapter's parameters, and a cell that must not be reached.
CHAPTERS = {
    "pretraining": ((), "training-run"),
    "generation": ((), "training-run"),
    "fine-tuning": ((), "train-run"),
    "domain-adaptation": (("adaptation", "adaptation-pairs", "adaptation-longer"), "domains-draw"),
    "evaluation": (("fine-tuning-seeds", "label-smoothing"), "answers-read"),
    "compression": ((), "grid-by-hand"),
    "scaling": ((), "count-models"),
}


@pytest.fixture
def folder(tmp_path):
    """A folder with rows of two tasks, a text, and a model's answers."""
    texts = [f"number {n * 7} of {n * 11} and {n * 13} or {n * 17}" for n in range(90)]
    for task, labels in {"numbers": ["even", "odd"], "moves": ["up", "down"]}.items():
        pd.DataFrame({"text": texts, "label": labels * 45}).to_csv(tmp_path / f"{task}.csv", index=False)
    draw = random.Random(0)
    words = ("the", "array", "axis", "returned", "along", "given", "shape", "each", "value", "none")
    sentences = [f"{' '.join(draw.choices(words, k=9)).capitalize()}." for _ in range(800)]
    (tmp_path / "text.txt").write_text("\n".join(map(" ".join, zip(*[iter(sentences)] * 2, strict=True))))
    examples = pd.DataFrame({"text": texts, "label": np.arange(90) % 2})
    given = {model: np.log(np.random.default_rng(0).dirichlet([1, 1], 90)) for model in "ab"}
    predictions_table(examples, given, ("no", "yes")).to_parquet(tmp_path / "answers.parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("chapter", "parameters", "said"),
    [
        ("pretraining", ["corpus=text.txt"], "vocabulary_size: 4096 is more than the text supports"),
        (
            "generation",
            [f"prompt={'array ' * 130}"],
            "leave no room for two more in the 128 that the decoder trained here reads",
        ),
        (
            "fine-tuning",
            ["dataset=numbers.csv", "labelled=4"],
            "labelled: 4 drawn examples hold fewer than two classes three times each",
        ),
        (
            "domain-adaptation",
            ["source=numbers.csv", "target=moves.csv"],
            "target: its labels are down, up, and the source's are even, odd",
        ),
        ("evaluation", ["predictions=answers.parquet", "chosen=c", "rival=b"], "chosen: there is no model c; there is"),
        ("compression", ["bits=9"], "bits: 9 is not between 2 and 8"),
        ("scaling", ["repetitions=2"], "repetitions: 2 is not at least 3"),
    ],
    ids=CHAPTERS,
)
def test_a_whole_run_ends_in_the_sentence(project, command, folder, root, monkeypatch, chapter, parameters, said):
    recorded, trained = CHAPTERS[chapter]
    for name in recorded:
        shutil.copytree(root / "book/recorded" / name, project.root / "book/recorded" / name)
    shutil.copy(root / "notebooks" / f"{chapter}.ipynb", project.root / "notebooks")
    contents = project.root / "_toc.yml"
    contents.write_text(with_chapter(contents.read_text(), chapter))
    done = command("run", chapter, *(part for each in parameters for part in ("-p", each)))
    assert done.returncode == 1
    (path,) = project.runs.glob(f"{chapter}/*/{chapter}.ipynb")
    cells = {cell["id"]: cell for cell in json.loads(path.read_text())["cells"]}
    assert not cells[trained]["outputs"], "nothing was trained"
    assert "Traceback" not in done.stderr
    (sentence,) = (line for line in done.stderr.splitlines() if line.startswith("workbench: "))
    assert said in sentence
