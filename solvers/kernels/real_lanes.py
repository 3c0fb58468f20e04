"""Metropolis sweeps of 64 chains side by side, for sparse graphs with weights of any kind: the sums of `lanes`, in float32.

    flip s_i iff s_i (sum_j w_ij s_j + h_i) >= -noise,   noise = T E, with E of `noise.exponential_noise`

A sum begins with all neighbours up, sum_j w_ij + h_i, and every neighbour subtracts 2 w_ij in the lanes where it is down, so that one masked subtraction
serves 16 lanes. Gains are rounded to float32: 1e-7 of a row's magnitudes, far below any temperature; values are computed elsewhere, in float64.
"""

from __future__ import annotations

import numpy as np

from .blocks import BLOCK, load_block, store
from .jit import kernel
from .noise import SPAN, exponential_noise
from .philox import TILE
from .vector import LANES, count_changes, flip, splat, subtract_where_down, times


@kernel
def real_lane_sweeps(indptr, indices, doubled, totals, spins, temperatures, counts, key, group, first):
    """Sweeps first, first + 1, ... of one group, one for each row of temperatures.

    indptr (n+1,) int64, indices (e,) uint32: neighbours times LANES, doubled (e,) float32: 2 w_ij. totals (n,) float32: sum_j w_ij + h_i. spins
    (n * LANES,) int8: kept up to date. temperatures (sweeps * LANES,) float32, in units of the gain; 0 is greedy. counts (1,) int64: flips, added to.
    key: uint64.
    """
    n = totals.size
    words = np.empty((4, TILE), np.uint32)
    halves = np.empty(SPAN, np.uint16)
    floats = np.empty(SPAN, np.float32)
    exponents = np.empty(SPAN, np.int32)
    one, lanes = np.uint64(1), np.uint64(LANES)
    flips = 0
    for t in range(temperatures.size // LANES):
        temperature = load_block(temperatures, np.uint64(t) * lanes)
        for begin in range(0, n, SPAN // BLOCK):
            exponential_noise(key, group, first + t, begin, np.float32(1), words, halves, floats, exponents)
            for k in range(min(SPAN // BLOCK, n - begin)):
                i = np.uint64(begin + k)
                total = splat(totals[i])
                e, end = np.uint64(indptr[i]), np.uint64(indptr[i + one])
                while e < end:
                    total = subtract_where_down(total, load_block(spins, indices[e]), doubled[e])
                    e += one
                noise = times(load_block(floats, np.uint64(k) * lanes), temperature)
                before = load_block(spins, i * lanes)
                after = flip(before, total, noise)
                flips += count_changes(before, after)
                store(spins, i * lanes, after)
    counts[0] += flips
