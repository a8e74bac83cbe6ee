"""What is recorded comes of many small runs here."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def warm(warm_server):
    """Kernels are forked from one server for each module: half of the time would be their imports."""
