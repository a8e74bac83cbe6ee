"""A try of the bench: a project in a folder of its own, its commands, and the promises that must be kept.

- a command ends by itself, with a code that says how, and without a traceback of ours;
- five seconds later no process that it started is there;
- a record says what happened, and what it says was measured was measured;
- nothing outside of the project has been read into it or changed;
- the same line then completes, computes only what is missing, and leaves no temporary file behind;
- no secret stands in a file or on the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from forgeries import OUTSIDE_NUMBER, make_outside

from toy_project import write_chapter
from workbench.core.project import Project
from workbench.runs.store import all_runs, is_locked

MARK = "WORKBENCH_FAULTS_TRY"
PATIENCE = 60.0  # seconds for a command to end by itself
GONE_AFTER = 5.0  # seconds for its processes to be gone
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
            MARK: self.folder.name,
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

    def until_handled(self, process: subprocess.Popen, number: int) -> None:
        """Wait until a command handles a signal: before, Python itself starts, and nothing can be left behind."""
        status, deadline = Path(f"/proc/{process.pid}/status"), time.monotonic() + PATIENCE
        if not status.exists():
            time.sleep(2)  # an operating system that does not tell
        while status.exists() and process.poll() is None and time.monotonic() < deadline:
            caught = re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.MULTILINE)
            if caught is None or int(caught[1], 16) >> (number - 1) & 1:
                return
            time.sleep(0.02)

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
                if process.environ().get(MARK) == self.folder.name and process.status() != psutil.STATUS_ZOMBIE:
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
        told = [("the terminal", text) for text in self.said]
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
            expected = (".lock", ".buildinfo")  # the chapter's turn, and Sphinx's
            if path.name not in expected and not any(folder in path.parents for folder in stopped):
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


def _secrets(source: random.Random) -> list[tuple[str, str, str]]:
    """Variables as people have them: their names, their values, and what of these is secret."""

    def word(length: int = 20) -> str:
        letters = source.choices("abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789", k=length - 2)
        return "".join([*letters, *source.choices("23456789", k=2)])

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
