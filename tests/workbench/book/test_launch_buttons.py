"""The configuration with a repository: what is added, what is kept, what is refused."""

from __future__ import annotations

import copy

import pytest
import yaml
from jupyter_book.config import validate_yaml

from staged_book import ROOT
from workbench.book.extension import launch_elsewhere
from workbench.book.publish import with_repository
from workbench.core.errors import RequestError

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


def test_everything_else_is_kept_and_the_given_configuration_is_not_touched():
    before = copy.deepcopy(CONFIG)
    changed = with_repository(CONFIG, "https://github.com/OWNER/NAME")
    assert before == CONFIG
    assert changed["sphinx"] == CONFIG["sphinx"]
    assert changed["html"]["favicon"] == CONFIG["html"]["favicon"]
    validate_yaml(changed, raise_on_errors=True)


@pytest.mark.parametrize(
    "given",
    ["https://github.com/OWNER/NAME", "https://github.com/OWNER/NAME/", "https://github.com/OWNER/NAME.git"],
)
def test_an_address_may_be_written_as_it_is_copied(given):
    changed = with_repository(CONFIG, given)
    assert changed["repository"]["url"] == "https://github.com/OWNER/NAME"
    assert changed["launch_buttons"]["binderhub_url"] == "https://mybinder.org"
    assert changed["launch_buttons"]["colab_url"] == "https://colab.research.google.com"


def header(*links):
    """The buttons of a page's header as the theme makes them."""
    return {"header_buttons": [{"label": "launch-buttons", "buttons": list(links)}, {"label": "source-buttons"}]}


def test_kaggle_and_codespaces_stand_beside_colab():
    colab = {
        "text": "Colab",
        "url": "https://colab.research.google.com/github/OWNER/NAME/blob/main/notebooks/toy.ipynb",
    }
    context = header({"text": "Binder", "url": "https://mybinder.org/v2/gh/OWNER/NAME/main"}, colab)
    launch_elsewhere(None, "notebooks/toy", "page.html", context, None)
    assert {link["text"]: link["url"] for link in context["header_buttons"][0]["buttons"][2:]} == {
        "Kaggle": "https://www.kaggle.com/kernels/welcome?src=https://github.com/OWNER/NAME/blob/main/notebooks/toy.ipynb",
        "Codespaces": "https://codespaces.new/OWNER/NAME",
    }


def test_a_page_without_a_button_for_colab_gets_no_others():
    for context in ({}, header({"text": "Binder", "url": "https://mybinder.org/v2/gl/group%2Fname/main"})):
        before = copy.deepcopy(context)
        launch_elsewhere(None, "notebooks/toy", "page.html", context, None)
        assert context == before


def test_a_book_on_gitlab_launches_on_binder_only():
    launch = with_repository(CONFIG, "https://gitlab.com/group/name")["launch_buttons"]
    assert launch["binderhub_url"]
    assert not launch["colab_url"]


@pytest.mark.parametrize(
    "url",
    ["", "OWNER/NAME", "http://github.com/OWNER/NAME", "https://github.com/OWNER", "https://example.org/OWNER/NAME",
     "https://github.com/OWNER/NAME/tree/main", "git@github.com:OWNER/NAME.git", 'https://github.com/OWNER/NA"ME'],
)  # fmt: skip
def test_what_no_button_could_lead_to_is_refused_in_one_sentence(url):
    with pytest.raises(RequestError, match=r"^repository: .*https://github\.com/OWNER/NAME"):
        with_repository(CONFIG, url)


def test_the_book_as_committed_names_no_repository():
    assert not CONFIG["repository"]["url"]
    assert not any(CONFIG["launch_buttons"].values())
