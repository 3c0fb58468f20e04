"""Random first spins, the same on every machine."""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .philox import START, TILE, philox_blocks


@kernel
def random_spins(key, read, spins):
    """Fill spins (n,) int8 with +1 and -1, for a read of the run that has this key (uint64)."""
    words = np.empty((4, TILE), np.uint32)
    draws = words.reshape(4 * TILE)
    for begin in range(0, spins.size, 4 * TILE):
        philox_blocks(key, np.uint64(begin // 4), np.uint64(0), np.uint64(read), np.uint64(START), TILE, words)
        for i in range(min(4 * TILE, spins.size - begin)):
            spins[begin + i] = 1 if draws[i] >> np.uint32(31) else -1
