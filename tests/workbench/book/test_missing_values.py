"""The page of a chapter whose run computed only a part of what the prose speaks of."""

from __future__ import annotations

import copy
import json
import random

from made_runs import NOW, new_run_folder, whole_record
from staged_book import ROOT
from test_publish import Quiet
from workbench.book.publish import publish, read_edition
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.runs.store import Run, notebook_facts, write_record


def test_pages_of_runs_that_lack_half_of_their_values_are_built_without_a_warning(tmp_path):
    project = Project(ROOT)
    project.build = tmp_path / "_build"
    edition = read_edition(project, "offline")
    edition = edition.of_chapters(project, edition.only)
    chance, runs, lacking = random.Random(20), {}, set()
    for chapter in edition.only:
        notebook = copy.deepcopy(load_contract(project, chapter).notebook)
        for cell in notebook["cells"]:
            kept = [each for each in cell.get("outputs", []) if not _is_glued(each) or chance.random() < 0.5]
            if len(kept) < len(cell.get("outputs", [])):
                lacking.add(chapter)
                cell["outputs"] = kept
        folder = new_run_folder(tmp_path / "runs", chapter, "1a2b3c4d", NOW)
        run = Run(folder, whole_record(chapter, error=None))
        run.notebook.write_text(json.dumps(notebook))
        run.record["notebook"] = notebook_facts(run.notebook)
        write_record(folder, run.record)
        runs[chapter] = run
    page, _ = publish(project, edition, runs, None, Quiet())
    assert lacking == set(edition.only)
    for chapter in edition.only:
        shown = (page.parent / "notebooks" / f"{chapter}.html").read_text()
        assert "<em>not computed in this run</em>" in shown
        assert runs[chapter].id in shown


def _is_glued(output):
    return "scrapbook" in output.get("metadata", {})
