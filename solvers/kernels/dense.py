"""Metropolis sweeps of one chain on a dense graph: a flip adds a row of the matrix to the local fields, SIMD along the row.

u uniform;  gain = s_i f_i,  f_i = sum_j w_ij s_j + h_i;   flip iff u < min(1, exp(gain/T)):  f <- f - 2 s_i w_i
"""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .philox import SWEEP, TILE, philox_blocks
from .sweep import SPAN, flip_threshold


@kernel
def dense_sweeps(twice, slopes, reach, spins, fields, counts, key, read, first):
    """Sweeps first, first + 1, ... of one read, one for each slope 1/T (sweeps,) float64.

    twice (n, n): the weights doubled; spins (n,) int8; fields (n,), of a kind that holds every gain: both kept up to date. reach: thresholds of
    gains in [-reach, 0] are tabulated, and below they are 0; negative: none is (real weights). counts (2,) int64: flips and synaptic events,
    added to. Random numbers as in `sweep`. key: uint64.
    """
    n = spins.size
    words = np.empty((4, TILE), np.uint32)
    draws = words.reshape(SPAN)
    table = np.empty(max(reach, 0) + 1, np.uint64)
    flips = 0
    for t in range(slopes.size):
        slope = slopes[t]
        for k in range(reach + 1):
            table[k] = np.uint64(flip_threshold(-slope * k, False))
        for begin in range(0, n, SPAN):
            philox_blocks(
                key, np.uint64(begin // 4), np.uint64(first + t), np.uint64(read), np.uint64(SWEEP), TILE, words
            )
            for k in range(min(SPAN, n - begin)):
                i = begin + k
                gain = spins[i] * fields[i]
                if gain < 0:
                    if reach >= 0:
                        if -gain > reach or np.uint64(draws[k]) >= table[-np.int64(gain)]:
                            continue
                    elif np.uint64(draws[k]) >= np.uint64(flip_threshold(slope * gain, False)):
                        continue
                flips += 1
                row = twice[i]
                if spins[i] > 0:
                    for j in range(n):
                        fields[j] -= row[j]
                else:
                    for j in range(n):
                        fields[j] += row[j]
                spins[i] = -spins[i]
    counts[0] += flips
    counts[1] += flips * n


@kernel
def dense_fields(twice, external, spins, fields):
    """fields (n,) = sum_j w_ij s_j + h_i, from the doubled weights (n, n) and h, external (n,)."""
    n = spins.size
    for i in range(n):
        row = twice[i]
        total = external[i] + external[i]
        for j in range(n):
            total += row[j] * spins[j]
        fields[i] = total / 2
