"""What pages call metrics and parameters."""

from __future__ import annotations

import json
import re

import pytest

from workbench.book.labels import labelled, metric_labels, words_of
from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.recorded.result import read_recorded, recorded_runs
from workbench.runs.headline import named_headline
from workbench.sweeps.summary import Summary

FILE = """\
toy:
  gain_of_pairs: pairs over nothing
  "dann_*_source": "DANN, weight *"
  "*_gain": "* over nothing"
"""


@pytest.fixture
def label_of(project):
    (project.root / "book").mkdir(exist_ok=True)
    (project.root / "book" / "metrics.yml").write_text(FILE)
    return metric_labels(project, "toy")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("gain_of_pairs", "pairs over nothing"),
        ("dann_0_1_source", "DANN, weight 0.1"),
        ("few_labels_gain", "few labels over nothing"),
        ("_gain", "_gain"),
        ("accuracy", "accuracy"),
    ],
)
def test_a_metric_is_called_by_the_first_line_that_fits(label_of, name, label):
    assert label_of(name) == label


def test_without_a_file_or_a_line_names_stay(project):
    assert metric_labels(project, "toy")("few_labels_gain") == "few_labels_gain"


def test_a_file_that_is_no_mapping_of_labels_is_one_sentence(project):
    (project.root / "book").mkdir(exist_ok=True)
    (project.root / "book" / "metrics.yml").write_text("toy: [gain]\n")
    with pytest.raises(RequestError, match="toy: expected lines of `metric: label`"):
        metric_labels(project, "toy")


@pytest.mark.parametrize(("name", "words"), [("few_labels", "few labels"), ("0_1", "0.1"), ("d_k", "d_k")])
def test_names_are_said_and_symbols_stay(name, words):
    assert words_of(name) == words


def test_settings_are_in_words():
    summary = Summary({"target_libraries": ["torch", "datasets"], "rank": 4}, "few_labels_gain", 3, 0.5, 0.4, 0.6)
    (said,) = labelled([summary], words_of)
    assert said.setting == {"target libraries": "torch, datasets", "rank": 4}
    assert said.metric == "few labels gain"


def test_every_metric_that_a_page_shows_has_a_label_of_its_own(root):
    project = Project(root)
    pages = {path.stem: path.read_text() for path in (root / "book").glob("*.md")}
    for path in (root / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        pages[path.stem] = "\n".join("".join(cell["source"]) for cell in cells)
    for page, text in pages.items():
        for name, options in re.findall(r"^```\{recorded\} (\S+)\n((?::.*\n)*)", text, flags=re.MULTILINE):
            recorded = read_recorded(project, name)
            label_of = metric_labels(project, recorded.chapter)
            wanted = re.search(r"^:metrics: (.*)$", options, flags=re.MULTILINE)
            shown = wanted[1].split() if wanted else named_headline(project, recorded.chapter)
            known = {metric.name for _, metrics in recorded_runs(recorded).values() for metric in metrics}
            labels = [label_of(metric) for metric in shown if metric in known]
            assert not [label for label in labels if "_" in label], page
            assert len(set(labels)) == len(labels), page
