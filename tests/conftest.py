"""What every test shares: the checkout's folders, and the rule that tests leave nothing outside their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

# There are more processes than cores, and networks this small are no faster on two threads: each process has one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than cores for `-n auto`: many tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 2


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start: a shell starts background jobs deaf to it, and their children with them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="module")
def warm_server() -> Iterator[Any]:
    """The server that kernels of this module are forked from; None where they are ordinary ones."""
    from workbench.kernels.warm import warm_kernels

    with warm_kernels() as server:
        yield server
