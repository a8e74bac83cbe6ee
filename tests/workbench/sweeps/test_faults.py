"""Sweeps that something stops: nothing completed is lost or done twice, no process stays, the line does the rest."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections import Counter
from pathlib import Path

import psutil
import pytest

from swept_project import (
    Mute,
    finish,
    hanging,
    is_gone,
    mend,
    results,
    start,
    statuses,
    sweep,
    trace,
    wait_until,
    write_traced_chapter,
)
from workbench.core.errors import RunError
from workbench.parameters.contract import load_contract
from workbench.runs.store import all_runs
from workbench.sweeps import execute
from workbench.sweeps.grid import points_of
from workbench.sweeps.sweep import Sweep

SIZES = ("-g", "size=1:5", "--workers", "2")


def completed(project) -> Counter:
    return Counter(
        run.record["parameters"]["resolved"]["size"] for run in all_runs(project) if run.status == "completed"
    )


def kernel_of(project, size: int) -> int:
    """The process of the kernel that runs this size, once it runs."""
    wait_until(lambda: any(line[0] == size for line in trace(project)))
    return next(line[2] for line in trace(project) if line[0] == size)


@pytest.fixture
def temporary_folder(monkeypatch):
    """The temporary folder of the processes of a test; its name is short, for there are sockets in it."""
    with tempfile.TemporaryDirectory(prefix="wt-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def hanging_sweep(project):
    """A sweep whose third point hangs while the others are done, and all its processes."""
    write_traced_chapter(project, hanging(project, 3))
    process = start(project, *SIZES)
    kernel = kernel_of(project, 3)
    wait_until(lambda: len(completed(project)) == 3)
    family = psutil.Process(process.pid).children(recursive=True)
    assert kernel in {child.pid for child in family}
    return process, family


def sweep_here(project, monkeypatch) -> Sweep:
    """A sweep of four sizes that this process can execute."""
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "local-provisioner")
    write_traced_chapter(project)
    mend(project)
    contract = load_contract(project, "toy")
    return Sweep.of(project, contract, points_of(contract, ["size=1:5"], [], []))


def assert_the_same_line_does_the_rest(project, done_before: set[int], sizes=range(1, 5)) -> None:
    """Run the line again: what was completed is not run again, and then every point is completed once."""
    mend(project)
    before = len(trace(project))
    code, _, err = sweep(project, *SIZES)
    assert code == 0, err
    assert {line[0] for line in trace(project)[before:]} == set(sizes) - done_before
    assert completed(project) == dict.fromkeys(sizes, 1)
    assert results(project)["completed"] == len(sizes)


def test_a_failed_point_stops_no_other_and_is_tried_again(project):
    mended = str(project.root / "mended")
    write_traced_chapter(project, f"if size == 2 and not os.path.exists({mended!r}):\n    raise ValueError('a reason')")
    code, out, err = sweep(project, *SIZES)
    assert code == 1
    assert "size=2 failed" in err
    assert "ValueError: a reason" in err
    assert err.splitlines()[-1] == "workbench: 1 of 4 points failed; the same line tries them again"
    assert statuses(project) == ["completed"] * 3 + ["failed"]
    assert (results(project)["completed"], results(project)["failed"]) == (3, 1)
    assert "double" in out
    assert_the_same_line_does_the_rest(project, {1, 3, 4})
    assert statuses(project) == ["completed"] * 4 + ["failed"]


def test_a_killed_kernel_is_a_failed_point(project):
    mended = str(project.root / "mended")
    write_traced_chapter(project, f"if size == 2 and not os.path.exists({mended!r}):\n    os.kill(os.getpid(), 9)")
    code, _, err = sweep(project, *SIZES)
    assert (code, "DeadKernelError" in err) == (1, True)
    assert statuses(project) == ["completed"] * 3 + ["failed"]
    assert_the_same_line_does_the_rest(project, {1, 3, 4})


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupted_sweep_records_it_and_leaves_no_process(project, temporary_folder, sent):
    process, family = hanging_sweep(project)
    process.send_signal(getattr(signal, sent))
    code, _, err = finish(process)
    assert code == 130
    assert err.splitlines()[-2:] == [
        "3 of 4 points are done, and the same line does the rest",
        "workbench: interrupted",
    ]
    assert "Traceback" not in err
    assert all(is_gone(child.pid) for child in family)
    assert not list(temporary_folder.glob("workbench-*"))
    records = {run.record["status"] for run in all_runs(project)}
    assert records == {"completed", "interrupted"}, "the record itself says so"
    assert_the_same_line_does_the_rest(project, {1, 2, 4})


@pytest.mark.parametrize("moment", ["a folder is there", "a kernel starts"])
def test_an_interrupt_before_a_chapter_has_begun_leaves_no_process(project, moment):
    write_traced_chapter(project, hanging(project, 1, 2, 3, 4))
    process = start(project, *SIZES)
    if moment == "a folder is there":
        wait_until(lambda: list(project.runs.glob("toy/*/run.json")))
    else:
        wait_until(lambda: list(project.runs.glob("toy/*/run.json")) and psutil.Process(process.pid).children())
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "workbench: interrupted")
    assert all(is_gone(child.pid) for child in family)
    assert {run.record["status"] for run in all_runs(project)} == {"interrupted"}


def test_a_killed_sweep_leaves_no_process_and_its_points_read_as_interrupted(project, temporary_folder):
    process, family = hanging_sweep(project)
    process.kill()
    finish(process)
    wait_until(lambda: all(is_gone(child.pid) for child in family), 5)
    assert statuses(project) == ["completed"] * 3 + ["interrupted"]
    assert list(temporary_folder.glob("workbench-*")), "a killed process cannot clean up"
    assert_the_same_line_does_the_rest(project, {1, 2, 4})
    assert not list(temporary_folder.glob("workbench-*"))


def test_a_full_disk_stops_the_sweep_and_loses_nothing(project, monkeypatch):
    asked = sweep_here(project, monkeypatch)
    real, written = execute.write_atomically, []

    def on_a_full_disk(path, content, **options):
        written.append(path.suffix == ".ipynb")  # a kernel's log may come before it
        if sum(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content, **options)

    with monkeypatch.context() as patched:
        patched.setattr(execute, "write_atomically", on_a_full_disk)
        with pytest.raises(RunError, match="No space left on device; 2 of 4 points are done, and the same line does"):
            execute.run_sweeps([asked], Mute(), workers=1)
    assert statuses(project) == ["completed"] * 2 + ["interrupted"]
    assert_the_same_line_does_the_rest(project, set(completed(project)))


def test_an_interrupt_between_a_point_s_end_and_what_follows_does_not_undo_the_point(project, monkeypatch):
    asked = sweep_here(project, monkeypatch)

    class Impatient(Mute):
        def ended(self, label, outcome):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        execute.run_sweeps([asked], Impatient(), workers=1)
    assert "completed" in statuses(project)
    assert_the_same_line_does_the_rest(project, set(completed(project)))


def test_two_of_the_same_sweep_do_nothing_twice(project):
    write_traced_chapter(project, hanging(project, 3))
    first = start(project, *SIZES)
    kernel_of(project, 3)
    code, _, err = sweep(project, *SIZES)
    assert (code, "another process runs this very sweep" in err) == (1, True)
    mend(project)
    first.send_signal(signal.SIGINT)
    finish(first)


def test_a_point_that_another_sweep_computes_is_waited_for(project):
    write_traced_chapter(project, hanging(project, 1))
    first = start(project, "-g", "size=1,2", "--workers", "1")
    kernel_of(project, 1)
    second = start(project, "-g", "size=1,3", "--workers", "1")
    kernel_of(project, 3)
    mend(project)
    for process in (first, second):
        code, _, err = finish(process)
        assert code == 0, err
    assert Counter(line[0] for line in trace(project)) == {1: 1, 2: 1, 3: 1}
