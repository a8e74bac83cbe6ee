"""Numbers that are typed into the prose of a chapter are found, and what may be typed is left alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from workbench.book.numbers import check, typed_numbers
from workbench.core.errors import RequestError


def chapter(project, text, figure=None):
    cells = [{"cell_type": "markdown", "id": "result", "metadata": {}, "source": text}]
    if figure:
        cells.append({"cell_type": "code", "id": "curve", "metadata": {"mystnb": figure}, "source": "", "outputs": []})
    path = project.notebooks / "toy.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return [path]


def exceptions(project, text):
    (project.root / "book").mkdir(exist_ok=True)
    (project.root / "book" / "typed-numbers.yml").write_text(text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It is right in 0.924 of them.", ["0.924"]),
        ("It gains −3.5 points, or 12%, on 1,024 texts.", ["−3.5", "12%", "1,024"]),
        ("# After 400 steps", ["400"]),
        ("- with 30 examples", ["30"]),
        ("| what | ours |\n| --- | --- |\n| CNN | 721/872 |", ["721", "872"]),
        ("{glue:text}`share:.2f` of 872", ["872"]),
        (":::{quiz}\n\n1. Which?\n\n   - [x] All 17.\n   - [ ] None.\n\n   It was 12%.\n\n:::", ["17", "12%"]),
    ],
)
def test_a_measured_number_that_is_typed_is_found(text, numbers):
    assert [number for number, _ in typed_numbers(text)] == numbers


@pytest.mark.parametrize(
    "text",
    [
        "BERT-base on SST-2 and GPT-3 in float32, table 5 of section 3.1, Step 4: train, F1, L6-H256, Python 3.11.",
        "Since 2018, and from 1958 on.",
        "A share between 0 and 1.",
        "The cost is $\\log 4096$, and `max_length=128`.",
        "$$x = 42$$",
        "```python\nx = 42\n```",
        "{glue:text}`share:.2f` and {numref}`fig-3`.",
        "It has 66 million parameters {cite:p}`sanh2019distilbert`.",
        "| what | published |\n| --- | --- |\n| CNN {cite:p}`morris2020textattack` | 721/872 |",
        "[a page](https://example.org/2.html)",
        "(films-2)=\n## Films",
    ],
)
def test_names_formulas_code_years_and_cited_numbers_may_be_typed(text):
    assert list(typed_numbers(text)) == []


def test_a_citation_excuses_its_own_row_and_no_other():
    rows = "| BERT {cite:p}`devlin2019bert` | 92.7 |\n| ours | 91.3 |"
    assert [number for number, _ in typed_numbers(f"| what | right |\n| --- | --- |\n{rows}")] == ["91.3"]


def test_captions_and_alternative_texts_are_prose(project):
    figure = {"figure": {"caption": "It falls to 2.5 nats."}, "image": {"alt": "A line from 4.7 down."}}
    assert [said.split(":")[2].split()[0] for said in check(project, chapter(project, "Text.", figure))] == [
        "2.5",
        "4.7",
    ]


@pytest.mark.parametrize(
    ("code", "numbers"),
    [
        ('Markdown(f"It is right in {share} of them, and in 0.924 elsewhere.")', ["0.924"]),
        ('said = ["The gain over many seeds is " "+3.5 points."]', ["3.5"]),
        ('ax.set(title="loss, 400 steps")\nprint(f"{n} of 872")', []),  # labels
        ('chapter.claim("Seldom wrong with so many as 400 labels: share", wrong, below=0.1)', []),
        ("%matplotlib inline\nsaid = 'It is right there, in 0.924 of them and more.'", ["0.924"]),
        ("%%bash\necho 'It is right there, in 0.924 of them and more.'", []),
        ("said = 'It is right there, in 0.924 of them and more.", []),
    ],
)
def test_sentences_of_code_are_prose_and_claims_set_their_numbers(project, code, numbers):
    (path,) = chapter(project, "A text.", {"figure": {"caption": "Loss"}})
    cells = json.loads(path.read_text())
    cells["cells"][1]["source"] = code
    path.write_text(json.dumps(cells))
    said = list(check(project, [path]))
    assert len(said) == len(numbers)
    assert all(f"cell curve: {number} is typed" in sentence for number, sentence in zip(numbers, said, strict=True))


def test_an_exception_allows_its_phrase_alone_and_has_to_be_needed(project):
    exceptions(
        project, "- {phrase: 95% interval, reason: The level of every interval.}\n- {phrase: 7 bins, reason: No.}\n"
    )
    found = list(check(project, chapter(project, "The 95% interval of 500 sentences, and 95% of them.")))
    assert [said.split(" is typed")[0] for said in found[:1]] == ["toy.ipynb: cell result: 500"]
    assert found[1:] == ["typed-numbers.yml: no text needs “7 bins”"]


def test_a_malformed_list_of_exceptions_is_one_sentence(project):
    exceptions(project, "- {phrase: 95%}\n")
    with pytest.raises(RequestError, match="expected a list of `phrase:` and `reason:`"):
        list(check(project, chapter(project, "Text.")))
    done = lint(project)
    assert (done.returncode, done.stdout.count("expected a list of"), done.stderr) == (1, 1, "")


def lint(project):
    command = [sys.executable, "-m", "workbench.book.numbers"]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("text", "code"), [("It gains 3.5 points.", 1), ("It gains.", 0)])
def test_the_command_is_red_on_a_planted_number(project, text, code):
    chapter(project, text)
    done = lint(project)
    assert (done.returncode, "3.5 is typed" in done.stdout, done.stderr) == (code, bool(code), "")
