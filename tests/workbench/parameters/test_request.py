"""What stands on the command line or in a file arrives as text, once."""

from __future__ import annotations

import re

import pytest

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.parameters.request import given_parameters


def test_options_win_over_files_and_later_files_over_earlier(tmp_path):
    (tmp_path / "a.yml").write_text("x: 1\ny: 1\nz: 1\n")
    (tmp_path / "b.yml").write_text("y: 2\nz: 2\n")
    assert given_parameters(["z=3"], [tmp_path / "a.yml", tmp_path / "b.yml"]) == {"x": "1", "y": "2", "z": "3"}


def test_a_value_may_hold_an_equals_sign_and_spaces():
    assert given_parameters(["name=a = b"], []) == {"name": "a = b"}


@pytest.mark.parametrize("options", [["size"], ["=3"], [""], ["size=1", "size=1"]])
def test_an_option_is_a_name_and_a_value_given_once(options):
    with pytest.raises(RequestError):
        given_parameters(options, [])


def test_every_kept_file_of_parameters_fits_the_chapter_that_its_first_line_names(root):
    files = sorted((root / "notebooks" / "params").glob("*.yml"))
    assert files
    for file in files:
        line = file.read_text(encoding="utf-8").splitlines()[0]
        chapter, path = re.search(r"workbench run ([\w-]+) -f (\S+)$", line).groups()
        assert root / path == file
        load_contract(Project(root), chapter).resolve(given_parameters([], [file]))
