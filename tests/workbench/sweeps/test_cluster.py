"""Sweeps on a cluster that runs already, whose workers share no disk with the sweep."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from types import SimpleNamespace

import psutil
import pytest

from swept_project import (
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
from workbench.runs.store import all_runs
from workbench.sweeps import cluster as sweep_cluster
from workbench.sweeps import execute, worker
from workbench.sweeps.cluster import Share, open_cluster


def test_two_workers_without_a_shared_disk_complete_a_sweep(project, cluster):
    write_traced_chapter(project, "open('saved.txt', 'w').write(os.getcwd())")
    code, _, err = sweep(project, "-g", "size=1:4", "-g", "seed=0:2", "--scheduler", cluster.address)
    assert code == 0, err
    assert Counter(line[:2] for line in trace(project)) == {(s, seed): 1 for s in (1, 2, 3) for seed in (0, 1)}
    assert {line[3] for line in trace(project)} == {worker.pid for worker in cluster.workers}
    runs = list(all_runs(project))
    assert [run.status for run in runs] == ["completed"] * 6
    assert all(run.notebook.is_file() for run in runs)
    folders = {(run.folder / "saved.txt").read_text() for run in runs}
    assert len(folders) == 6
    assert not any(folder.startswith(str(project.root)) for folder in folders)
    assert not any(os.path.exists(folder) for folder in folders), "workers clean up"  # noqa: PTH110
    assert results(project)["completed"] == 6


@pytest.mark.parametrize("killed", ["worker", "worker under a nanny", "nanny"])
def test_a_lost_worker_costs_no_point(project, cluster, killed):
    if killed != "worker":
        cluster.workers[0].kill()
        cluster.add_worker("nanny", nanny=True)
        cluster.wait_for_workers("nanny")
    write_traced_chapter(project, hanging(project, 1, 2))
    process = start(project, "-g", "size=1:5", "--scheduler", cluster.address)
    wait_until(lambda: len(trace(project)) == 2)
    plain = {worker.pid for worker in cluster.workers}
    kernel, runner = next(line[2:] for line in trace(project) if killed == "worker" or line[3] not in plain)
    os.kill(psutil.Process(runner).ppid() if killed == "nanny" else runner, signal.SIGKILL)
    wait_until(lambda: is_gone(kernel) and is_gone(runner), 5)
    mend(project)
    code, _, err = finish(process)
    assert code == 0, err
    assert statuses(project) == ["completed"] * 4
    assert sorted(Counter(line[0] for line in trace(project)).values()) == [1, 1, 1, 2]


@pytest.mark.parametrize("end", ["scheduler lost", "interrupted", "killed"])
def test_a_sweep_that_loses_its_cluster_or_is_stopped_leaves_no_kernel(project, cluster, end):
    write_traced_chapter(project, hanging(project, 3))
    process = start(project, "-g", "size=1:5", "--scheduler", cluster.address)
    wait_until(lambda: statuses(project).count("completed") == 3)
    kernel = next(line[2] for line in trace(project) if line[0] == 3)
    if end == "scheduler lost":
        cluster.scheduler.kill()
    elif end == "interrupted":
        process.send_signal(2)
    else:
        process.kill()
    code, _, err = finish(process)
    assert code == {"scheduler lost": 1, "interrupted": 130, "killed": -9}[end]
    if end == "scheduler lost":
        assert f"the connection to the scheduler at {cluster.address} was lost" in err
        assert "the same line does the rest" in err
    wait_until(lambda: is_gone(kernel), 5)
    assert statuses(project) == ["completed"] * 3 + ["interrupted"]
    mend(project)
    code, _, err = sweep(
        project, "-g", "size=1:5", *(() if end == "scheduler lost" else ("--scheduler", cluster.address))
    )
    assert code == 0, err
    assert Counter(line[0] for line in trace(project)) == {1: 1, 2: 1, 3: 2, 4: 1}
    assert results(project)["completed"] == 4


@pytest.mark.parametrize("port", ["closed", "silent"])
def test_an_address_without_a_scheduler_is_a_sentence_within_15_seconds(port):
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        if port == "silent":
            service.listen()
        address = f"tcp://127.0.0.1:{service.getsockname()[1]}"
        began = time.monotonic()
        with (
            pytest.raises(RunError, match=f"no Dask scheduler answers at {address}: "),
            open_cluster(address, Share(1, 1)),
        ):
            pass
        assert time.monotonic() - began < 15


def test_a_sweep_without_its_scheduler_makes_no_run(project):
    write_traced_chapter(project)
    code, _, err = sweep(project, "-g", "size=1,2", "--scheduler", "tcp://127.0.0.1:9")
    assert (code, "no Dask scheduler answers at tcp://127.0.0.1:9" in err) == (1, True)
    assert "Traceback" not in err
    assert not list(all_runs(project))


def test_a_worker_that_would_compute_something_else_is_left_out(project, cluster):
    # A module of the same name in front of the installed one: the worker's code differs from ours.
    write_traced_chapter(project, "import numpy\nnumpy.zeros(size)")
    fake = project.root / "other" / "numpy-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    cluster.workers[0].kill()
    path = os.pathsep.join([str(fake.parent), os.environ.get("PYTHONPATH", "")])
    odd = cluster.add_worker("odd", PYTHONPATH=path)
    cluster.wait_for_workers("odd")
    code, _, err = sweep(project, "-g", "size=1:5", "--scheduler", cluster.address)
    assert code == 0, err
    assert "a worker is left out: numpy is 0.0.1 there" in err
    assert Counter(line[0] for line in trace(project)) == {1: 1, 2: 1, 3: 1, 4: 1}
    cluster.workers[1].kill()
    code, _, err = sweep(project, "-g", "size=5,6", "--scheduler", cluster.address)
    assert code == 1
    assert "no worker computes what this machine would: numpy is 0.0.1 there" in err
    odd.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes' sockets are read from /proc")
def test_a_cluster_in_this_process_opens_no_port_beyond_this_machine(project):
    write_traced_chapter(project, hanging(project, 1, 2))
    process = start(project, "-g", "size=1,2", "--workers", "2")
    wait_until(lambda: len(trace(project)) == 2)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    listening = [port.laddr for each in family for port in each.net_connections() if port.status == psutil.CONN_LISTEN]
    mend(project)
    assert finish(process)[0] == 0
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}, listening


def test_a_cluster_in_this_process_leaves_nothing_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_cluster(None, Share(1, 1)):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_the_log_of_dask_stays_off_the_terminal():
    """In a process of its own, since it is the first import of `distributed` that sets the levels."""
    lines = [
        "import logging",
        "from workbench.sweeps.cluster import Share, open_cluster",
        "with open_cluster(None, Share(1, 1)):",
        "    import distributed.batched",
        "    for name in ('distributed', 'distributed.batched', 'distributed.client'):",
        "        logging.getLogger(name).error('said by %s', name)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_large_reply_on_a_slow_line_is_waited_for():
    class Slow:
        """A future whose reply takes two minutes to arrive, as Dask's has it."""

        def result(self, timeout=None):
            if timeout is not None and timeout < 120:
                raise TimeoutError
            return {"files": {"model.safetensors": b""}}

    connected = SimpleNamespace(status="running")
    assert sweep_cluster.Cluster(connected).reply(Slow()) == {"files": {"model.safetensors": b""}}


def test_a_worker_s_secrets_are_redacted_before_its_run_is_sent(project, scheduler):
    secret = "a-token-that-only-the-worker-has"
    (project.root / "secret.txt").write_text(secret)
    read = f"said = open({str(project.root / 'secret.txt')!r}).read()\nprint(said)"
    record = "from workbench.chapter import Chapter\nChapter({}).record('said', said)"
    fail = "if size == 2:\n    raise ValueError(said)"
    write_traced_chapter(project, read, record, fail)
    scheduler.add_worker("worker", HF_TOKEN=secret)
    code, out, err = sweep(project, "-g", "size=1,2", "--scheduler", scheduler.address)
    assert (code, statuses(project)) == (1, ["completed", "failed"])
    assert "ValueError: (redacted)" in err
    assert secret not in out + err
    assert not [path for path in project.runs.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_errors_of_workers_are_redacted_before_they_are_said_or_written(monkeypatch):
    secret = "a-token-of-twenty-letters"
    monkeypatch.setenv("HF_TOKEN", secret)

    def refuse(*_):
        raise RunError(f"cannot use {secret}")

    monkeypatch.setattr(worker, "_run", refuse)
    assert worker.answer({}, {}, "/tmp") == {"refused": ["cannot use (redacted)"]}

    def fail():
        raise ValueError(f"cannot use {secret}")

    told = sweep_cluster.Cluster(SimpleNamespace(status="running")).reply(SimpleNamespace(result=fail))
    assert told.sentences == ("the workers cannot run a point: ValueError: cannot use (redacted)",)
    first = dict.fromkeys(("key", "ingredients", "parameters", "started", "git"))
    flight = SimpleNamespace(run=SimpleNamespace(record=first), since=0.0)
    error = execute._final(flight, {"refused": [f"cannot use {secret}"]})["error"]
    assert (error["message"], error["traceback"]) == ("cannot use (redacted)", ["cannot use (redacted)"])


def test_of_files_that_are_too_large_the_smallest_come_and_the_others_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "LARGEST", 20)
    folder = tmp_path
    (folder / "models").mkdir(parents=True)
    for name, size in {"toy.ipynb": 30, "small": 5, "models/middle": 10, "models/large": 15, "lock": 0}.items():
        (folder / name).write_bytes(b"x" * size)
    files, left_out = worker.files_of(folder, folder / "toy.ipynb")
    assert set(files) == {"small", "models/middle", "toy.ipynb"}
    assert left_out == ["models/large"]


def test_a_run_that_ends_without_a_result_is_a_failed_point():
    def work():
        raise asyncio.CancelledError

    run = worker._Run(work)
    assert run.finish_while(lambda: True)
    assert run.reply == {"refused": ["the run ended without a result"]}
