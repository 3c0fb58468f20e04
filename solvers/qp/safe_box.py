"""A finite box for methods that need one, where the problem has none but implies one.

    from a row     g'x <= h:   g_j x_j <= h - sum_{i != j} min(g_i lb_i, g_i ub_i)
    from strong convexity      f(x) >= f(x0) + g0'(x - x0) + mu/2 |x - x0|^2,  f(x*) <= f(x0):   |x* - x0| <= 2 |g0| / mu

with x0 any feasible point, g0 the gradient there, mu at most the least eigenvalue of P. Only infinite sides are filled: a solution of the boxed problem is one of
the problem itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...problems.quadratic.program import QP, Vector

ROUNDS = 10
# Beyond this many variables the least eigenvalue is bounded by Gershgorin's circles.
DENSE = 1500
MARGIN = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Finite bounds; `lower_given` and `upper_given` (n,) tell the problem's own from those that only follow."""

    lb: Vector
    ub: Vector
    lower_given: Any
    upper_given: Any


def safe_box(problem: QP) -> Box | str:
    """The box, or one line that says which variable has none."""
    low, high = problem.lb.copy(), problem.ub.copy()
    given = np.isfinite(low), np.isfinite(high)
    if not all(side.all() for side in given) and problem.rows:
        low, high = _from_rows(problem, low, high)
    if not np.isfinite(low).all() or not np.isfinite(high).all():
        around = _from_curvature(problem)
        if around is None:
            free = ~(np.isfinite(low) & np.isfinite(high))
            i = int(np.argmax(free))
            side = "lower" if not np.isfinite(low[i]) else "upper"
            return (
                f"x[{i}] has no {side} bound, and none follows from the rows or from a positive definite P: "
                "give lb and ub that surely hold the solution"
            )
        middle, radius = around
        low = np.where(np.isfinite(low), low, np.minimum(middle - radius, high))
        high = np.where(np.isfinite(high), high, np.maximum(middle + radius, low))
    return Box(lb=low, ub=high, lower_given=given[0], upper_given=given[1])


def _from_rows(problem: QP, low: Vector, high: Vector) -> tuple[Vector, Vector]:
    bounded = np.isfinite(problem.h)
    rows = sp.vstack([problem.G[bounded], problem.A, -problem.A], format="csr")
    right = np.concatenate([problem.h[bounded], problem.b, -problem.b])
    row = np.repeat(np.arange(right.size), np.diff(rows.indptr))
    column, value = rows.indices, rows.data
    for _ in range(ROUNDS):
        least = value * np.where(value > 0, low[column], high[column])
        infinite = np.isinf(least)
        finite_sum = np.bincount(row, np.where(infinite, 0.0, least), right.size)
        holes = np.bincount(row, infinite, right.size)
        # What the others leave: nothing is known unless all of them are bounded.
        known = holes[row] - infinite == 0
        others = finite_sum[row] - np.where(infinite, 0.0, least)
        with np.errstate(over="ignore"):
            limit = (right[row] - others) / value
        usable = known & np.isfinite(limit)
        up, down = usable & (value > 0) & np.isinf(high[column]), usable & (value < 0) & np.isinf(low[column])
        if not (up.any() or down.any()):
            break
        np.minimum.at(high, column[up], limit[up] + MARGIN * (1 + np.abs(limit[up])))
        np.maximum.at(low, column[down], limit[down] - MARGIN * (1 + np.abs(limit[down])))
    # Contradicting rows leave an empty box; its sides meet then, and the rows stay violated.
    high = np.where(np.isfinite(problem.ub), problem.ub, np.maximum(high, np.where(np.isfinite(low), low, -np.inf)))
    low = np.where(np.isfinite(problem.lb), problem.lb, np.minimum(low, high))
    return low, high


def _from_curvature(problem: QP) -> tuple[Vector, float] | None:
    """Centre and radius of a ball that holds the solution, if P is positive definite and a feasible point is at hand."""
    start = np.clip(0.0, problem.lb, problem.ub)
    if (problem.G @ start > problem.h).any() or (problem.A @ start != problem.b).any():
        return None
    P = problem.P
    if problem.n <= DENSE:
        values = np.linalg.eigvalsh(P.toarray())
        least = float(values[0]) - 1e-13 * problem.n * float(np.abs(values).max())
        largest = float(values[-1])
    else:
        diagonal, off = P.diagonal(), np.asarray(abs(P).sum(axis=1)).ravel()
        least = float((2 * diagonal - off).min()) if (diagonal > 0).all() else 0.0
        largest = float(off.max())
    if not least > 1e-12 * largest:
        return None
    return start, 2 * float(np.linalg.norm(P @ start + problem.q)) / least + MARGIN
