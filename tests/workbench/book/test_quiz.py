"""The directive `{quiz}`: what a page makes of it, by itself, by keyboard and on paper, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest

GOOD = """\
:::{quiz}

1. What does the softmax run over, in $QK^\\top$?

   - [ ] The queries.
   - [x] The *keys*, along `dim=-1`.

   Each query shares out one weight.

   So rows sum to one.

2. Is a mask with another sense refused?

   - [ ] Yes.
   - [ ] Sometimes.
   - [x] No.

   It reads what should be left out.

:::
"""


def build(folder, text: str, *, notebook: bool = False) -> subprocess.CompletedProcess:
    """Build a book of one page with Sphinx alone."""
    if notebook:
        cells = [nbformat.v4.new_markdown_cell("# A chapter"), nbformat.v4.new_markdown_cell(text)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "index.ipynb")
    else:
        (folder / "index.md").write_text(f"# A page\n\n{text}", encoding="utf-8")
    conf = """\
extensions = ["myst_nb", "workbench.book.extension"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence", "tasklist"]
exclude_patterns = ["out"]
"""
    (folder / "conf.py").write_text(conf, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(folder), str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folder of a page with a good quiz."""
    folder = tmp_path_factory.mktemp("quiz")
    built = build(folder, GOOD)
    assert built.returncode == 0, built.stderr
    return folder / "out"


@pytest.fixture
def page(browser, pages):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((pages / "index.html").as_uri())
    yield page
    context.close()


def test_a_question_is_a_field_set_of_radio_buttons_that_its_legend_names(page):
    groups = page.get_by_role("group", name="1. What does the softmax run over")
    assert groups.get_by_role("radio").count() == 2
    assert groups.get_by_role("radio", name="b) The keys, along dim=-1.").count() == 1
    assert page.locator(".quiz-question").count() == 2
    assert page.locator("input[type=checkbox]").count() == 0


def test_the_answer_opens_without_a_script(browser, pages):
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "index.html").as_uri())
    answer = page.get_by_text("b) Each query shares out one weight.")
    assert not answer.is_visible()
    page.get_by_text("Answer", exact=True).first.click()
    assert answer.is_visible()
    assert page.get_by_text("So rows sum to one.").is_visible()
    context.close()


def test_the_keyboard_alone_answers_it(page):
    first = page.locator(".quiz-question").first
    first.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    assert first.get_by_role("status").inner_text().startswith("✗ Not this one")
    assert first.locator("details").get_attribute("open") is None
    page.keyboard.press("ArrowDown")
    assert first.get_by_role("status").inner_text() == "✓ Right."
    assert first.get_by_text("Each query shares out one weight.").is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert page.locator(".quiz-question").nth(1).get_by_role("status").inner_text() == ""


def test_paper_shows_every_answer(page):
    page.emulate_media(media="print")
    for said in ("Each query shares out one weight.", "It reads what should be left out."):
        assert page.get_by_text(said).is_visible()


def test_a_cell_of_a_notebook_can_hold_one(tmp_path):
    built = build(tmp_path, f"Text before.\n\n{GOOD}", notebook=True)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8").count("<fieldset") == 2


FAULTS = {
    ("- [x] The", "- [ ] The"): (2, "question 1 of a quiz has no right options; mark one with [x]"),
    ("- [ ] Sometimes", "- [x] Sometimes"): (11, "question 2 of a quiz has 2 right options; mark one with [x]"),
    ("- [ ] Yes.", "- Yes."): (11, "question 2 of a quiz needs two options or more, each beginning with [ ] or [x]"),
    ("   It reads what should be left out.\n", ""): (11, "question 2 of a quiz lacks an explanation"),
    ("1. What", "What"): (0, "a quiz is a numbered list of questions and nothing else"),
}
"""Each change of the good quiz that spoils it, with the line of the quiz that is named and what is said."""


def test_a_question_that_is_none_fails_the_build_with_its_page_and_line(tmp_path):
    text, expected = "", []
    for (part, instead), (line, sentence) in FAULTS.items():
        assert part in GOOD
        expected.append(f"index.md:{3 + text.count(chr(10)) + line}: ERROR: {sentence}")
        text += GOOD.replace(part, instead) + "\n"
    built = build(tmp_path, text)
    assert built.returncode != 0
    assert [complaint for complaint in expected if complaint not in built.stderr] == []
    assert built.stderr.count("ERROR") == len(FAULTS)
    assert "Traceback" not in built.stderr
