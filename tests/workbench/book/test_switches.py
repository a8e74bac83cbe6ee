"""Every chapter has a page whatever its parameters switch off, alone or all at once, with data of another kind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from amounts import COMPRESSION, GENERATION, SCALING, write_data
from workbench.core.project import Project
from workbench.parameters.cells import source
from workbench.runs.store import all_runs

# Nothing has to be learnt, so the amounts are small.
SMALL = {
    "attention": {"corpus": "letters.txt", "d_k": 5, "heads": 1, "draws": 20, "max_length": 64, "vector_size": 8},
    "pretraining": {
        "corpus": "letters.txt",
        "architecture": "bert",
        "variants": ["all-three"],
        "vocabulary_size": 120,
        "steps": 3,
        "pair_steps": 3,
        "held_out": 20,
        "labelled_sentences": 40,
        "judged_sentences": 20,
        "epochs": 1,
    },
    "generation": GENERATION | {"corpus": "letters.txt"},
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
    "compression": COMPRESSION
    | {"corpus": "letters.txt", "dataset": "reviews.csv", "bits": 3, "group": 32, "factor_rank": 8},
    "scaling": SCALING
    | {
        "corpus": "letters.txt",
        "hidden_size": 32,
        "num_layers": 2,
        "vocabulary_size": 300,
        "text_length": 32,
        "texts": 2,
        "ladder_documents": 200,
    },
}
# What a chapter can leave out, and how.
SWITCHES = {
    "pretraining": {"rival": False, "variants": []},
    "fine-tuning": {"rates": [], "sizes": [], "parts": [], "scratch": False, "words": False, "studies": False},
    "domain-adaptation": {"methods": [], "table_answers": [], "pairs_answers": [], "longer_answers": []},
    "evaluation": {"smoothing": []},
}


def variants() -> dict[str, dict]:
    """The chapters with everything off, and each again with one switch off, by their names."""
    found = {}
    for chapter, small in SMALL.items():
        off = SWITCHES.get(chapter, {})
        found[chapter] = small | off
        for switch, value in off.items() if len(off) > 1 else ():
            found[f"{chapter}-without-{switch.replace('_', '-')}"] = small | {switch: value}
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory, root) -> Project:
    """A project with a chapter for each variant, and their pages, which are built at once: that is most of the time."""
    project = Project(tmp_path_factory.mktemp("switched"))
    write_data(project.root)
    shutil.copytree(root / "book", project.root / "book")
    shutil.copy(root / "_config.yml", project.root)
    project.notebooks.mkdir()
    for name in variants():
        notebook = json.loads((root / "notebooks" / f"{name.partition('-without-')[0]}.ipynb").read_text())
        if name not in SMALL:
            _rename_labels(notebook, name.partition("-without-")[2])
        (project.notebooks / f"{name}.ipynb").write_text(json.dumps(notebook))
    chapters = [{"file": f"notebooks/{name}"} for name in variants()]
    (project.root / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "book/intro", "chapters": chapters})
    )
    (project.editions / "switched.yml").write_text(yaml.safe_dump({"chapters": variants()}))
    named = [part for name in variants() for part in ("--chapter", name)]
    command = [sys.executable, "-m", "workbench.cli.app", "book", "--edition", "switched", *named]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return project


@pytest.mark.parametrize("name", variants())
def test_a_chapter_has_a_page_with_this_off_and_data_of_another_kind(built, name):
    (run,) = all_runs(built, name)
    assert run.status == "completed"
    (page,) = built.build.glob(f"switched/*/html/notebooks/{name}.html")
    text = page.read_text()
    assert "This page was run with" in text
    assert str(built.root) not in text


def _rename_labels(notebook, suffix):
    """Labels of figures get the suffix, since a label belongs to one page; those of sections are left out."""
    figures = [figure for cell in notebook["cells"] if (figure := cell["metadata"].get("mystnb", {}).get("figure"))]
    names = "|".join(figure["name"] for figure in figures)
    for figure in figures:
        figure["name"] += f"-{suffix}"
    for cell in notebook["cells"]:
        text = re.sub(r"^\([\w-]+\)=$", "", source(cell), flags=re.MULTILINE)
        cell["source"] = re.sub(rf"`({names})`", rf"`\1-{suffix}`", text)
