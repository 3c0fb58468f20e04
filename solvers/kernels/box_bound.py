"""A lower bound of a convex quadratic on the unit box, by exact coordinate moves and the tangent plane where they end."""

from __future__ import annotations

from .box_moves import add_row, best_value
from .jit import kernel


@kernel
def shifted_bound(P, diagonal, c, shift, u, g, sweeps):
    """A lower bound of h(v) = 1/2 v'(P + D)v + (c - shift/2)'v on the unit box, D = diag(shift), if P + D is positive semidefinite.

        h(v) >= h(u) + min over the box of h'(u)(v - u),      u after at most `sweeps` sweeps of coordinate moves

    u (n,): where to begin, changed; g (n,): scratch. Returns (the bound, number of products).
    """
    n = u.size
    products = 0
    for i in range(n):
        g[i] = c[i] + shift[i] * (u[i] - 0.5)
    for i in range(n):
        if u[i] != 0.0:
            products += add_row(P, i, u[i], g)
    for _ in range(sweeps):
        gain = value = 0.0
        for i in range(n):
            a = diagonal[i] + shift[i]
            d = best_value(a, max(a, 0.0), g[i] - a * u[i]) - u[i]
            fall = -d * (g[i] + 0.5 * a * d)
            if fall > 0.0:
                gain += fall
                u[i] += d
                products += add_row(P, i, d, g)
                g[i] += shift[i] * d
        for i in range(n):
            value += abs(u[i] * (g[i] + c[i] - 0.5 * shift[i]))
        if gain <= 1e-9 * value:
            break
    bound = 0.0
    for i in range(n):
        bound += 0.5 * u[i] * (g[i] + c[i] - 0.5 * shift[i]) + min(-g[i] * u[i], g[i] * (1.0 - u[i]))
    return bound, products
