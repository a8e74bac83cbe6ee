"""Tiny causal models of the families that readers bring, with random weights."""

from __future__ import annotations

import pytest

from small_decoders import FAMILIES, decoder


@pytest.fixture(params=FAMILIES)
def model(request):
    """A causal model of each family, and the book's own."""
    return decoder(request.param)
