"""Settings of the property tests of the subject, and what the tests of trainings share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("largemodels", deadline=None)  # a first call into PyTorch is slow, not wrong
settings.load_profile("largemodels")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small are slower on two threads, and wait for each other on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
