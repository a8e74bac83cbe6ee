"""What stands on the command line or in a file arrives as text, once."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import RequestError
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.parameters.request import given_parameters, read_mapping


def test_options_win_over_files_and_later_files_over_earlier(tmp_path):
    (tmp_path / "a.yml").write_text("x: 1\ny: 1\nz: 1\n")
    (tmp_path / "b.yml").write_text("y: 2\nz: 2\n")
    assert given_parameters(["z=3"], [tmp_path / "a.yml", tmp_path / "b.yml"]) == {"x": "1", "y": "2", "z": "3"}


def test_a_value_may_hold_an_equals_sign_and_spaces():
    assert given_parameters(["name=a = b"], []) == {"name": "a = b"}


def test_a_file_says_the_same_as_the_command_line(tmp_path):
    path = tmp_path / "p.yml"
    path.write_text("rate: 1e-3\nname: 007\nflag: no\ndepths: [1, 2]\n")
    assert read_mapping(path) == {"rate": "1e-3", "name": "007", "flag": "no", "depths": ["1", "2"]}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.integers() | st.floats(allow_nan=False) | st.text("ab ", min_size=1),
    )
)
def test_any_mapping_of_scalars_comes_back_as_text(tmp_path_factory, mapping):
    path = tmp_path_factory.mktemp("yaml") / "p.yml"
    path.write_text(yaml.safe_dump(mapping))
    if mapping:
        assert {name: str(value) for name, value in read_mapping(path).items()}.keys() == mapping.keys()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[1, 2", "the file is not YAML at line"),
        (b"just words", "expected lines of `name: value`"),
        (b"- a\n- b\n", "expected lines of `name: value`"),
        (b"", "the file is empty"),
        (b"a: 1\na: 2\n", "a is given twice"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
        (b"a: !!python/object/apply:os.system ['true']\n", None),
    ],
)
def test_a_malformed_file_is_refused_and_nothing_in_it_is_executed(tmp_path, content, sentence):
    path = tmp_path / "p.yml"
    path.write_bytes(content)
    if sentence is None:
        assert read_mapping(path) == {"a": ["true"]}
    else:
        with pytest.raises(RequestError, match=sentence):
            read_mapping(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(RequestError, match="there is no such file"):
        read_mapping(tmp_path / "missing.yml")
    with pytest.raises(RequestError, match="cannot be read"):
        read_mapping(tmp_path)


@pytest.mark.parametrize("options", [["size"], ["=3"], [""], ["size=1", "size=1"]])
def test_an_option_is_a_name_and_a_value_given_once(options):
    with pytest.raises(RequestError):
        given_parameters(options, [])


def test_every_kept_file_of_parameters_fits_the_chapter_that_its_first_line_names(root):
    files = sorted((root / "notebooks" / "params").glob("*.yml"))
    assert files
    for file in files:
        line = file.read_text(encoding="utf-8").splitlines()[0]
        chapter, path = re.search(r"workbench run (\w+) -f (\S+)$", line).groups()
        assert root / path == file
        load_contract(Project(root), chapter).resolve(given_parameters([], [file]))
