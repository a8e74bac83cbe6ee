"""A test bench for faults: commands are killed, stopped, starved of disk, lied to and raced, and keep their promises.

    python tests/faults/bench.py --tries 500            a long round (`make faults`)
    python tests/faults/bench.py --first 17 --tries 1   one try again
    python tests/faults/bench.py --sabotage torn-write  a fault put into the tool on purpose, which must be caught

A try is all in its seed: the kind of fault, its moment, the secrets in the environment. It works in a folder of its own,
with a toy chapter that prints every secret that it can get hold of, and ends with these promises held:

- a command ends by itself, with a code that says how, and without a traceback of ours;
- five seconds later no process that it started is there;
- a record says what happened, and what it says was measured was measured;
- nothing outside of the project has been read into it or changed;
- the same line then completes, computes only what is missing, and leaves no temporary file behind;
- no secret stands in a file or on the terminal.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "workbench"))

from forgeries import FORGERIES, HOSTILE_ARGUMENTS, OUTSIDE_NUMBER, make_outside  # noqa: E402
from sabotage import SABOTAGES  # noqa: E402

from toy_project import write_chapter  # noqa: E402
from workbench.core.project import Project  # noqa: E402
from workbench.runs.store import all_runs, is_locked  # noqa: E402

MARK = "WORKBENCH_FAULTS_TRY"
PATIENCE = 60.0  # seconds for a command to end by itself
GONE_AFTER = 5.0  # seconds for its processes to be gone
SIZES = range(1, 4)
LINE = ("sweep", "toy", "-g", f"size={SIZES.start}:{SIZES.stop}", "--workers", "2")
CHAPTER = """\
import json, os, subprocess, sys, time
from pathlib import Path

from workbench.chapter import Chapter

with open({trace!r}, "a") as file:
    print(size, file=file)
time.sleep({pause})
secrets = json.loads(Path({secrets!r}).read_text())
print(*secrets, os.environ, sep="\\n")
print(repr(secrets), file=sys.stderr)
os.write(2, "\\n".join(secrets).encode())
subprocess.run([sys.executable, "-c", "import sys; print(sys.argv)", *secrets])
Chapter({{}}).record("double", 2 * size + seed / 10)
Chapter({{}}).record("said", secrets[0])
"""


class Broken(AssertionError):
    """A promise that was not kept."""


def promise(kept: object, otherwise: str) -> None:
    """Raise where a promise is not kept."""
    if not kept:
        raise Broken(otherwise)


@dataclass
class Try:
    """One try: a project in a folder of its own, its commands, and what must hold of them."""

    seed: int
    kind: str
    folder: Path
    sabotage: str | None = None
    random: random.Random = field(init=False)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.root, self.temporary, self.outside = (self.folder / name for name in ("p", "t", "outside"))
        for folder in (self.root, self.temporary):
            folder.mkdir()
        self.project = Project(self.root)
        self.secrets = _secrets(self.random)
        (self.folder / "secrets.json").write_text(json.dumps([secret for _, _, secret in self.secrets]))
        (self.root / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n- file: notebooks/toy\n")
        (self.root / "_config.yml").write_text("title: Toy\nexecute:\n  execute_notebooks: 'off'\n")
        (self.root / "book" / "editions").mkdir(parents=True)
        (self.root / "book" / "editions" / "offline.yml").write_text("chapters: {}\n")
        (self.root / "book" / "intro.md").write_text("# Toy\n\nA book.\n")
        self.trace = self.folder / "trace"
        code = CHAPTER.format(
            trace=str(self.trace),
            pause=round(self.random.uniform(0, 0.6), 2),
            secrets=str(self.folder / "secrets.json"),
        )
        write_chapter(self.root, code)
        make_outside(self.outside)
        self._outside_before = _state(self.outside)

    def start(self, *arguments: str, disk: int | None = None, **options: object) -> subprocess.Popen:
        """Start `workbench` with these arguments; no file may grow over `disk` bytes."""

        def prepare() -> None:
            for number in (signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            if disk is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))

        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, "-m", "workbench.cli.app", *arguments],
            cwd=self.root,
            env=self._environment(),
            text=True,
            errors="replace",
            preexec_fn=prepare,
            start_new_session=True,
            **streams,
        )

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
        environment |= {name: value for name, value, _ in self.secrets}
        environment |= {
            MARK: f"{self.folder.name}.",
            "TMPDIR": str(self.temporary),
            "HOME": str(self.folder),
            "COLUMNS": "200",
            "JUPYTER_DEFAULT_PROVISIONER_NAME": "local-provisioner",  # warm kernels have tests of their own
            "LLM_MAX_TOKENS": "100000",
            "GIT_AUTHOR_NAME": "kernel",
            "KEYBOARD": "us",
        }
        if self.sabotage:
            environment["PYTHONPATH"] = str(self.folder / "sabotage")
        return environment

    def finish(self, process: subprocess.Popen, *codes: int) -> int:
        """The exit code of a process, which has to be one of these."""
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Broken(f"{' '.join(process.args[3:])[:200]} did not end within {PATIENCE:.0f} seconds") from None
        self.said += [out or "", err or ""]
        code = process.returncode
        said = f"{' '.join(process.args[3:])[:200]!r} ended with {code}: {(err or '')[-1500:]}"
        promise(code in codes, f"{said}; expected {' or '.join(map(str, codes))}")
        promise("Traceback (most recent call last)" not in (err or ""), said)
        return code

    def call(self, *arguments: str, codes: Sequence[int] = (0,)) -> int:
        """Run a command to its end."""
        return self.finish(self.start(*arguments), *codes)

    def moment(self, most: float = 2.0) -> None:
        """Wait for a random while, in seconds."""
        time.sleep(self.random.uniform(0, most))

    def children(self, process: subprocess.Popen) -> list[psutil.Process]:
        """The kernels that a command has started and that are still there."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if "ipykernel_launcher" in " ".join(_command(child))
            ]
        return []

    def computed(self) -> Counter:
        """How often the chapter has started with each size."""
        return Counter(map(int, self.trace.read_text().split())) if self.trace.exists() else Counter()

    # What must hold

    def nothing_runs(self) -> None:
        """Every process that was started is gone within a few seconds."""
        deadline = time.monotonic() + GONE_AFTER
        while left := list(self.processes()):
            promise(time.monotonic() < deadline, f"still there: {[' '.join(_command(each))[:120] for each in left]}")
            time.sleep(0.1)

    def processes(self) -> Iterator[psutil.Process]:
        """The processes of this try, whoever their parent is."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get(MARK) == f"{self.folder.name}.":
                    if process.status() != psutil.STATUS_ZOMBIE:
                        yield process

    def records_are_true(self) -> None:
        """Every run ended in a way that its record says, and the metrics are those of its parameters."""
        for run in all_runs(self.project, damaged=True):
            promise(run.status in ("completed", "failed", "interrupted"), f"{run.id} is {run.status}: {run.problem}")
            promise(not is_locked(run.folder), f"{run.id} is locked by no one")
            if run.status == "completed":
                values = run.record["parameters"]["resolved"]
                measured = {metric["name"]: metric["value"] for metric in run.record["metrics"]}
                promise(
                    measured.get("double") == 2 * values["size"] + values["seed"] / 10,
                    f"{run.id} measured {measured} with {values}",
                )
                json.loads(run.notebook.read_text())

    def nothing_outside_changed(self) -> None:
        """What lies beside the project is as it was, and none of it came in."""
        promise(_state(self.outside) == self._outside_before, "something outside of the project was changed")
        for path in _files(self.root):
            promise(OUTSIDE_NUMBER not in path.read_bytes(), f"{path.relative_to(self.root)} holds what was outside")

    def no_secret_is_told(self) -> None:
        """No secret stands in a file of the project or was printed."""
        told = [(name, text) for name, text in (("the terminal", text) for text in self.said)]
        told += [(str(path.relative_to(self.root)), _text(path)) for path in _files(self.root)]
        for name, _, secret in self.secrets:
            for part in (secret, *(line for line in secret.splitlines() if len(line) >= 6)):
                for place, text in told:
                    promise(part not in text, f"the secret of {name} stands in {place}")

    def nothing_is_left(self) -> None:
        """No temporary file is there, but for those in the folder of a run that was interrupted."""
        left = [path for path in self.temporary.iterdir() if path.name.startswith(("workbench", "tmp"))]
        stopped = [run.folder for run in all_runs(self.project) if run.status == "interrupted"]
        for path in self.root.rglob(".*"):
            if path.name != ".lock" and not any(folder in path.parents for folder in stopped):
                left.append(path)
        promise(not left, f"left behind: {', '.join(str(path.relative_to(self.folder)) for path in left)}")

    def line_completes(self, *line: str) -> None:
        """The line ends well, and a second time has nothing to do."""
        self.call(*line)
        before = self.computed()
        self.call(*line)
        promise(self.computed() == before, "what was completed was computed again")
        self.nothing_runs()
        self.nothing_is_left()

    def hold_promises(self, *line: str) -> None:
        """Everything that holds after any fault."""
        self.nothing_runs()
        self.records_are_true()
        if line:
            self.line_completes(*line)
            self.records_are_true()
        self.nothing_outside_changed()
        self.no_secret_is_told()

    def clean_up(self) -> None:
        """End what is left, and remove the folder."""
        for process in list(self.processes()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(OSError):
            subprocess.run(["umount", str(self.project.runs)], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


# The kinds of faults: each does what it says at a random moment, and then holds the promises.

ENDED, KILLED = (0, 130), (0, -signal.SIGKILL)
POLITE = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
RUN = ("run", "toy")


def killed_run(each: Try) -> None:
    """`kill -9` while a chapter runs."""
    _signalled(each, RUN, [signal.SIGKILL], KILLED)


def ended_run(each: Try) -> None:
    """Ctrl-C, an end or a hang-up while a chapter runs."""
    _signalled(each, RUN, POLITE, (*ENDED, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP))


def killed_sweep(each: Try) -> None:
    """`kill -9` while a sweep runs."""
    _signalled(each, LINE, [signal.SIGKILL], KILLED, most=5)


def ended_sweep(each: Try) -> None:
    """Ctrl-C, an end or a hang-up while a sweep runs."""
    _signalled(each, LINE, POLITE, (*ENDED, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP), most=5)


def _signalled(each: Try, line: Sequence[str], signals: Sequence[int], codes: Sequence[int], most: float = 2.0) -> None:
    process = each.start(*line)
    each.moment(most)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, each.random.choice(signals))
    each.finish(process, *codes)
    each.hold_promises(*line)


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
    line = each.random.choice([RUN, LINE])
    each.project.runs.mkdir()
    size = each.random.randrange(4, 80) * 1024
    if _mount(each.project.runs, f"size={size}"):
        each.finish(each.start(*line), 0, 1, 2)
        _mount(each.project.runs, "remount,size=32m")
    else:
        each.finish(each.start(*line, disk=size), 0, 1, 2)
    each.nothing_runs()
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
            (("book", "--committed"), "_build"),
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
    each.call("book", "--committed")
    page = each.project.build / "html" / "book" / "intro.html"
    before = page.read_bytes()
    (each.root / "book" / "intro.md").write_text("# Toy\n\nAnother book.\n")
    process = each.start("book", "--committed")
    each.moment(8.0)
    process.send_signal(each.random.choice([signal.SIGKILL, *POLITE]))
    each.finish(process, *KILLED, 130)
    each.nothing_runs()
    promise(page.exists(), "the old pages are gone")
    promise(page.read_bytes() == before or b"Another book" in page.read_bytes(), "the pages are neither old nor new")
    each.call("book", "--committed")
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
        hostile_request,
    )
}


def attempt(seed: int, kind: str | None = None, sabotage: str | None = None) -> tuple[str, str | None]:
    """The kind of a try, and what was not kept, or None."""
    names = list(KINDS)
    kind = kind or names[seed % len(names)]
    folder = Path(tempfile.mkdtemp(prefix=f"wf{seed}-"))
    each = Try(seed, kind, folder, sabotage)
    try:
        if sabotage:
            (folder / "sabotage").mkdir()
            (folder / "sabotage" / "sitecustomize.py").write_text(SABOTAGES[sabotage])
        KINDS[kind](each)
    except Broken as broken:
        return kind, str(broken)
    except Exception:
        return kind, traceback.format_exc()
    finally:
        each.clean_up()
    return kind, None


def main() -> int:
    """Make the tries that the command line asks for, and print the counts by kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tries", type=int, default=len(KINDS), help="how many (default: one of each kind)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="tries at a time (default: 2)")
    parser.add_argument("--kind", choices=KINDS, help="only this kind")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="put a fault into the tool, which must be caught")
    options = parser.parse_args()
    tried, broken, started = Counter(), Counter(), time.monotonic()
    seeds = range(options.first, options.first + options.tries)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tries = {pool.submit(attempt, seed, options.kind, options.sabotage): seed for seed in seeds}
        try:
            for number, done in enumerate(concurrent.futures.as_completed(tries), 1):
                kind, problem = done.result()
                tried[kind] += 1
                if problem:
                    broken[kind] += 1
                    print(f"try {tries[done]} ({kind}): {problem}", flush=True)
                if number % 25 == 0:
                    print(f"{number} of {options.tries} tries, {time.monotonic() - started:.0f} s", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            print("interrupted; these are the tries that were made")
    for kind in KINDS:
        if tried[kind]:
            print(f"{kind:<20} {tried[kind]:>4} tried {tried[kind] - broken[kind]:>4} survived")
    total = sum(tried.values())
    print(f"{'all':<20} {total:>4} tried {total - sum(broken.values()):>4} survived")
    return 1 if broken else 0


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def _state(folder: Path) -> list[tuple]:
    """The names, sizes and times of all that a folder holds."""
    return sorted(
        (str(path), path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")
    )


def _delete(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _secrets(source: random.Random) -> list[tuple[str, str, str]]:
    """Variables as people have them: their names, their values, and what of these is secret."""

    def word(length: int = 20) -> str:
        return "".join(source.choices("abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789", k=length))

    key = "\n".join(["-----BEGIN PRIVATE KEY-----", word(40), word(40), "-----END PRIVATE KEY-----"])
    plain = [
        "HF_TOKEN",
        "GITHUB_PAT",
        "MYSQL_PWD",
        "STRIPE_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "SMTP_PASS",
    ]
    made = [(name, value, value) for name in plain for value in [word()]]
    made.append(("DEPLOY_KEY", key, key))
    for name, form in {
        "DATABASE_URL": "postgres://app:{}@db.example.org:5432/app",
        "REDIS_URL": "redis://:{}@cache.example.org:6379/0",
        "HTTPS_PROXY": "http://me:{}@localhost:9",
        "PIP_EXTRA_INDEX_URL": "https://me:{}@index.example.org/simple",
        "SENTRY_DSN": "https://{}@errors.example.org/1",
        "STORAGE": "AccountName=me;AccountKey={};EndpointSuffix=example.org",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer {}",
        "NOTIFY": "https://hooks.example.org/services/{}",
    }.items():
        secret = word()
        made.append((name, form.format(secret), secret))
    return made


if __name__ == "__main__":
    sys.exit(main())
