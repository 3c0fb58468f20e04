"""Partition crossover of two points of the unit box.

Where u and v differ, the differing coordinates fall into connected components C of the graph of P. Moving those of one component by t (v - u) changes f by

    t sum_{i in C} g_i d_i + t^2/2 sum_{i, j in C} P_ij d_i d_j,   d = v - u

whatever is done with the other components, which no entry of P connects to it. So each takes its own best t in [0, 1], or in {0, 1} where a
coordinate belongs at its ends, and the child is at least as good as u, and as v but for differences that are neglected (for the travelling salesman: Whitley, Hains, Howe, GECCO
2009; on spins: `crossover`).
"""

from __future__ import annotations

from .box_moves import add_row
from .jit import helper

# Of the box's side: coordinates between their ends differ a little in any two local optima, and would join all components.
ALIKE = 0.02


@helper
def cross_boxes(P, bend, u, g, v, label, queue, starts, shares):
    """Move u, and its gradient g, towards v in every component where that lowers f; nothing is done where all differences are one component.

    P: CSR. Scratch: label (n,) int8, queue (n,) int32, starts (n + 1,) int32, shares (n,) float64. Returns (fall of f, components, couplings followed).
    """
    n = u.size
    fall = 0.0
    parts = 0
    followed = 0
    tail = 0
    for i in range(n):
        label[i] = 1 if abs(v[i] - u[i]) > ALIKE else 0
    for k in range(n):
        if label[k] != 1:
            continue
        starts[parts] = tail
        head = tail
        label[k] = 2
        queue[tail] = k
        tail += 1
        slope = curvature = 0.0
        whole = False
        while head < tail:
            i = queue[head]
            head += 1
            whole = whole or bend[i] == 0.0
            d = v[i] - u[i]
            image = 0.0
            for e in range(P.indptr[i], P.indptr[i + 1]):
                j = P.indices[e]
                if label[j] == 1:
                    label[j] = 2
                    queue[tail] = j
                    tail += 1
                if label[j] == 2:
                    image += P.data[e] * (v[j] - u[j])
            followed += P.indptr[i + 1] - P.indptr[i]
            slope += g[i] * d
            curvature += image * d
        t = 1.0 if slope + 0.5 * curvature < 0.0 else 0.0
        if curvature > 0.0 and not whole:
            t = min(max(-slope / curvature, 0.0), 1.0)
        shares[parts] = t
        fall -= t * (slope + 0.5 * t * curvature)
        parts += 1
    starts[parts] = tail
    if parts < 2:
        return 0.0, parts, followed
    for part in range(parts):
        t = shares[part]
        if t > 0.0:
            for k in range(starts[part], starts[part + 1]):
                i = queue[k]
                d = v[i] - u[i]
                new = v[i] if t == 1.0 else u[i] + t * d
                followed += add_row(P, i, new - u[i], g)
                u[i] = new
    return fall, parts, followed
