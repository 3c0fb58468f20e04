"""First states: random spins from Philox, the same on every machine."""

from __future__ import annotations

import numpy as np

from ..result import Spins
from .kernels.jit import kernel
from .kernels.philox import START, TILE, philox_blocks


@kernel
def _fill(key, read, spins):  # type: ignore[no-untyped-def]
    words = np.empty((4, TILE), np.uint32)
    draws = words.reshape(4 * TILE)
    for begin in range(0, spins.size, 4 * TILE):
        philox_blocks(key, np.uint64(begin // 4), np.uint64(0), np.uint64(read), np.uint64(START), TILE, words)
        for i in range(min(4 * TILE, spins.size - begin)):
            spins[begin + i] = 1 if draws[i] >> np.uint32(31) else -1


def first_states(reads: int, n: int, key: int, round_: int) -> Spins:
    """Uniform random spins (reads, n) int8 for the reads of a round."""
    spins = np.empty((reads, n), np.int8)
    for r in range(reads):
        _fill(np.uint64(key), (round_ * reads + r) % 2**32, spins[r])
    return spins
