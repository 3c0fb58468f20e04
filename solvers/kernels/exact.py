"""Every assignment once: the lowest `LOW` spins in one piece, the others in Gray-code order, one flip a step.

Assignment number i is the pair (outer, a) = (i >> low, i & (2**low - 1)): spin k < low is up where bit k of a is set, the others where the
bit of gray(outer) = outer ^ (outer >> 1) is. For fixed outer spins the values of all a differ by sums of the low spins' fields, and by a
table of the couplings among them.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel

LOW = 5


@kernel
def enumerate_codes(dense, fields, free, low, first, last, best, codes):
    """Assignments of the outer numbers first, ..., last - 1 > first; spins from `free` on stay up.

    dense (n, n), fields (n,): int64 or float64. best (1,) of that kind: the greatest value = -(sum_{i<j} w s s + sum h s) so far, kept up
    to date. codes (k,) int64: the first assignments of this call that have it. Returns the number of assignments of this call that have it.
    """
    n = fields.size
    size = 1 << low
    spins = np.empty(n, dense.dtype)
    local = np.empty(n, dense.dtype)
    among = np.zeros(size, dense.dtype)
    value = np.empty(size, dense.dtype)
    for a in range(size):
        for k in range(low):
            for j in range(k):
                among[a] -= dense[k, j] if (a >> k) & 1 == (a >> j) & 1 else -dense[k, j]
    gray = first ^ (first >> 1)
    base = dense.dtype.type(0)
    for k in range(low, n):
        spins[k] = 1 if k >= free or (gray >> (k - low)) & 1 else -1
        base -= spins[k] * fields[k]
        for j in range(low, k):
            base -= dense[k, j] * spins[k] * spins[j]
    for k in range(n):
        local[k] = fields[k]
        for j in range(low, n):
            local[k] += dense[k, j] * spins[j]
    found = 0
    outer = first
    while True:
        value[0] = base
        for k in range(low):
            half = 1 << k
            for a in range(half):
                value[a + half] = value[a] - local[k]
                value[a] += local[k]
        top = value[0] + among[0]
        for a in range(size):
            value[a] += among[a]
            top = max(top, value[a])
        if top >= best[0]:
            if top > best[0]:
                best[0] = top
                found = 0
            for a in range(size):
                if value[a] == top:
                    if found < codes.size:
                        codes[found] = outer * size + a
                    found += 1
        outer += 1
        if outer >= last:
            return found
        j = low
        while not (outer >> (j - low)) & 1:
            j += 1
        twice = 2 * spins[j]
        base += twice * local[j]
        spins[j] = -spins[j]
        for k in range(n):
            local[k] -= twice * dense[j, k]
