"""Metropolis and heat-bath sweeps of one chain with incremental local fields.

    u uniform;  gain = s_i (sum_j w_ij s_j + h_i);  flip iff u < p(gain):  s_i <- -s_i
    Metropolis p = min(1, exp(b gain));  heat bath p = 1/(1 + exp(-b gain));  b = 2 beta unit

Spins are numbered by colour, and a segment lies within one colour: all its spins are decided first, without a branch, and those that
flip are flipped after, which gives the same chain as one spin at a time. u has 32 bits, and p is rounded down to a multiple of 2**-32:
for integer weights it comes from a table of integer thresholds, so that every machine draws the same chain.
"""

from __future__ import annotations

import numpy as np

from .jit import helper, kernel
from .philox import SWEEP, TILE, philox_blocks

SPAN = 4 * TILE
TABLE = 4096

_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_POWERS = 2.0 ** -np.arange(64)
_FULL = np.float64(4294967296.0)


@helper
def exp_negative(x):
    """exp(x) for x <= 0, to 1e-14 relative, 0 below -43: sums and products alone, so that no library's rounding enters."""
    x = max(x, -43.0)
    k = np.int64(0.5 - x * _LOG2E)
    r = (x + k * _LN2_HIGH) + k * _LN2_LOW
    p = 1.0 / 39916800
    p = p * r + 1.0 / 3628800
    p = p * r + 1.0 / 362880
    p = p * r + 1.0 / 40320
    p = p * r + 1.0 / 5040
    p = p * r + 1.0 / 720
    p = p * r + 1.0 / 120
    p = p * r + 1.0 / 24
    p = p * r + 1.0 / 6
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _POWERS[np.uint64(k)]


@helper
def flip_threshold(x, heat_bath):
    """2**32 p for b gain = x, as a float64 in [0, 2**32]."""
    e = exp_negative(-abs(x))
    if heat_bath:
        return _FULL * ((1.0 if x > 0 else e) / (1.0 + e))
    return _FULL * (1.0 if x >= 0 else e)


@kernel
def anneal(
    indptr, indices, weights, segments, slopes, heat_bath, reach, spins, fields, best, values, counts, key, read, first
):
    """Sweeps first, first + 1, ... of one read, one for each slope b.

    indptr (n+1,) int64, indices (2m,) uint32, weights (2m,) int32 or float64; segments (k,) int64 from 0 to n, none longer than or
    straddling a multiple of SPAN. slopes (sweeps,) float64: b of each. reach: thresholds of gains in [-reach, reach] are tabulated, and
    beyond they are 0 and 2**32; a negative reach computes each (real weights). spins (n,) int8, fields (n,) of the weights' kind: kept up
    to date. best (n,) int8: the best spins at the end of a sweep. values (2,): -(sum w s s/2 + sum h s) now and at best, up to a constant.
    counts (2,) int64: flips and synaptic events, added to. key: uint64.
    """
    words = np.empty((4, TILE), np.uint32)
    draws = words.reshape(SPAN)
    accepted = np.empty(SPAN, np.uint8)
    chosen = np.empty(SPAN, np.uint32)
    table = np.empty(2 * max(reach, 0) + 3, np.uint64)
    low, high = np.int64(-reach - 1), np.int64(reach + 1)
    one = np.uint64(1)
    value, top = values[0], values[1]
    flips = np.int64(0)
    events = np.uint64(0)
    for t in range(slopes.size):
        slope = slopes[t]
        if reach >= 0:
            for k in range(table.size):
                table[k] = np.uint64(flip_threshold(slope * (k - high), heat_bath))
            table[0] = 0
            table[table.size - 1] = np.uint64(4294967296)
        tile = -1
        for q in range(segments.size - 1):
            begin, count = segments[q], segments[q + 1] - segments[q]
            if begin // SPAN != tile:
                tile = begin // SPAN
                philox_blocks(
                    key, np.uint64(tile * TILE), np.uint64(first + t), np.uint64(read), np.uint64(SWEEP), TILE, words
                )
            s = spins[begin : begin + count]
            f = fields[begin : begin + count]
            u = draws[begin - tile * SPAN : begin - tile * SPAN + count]
            if reach >= 0:
                for i in range(count):
                    k = min(max(np.int64(s[i]) * np.int64(f[i]), low), high) + high
                    accepted[i] = np.uint64(u[i]) < table[np.uint64(k)]
            else:
                for i in range(count):
                    accepted[i] = np.uint64(u[i]) < np.uint64(flip_threshold(slope * (s[i] * f[i]), heat_bath))
            flipping = np.uint64(0)
            for i in range(count):
                chosen[flipping] = begin + i
                flipping += np.uint64(accepted[i])
            j = np.uint64(0)
            while j < flipping:
                i = chosen[j]
                j += one
                value += 2 * spins[i] * fields[i]
                twice = weights.dtype.type(-2 * spins[i])
                spins[i] = -spins[i]
                e, end = np.uint64(indptr[i]), np.uint64(indptr[i + np.uint32(1)])
                events += end - e
                while e < end:
                    fields[indices[e]] += twice * weights[e]
                    e += one
            flips += np.int64(flipping)
        if value > top:
            top = value
            for k in range(spins.size):  # a slice would take seconds to compile
                best[k] = spins[k]
    values[0], values[1] = value, top
    counts[0] += flips
    counts[1] += np.int64(events)
