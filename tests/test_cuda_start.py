"""Random first spins on a GPU: those of the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from fnanneal.solvers.cuda.source import Kernels
from fnanneal.solvers.kernels.start import random_spins

from . import oracles


@pytest.mark.parametrize("block", [64, 256])
@pytest.mark.parametrize("n", [1, 255, 257, 1000])
def test_random_spins(device, n, block):
    key, reads = 12345678901234567, np.array([0, 5, 2**32 - 1], np.uint32)
    out = device.empty((3, n), np.int8)
    device.launch(
        Kernels("start"), "random_spins", (2, 3), block, device.upload(reads), out, np.int64(n), np.uint64(key)
    )
    for read, row in zip(reads.tolist(), device.download(out), strict=True):
        twin = np.empty(n, np.int8)
        random_spins(np.uint64(key), read, twin)
        assert np.array_equal(row, twin)
        assert row.tolist() == oracles.random_spins(key, read, n)
