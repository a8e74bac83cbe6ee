"""Every rule that a chapter breaks has its sentence, all of them at once."""

from __future__ import annotations

import json

import pytest

from toy_project import write_chapter
from workbench.core.errors import RequestError
from workbench.parameters.contract import read_contract
from workbench.parameters.rules import CAPTION

SIZE = "size: Count = 1  # how many"


def broken(path, edit=None) -> list[str]:
    """The sentences that a chapter is refused with, without its name, after an edit of its notebook."""
    if edit:
        notebook = json.loads(path.read_text())
        edit(notebook)
        path.write_text(json.dumps(notebook))
    try:
        read_contract(path, every_rule=True)
    except RequestError as refusal:
        return [sentence.removeprefix(f"{path.name}: ") for sentence in refusal.sentences]
    return []


def test_all_rules_that_a_chapter_breaks_are_said_at_once(tmp_path):
    path = write_chapter(
        tmp_path,
        "size = 2",
        "chapter.claim('Size is small: size', size, below=3)\nprint(size)",
        "plt.plot(size)",
        parameters="import os\nsize: Count = 1\nwidth: Tensor = 1\nseed: int = 0  # of everything random",
        read=False,
    )

    def edit(notebook):
        del notebook["metadata"]["kernelspec"]
        notebook["cells"][-2]["metadata"] = {}
        del notebook["cells"][-1]["id"]

    said = broken(path, edit)
    expected = [
        "`import os` is not a parameter",
        "width: `Tensor` is not a type",
        "it names no kernel; choose Python 3",
        "declare seed as `Seed`",
        "a later cell binds the parameter size again",
        "the parameter seed is declared and never read",
        "it has cells without an id",
        "the parameter size has no comment",
        "cell cell-1: it makes a claim beside other things",
        "the cell `plt.plot(size)`: its figure has no caption",
    ]
    assert len(said) == len(expected), said
    assert [sentence for sentence, start in zip(said, expected, strict=True) if not sentence.startswith(start)] == []


@pytest.mark.parametrize(
    ("parameters", "code", "said"),
    [
        ("seed: Seed = 0  # of it", "from workbench.chapter import begin\nchapter = begin()", []),
        ("seed: Seed = 0  # of it", "x = 1", ["the parameter seed is declared and never read"]),
        (
            "seed: int = 0  # of it",
            "chapter = begin()",
            ["declare seed as `Seed`, so that a sweep over it has means and intervals"],
        ),
        ("split_seed: Count = 1  # of it", "split_seed", ["declare split_seed as `Seed`, so that"]),
        ("split_seed: Seed = 1  # of it", "begin()", ["the parameter split_seed is declared and never read"]),
        ("seeds: Count = 3  # how many", "seeds", []),
        (SIZE, "print(size", ["cell cell-0 is not Python (line 1"]),
    ],
)
def test_a_seed_is_declared_as_one_and_read_by_begin(tmp_path, parameters, code, said):
    sentences = broken(write_chapter(tmp_path, code, parameters=parameters, read=False))
    assert len(sentences) == len(said)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, said, strict=True)), sentences


@pytest.mark.parametrize(
    ("code", "is_figure"),
    [
        ("figure, axes = plt.subplots()\naxes.plot([size])", True),
        ("figure, (ax,) = style.panels(1)\nax.plot([size])", True),
        ("if size:\n    plt.hist([1])", True),
        ("def draw():\n    plt.plot([size])", False),
        ("plt.rcParams['figure.dpi'] = size", False),
        ("plt.plot([size])\nplt.savefig('x.png')\nplt.close()", False),
    ],
)
def test_a_cell_that_draws_has_a_caption_and_a_text_alternative(tmp_path, code, is_figure):
    path = write_chapter(tmp_path, code, parameters=SIZE, read=False)
    said = broken(path)
    assert len(said) == is_figure
    assert all(sentence.endswith(f"no text alternative; the cell's metadata takes {CAPTION}") for sentence in said)
    captioned = {"figure": {"caption": "One point.", "name": "fig-one"}, "image": {"alt": "One point."}}
    assert broken(path, lambda notebook: notebook["cells"][-1].update(metadata={"mystnb": captioned})) == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda notebook: notebook["metadata"]["kernelspec"].update(name="mine"),
            "its kernel is mine; choose",
        ),
        (lambda notebook: notebook["metadata"].update(kernelspec={}), "it names no kernel; choose Python 3"),
        (lambda notebook: notebook["cells"][0].update(id="cell-0"), "2 cells have the id cell-0"),
    ],
)
def test_a_notebook_names_its_kernel_and_tells_its_cells_apart(tmp_path, edit, said):
    path = write_chapter(tmp_path, "size", parameters=SIZE, read=False)
    assert broken(path) == []
    (sentence,) = broken(path, edit)
    assert sentence.startswith(said)
