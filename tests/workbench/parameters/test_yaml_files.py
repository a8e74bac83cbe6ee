"""A YAML file that users name means what its text says, and cannot hang, fill the memory or run anything."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import RequestError
from workbench.parameters.yaml_files import read_mapping


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


ALIASES = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
ALIASES += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("\n".join([*ALIASES, "name: *a8"]), "holds more than 100,000 values"),
        ("a: &a [*a]", "holds more than 100,000 values"),
        ("[" + "x," * 500_000 + "]", "holds more than 100,000 values"),
        ("name: " + "[" * 3000 + "]" * 3000, "is nested more than 50 levels deep"),
        ("[" * 2**20, "is nested more than 50 levels deep"),
        ("- " * 2**19, "is nested more than 50 levels deep"),
        ("".join(f"k{number}: x\n" for number in range(80_000)), "holds more than 100,000 values"),
        (f"name: {'x' * 20_000_000}", "is larger than 1 MiB"),
    ],
    ids=["aliases", "endless", "many", "brackets", "open brackets", "dashes", "names", "20 MB"],
)
def test_what_would_take_long_or_much_memory_is_refused_within_a_second(tmp_path, content, sentence):
    path = tmp_path / "p.yml"
    path.write_text(content)
    started = time.process_time()
    with pytest.raises(RequestError, match=sentence):
        read_mapping(path)
    assert time.process_time() - started < 1


def test_few_values_that_are_repeated_are_read(tmp_path):
    (tmp_path / "p.yml").write_text("a: &a [1, 2]\nb: *a\n")
    assert read_mapping(tmp_path / "p.yml") == {"a": ["1", "2"], "b": ["1", "2"]}


@pytest.mark.parametrize("text", ["a: null", "a: ~", "a: [1, Null]", '{"a": null}'])
def test_a_null_is_no_value_and_in_quotes_a_text(tmp_path, text):
    (tmp_path / "p.yml").write_text(text)
    with pytest.raises(RequestError, match="in line 1 is no value; leave it out"):
        read_mapping(tmp_path / "p.yml")
    (tmp_path / "p.yml").write_text("a: 'null'")
    assert read_mapping(tmp_path / "p.yml") == {"a": "null"}


@pytest.mark.parametrize("text", ["a: !!python/name:os.system", "a: 2026-99-99", "? [a]\n: b"])
def test_settings_have_the_types_of_plain_yaml_and_no_others(tmp_path, text):
    (tmp_path / "p.yml").write_text("a: 1\nb: null\nc: &c [x]\nd: *c")
    assert read_mapping(tmp_path / "p.yml", yaml.SafeLoader) == {"a": 1, "b": None, "c": ["x"], "d": ["x"]}
    (tmp_path / "p.yml").write_text(text)
    with pytest.raises(RequestError, match="the file is not YAML"):
        read_mapping(tmp_path / "p.yml", yaml.SafeLoader)


def test_only_a_regular_file_is_read_and_nothing_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "dangling.yml").symlink_to("nowhere")
    (tmp_path / "file.yml").write_text("a: 1")
    (tmp_path / "link.yml").symlink_to("file.yml")
    for path in (tmp_path / "pipe.yml", Path("/dev/zero")):
        with pytest.raises(RequestError, match="it is not a file"):
            read_mapping(path)
    with pytest.raises(RequestError, match="there is no such file"):
        read_mapping(tmp_path / "dangling.yml")
    assert read_mapping(tmp_path / "link.yml") == {"a": "1"}


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(RequestError, match="there is no such file"):
        read_mapping(tmp_path / "missing.yml")
    with pytest.raises(RequestError, match="it is not a file"):
        read_mapping(tmp_path)
