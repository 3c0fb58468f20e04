"""Exact elimination of spins with at most two neighbours.

With the others fixed, spin i takes the sign of its local field f, and contributes |f| to the value's negative:

    no neighbour     |h|
    one, j           |J s_j + h|         = const + s_j (|J + h| - |J - h|)/2           a field on j
    two, j and k     |J s_j + K s_k|     = const + s_j s_k (|J + K| - |J - K|)/2       a coupling of j and k (where h = 0)

The halves are plus or minus the smaller of the two magnitudes, so integers stay integers. Eliminating a spin lowers its neighbours' degrees or leaves
them: trees vanish, and chains become edges. (Signs as for a Max-Cut graph: value = -(sum J s s + sum h s).)
"""

from __future__ import annotations

import numpy as np

from .jit import helper, kernel


@helper
def _smaller(a, b):
    """(|a + b| - |a - b|)/2: the smaller magnitude, with the sign of the product."""
    low = min(abs(a), abs(b))
    return low if (a >= 0) == (b >= 0) else -low


@helper
def _unlink(e, head, following, previous, source, degree):
    """Take half-edge e out of its source's list."""
    i = source[e]
    if previous[e] >= 0:
        following[previous[e]] = following[e]
    else:
        head[i] = following[e]
    if following[e] >= 0:
        previous[following[e]] = previous[e]
    degree[i] -= 1


@kernel
def twins(indptr, indices, twin):
    """The place of each edge's other half, (2m,) int64, in symmetric compressed rows whose columns ascend."""
    reached = indptr[:-1].copy()
    for i in range(reached.size):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            twin[e] = reached[j]
            reached[j] += 1


@kernel
def eliminate(head, following, previous, source, to, twin, weights, fields, degree, removed, neighbours, strengths):
    """Eliminate spins until all have three neighbours, or two and a field, or one spin is left; returns how many were.

    Half-edges (2m,): source, to (int32), twin (int64, the other half), weights; head (n,), following and previous (2m,), int64: each spin's
    list of them, -1 its end; fields (n,), degree (n,) int64: all changed. A removed half-edge has source -1. For the k-th elimination,
    removed[k] int64 is the spin, neighbours[k] (2,) int64 the two or -1, strengths[k] (3,) its two weights and its field.
    """
    n = degree.size
    # A spin enters the queue when it first has few neighbours and again whenever it loses one.
    queue = np.empty(n + to.size, np.int64)
    start, end = 0, 0
    gone = np.zeros(n, np.bool_)
    for i in range(n):
        if degree[i] <= 2:
            queue[end] = i
            end += 1
    count = 0
    while start < end and count < n - 1:
        i = queue[start]
        start += 1
        if gone[i] or degree[i] > 2 or (degree[i] == 2 and fields[i] != 0):
            continue
        gone[i] = True
        removed[count] = i
        neighbours[count, 0] = neighbours[count, 1] = -1
        strengths[count, 0] = strengths[count, 1] = 0
        strengths[count, 2] = fields[i]
        e = head[i]
        for k in range(degree[i]):
            neighbours[count, k] = to[e]
            strengths[count, k] = weights[e]
            e = following[e]
        first = head[i]
        if degree[i] == 1:
            j = to[first]
            # The value is minus the sum of couplings and fields, so what i gains turns the sign.
            fields[j] -= _smaller(weights[first], fields[i])
            _unlink(twin[first], head, following, previous, source, degree)
            source[first] = source[twin[first]] = -1
            queue[end] = j
            end += 1
        elif degree[i] == 2:
            second = following[first]
            j, k = to[first], to[second]
            w = -_smaller(weights[first], weights[second])
            at, other = (j, k) if degree[j] <= degree[k] else (k, j)
            e = head[at]
            while e >= 0 and to[e] != other:
                e = following[e]
            a, b = twin[first], twin[second]
            if e < 0 and w != 0:
                # The halves at j and k stay in their lists, and become each other's twins.
                to[a], to[b] = k, j
                twin[a], twin[b] = b, a
                weights[a] = weights[b] = w
            else:
                _unlink(a, head, following, previous, source, degree)
                _unlink(b, head, following, previous, source, degree)
                source[a] = source[b] = -1
                if e >= 0:
                    weights[e] += w
                    weights[twin[e]] = weights[e]
                    if weights[e] == 0:
                        f = twin[e]
                        _unlink(e, head, following, previous, source, degree)
                        _unlink(f, head, following, previous, source, degree)
                        source[e] = source[f] = -1
                for v in (j, k):
                    queue[end] = v
                    end += 1
            source[first] = source[second] = -1
        count += 1
    return count


@kernel
def restore(removed, neighbours, strengths, spins):
    """Set the eliminated spins, the last first: s_i = -sign(J s_j + K s_k + h), which is best; +1 where nothing tells.

    removed (c,), neighbours (c, 2), strengths (c, 3): of `eliminate`; spins (n,) int8, changed.
    """
    for back in range(removed.size):
        k = removed.size - 1 - back
        f = strengths[k, 2]
        for q in range(2):
            if neighbours[k, q] >= 0:
                f += strengths[k, q] * spins[neighbours[k, q]]
        spins[removed[k]] = 1 if f <= 0 else -1
