"""Metropolis sweeps of 64 chains side by side, for sparse graphs with small integer weights.

    noise = number of k >= 1 with u < c_k,  c_k = floor(2**16 exp(-1/T)**k);   flip s_i iff s_i (sum_j w_ij s_j + h_i) + noise >= 0

so that P(noise >= k) = exp(-k/T), the threshold neuron of NeuroSA: a loss of k passes with Metropolis's probability, quantised to 2**-16. Every
chain has its own temperature. One Philox block a (spin, sweep, group) gives four words; 16-bit draw l of the 64 is a half of word (l//2) % 4 plus a constant of its own,
scrambled by `_scramble` (a 32-bit bijection). Weights are +1 or -1, a larger one being several edges; a spin whose row can reach beyond 127 sums in
16 bits, so that no sum overflows.
"""

from __future__ import annotations

import numpy as np

from .blocks import load_block, store
from .jit import helper, kernel
from .philox import LANES_SWEEP, TILE, philox_blocks
from .sweep import exp_negative
from .vector import (
    LANES,
    add,
    count_below,
    count_changes,
    flip,
    halves16,
    load_half,
    multiply,
    repeat32,
    shift_right,
    splat,
    sub,
    xor,
)

# Odd multiples of the golden ratio: far apart, and far from each other's images under the scramble.
OFFSETS = (np.arange(1, LANES // 2 + 1, dtype=np.uint64) * np.uint64(0x9E3779B9) & np.uint64(0xFFFFFFFF)).astype(
    np.uint32
)
MAX_NOISE = 127

_down16, _down15 = shift_right(16), shift_right(15)
_times_a, _times_b = multiply(0x7FEB352D), multiply(0x846CA68B)


@helper
def _scramble(x):
    x = _times_a(xor(x, _down16(x)))
    x = _times_b(xor(x, _down15(x)))
    return xor(x, _down16(x))


@helper
def fill_thresholds(temperatures, table, power, ratio):
    """c_k of each lane's temperature (LANES,) into table[LANES (k - 1) + lane], and how many k have one above 0: at most table.size / LANES."""
    for lane in range(LANES):
        ratio[lane] = exp_negative(-1 / temperatures[lane]) if temperatures[lane] > 0 else 0.0
        power[lane] = 65536.0
    levels = np.int64(table.size // LANES)
    for k in range(levels):
        any_above = np.uint16(0)
        at = np.uint64(k * LANES)
        for lane in range(LANES):
            power[lane] *= ratio[lane]
            c = np.uint16(np.uint32(min(power[lane], 65535.0)))
            table[at + np.uint64(lane)] = c
            any_above |= c
        if any_above == 0:
            return k
    return levels


@helper
def row_sum(indptr, middle, indices, spins, i, total):
    """total + sum_j w_ij s_j of each lane, in the width of total."""
    one = np.uint64(1)
    e, m, end = np.uint64(indptr[i]), np.uint64(middle[i]), np.uint64(indptr[i + one])
    while e < m:
        total = add(total, load_block(spins, indices[e]))
        e += one
    while e < end:
        total = sub(total, load_block(spins, indices[e]))
        e += one
    return total


@helper
def _tested(before, total, noise, draws, table, levels):
    """The spins of one row after their test; noise: zeros of the width of total."""
    q = np.uint64(0)
    while q < levels:
        noise = count_below(noise, draws, load_block(table, q))
        q += np.uint64(LANES)
    return flip(before, total, noise)


@kernel
def lane_sweeps(
    indptr, middle, indices, fields, bounds, spins, temperatures, table, offsets, counts, key, group, first
):
    """Sweeps first, first + 1, ... of one group, one for each row of temperatures.

    indptr (n+1,) int64, indices (e,) uint32: neighbours times LANES, the +1 edges of spin i before middle[i] (n,) int64, then the -1 edges.
    fields (n,) int16. bounds (n,) int16: the largest |sum_j w_ij s_j + h_i|. spins (n * LANES,) int8: kept up to date.
    temperatures (sweeps, LANES) float64, in units of the gain; 0 is greedy. table (K * LANES,) uint16: scratch for the thresholds, of which no more
    than K are used: the largest bound, or where c_k becomes 0. offsets: `OFFSETS`. counts (1,) int64: flips, added to. key: uint64.
    """
    n = fields.size
    words = np.empty((4, TILE), np.uint32)
    shift = load_half(offsets, 0)
    power, ratio = np.empty(LANES), np.empty(LANES)
    flips = 0
    for t in range(temperatures.shape[0]):
        length = fill_thresholds(temperatures[t], table, power, ratio)
        for begin in range(0, n, TILE):
            philox_blocks(
                key, np.uint64(begin), np.uint64(first + t), np.uint64(group), np.uint64(LANES_SWEEP), TILE, words
            )
            for k in range(min(TILE, n - begin)):
                i = np.uint64(begin + k)
                draws = halves16(_scramble(add(repeat32(words[0, k], words[1, k], words[2, k], words[3, k]), shift)))
                bound = np.int64(bounds[i])
                levels = np.uint64(LANES * min(length, bound))
                at = i * np.uint64(LANES)
                before = load_block(spins, at)
                if bound <= MAX_NOISE:
                    total = row_sum(indptr, middle, indices, spins, i, splat(np.int8(fields[i])))
                    after = _tested(before, total, splat(np.int8(0)), draws, table, levels)
                else:
                    wide = row_sum(indptr, middle, indices, spins, i, splat(fields[i]))
                    after = _tested(before, wide, splat(np.int16(0)), draws, table, levels)
                flips += count_changes(before, after)
                store(spins, at, after)
    counts[0] += flips
