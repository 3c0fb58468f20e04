"""Greedy colouring: spins of one colour do not touch, so a sweep may decide them together and still be a sequential sweep."""

from __future__ import annotations

import numpy as np

from .jit import kernel


@kernel
def greedy_colours(indptr, indices, order):
    """The smallest free colour for each vertex in turn.

    indptr (n+1,) int64, indices (2m,) uint32, order (n,) uint32. Returns (n,) int32.
    """
    n = order.size
    colours = np.full(n, -1, np.int32)
    last_user = np.full(n + 1, -1, np.int64)
    for q in range(n):
        v = order[q]
        for e in range(indptr[v], indptr[v + np.uint32(1)]):
            c = colours[indices[e]]
            if c >= 0:
                last_user[c] = q
        c = 0
        while last_user[c] == q:
            c += 1
        colours[v] = c
    return colours
