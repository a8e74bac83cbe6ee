"""The kinds of faults. Each does what it says at a random moment, and then holds the promises."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from forgeries import FORGERIES, HOSTILE_ARGUMENTS
from tries import Try, promise

SIZES = range(1, 4)
LINE = ("sweep", "toy", "-g", f"size={SIZES.start}:{SIZES.stop}", "--workers", "2")
ENDED, KILLED = (0, 130), (0, -signal.SIGKILL)
POLITE = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
RUN = ("run", "toy")
BOOK = ("book", "--committed")


def killed_run(each: Try) -> None:
    """`kill -9` while a chapter runs."""
    _kill(each, each.start(*RUN))
    each.hold_promises(*RUN)


def ended_run(each: Try) -> None:
    """Ctrl-C, an end or a hang-up while a chapter runs."""
    _end(each, each.start(*RUN))
    each.hold_promises(*RUN)


def killed_sweep(each: Try) -> None:
    """`kill -9` while a sweep runs."""
    _kill(each, each.start(*LINE), most=5)
    each.hold_promises(*LINE)


def ended_sweep(each: Try) -> None:
    """Ctrl-C, an end or a hang-up while a sweep runs."""
    _end(each, each.start(*LINE), most=5)
    each.hold_promises(*LINE)


def stopped_check(each: Try) -> None:
    """A check of the chapters is killed or ended."""
    process = each.start("check")
    each.random.choice([_kill, _end])(each, process, most=8)
    each.hold_promises(*RUN)


def _kill(each: Try, process: subprocess.Popen, most: float = 2.0) -> None:
    each.moment(most)
    process.kill()
    each.finish(process, *KILLED)


def _end(each: Try, process: subprocess.Popen, most: float = 2.0) -> None:
    """End a command politely; half of those who do are impatient."""
    each.until_handled(process, signal.SIGTERM)
    each.moment(most)
    process.send_signal(each.random.choice(POLITE))
    if each.random.random() < 0.5:
        each.moment(1.0)
        process.send_signal(each.random.choice(POLITE))
    each.finish(process, *ENDED)


def killed_kernel(each: Try) -> None:
    """A kernel of a run or a sweep is killed."""
    line = each.random.choice([RUN, LINE])
    process = each.start(*line)
    deadline = time.monotonic() + 20
    while not (kernels := each.children(process)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    each.moment(1.0)
    for kernel in kernels:
        with contextlib.suppress(psutil.NoSuchProcess):
            kernel.kill()
    each.finish(process, 0, 1)
    each.hold_promises(*line)


def stopped_process(each: Try) -> None:
    """A command or its kernels stand still for a while and go on, as where a laptop sleeps."""
    line = each.random.choice([RUN, LINE])
    process = each.start(*line)
    each.moment()
    stopped = each.random.choice([[psutil.Process(process.pid)], each.children(process)])
    for one in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.suspend()
    each.moment()
    for one in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.resume()
    each.finish(process, 0)
    each.hold_promises(*line)


def stopped_then_killed(each: Try) -> None:
    """A command stands still and is then killed, while its kernel goes on."""
    process = each.start(*RUN)
    each.moment()
    process.send_signal(signal.SIGSTOP)
    each.moment(1.0)
    process.kill()
    each.finish(process, *KILLED)
    each.hold_promises(*RUN)


def full_disk(each: Try) -> None:
    """The disk of the runs is full: a small tmpfs where that can be mounted, a quota of the process elsewhere."""
    line = each.random.choice([RUN, LINE, BOOK])
    each.project.runs.mkdir()
    size = each.random.randrange(4, 80) * 1024
    if line != BOOK and _mount(each.project.runs, f"size={size}"):
        each.finish(each.start(*line), 0, 1, 2)
        _mount(each.project.runs, "remount,size=32m")
    else:
        each.finish(each.start(*line, disk=size), 0, 1, 2)
    each.nothing_runs()
    if line == BOOK:
        each.call(*line)
        line = RUN
    each.hold_promises(*line)


def _mount(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def read_only(each: Try) -> None:
    """Where a command writes there is a file, a dangling link, or nothing that can be written."""
    line, place = each.random.choice(
        [
            (RUN, "runs"),
            (LINE, "runs"),
            (BOOK, "_build"),
            (("record", "latest", "kept"), "book/recorded"),
        ]
    )
    each.call(*RUN)
    path = each.root / place
    kept = each.folder / "kept"
    if path.exists():
        path.rename(kept)
    if each.random.random() < 0.5:
        path.write_text("a file")
    else:
        path.symlink_to(each.folder / "nowhere")
    each.finish(each.start(*line), 1, 2)
    promise(not (each.folder / "nowhere").exists(), "what a dangling link points to was made")
    path.unlink()
    if kept.exists():
        kept.rename(path)
    each.hold_promises(*(line if line in (RUN, LINE) else RUN))


def hung_up(each: Try) -> None:
    """The reader of a command's output goes away."""
    line = each.random.choice([RUN, LINE, ("runs",), ("runs", "--json"), ("show", "latest"), ("status",)])
    each.call(*RUN)
    stream = each.random.choice(["stdout", "stderr"])
    reading, writing = os.pipe()
    process = each.start(*line, **{stream: writing})
    os.close(writing)
    os.close(reading)
    each.finish(process, 0, 1, 141)
    each.hold_promises(*(line if line in (RUN, LINE) else RUN))


def forged(each: Try) -> None:
    """Runs that nothing has run: damaged, of another format, links to elsewhere, pipes."""
    each.call(*RUN)
    made = []
    for forgery in each.random.sample(sorted(FORGERIES), 3):
        made += FORGERIES[forgery](each.project, each.outside, each.random)
    each.call(*each.random.choice([("runs",), ("runs", "--json"), ("status",)]))
    each.call("show", "latest", codes=(0, 2))
    each.line_completes(*RUN)
    each.call(*LINE)
    each.nothing_outside_changed()
    for path in made:
        _delete(path)
    each.hold_promises(*LINE)


def linked_chapter(each: Try) -> None:
    """The folder of a chapter's runs, or of its sweeps, is a link to elsewhere."""
    place, line = each.random.choice([("toy", RUN), ("toy", LINE), ("toy/sweeps", LINE)])
    path = each.project.runs / place
    path.parent.mkdir(parents=True)
    path.symlink_to(each.outside)
    each.finish(each.start(*line), 2)
    promise(not each.computed() or place != "toy", "the chapter was run although its record could not be kept")
    each.nothing_outside_changed()
    path.unlink()
    each.hold_promises(*line)


def same_runs(each: Try) -> None:
    """The same run is started several times at once."""
    processes = []
    for _ in range(3):
        processes.append(each.start(*RUN))
        each.moment(0.5)
    for process in processes:
        each.finish(process, 0)
    promise(each.computed() == {3: 1}, f"the same run was computed {each.computed()} times")
    each.hold_promises(*RUN)


def run_and_sweep(each: Try) -> None:
    """A run and two sweeps that have points in common are started at once."""
    processes = []
    overlapping = ("sweep", "toy", "-g", f"size={SIZES.start + 1}:{SIZES.stop + 1}")
    for line in each.random.sample([(*RUN, "-p", "size=2"), LINE, overlapping], 3):
        processes.append(each.start(*line))
        each.moment()
    for process in processes:
        each.finish(process, 0)
    promise(set(each.computed().values()) == {1}, f"a point was computed more than once: {each.computed()}")
    each.hold_promises(*LINE)


def recorded_at_once(each: Try) -> None:
    """Several results are recorded under one name at once."""
    each.call(*RUN)
    processes = [each.start("record", "latest", "kept") for _ in range(3)]
    codes = sorted(each.finish(process, 0, 2) for process in processes)
    promise(codes == [0, 2, 2], f"recording at once ended with {codes}")
    _check_recorded(each)
    each.hold_promises(*RUN)


def killed_record(each: Try) -> None:
    """`kill -9` while a result is recorded, for the first time or in place of another."""
    each.call(*RUN)
    line = ["record", "latest", "kept"]
    if each.random.random() < 0.5:
        each.call(*line)
        each.call(*RUN, "-p", "size=5")
        line.append("--replace")
    process = each.start(*line)
    time.sleep(each.random.uniform(0.2, 1.2))
    process.kill()
    each.finish(process, *KILLED)
    is_there = (each.project.recorded / "kept" / "run.json").exists()
    promise("--replace" not in line or is_there, "the record that was to be replaced is gone")
    if is_there:
        _check_recorded(each)
    each.call(*line, codes=(2,) if is_there and "--replace" not in line else (0,))
    _check_recorded(each)
    each.hold_promises(*RUN)


def _check_recorded(each: Try) -> None:
    record = json.loads((each.project.recorded / "kept" / "run.json").read_text())
    value = next(metric["value"] for metric in record["metrics"] if metric["name"] == "double")
    promise(
        value == 2 * record["parameters"]["resolved"]["size"], f"what is recorded is not what was measured: {value}"
    )


def killed_removal(each: Try) -> None:
    """`kill -9` while runs are deleted."""
    for size in SIZES:
        each.call(*RUN, "-p", f"size={size}")
    process = each.start("rm", "--older-than", "0", "--yes")
    time.sleep(each.random.uniform(0.1, 0.8))
    process.kill()
    each.finish(process, *KILLED)
    each.hold_promises(*LINE)


def killed_book(each: Try) -> None:
    """A build of the book is killed or ended: no child and no stage stays, the old pages are whole."""
    each.call(*BOOK)
    page = each.project.build / "html" / "book" / "intro.html"
    before = page.read_bytes()
    (each.root / "book" / "intro.md").write_text("# Toy\n\nAnother book.\n")
    process = each.start(*BOOK)
    each.random.choice([_kill, _end])(each, process, most=8)
    each.nothing_runs()
    promise(page.exists(), "the old pages are gone")
    promise(page.read_bytes() == before or b"Another book" in page.read_bytes(), "the pages are neither old nor new")
    each.call(*BOOK)
    promise(b"Another book" in page.read_bytes(), "the pages are not the new ones")
    each.hold_promises(*RUN)


def books_at_once(each: Try) -> None:
    """Several builds of the book are started at once, and one of them may be killed."""
    each.call(*BOOK)
    (each.root / "book" / "intro.md").write_text("# Toy\n\nAnother book.\n")
    processes = []
    for _ in range(3):
        processes.append(each.start(*BOOK))
        each.moment()
    killed = each.random.choice([None, *processes])
    if killed is not None:
        _kill(each, killed, most=6)
    page = each.project.build / "html" / "book" / "intro.html"
    while any(process.poll() is None for process in processes):
        promise(b"<h1>Toy" in page.read_bytes(), "the page is not whole")
        time.sleep(0.01)
    for process in processes:
        each.finish(process, *(KILLED if process is killed else (0,)))
    promise(b"Another book" in page.read_bytes(), "the pages are not the new ones")
    each.hold_promises(*RUN)


def hostile_request(each: Try) -> None:
    """A request that nobody means well, or that cannot be written."""
    name = each.random.choice(sorted(HOSTILE_ARGUMENTS))
    arguments, codes = HOSTILE_ARGUMENTS[name](each)
    started = time.monotonic()
    each.finish(each.start(*arguments), *codes)
    took = time.monotonic() - started
    promise(took < 20, f"{name} took {took:.0f} seconds to be refused")
    promise(codes != (2,) or not each.computed(), f"{name}: the chapter was run")
    promise(codes != (2,) or not list(each.project.runs.glob("toy/2*")), f"{name}: a run's folder was made")
    each.hold_promises(*RUN)


KINDS: dict[str, Callable[[Try], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        killed_run,
        ended_run,
        killed_sweep,
        ended_sweep,
        killed_kernel,
        stopped_process,
        stopped_then_killed,
        full_disk,
        read_only,
        hung_up,
        forged,
        linked_chapter,
        same_runs,
        run_and_sweep,
        recorded_at_once,
        killed_record,
        killed_removal,
        killed_book,
        books_at_once,
        stopped_check,
        hostile_request,
    )
}


def _delete(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
