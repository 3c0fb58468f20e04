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

from .jit import helper, kernel
from .lanes import MAX_NOISE
from .vector import (
    LANES,
    add8,
    add16,
    count_changes,
    flip_gaining,
    gains16,
    keep_risen,
    load8,
    negate8,
    plus_gain,
    splat8,
    splat16,
    store8,
    sub8,
    sub16,
    widen,
)

MOST_FOLLOWING = 64


@helper
def _gains(indptr, middle, indices, fields, bounds, spins, i, own):
    """What flipping spin i (its vector: own) would add to each lane's value, in units of the gain."""
    one = np.uint64(1)
    e, m, end = np.uint64(indptr[i]), np.uint64(middle[i]), np.uint64(indptr[i + one])
    if np.int64(bounds[i]) <= MAX_NOISE:
        total = splat8(np.int8(fields[i]))
        while e < m:
            total = add8(total, load8(spins, indices[e]))
            e += one
        while e < end:
            total = sub8(total, load8(spins, indices[e]))
            e += one
        return gains16(own, widen(total))
    wide = splat16(fields[i])
    while e < m:
        wide = add16(wide, widen(load8(spins, indices[e])))
        e += one
    while e < end:
        wide = sub16(wide, widen(load8(spins, indices[e])))
        e += one
    return gains16(own, wide)


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
            store8(before, q, load8(spins, indices[e]))
            q += lanes
            e += one
        old = load8(spins, c * lanes)
        change = _gains(indptr, middle, indices, fields, bounds, spins, c, old)
        new = negate8(old)
        store8(spins, c * lanes, new)
        flips += LANES
        e = begin
        while e < end:
            at = np.uint64(indices[e])
            j = at // lanes
            if indptr[j + one] - indptr[j] <= MOST_FOLLOWING:
                follower = load8(spins, at)
                gain = _gains(indptr, middle, indices, fields, bounds, spins, j, follower)
                change = plus_gain(change, gain)
                followed = flip_gaining(follower, gain)
                flips += count_changes(follower, followed)
                store8(spins, at, followed)
            e += one
        e, q = begin, np.uint64(0)
        while e < end:
            at = np.uint64(indices[e])
            tried = load8(spins, at)
            kept = keep_risen(change, tried, load8(before, q))
            flips += count_changes(tried, kept)
            store8(spins, at, kept)
            q += lanes
            e += one
        kept = keep_risen(change, new, old)
        flips += count_changes(new, kept)
        store8(spins, c * lanes, kept)
    counts[0] += flips
