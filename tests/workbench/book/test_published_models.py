"""The book's file of published models, and the page that is made of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.book.models_directive import in_words
from workbench.book.published_models import picture, read_models

ROOT = Path(__file__).parents[3]
FILE = ROOT / "book" / "data" / "models.csv"
HEADER = FILE.read_text(encoding="utf-8").partition("\n")[0]


def test_each_model_has_a_source_that_the_bibliography_knows():
    known = set(re.findall(r"^@\w+{(.+?),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.M))
    models = read_models(FILE)
    assert len({model.name for model in models}) == len(models)
    cited = {source.partition(": ")[0] for model in models for source in model.source.split("; ")}
    assert cited - known == {"this book"}


def test_this_book_s_checkpoint_stands_there_with_the_numbers_of_its_card():
    ours = next(model for model in read_models(FILE) if model.source == "this book")
    card = ROOT / "lib" / "largemodels" / "weights" / ours.name / "training.json"
    training = json.loads(card.read_text(encoding="utf-8"))
    assert ours.parameters == training["model_parameters"] == min(model.parameters for model in read_models(FILE))
    assert (ours.tokens_read, ours.operations) == (training["tokens_read"], training["matrix_operations"])
    assert ours.training_text.startswith(in_words(training["training_tokens"]))


@pytest.mark.parametrize(
    ("value", "words"), [(1.542e9, "1.54 billion"), (175e9, "175 billion"), (2.8e12, "2.8 trillion"), (900, "900")]
)
def test_large_numbers_are_shown_in_words(value, words):
    assert in_words(value) == words


@pytest.mark.parametrize(
    "line",
    [
        "a,2020-13,decoder,1,,,,,key",
        "a,2020-01,diffusion,1,,,,,key",
        "a,2020-01,decoder,,,,,,key",
        "a,2020-01,decoder,1,,,-3,,key",
    ]
    + ["a,2020-01,decoder,1,,,,,"],
)
def test_a_month_a_kind_a_number_or_a_source_that_cannot_be_is_refused(tmp_path, line):
    path = tmp_path / "models.csv"
    path.write_text(f"{HEADER}\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="validation error"):
        read_models(path)


def test_the_picture_follows_the_file(tmp_path):
    path = tmp_path / "models.csv"
    drawn = []
    for parameters in (10**8, 10**9, 10**8):
        path.write_text(f"{HEADER}\na,2020-01,decoder,{parameters},,,,,key\n", encoding="utf-8")
        drawn.append(picture(read_models(path)))
    assert drawn[0] == drawn[2] != drawn[1]
    assert drawn[0].startswith(b"\x89PNG")


def test_the_page_shows_the_figure_and_each_model_with_its_sources(tmp_path):
    (tmp_path / "models.csv").write_text(
        f"{HEADER}\nsmall,2020-01,encoder,2e6,,news,,,some: table 2\nlarge,2021-02,decoder,1e12,3e10,,5e12,3e25,some\n",
        encoding="utf-8",
    )
    (tmp_path / "some.bib").write_text("@misc{some, author = {Some One}, title = {A}, year = {2020}}", encoding="utf-8")
    (tmp_path / "index.md").write_text(
        "# Models\n\n{numref}`fig-models` and {download}`models.csv`.\n\n```{published-models} models.csv\n```\n\n"
        "```{bibliography}\n```\n",
        encoding="utf-8",
    )
    (tmp_path / "conf.py").write_text(
        "extensions = ['myst_nb', 'sphinxcontrib.bibtex', 'workbench.book.extension']\nnumfig = True\n"
        "bibtex_bibfiles = ['some.bib']\nbibtex_reference_style = 'author_year'\nexclude_patterns = ['out']\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", str(tmp_path), str(tmp_path / "out")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "small 2020-01 2 million – – encoder news One [ 2020 ] , table 2" in text
    assert "large 2021-02 1 trillion (30 billion a token) 5 trillion 3 · 10²⁵ decoder – One" in text
    assert re.search(r'<figure[^>]*id="fig-models"', page)
    assert re.search(r'<img[^>]*alt="Published models[^"]+"', page)
    assert "Fig. 1" in text
