"""Partition crossover, and the step of a population of lineages.

Where two states differ, the differing spins fall into connected components of the graph, and flipping one component in x changes the value by

    2 sum_{i in C} x_i (sum_{j not in C} w_ij x_j + h_i)

whatever is done with the others. So each one that raises the value is flipped, one that changes nothing with probability 1/2, and the child is at
least as good as both parents (for the travelling salesman: Whitley, Hains, Howe, GECCO 2009).

Weights and fields are integers here, in units of `quantum` (`SpinSystem.exact`), and all sums int64: any order of summation gives the same.
"""

from __future__ import annotations

import numpy as np

from .jit import helper, kernel
from .philox import CROSS, philox_blocks


@helper
def _coin(word, k):
    """A fair bit for component k, from a random word: the lowest bit of a 32-bit scramble."""
    x = np.uint32(word ^ np.uint32(k))
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return ((x ^ (x >> np.uint32(16))) & np.uint32(1)) == 1


@helper
def twice_value(indptr, indices, weights, fields, x):
    """-(sum_ij w x x + 2 sum h x) over both halves of each edge, an int64: twice the value."""
    one = np.uint64(1)
    twice = np.int64(0)
    for k in range(x.size):
        i = np.uint64(k)
        s = np.int64(fields[i]) + np.int64(fields[i])
        e, end = np.uint64(indptr[i]), np.uint64(indptr[i + one])
        while e < end:
            s += np.int64(weights[e]) * x[indices[e]]
            e += one
        twice -= s * x[i]
    return twice


@helper
def cross(indptr, indices, weights, fields, x, partner, sign, word, label, queue):
    """Flip in x every component of its difference from sign * partner that gains, and half of those that change nothing.

    label (n,) int8 and queue (n,) uint32 are scratch. Returns (half the rise of the value, the number of components, the couplings followed).
    """
    n = x.size
    one = np.uint64(1)
    differing = 0
    for k in range(n):
        d = np.int8(x[k] != sign * partner[k])
        label[k] = d
        differing += d
    rise = np.int64(0)
    parts = 0
    followed = np.uint64(0)
    if differing == 0:
        return rise, parts, followed
    for k in range(n):
        if label[k] != 1:
            continue
        parts += 1
        label[k] = 2
        queue[0] = k
        head, tail = np.uint64(0), np.uint64(1)
        gain = np.int64(0)
        while head < tail:
            i = np.uint64(queue[head])
            head += one
            s = np.int64(fields[i])
            e, end = np.uint64(indptr[i]), np.uint64(indptr[i + one])
            followed += end - e
            while e < end:
                j = indices[e]
                # 2 is this component; a neighbour of any other label is outside, since no two components touch.
                if label[j] == 1:
                    label[j] = 2
                    queue[tail] = j
                    tail += one
                elif label[j] == 0:
                    s += np.int64(weights[e]) * x[j]
                e += one
            gain += s * x[i]
        flip = gain > 0 or (gain == 0 and _coin(word, k))
        head = np.uint64(0)
        while head < tail:
            i = np.uint64(queue[head])
            head += one
            label[i] = 3
            if flip:
                x[i] = -x[i]
        if flip:
            rise += gain
    return rise, parts, followed


@kernel
def values_of(indptr, indices, weights, fields, quantum, rows, values):
    """values (r,) float64 of states rows (r, n)."""
    half = quantum / 2
    for r in range(rows.shape[0]):
        values[r] = np.float64(twice_value(indptr, indices, weights, fields, rows[r])) * half


@kernel
def step_lineages(
    indptr, indices, weights, fields, quantum, symmetric, rows, parents, values, share, key, island, step, queue, gains, counts
):  # fmt: skip
    """Let each lineage keep the best of its re-annealed state and its parent, component by component.

    rows (r, n) int8: re-annealed states, changed. parents (r, n) int8, values (r,) float64: the lineages, kept up to date. symmetric: whether a
    state and its negation are equal. With probability share/2**32 a lineage is crossed with another one, too. queue (n,) uint32: scratch. gains
    (r,) float64: set to what crossing with the own parent alone has added to each value. counts (3,) int64: crossings, components, and
    spins compared and couplings followed in all this, added to.
    """
    reads, n = rows.shape
    half = quantum / 2
    label = np.empty(n, np.int8)
    words = np.empty((4, 2), np.uint32)
    for r in range(reads):
        x = rows[r]
        philox_blocks(key, np.uint64(2 * r), np.uint64(step), np.uint64(island), np.uint64(CROSS), 2, words)
        twice = twice_value(indptr, indices, weights, fields, x)
        partner = r
        for turn in range(2):
            for sign in range(1, -2, -2):
                if sign == 1 or symmetric:
                    word = words[turn, 1] if sign == 1 else words[turn + 2, 1]
                    rise, parts, followed = cross(
                        indptr, indices, weights, fields, x, parents[partner], sign, word, label, queue
                    )
                    twice += 4 * rise
                    counts[0] += 1
                    counts[1] += parts
                    counts[2] += n + np.int64(followed)
            if turn == 0:
                gains[r] = np.float64(twice) * half - values[r]
            if words[0, 0] >= share:
                break
            partner = np.int64((np.uint64(words[1, 0]) * np.uint64(reads)) >> np.uint64(32))
        counts[2] += 2 * (n + indices.size)
        # Summed anew: where a contraction's two halves of an edge were rounded apart, the rises do not add up to the last digit.
        value = np.float64(twice_value(indptr, indices, weights, fields, x)) * half
        if value >= values[r]:
            values[r] = value
            for k in range(n):
                parents[r, k] = x[k]


@kernel
def pairings(key, islands, steps, shares, partners, levels):
    """Whom `step_lineages` crosses each lineage with, for several islands: partners, levels (islands, r) int32.

    A partner is -1 where there is none. A lineage of level l > 0 meets one of level l - 1 that has already been crossed, one of level 0 none such.
    """
    reads = partners.shape[1]
    words = np.empty((4, 1), np.uint32)
    for k in range(islands.size):
        for r in range(reads):
            philox_blocks(key, np.uint64(2 * r), np.uint64(steps[k]), np.uint64(islands[k]), np.uint64(CROSS), 1, words)
            partner = -1
            if words[0, 0] < shares[k]:
                partner = np.int64((np.uint64(words[1, 0]) * np.uint64(reads)) >> np.uint64(32))
            partners[k, r] = partner
            levels[k, r] = levels[k, partner] + 1 if 0 <= partner < r else 0


@kernel
def clusters(indptr, indices, signatures, labels, queue):
    """Connected components of the edges between spins of equal signature (n,) uint64: labels (n,) int64; returns their number.

    queue (n,) uint32: scratch.
    """
    n = labels.size
    one = np.uint64(1)
    for k in range(n):
        labels[k] = -1
    count = 0
    for k in range(n):
        if labels[k] >= 0:
            continue
        labels[k] = count
        queue[0] = k
        head, tail = np.uint64(0), np.uint64(1)
        while head < tail:
            i = np.uint64(queue[head])
            head += one
            e, end = np.uint64(indptr[i]), np.uint64(indptr[i + one])
            while e < end:
                j = indices[e]
                if labels[j] < 0 and signatures[j] == signatures[i]:
                    labels[j] = count
                    queue[tail] = j
                    tail += one
                e += one
        count += 1
    return count
