"""The last digits of a duality gap.

Where the objective is 1e11, a gap of 1e-6 is below the rounding of its terms, however good the point. One multiplier moved by gap / b_i closes it, at the price of |A_i| gap / |b_i|
in stationarity: far below the tolerance where b is large, which it is there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...problems.quadratic.program import QP
from ...qpresult import Residuals
from .method import Point

Vector = NDArray[np.float64]

TRIES = 4


def close_gap(problem: QP, point: Point, residuals: Residuals, allowed: float) -> tuple[Point, Residuals]:
    """The point with one multiplier moved, if that makes its largest residual smaller; else as it was.

    Parameters
    ----------
    allowed
        The tolerance: nothing is done unless the gap alone is beyond it.
    """
    r = residuals
    if r.gap <= allowed or max(r.primal, r.dual, r.sign) > allowed:
        return point, r
    found = _cheapest(problem, point)
    if found is None:
        return point, r
    what, i, bound = found
    for _ in range(TRIES):
        values = getattr(point, what).copy()
        values[i] -= _gap(problem, point) / bound
        moved = replace(point, **{what: values})
        again = problem.residuals(moved.x, moved.y, moved.z, moved.z_box)
        if not again.worst < r.worst:
            break
        point, r = moved, again
        if r.gap <= allowed:
            break
    return point, r


def _gap(problem: QP, point: Point) -> float:
    """The gap with its sign."""
    p, q = problem, point
    bounded, lower, upper = np.isfinite(p.h), np.isfinite(p.lb), np.isfinite(p.ub)
    value = float(q.x @ (p.P @ q.x)) + float(p.q @ q.x) + float(p.b @ q.y) + float(p.h[bounded] @ q.z[bounded])
    down, up = np.minimum(q.z_box, 0), np.maximum(q.z_box, 0)
    return value + float(p.lb[lower] @ down[lower] + p.ub[upper] @ up[upper])


def _cheapest(problem: QP, point: Point) -> tuple[str, int, float] | None:
    """The multiplier whose moving closes most gap for its stationarity, and its bound; only those that keep their signs."""
    p = problem
    best: tuple[float, str, int, float] | None = None
    z = np.where(np.isfinite(p.h) & (point.z > 0), p.h, 0.0)
    at = np.where(point.z_box < 0, p.lb, np.where(point.z_box > 0, p.ub, 0.0))
    for what, bounds, M in (("y", p.b, p.A), ("z", z, p.G), ("z_box", at, None)):
        if not bounds.size:
            continue
        sizes = np.ones(bounds.size)
        if M is not None:
            rows = np.diff(M.indptr) > 0
            sizes = np.full(bounds.size, np.inf)
            sizes[rows] = np.maximum.reduceat(np.abs(M.data), M.indptr[:-1][rows]) if M.nnz else np.inf
        worth = np.abs(bounds) / sizes
        i = int(np.argmax(worth))
        if worth[i] > 0 and (best is None or worth[i] > best[0]):
            best = float(worth[i]), what, i, float(bounds[i])
    return None if best is None else best[1:]
