"""Files and folders appear whole or not at all, what killed processes have left goes, and reading has bounds."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from workbench.core import files
from workbench.core.files import (
    Unfit,
    folder_beside,
    put_in_place,
    read_within,
    remove_left_temporaries,
    write_atomically,
)

DEAD = 2**22 + 1
"""No process has this number: it is above the largest that Linux gives."""


def filled(folder, text, keeps=None):
    with folder_beside(folder, keeps) as new:
        (new / "text").write_text(text)


def has_text(folder):
    return (folder / "text").exists()


def test_a_folder_is_put_in_place_and_what_was_there_is_gone(tmp_path):
    target = tmp_path / "parent" / "kept"
    filled(target, "first")
    (target / "stale").touch()
    filled(target, "second")
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("text", "second")]
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_that_cannot_be_filled_changes_nothing(tmp_path):
    filled(tmp_path / "kept", "first")
    with pytest.raises(OSError, match="full"), folder_beside(tmp_path / "kept"):
        raise OSError(errno.ENOSPC, "full")
    assert (tmp_path / "kept" / "text").read_text() == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


def test_a_folder_stays_where_it_holds_what_is_kept_and_makes_room_where_it_does_not(tmp_path):
    target = tmp_path / "kept"
    target.mkdir()
    (target / "rest of a killed process").touch()
    filled(target, "first", has_text)
    with pytest.raises(Unfit, match="is there already"):
        filled(target, "second", has_text)
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("text", "first")]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_of_another_process_that_was_faster_is_put_back(tmp_path, monkeypatch):
    target = tmp_path / "kept"
    target.mkdir()
    (target / "rest").touch()
    exchange = files._exchange

    def late(new, target):
        monkeypatch.setattr(files, "_exchange", exchange)
        filled(target, "of the other process", has_text)
        exchange(new, target)

    monkeypatch.setattr(files, "_exchange", late)
    monkeypatch.setattr(files, "_alone", contextlib.nullcontext)  # as on a file system without locks
    with pytest.raises(Unfit):
        filled(target, "mine", has_text)
    assert (target / "text").read_text() == "of the other process"
    assert list(tmp_path.iterdir()) == [target]


def test_where_there_is_no_exchange_folders_change_places_by_renames(tmp_path, monkeypatch):
    def missing(*_):
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(files, "_exchange_at_once", missing)
    filled(tmp_path / "kept", "first")
    filled(tmp_path / "kept", "second")
    assert (tmp_path / "kept" / "text").read_text() == "second"
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("killed", [False, True])
def test_an_exchange_by_renames_that_is_cut_short_is_undone(tmp_path, monkeypatch, step, killed):
    def missing(*_):
        raise OSError(errno.ENOSYS, "no such call")

    target, steps, rename = tmp_path / "kept", [], Path.rename

    def interrupted(path, to):
        if {path, to} <= set(tmp_path.iterdir()):  # a try that finds the place occupied is none of the three steps
            return rename(path, to)
        steps.append(path)
        if len(steps) == step:
            raise KeyboardInterrupt
        return rename(path, to)

    filled(target, "first")
    monkeypatch.setattr(files, "_exchange_at_once", missing)
    with monkeypatch.context() as cut:
        cut.setattr(Path, "rename", interrupted)
        if killed:
            cut.setattr(files, "_put_back", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            filled(target, "second")
    assert target.exists() == (not killed or step == 1)
    remove_left_temporaries(tmp_path)
    with contextlib.suppress(Unfit):
        filled(target, "third", has_text)
    assert (target / "text").read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_of_many_that_replace_the_rest_of_a_killed_process_at_once_one_wins(tmp_path):
    target, won = tmp_path / "kept", []
    target.mkdir()
    (target / "rest").touch()

    def has_text_slowly(folder):
        there = has_text(folder)
        time.sleep(0.02)
        return there

    def fill(number):
        with contextlib.suppress(Unfit):
            filled(target, str(number), has_text_slowly)
            won.append(str(number))

    threads = [threading.Thread(target=fill, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(target / "text").read_text()] == won


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="there is no such call elsewhere")
def test_while_folders_are_exchanged_one_is_always_there(tmp_path):
    target, missing, stop = tmp_path / "kept", [], threading.Event()
    filled(target, "first")

    def look():
        while not stop.is_set():
            if not has_text(target):
                missing.append(time.monotonic())

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(300):
        filled(target, str(number))
    stop.set()
    looking.join()
    assert not missing


def test_a_link_in_the_place_of_a_folder_is_replaced_and_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (tmp_path / "kept").symlink_to(outside)
    filled(tmp_path / "kept", "mine")
    assert not (tmp_path / "kept").is_symlink()
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_what_killed_processes_have_left_goes_with_the_next_write_and_what_others_write_stays(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from workbench.core import files\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_atomically(Path(sys.argv[1]) / 'a', 'text')"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    folder = tmp_path / f".kept.{files._here()}-{DEAD}-0123abcd.tmp"
    folder.mkdir()
    (folder / "run.json").touch()
    under_way, foreign = files._beside(tmp_path / "kept"), tmp_path / f".of-a-user.{files._here()}-{DEAD}.tmp"
    under_way.mkdir()
    foreign.touch()
    write_atomically(tmp_path / "b", "text")
    assert not left.exists()
    assert set(tmp_path.iterdir()) == {tmp_path / "b", under_way, foreign}


@pytest.mark.parametrize("name", ["workbench-{}-x", "workbench-{here}-{}-x", ".a.{here}-{}-0123abcd.tmp"])
def test_a_number_that_no_process_can_have_is_nobody_s(tmp_path, name):
    path = tmp_path / name.format("9" * 23, here=files._here())
    path.mkdir()
    remove_left_temporaries(tmp_path)
    assert path.exists()


def test_what_was_left_in_another_container_or_on_another_machine_stays(tmp_path, monkeypatch):
    with monkeypatch.context() as there:
        there.setattr(Path, "readlink", lambda _: Path("pid:[1]"))
        there.setattr(os, "getpid", lambda: DEAD)
        files._here.cache_clear()
        folder, file = tmp_path / f"{files.temporary_prefix()}x", files._beside(tmp_path / "kept")
    files._here.cache_clear()
    for path in (folder, file):
        path.mkdir()
    remove_left_temporaries(tmp_path)
    assert folder.exists()
    assert file.exists()


def test_put_in_place_leaves_the_old_folder_where_the_new_one_was(tmp_path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text(name)
    put_in_place(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "text").read_text() == "new"
    assert (tmp_path / "new" / "text").read_text() == "old"


def test_only_a_regular_file_within_its_bound_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 2**20)
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3 * 2**30)
    (tmp_path / "dangling").symlink_to("nowhere")
    assert len(read_within(tmp_path / "file", 2**20)) == len(read_within(tmp_path / "link", 2**20)) == 2**20
    with pytest.raises(Unfit, match="is a link, and links are not followed"):
        read_within(tmp_path / "link", 2**20, through_links=False)
    for name in ("pipe", "", "/dev/zero"):
        with pytest.raises(Unfit, match="is not a file"):
            read_within(tmp_path / name, 2**20)
    with pytest.raises(Unfit, match="is larger than 1 MiB"):
        read_within(tmp_path / "sparse", 2**20)
    with pytest.raises(FileNotFoundError):
        read_within(tmp_path / "dangling", 2**20)
