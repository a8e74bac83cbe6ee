"""What is packed comes back, and takes no more bits than it has."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from largemodels.compression.packing import pack, unpack


@given(st.integers(2, 8), st.integers(1, 40), st.integers(0, 99))
def test_what_is_packed_comes_back_and_has_no_gaps(bits, n, seed):
    integers = torch.randint(0, 2**bits, (3, n), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    packed = pack(integers, bits)
    assert packed.shape == (3, bits * -(-n // 8))
    assert torch.equal(unpack(packed, bits, n), integers)
