"""Every chapter has a page whatever its parameters switch off, and with data that it was not written for."""

from __future__ import annotations

import random
import shutil

import yaml

from workbench.runs.store import all_runs

# Nothing has to be learnt: small amounts, and everything off that can be.
SWITCHED = {
    "attention": {"corpus": "letters.txt", "d_k": 5, "heads": 1, "draws": 20, "max_length": 64, "vector_size": 8},
    "pretraining": {
        "corpus": "letters.txt",
        "architecture": "bert",
        "rival": False,
        "variants": ["all-three"],
        "vocabulary_size": 120,
        "steps": 3,
        "pair_steps": 3,
        "held_out": 20,
        "labelled_sentences": 40,
        "judged_sentences": 20,
        "epochs": 1,
    },
    "fine-tuning": {
        "dataset": "reviews.csv",
        "rates": [],
        "sizes": [],
        "parts": [],
        "scratch": False,
        "words": False,
        "labelled": 48,
        "judged": 20,
        "epochs": 1,
    },
    "domain-adaptation": {
        "source": "reviews.csv",
        "target": "letters.csv",
        "control": "letters.txt",
        "methods": [],
        "table_answers": [],
        "pairs_answers": [],
        "longer_answers": [],
        "labelled": 40,
        "unlabelled": 30,
        "judged": 20,
        "few": 5,
        "epochs": 1,
        "permutations": 2,
    },
    "evaluation": {
        "smoothing": [],
        "resamples": 100,
        "draws": 50,
        "labelled_sentences": 40,
        "judged_sentences": 64,
        "epochs": 1,
        "repetitions": 2,
    },
}
THINGS = ("strap", "hinge", "lens", "case", "screen", "cable", "lid", "dial")
SAID = {"keep": ("works well", "is lovely", "still holds"), "send back": ("broke early", "fell off", "is useless")}


def test_every_chapter_has_a_page_with_its_switches_off_and_foreign_data(project, workbench, root):
    draw = random.Random(0)
    for name, days in (("reviews", range(1, 6)), ("letters", range(6, 11))):
        sentences = [
            (f"The {thing} {phrase} after {day} days of {draw.choice(('rain', 'snow', 'use'))}.", label)
            for day in days
            for thing in THINGS
            for label, phrases in SAID.items()
            for phrase in phrases
        ]
        rows = "".join(f'"{sentence}",{label}\n' for sentence, label in sentences)
        (project.root / f"{name}.csv").write_text(f"said,verdict\n{rows}")
        lines = (" ".join(sentence for sentence, _ in draw.sample(sentences, 4)) for _ in range(300))
        (project.root / f"{name}.txt").write_text("\n".join(lines))
    shutil.rmtree(project.notebooks)
    for part in ("notebooks", "book"):
        shutil.copytree(root / part, project.root / part)
    for part in ("_toc.yml", "_config.yml"):
        shutil.copy(root / part, project.root)
    (project.editions / "switched.yml").write_text(yaml.safe_dump({"chapters": SWITCHED}))
    chapters = [part for name in SWITCHED for part in ("--chapter", name)]
    done = workbench("book", "--edition", "switched", *chapters)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {run.chapter: run.status for run in all_runs(project)} == dict.fromkeys(SWITCHED, "completed")
    (pages,) = (project.root / "_build" / "switched").glob("*/html/notebooks")
    text = {page.stem: page.read_text() for page in pages.glob("*.html")}
    assert "not computed in this run" in text["pretraining"]
    assert all("This page was run with" in page and str(project.root) not in page for page in text.values())
