"""A small project with one chapter, which every test may change as it likes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toy_project import Silent, write_chapter
from workbench.book.chromium import NAMES, OPTIONS, find_chromium
from workbench.core.project import Project
from workbench.parameters.contract import load_contract
from workbench.runs.runner import run_chapter


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose one chapter prints its parameters. The current directory is its root."""
    monkeypatch.delenv("WORKBENCH_RUNS", raising=False)
    monkeypatch.delenv("WORKBENCH_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n- file: notebooks/toy\n")
    write_chapter(tmp_path, "print(size, rate, share, seed, flag, mode, name, depths)")
    return Project(tmp_path)


@pytest.fixture
def run(project: Project) -> Callable:
    """Run the project's chapter in this process."""

    def run(*, reporter: Silent | None = None, force: bool = False, limits=None, **given):
        contract = load_contract(project, "toy")
        options = {} if limits is None else {"limits": limits}
        return run_chapter(project, contract, given, reporter or Silent(), force=force, **options)

    return run


@pytest.fixture
def command(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Call the command line in this process, in the project's root."""
    from workbench.cli.app import main

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        code = 0
        capsys.readouterr()
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["workbench", *arguments])
            patched.setattr(sys, "stdin", io.StringIO())
            for stream in ("stdout", "stderr"):
                patched.setattr(sys, stream, getattr(sys, stream))  # it is put back afterwards
            for name, value in {"COLUMNS": "200", **environment}.items():
                patched.setenv(name, value)
            try:
                main()
            except SystemExit as ended:
                code = ended.code or 0
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return call


@pytest.fixture
def workbench(project: Project) -> Callable:
    """Call the command line as a process of its own, in the project's root."""

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "workbench.cli.app", *arguments]
        environ = {**os.environ, "COLUMNS": "200", **environment}
        return subprocess.run(command, capture_output=True, text=True, cwd=project.root, env=environ, timeout=300)

    return call


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; skipped where there is none."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium found (looked for " + ", ".join(NAMES) + ")")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", *OPTIONS])
        yield chromium
        chromium.close()
