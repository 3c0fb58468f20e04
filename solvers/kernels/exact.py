"""Every assignment once, in Gray-code order: one flip a step."""

from __future__ import annotations

import numpy as np

from .jit import kernel

WIDTH = 32


@kernel
def enumerate_codes(dense, fields, free, first, last, best, codes):  # type: ignore[no-untyped-def]
    """Assignments number first, ..., last - 1 > first: spin k is up where bit k of gray(i) = i ^ (i >> 1) is set; from `free` on all are up.

    dense (n, WIDTH), fields (n,): int64 or float64, columns beyond n are 0. best (1,) of that kind: the greatest
    value = -(sum_{i<j} w s s + sum h s) so far, kept up to date. codes (k,) int64: the first assignments of this call that have it.
    Returns the number of assignments of this call that have it.
    """
    n = fields.size
    spins = np.empty(n, dense.dtype)
    local = np.zeros(WIDTH, dense.dtype)
    code = first ^ (first >> 1)
    value = dense.dtype.type(0)
    for k in range(n):
        spins[k] = 1 if k >= free or (code >> k) & 1 else -1
        value -= spins[k] * fields[k]
        for j in range(k):
            value -= dense[k, j] * spins[k] * spins[j]
    for k in range(n):
        local[k] = fields[k]
        for j in range(n):
            local[k] += dense[k, j] * spins[j]
    found = 0
    i = first
    while True:
        if value >= best[0]:
            if value > best[0]:
                best[0] = value
                found = 0
            if found < codes.size:
                codes[found] = i
            found += 1
        i += 1
        if i >= last:
            return found
        j = 0
        while not (i >> j) & 1:
            j += 1
        twice = 2 * spins[j]
        value += twice * local[j]
        spins[j] = -spins[j]
        for k in range(WIDTH):
            local[k] -= twice * dense[j, k]
