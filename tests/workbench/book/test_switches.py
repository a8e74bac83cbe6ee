"""Every chapter has a page whatever its parameters switch off, alone or all at once, with data of another kind."""

from __future__ import annotations

import json
import random
import re
import shutil

import yaml

from workbench.parameters.cells import source
from workbench.runs.store import all_runs

# Nothing has to be learnt, so the amounts are small.
SMALL = {
    "attention": {"corpus": "letters.txt", "d_k": 5, "heads": 1, "draws": 20, "max_length": 64, "vector_size": 8},
    "pretraining": {
        "corpus": "letters.txt",
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
        "rates": [4e-3],
        "sizes": [24],
        "labelled": 48,
        "judged": 20,
        "epochs": 1,
    },
    "domain-adaptation": {
        "source": "reviews.csv",
        "target": "letters.csv",
        "control": "letters.txt",
        "methods": ["words"],
        "labelled": 40,
        "unlabelled": 30,
        "judged": 20,
        "few": 5,
        "epochs": 1,
        "permutations": 2,
    },
    "evaluation": {
        "resamples": 100,
        "draws": 50,
        "labelled_sentences": 40,
        "judged_sentences": 64,
        "epochs": 1,
        "repetitions": 2,
    },
}
# What a chapter can leave out, and how.
SWITCHES = {
    "pretraining": {"rival": False, "variants": [], "architecture": "bert"},
    "fine-tuning": {"rates": [], "sizes": [], "parts": [], "scratch": False, "words": False, "studies": False},
    "domain-adaptation": {"methods": [], "table_answers": [], "pairs_answers": [], "longer_answers": []},
    "evaluation": {"smoothing": []},
}
THINGS = ("strap", "hinge", "lens", "case", "screen", "cable", "lid", "dial")
SAID = {"keep": ("works well", "is lovely", "still holds"), "send back": ("broke early", "fell off", "is useless")}


def test_every_chapter_has_a_page_with_each_switch_off_and_data_of_another_kind(project, workbench, root):
    _write_data(project.root)
    shutil.rmtree(project.notebooks)
    for part in ("notebooks", "book"):
        shutil.copytree(root / part, project.root / part)
    shutil.copy(root / "_config.yml", project.root)
    variants = {}
    for chapter, small in SMALL.items():
        off = SWITCHES.get(chapter, {})
        variants[chapter] = small | off
        notebook = json.loads((project.notebooks / f"{chapter}.ipynb").read_text())
        for cell in notebook["cells"]:  # labels are the book's, and a page more has none
            cell["source"] = re.sub(r"^\([\w-]+\)=$", "", source(cell), flags=re.MULTILINE)
        for switch, value in off.items() if len(off) > 1 else ():
            name = f"{chapter}-without-{switch.replace('_', '-')}"
            variants[name] = small | {switch: value}
            (project.notebooks / f"{name}.ipynb").write_text(json.dumps(notebook))
    contents = {
        "format": "jb-book",
        "root": "book/intro",
        "chapters": [{"file": f"notebooks/{name}"} for name in variants],
    }
    (project.root / "_toc.yml").write_text(yaml.safe_dump(contents))
    (project.editions / "switched.yml").write_text(yaml.safe_dump({"chapters": variants}))
    chapters = [part for name in variants for part in ("--chapter", name)]
    done = workbench("book", "--edition", "switched", *chapters, seconds=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {run.chapter: run.status for run in all_runs(project)} == dict.fromkeys(variants, "completed")
    (pages,) = (project.root / "_build" / "switched").glob("*/html/notebooks")
    text = {page.stem: page.read_text() for page in pages.glob("*.html")}
    assert text.keys() == variants.keys()
    assert "not computed in this run" in text["pretraining"]
    assert all("This page was run with" in page and str(project.root) not in page for page in text.values())


def _write_data(folder):
    """Reviews, letters and a text of letters, of which no chapter knows anything."""
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
        (folder / f"{name}.csv").write_text(f"said,verdict\n{rows}")
        lines = (" ".join(sentence for sentence, _ in draw.sample(sentences, 4)) for _ in range(300))
        (folder / f"{name}.txt").write_text("\n".join(lines))
