"""Compound moves of 64 chains side by side: flip a spin, let its neighbours follow, keep the whole where the value rose.

Where degrees are very unequal, a spin of many neighbours hardly ever flips by itself once they have settled around it, however slow the schedule. So,
for each spin c in turn: flip it; go through its neighbours once, and flip each one that gains by it; take everything back in the lanes where the
value has not risen (moves that change nothing would join the differences between two states into larger parts, and those are what crossover works on).
Neighbours with more than `MOST_FOLLOWING` edges stay as they are, so that a pass costs at most as much as so many sweeps.

Sums are those of `lanes`: in 8 bits or 16 by the row's own bound. The change of the value begins with the gain of one flip, which fits 16 bits; what is added is
positive, and saturates at 2**15 - 1.
"""

from __future__ import annotations

import numpy as np

from .blocks import load_block, store
from .jit import helper, kernel
from .lanes import MAX_NOISE, row_sum
from .vector import LANES, count_changes, flip_gaining, gains16, keep_risen, negate8, plus_gain, splat

MOST_FOLLOWING = 64


@helper
def _gains(indptr, middle, indices, fields, bounds, spins, i, own):
    """What flipping spin i (its vector: own) would add to each lane's value, in units of the gain."""
    if np.int64(bounds[i]) <= MAX_NOISE:
        return gains16(own, row_sum(indptr, middle, indices, spins, i, splat(np.int8(fields[i]))))
    return gains16(own, row_sum(indptr, middle, indices, spins, i, splat(fields[i])))


@kernel
def compound_moves(indptr, middle, indices, fields, bounds, spins, before, counts):
    """One pass over all spins.

    The arrays are those of `lanes.lane_sweeps`; spins (n * LANES,) int8: kept up to date. before (d * LANES,) int8: scratch, d the largest degree.
    counts (1,) int64: flips, those taken back and the taking back included, added to.
    """
    one, lanes = np.uint64(1), np.uint64(LANES)
    flips = 0
    for k in range(fields.size):
        c = np.uint64(k)
        begin, end = np.uint64(indptr[c]), np.uint64(indptr[c + one])
        e, q = begin, np.uint64(0)
        while e < end:
            store(before, q, load_block(spins, indices[e]))
            q += lanes
            e += one
        old = load_block(spins, c * lanes)
        change = _gains(indptr, middle, indices, fields, bounds, spins, c, old)
        new = negate8(old)
        store(spins, c * lanes, new)
        flips += LANES
        e = begin
        while e < end:
            at = np.uint64(indices[e])
            j = at // lanes
            if indptr[j + one] - indptr[j] <= MOST_FOLLOWING:
                follower = load_block(spins, at)
                gain = _gains(indptr, middle, indices, fields, bounds, spins, j, follower)
                change = plus_gain(change, gain)
                followed = flip_gaining(follower, gain)
                flips += count_changes(follower, followed)
                store(spins, at, followed)
            e += one
        e, q = begin, np.uint64(0)
        while e < end:
            at = np.uint64(indices[e])
            tried = load_block(spins, at)
            kept = keep_risen(change, tried, load_block(before, q))
            flips += count_changes(tried, kept)
            store(spins, at, kept)
            q += lanes
            e += one
        kept = keep_risen(change, new, old)
        flips += count_changes(new, kept)
        store(spins, c * lanes, kept)
    counts[0] += flips
