"""What the tests of sweeps share."""

from __future__ import annotations

import contextlib

import pytest

from dask_cluster import Cluster


@pytest.fixture
def scheduler(tmp_path_factory):
    """A Dask scheduler without workers."""
    with contextlib.ExitStack() as open_processes:
        yield Cluster(tmp_path_factory.mktemp("cluster"), open_processes)


@pytest.fixture
def cluster(scheduler):
    """A Dask scheduler with two workers."""
    for name in ("worker-0", "worker-1"):
        scheduler.add_worker(name)
    scheduler.wait_for_workers("worker-0", "worker-1")
    return scheduler
