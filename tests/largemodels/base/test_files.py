"""Files appear whole or not at all, whatever writes them at the same time."""

from __future__ import annotations

import pytest

from largemodels.base.files import replacing


def test_two_that_write_the_same_file_at_once_do_not_mix(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_to_its_end_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fail():
        with replacing(path) as partial:
            partial.write_text("after")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
