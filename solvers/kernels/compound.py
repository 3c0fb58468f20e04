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


@kernel
def levels(indptr, indices, level):
    """The earliest level of each centre such that centres of one level may be moved side by side, and levels one after another.

    A move writes c and the neighbours that may follow, and reads their neighbours and c's. It comes after every earlier one that writes what it reads; since
    rows are symmetric, those are also the ones that read what it writes. indptr, indices: as above. level (n,) int32: filled. Returns how many levels
    there are.
    """
    n = level.size
    written = np.full(n, -1, np.int32)
    last = -1
    for c in range(n):
        least = written[c]
        for e in range(indptr[c], indptr[c + 1]):
            j = np.int64(indices[e]) // LANES
            least = max(least, written[j])
            if indptr[j + 1] - indptr[j] <= MOST_FOLLOWING:
                for f in range(indptr[j], indptr[j + 1]):
                    least = max(least, written[np.int64(indices[f]) // LANES])
        level[c] = least + 1
        last = max(last, least + 1)
        written[c] = least + 1
        for e in range(indptr[c], indptr[c + 1]):
            j = np.int64(indices[e]) // LANES
            if indptr[j + 1] - indptr[j] <= MOST_FOLLOWING:
                written[j] = least + 1
    return last + 1


@kernel
def stages(indptr, indices, asked, stage):
    """The earliest stage, 1 or later, of each entry at which a neighbour is asked to follow: one after every earlier one of the same row that reads what
    it writes.

    asked (e,) bool: entries that count. stage (e,) int32: filled where asked. Rows must be symmetric.
    """
    n = indptr.size - 1
    centre, latest = np.full(n, -1, np.int64), np.zeros(n, np.int32)
    for c in range(n):
        for e in range(indptr[c], indptr[c + 1]):
            if asked[e]:
                j = np.int64(indices[e]) // LANES
                last = latest[j] if centre[j] == c else 0
                for f in range(indptr[j], indptr[j + 1]):
                    k = np.int64(indices[f]) // LANES
                    if centre[k] == c:
                        last = max(last, latest[k])
                stage[e] = last + 1
                centre[j], latest[j] = c, last + 1
