"""Chapters that are really run: what is written says what happened."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import psutil
import pytest

from made_runs import new_run_folder
from toy_project import PARAMETERS, Silent, edit_cell, write_chapter
from workbench.core.errors import RequestError, RunError
from workbench.parameters.contract import load_contract
from workbench.runs import engine, keys, runner, store
from workbench.runs.keys import content_key, ingredients
from workbench.runs.runner import Limits, run_chapter
from workbench.runs.store import all_runs

pytestmark = pytest.mark.usefixtures("warm_server")
BEGIN = "from workbench.chapter import begin\nchapter = begin()"


def start_and_wait_for_kernel(project) -> tuple[subprocess.Popen, int]:
    """A run in another process, in the middle of a cell that takes a minute, and its kernel's process id."""
    write_chapter(project.root, "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    command = [sys.executable, "-m", "workbench.cli.app", "run", "toy"]
    process = subprocess.Popen(command, cwd=project.root, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (pids := list(project.runs.glob("toy/*/pid"))) or not pids[0].read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    return process, int(pids[0].read_text())


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to read its exit code does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_run_records_what_was_asked_and_what_came_out(project, run):
    write_chapter(
        project.root,
        BEGIN,
        "chapter.record('double', 2 * size, n=size, low=0, high=99)",
        "chapter.claim('Size is positive: size', size, above=0)",
    )
    reporter = Silent()
    done, reused = run(reporter=reporter, size="5", name="010")
    record = json.loads((done.folder / "run.json").read_text())
    assert not reused
    assert record["status"] == "completed"
    assert record["parameters"]["given"] == {"size": "5", "name": "010"}
    assert record["parameters"]["resolved"]["size"] == 5
    assert record["metrics"] == [{"name": "double", "value": 10, "count": None, "n": 5, "low": 0.0, "high": 99.0}]
    assert [(claim["statement"], claim["holds"]) for claim in record["claims"]] == [("Size is positive: size", True)]
    assert record["peak_memory_bytes"] > 10e6
    assert record["cpu_seconds"] > 0
    assert record["seconds"] > sum(cell["seconds"] for cell in record["cells"]) * 0.9
    assert record["error"] is None
    assert reporter.total == len(reporter.cells) == len(record["cells"]) == 6
    injected = next(
        cell
        for cell in json.loads(done.notebook.read_text())["cells"]
        if "injected-parameters" in cell["metadata"].get("tags", [])
    )
    assert 'name = "010"' in "".join(injected["source"])


def test_the_same_request_is_answered_by_the_earlier_run_unless_forced(project, run):
    first, _ = run(size="2")
    again, reused = run(size="2")
    assert reused
    assert again.id == first.id
    edit_cell(project.notebooks / "toy.ipynb", "title", "# A corrected title")
    assert run(size="2")[1]
    assert not run(size="2", force=True)[1]
    assert len(list(all_runs(project))) == 2


def test_a_failed_cell_is_named_and_the_notebook_up_to_it_is_kept(project, run):
    write_chapter(project.root, "print('before')", "1 / 0", "print('after')")
    done, _ = run()
    assert done.record["status"] == "failed"
    assert done.record["error"]["cell"] == "cell-2"
    assert (done.record["error"]["name"], done.record["error"]["message"]) == ("ZeroDivisionError", "division by zero")
    kept = done.notebook.read_text()
    assert "before" in kept
    assert "ZeroDivisionError" in kept
    assert not run()[1], "a failed run is not reused"


def test_a_killed_kernel_is_a_failed_run(project, run):
    write_chapter(project.root, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    done, _ = run()
    assert done.record["status"] == "failed"
    assert "DeadKernelError" in done.record["error"]["name"]


def test_a_cell_over_its_limit_is_a_failed_run(project, run):
    write_chapter(project.root, "import time\ntime.sleep(60)")
    start = time.monotonic()
    done, _ = run(limits=Limits(cell=2))
    assert done.record["status"] == "failed"
    assert "Timeout" in done.record["error"]["name"]
    assert time.monotonic() - start < 30


def test_a_run_over_its_limit_is_a_failed_run(project, run):
    write_chapter(project.root, *["import time\ntime.sleep(1.5)"] * 6)
    done, _ = run(limits=Limits(run=3))
    assert done.record["status"] == "failed"
    assert "Timeout" in done.record["error"]["name"]
    assert done.record["error"]["number"] < 8


def test_a_clock_that_jumps_spoils_neither_times_nor_order(project):
    contract = load_contract(project, "toy")
    past = datetime(2001, 1, 1, tzinfo=UTC)
    done, _ = run_chapter(project, contract, {}, Silent(), now=lambda: past)
    assert done.record["started"] == "2001-01-01T00:00:00.000000Z"
    assert done.record["ended"].startswith("2001-01-01T00:00:")
    assert 0 < done.record["seconds"] < 100


def test_a_full_disk_ends_the_run_with_a_sentence_and_no_false_record(project, run, monkeypatch):
    real = store.write_atomically
    written = []

    def full(path, content, **options):
        written.append(path)
        if len(written) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content, **options)

    for module in (store, engine):
        monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(RunError, match="cannot be written: No space left on device"):
        run()
    (left,) = all_runs(project)
    assert left.status == "interrupted"
    monkeypatch.undo()
    monkeypatch.chdir(project.root)
    assert not run()[1], "it is computed again, not reused"


def test_a_disk_that_fills_while_a_cell_is_saved_interrupts_the_run(project, run, monkeypatch):
    def full(path, content, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine, "write_atomically", full)
    with pytest.raises(RunError, match="was stopped: its folder cannot be written: No space left on device"):
        run()
    (left,) = all_runs(project)
    assert left.record["status"] == "interrupted"


def test_of_two_identical_runs_started_at_once_one_computes(project):
    write_chapter(project.root, "import time\ntime.sleep(2)\nopen('ran', 'w').close()")
    command = [sys.executable, "-m", "workbench.cli.app", "run", "toy"]
    pair = [subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in "ab"]
    printed = [process.communicate(timeout=90)[0].decode() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert sum("nothing was run" in text for text in printed) == 1
    assert len(list(project.runs.glob("toy/*/ran"))) == len(list(all_runs(project))) == 1


def test_code_that_is_changed_while_a_chapter_runs_fails_the_run(project, run, monkeypatch):
    reached, changed = keys._reached, iter(["before", "before", "after"])

    def reached_now(contract):
        links = next(changed, "after")
        return dataclasses.replace(reached(contract), links=links)

    monkeypatch.setattr(keys, "_reached", reached_now)
    done, _ = run()
    assert (done.status, done.record["error"]["name"]) == ("failed", "RunError")
    assert "was changed while it ran" in done.record["error"]["message"]


def test_the_second_of_two_identical_runs_computes_when_the_first_fails(project, run):
    contract = load_contract(project, "toy")
    key = content_key(ingredients(contract, contract.resolve({})))
    folder = new_run_folder(project.runs, "toy", key, datetime.now(UTC))
    hold = "import sys, time, filelock as f\nwith f.FileLock(sys.argv[1]):\n print(flush=True); time.sleep(2)"
    other = subprocess.Popen([sys.executable, "-c", hold, str(folder / "lock")], stdout=subprocess.PIPE)
    other.stdout.readline()
    unfinished = {"format": 1, "status": "running", "key": key, "parameters": {}, "started": "2026-11-23T18:45:00Z"}
    store.write_record(folder, unfinished)
    done, reused = run()
    assert other.poll() is not None, "it has waited for the other"
    other.communicate()
    assert not reused
    assert done.record["status"] == "completed"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_after_a_kill_of_the_workbench_the_run_reads_interrupted_and_no_kernel_is_left(project):
    process, kernel = start_and_wait_for_kernel(project)
    process.kill()
    process.wait()
    process.stderr.close()
    assert next(all_runs(project)).status == "interrupted"
    deadline = time.monotonic() + 30
    while is_alive(kernel):
        assert time.monotonic() < deadline, "the kernel has outlived its parent"
        time.sleep(0.1)


def test_secrets_reach_neither_the_kernel_nor_the_files(project, run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_averysecretone")
    write_chapter(
        project.root,
        "import os\nprint(dict(os.environ))",
        "print('hf_avery' + 'secretone')",
        "raise ValueError('hf_avery' + 'secretone')",
    )
    done, _ = run()
    for file in done.folder.iterdir():
        assert "hf_averysecretone" not in file.read_text()
    assert "'HF_TOKEN'" not in done.notebook.read_text()


def test_a_secret_that_is_also_a_default_a_metric_and_a_word_of_the_file_format_spoils_no_run(
    project, run, monkeypatch
):
    monkeypatch.setenv("DATABASE_PASSWORD", "100000")
    monkeypatch.setenv("REDIS_AUTH", "kernelspec")
    monkeypatch.setenv("LLM_MAX_TOKENS", "65536")
    write_chapter(
        project.root,
        BEGIN,
        "chapter.record('double', 100000, n=size)",
        "import os\nprint('it is', 10**5, os.environ['LLM_MAX_TOKENS'])",
        parameters=PARAMETERS.replace("size: Count = 3", "size: Count = 100000"),
    )
    done, _ = run()
    assert done.status == "completed"
    assert [(metric["value"], metric["n"]) for metric in done.record["metrics"]] == [(100000, 100000)]
    notebook = store.read_notebook(done)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "".join(notebook["cells"][-1]["outputs"][0]["text"]) == "it is (redacted) 65536\n"


def test_a_disk_that_is_full_before_a_run_has_its_record_leaves_no_folder(project, run, monkeypatch):
    def full(path, content, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "write_atomically", full)
    with pytest.raises(RequestError, match="cannot be written: No space left on device"):
        run()
    assert [path.name for path in (project.runs / "toy").iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["toy", "toy/.lock"])
def test_a_link_in_the_place_of_what_a_run_writes_is_refused_and_not_followed(project, run, name):
    outside = project.root / "outside"
    outside.mkdir()
    (outside / "lock").write_text("not empty")
    link = project.runs / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / "lock" if name.endswith("lock") else outside)
    with pytest.raises(RequestError, match=r"is a link|cannot be written"):
        run()
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("lock", "not empty")]


def test_the_runs_folder_itself_may_be_a_link(project, run):
    (project.root / "large-disk").mkdir()
    project.runs.symlink_to(project.root / "large-disk")
    done, _ = run()
    assert done.status == "completed"
    assert list((project.root / "large-disk" / "toy").glob("2*/run.json"))


def test_a_run_that_is_killed_before_it_has_its_record_leaves_nothing_that_looks_like_one(project, run, monkeypatch):
    code = (
        "import os, signal, sys; from pathlib import Path; from workbench.runs import store\n"
        "store.write_record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "record = {'chapter': 'toy', 'key': '1a2b3c4d5e', 'started': '2026-11-23T18:45:00.000000Z'}\n"
        "Path(sys.argv[1], 'toy').mkdir(parents=True)\n"
        "store.start_run(Path(sys.argv[1]), record)"
    )
    subprocess.run([sys.executable, "-c", code, str(project.runs)], check=False)
    (left,) = (project.runs / "toy").iterdir()
    assert list(all_runs(project, damaged=True)) == []
    done, _ = run()
    assert done.status == "completed"
    assert not left.exists()


def test_a_bad_value_writes_nothing(project, run):
    with pytest.raises(RequestError):
        run(size="0")
    assert not project.runs.exists()


def test_a_runs_folder_that_cannot_be_written_is_refused_before_anything_starts(project, run, monkeypatch):
    (project.root / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_RUNS", str(project.root / "file" / "runs"))
    with pytest.raises(RequestError, match="cannot be written"):
        run()


def test_the_kernel_is_of_this_environment_whatever_the_user_has_installed(project, run, monkeypatch, tmp_path):
    kernels = tmp_path / "home" / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "wrong", "language": "python"}))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("JUPYTER_PREFER_ENV_PATH", raising=False)
    write_chapter(project.root, "import sys\nprint(sys.executable)")
    done, _ = run()
    assert done.record["status"] == "completed"
    assert sys.prefix in done.notebook.read_text()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_no_process(project, sent):
    process, kernel = start_and_wait_for_kernel(project)
    process.send_signal(sent)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert next(all_runs(project)).record["status"] == "interrupted"
    assert not is_alive(kernel)


def test_a_process_that_stands_still_while_it_looks_for_runs_is_named(project, run, monkeypatch):
    monkeypatch.setattr(runner, "_PATIENCE", 0.2)
    with runner.turn(project.runs, "toy"), pytest.raises(RunError, match=r"another process has held .*/toy/\.lock for"):
        run()
