"""What a sweep waits for: workers, schedulers and other processes that are gone, stand still or come back."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from types import SimpleNamespace

import psutil
import pytest

from dask_cluster import SweepInSight
from swept_project import finish, hanging, is_gone, mend, start, statuses, trace, wait_until, write_traced_chapter
from workbench.core.errors import RunError
from workbench.runs.store import all_runs, lock_of
from workbench.sweeps import cluster as sweep_cluster
from workbench.sweeps import execute
from workbench.sweeps.waits import PATIENCE, SAID_AFTER, Hindrance, Waits

NO_WORKER = Hindrance("there is no worker", "waiting for one", "there is a worker again")


def waits():
    """What is waited for, and the sentences that are said of it."""
    said: list[str] = []
    return Waits(said.append, lambda: "2 of 4 points are done"), said


def test_what_is_waited_for_is_said_once_and_once_more_when_it_is_there():
    waiting, said = waits()
    for now in range(20):
        waiting.look(now, NO_WORKER)
    sentence = (
        "there is no worker; waiting for one, 2 of 4 points are done; Ctrl-C ends, and the same line does the rest"
    )
    assert said == [sentence]
    waiting.look(20, None)
    assert said == [sentence, "there is a worker again"]


def test_a_short_wait_is_not_said():
    waiting, said = waits()
    waiting.look(0, NO_WORKER)
    waiting.look(SAID_AFTER, NO_WORKER)
    waiting.look(SAID_AFTER + 1, None)
    assert said == []


def test_workers_are_waited_for_ten_minutes_and_another_process_for_as_long_as_it_takes():
    waiting, said = waits()
    waiting.look(0, NO_WORKER)
    with pytest.raises(RunError, match="for 10 minutes, there is no worker; 2 of 4 points are done, and the same line"):
        waiting.look(PATIENCE + 1, NO_WORKER)
    for now in range(0, 10 * int(PATIENCE), 60):
        waiting.look(now, Hindrance("size=1 is under way elsewhere", "waiting for it", None))
    waiting.look(now, None)
    assert len(said) == 1


def test_while_this_process_stands_still_nobody_else_is_silent(monkeypatch):
    async def identity(n_workers):
        return {"workers": {"tcp://worker": {"status": "running", "last_seen": 1.0}}}

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    client = SimpleNamespace(scheduler=SimpleNamespace(identity=identity), loop=SimpleNamespace(asyncio_loop=loop))
    cluster = sweep_cluster.Cluster(client)
    cluster.look()
    clock = time.monotonic()
    monkeypatch.setattr(sweep_cluster.time, "monotonic", lambda: clock + 3600)
    cluster.look()
    assert cluster.silence() < 5
    assert cluster.workers()["tcp://worker"] < 5
    loop.call_soon_threadsafe(loop.stop)


def test_a_worker_is_waited_for_at_the_start_and_after_it_was_lost(project, scheduler):
    write_traced_chapter(project, hanging(project, 2))
    sweep = SweepInSight(project, "1,2", scheduler.address)
    rest = "Ctrl-C ends, and the same line does the rest"
    none = f"the scheduler at {scheduler.address} has no worker; waiting for one, {{}} of 2 points are done; {rest}"
    sweep.wait_for(none.format(0))
    worker = scheduler.add_worker("first")
    sweep.wait_for_runs(2)
    worker.kill()
    sweep.wait_for("is lost; size=2 goes to the next one that is free")
    sweep.wait_for(none.format(1))
    mend(project)
    scheduler.add_worker("second")
    sweep.finish()
    assert statuses(project) == ["completed"] * 2
    assert Counter(line[0] for line in trace(project)) == {1: 1, 2: 2}
    assert len(sweep.said) == len(set(sweep.said)) + 1 == 5, "a worker is back twice, and nothing else is said twice"


def test_the_only_worker_that_is_killed_under_its_nanny_is_waited_for(project, scheduler):
    scheduler.add_worker("nanny", nanny=True)
    scheduler.wait_for_workers("nanny")
    write_traced_chapter(project, hanging(project, 1))
    sweep = SweepInSight(project, "1,2", scheduler.address)
    sweep.wait_for_runs(1)
    mend(project)
    os.kill(trace(project)[0][3], signal.SIGKILL)
    sweep.finish()
    assert statuses(project) == ["completed"] * 2
    assert Counter(line[0] for line in trace(project)) == {1: 2, 2: 1}


def test_a_worker_that_stands_still_is_said_and_its_point_goes_to_another_one(project, cluster, monkeypatch):
    assert execute._SILENT < 15
    monkeypatch.setattr(execute, "_SILENT", 3)
    monkeypatch.setattr(execute, "_GONE", 6)
    write_traced_chapter(project, hanging(project, 1))
    sweep = SweepInSight(project, "1:5", cluster.address)
    wait_until(lambda: statuses(project).count("completed") == 3)
    _, _, kernel, worker = next(line for line in trace(project) if line[0] == 1)
    psutil.Process(worker).suspend()
    sweep.wait_for("nothing is heard of the worker")
    mend(project)
    sweep.wait_for("is lost; size=1 goes to the next one that is free")
    sweep.finish()
    psutil.Process(worker).resume()
    wait_until(lambda: is_gone(kernel), 10)
    assert statuses(project) == ["completed"] * 4


def test_a_scheduler_that_stands_still_is_said_and_waited_for(project, cluster):
    write_traced_chapter(project, hanging(project, 1))
    sweep = SweepInSight(project, "1,2", cluster.address)
    wait_until(lambda: statuses(project).count("completed") == 1)
    cluster.scheduler.send_signal(signal.SIGSTOP)
    sweep.wait_for(f"the scheduler at {cluster.address} does not answer; waiting for it, 1 of 2 points are done")
    cluster.scheduler.send_signal(signal.SIGCONT)
    sweep.wait_for(f"the scheduler at {cluster.address} answers again")
    mend(project)
    sweep.finish()
    assert len(sweep.said) == 2
    assert Counter(line[0] for line in trace(project)) == {1: 1, 2: 1}


def test_a_sweep_whose_scheduler_stands_still_ends_at_ctrl_c(project, cluster):
    write_traced_chapter(project, hanging(project, 1))
    process = start(project, "-g", "size=1,2", "--scheduler", cluster.address)
    wait_until(lambda: statuses(project).count("completed") == 1)
    cluster.scheduler.send_signal(signal.SIGSTOP)
    time.sleep(2)  # until the sweep has asked it something
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err.splitlines()[-1]) == (130, "workbench: interrupted")
    assert "Task was destroyed" not in err
    assert statuses(project) == ["completed", "interrupted"]


def test_a_point_that_costs_too_many_workers_has_failed(project, cluster, monkeypatch):
    monkeypatch.setattr(execute, "_MOST_LOSSES", 0)
    write_traced_chapter(project, hanging(project, 1))
    sweep = SweepInSight(project, "1", cluster.address)
    sweep.wait_for_runs(1)
    os.kill(trace(project)[0][3], signal.SIGKILL)
    sweep.finish()
    (run,) = all_runs(project)
    assert (run.status, run.record["error"]["name"]) == ("failed", "WorkerKilled")


def test_a_folder_that_another_process_holds_is_said_and_looked_at_until_it_has_ended(project, monkeypatch):
    """As a run has it under way whose record is not written yet, and as a script has it that only holds the lock."""
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "local-provisioner")
    write_traced_chapter(project)
    SweepInSight(project, "1", None).finish()
    (run,) = all_runs(project)
    files = [run.folder / "run.json", run.notebook]
    for file in files:
        file.rename(project.root / file.name)
    with lock_of(run.folder):
        sweep = SweepInSight(project, "1,2", None)
        sweep.wait_for(f"size=1 is under way elsewhere ({run.id}); waiting for it, 1 of 2 points are done; Ctrl-C ends")
        for file in reversed(files):
            (project.root / file.name).rename(file)
    sweep.finish()
    assert Counter(line[0] for line in trace(project)) == {1: 1, 2: 1}
    assert statuses(project) == ["completed"] * 2
