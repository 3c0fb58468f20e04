"""Lower bounds of a quadratic on the unit box.

    intervals      P_ij u_i u_j >= min(P_ij, 0) (u_i + u_j)/2: a sum of functions of one variable each, whose minima are exact
    eigenvalue     P + D >= 0, D = sigma diag(s):  f(u) >= 1/2 u'(P + D)u + (c - D1/2)'u, convex, since u_i^2 <= u_i; its minimum from below by a tangent plane

with s_i the norm of row i off the diagonal, and sigma at least minus the least eigenvalue of S^-1/2 P S^-1/2. Up to `DENSE` variables that is computed; beyond, it is that of
`STEPS` steps of Lanczos' method, taken down by `MARGIN` of the spread: enough but with probability 1.648 sqrt(n) exp(-sqrt(MARGIN)(2 STEPS - 1)), below 1e-9 for n = 1e6
(Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094), over the random start.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg as la
from numpy.typing import NDArray

from ...problems.quadratic.program import Vector
from ..kernels.box_bound import shifted_bound
from .box_system import BoxSystem

DENSE, STEPS, MARGIN = 300, 80, 0.04
# Steps that look for negative curvature, and the share of the largest row below which it is rounding.
FEW, FLAT = 40, 1e-9
SWEEPS = 60
ROUNDING = 1e-14


def interval_bound(system: BoxSystem) -> float:
    """Of base + unit f, from intervals."""
    box = system.box
    b = box.linear + 0.5 * system.below
    least = np.minimum(0.0, b + 0.5 * box.diagonal)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.clip(-b / box.bend, 0.0, 1.0)
        bent = np.where(box.bend > 0, inner * (b + 0.5 * box.bend * inner), least)
    return _outwards(system, float(np.minimum(least, bent).sum()))


def eigenvalue_cost(system: BoxSystem) -> float:
    """Products that `eigenvalue_bound` takes, roughly."""
    return 2.0 * system.n**3 if system.n <= DENSE else float((STEPS + SWEEPS) * (system.R.nnz + 4 * system.n))


def eigenvalue_bound(system: BoxSystem, u: Vector, *, convex: bool = False) -> float:
    """Of base + unit f; u (n,): where the search for the convex function's minimum begins. convex: P is known to be positive semidefinite."""
    box = system.box
    shift = np.zeros(system.n)
    if not convex:
        shift = np.maximum(-box.diagonal, 0.0)
        on = np.flatnonzero(box.spread > 0)
        if on.size:
            shift[on] = max(0.0, -_least_eigenvalue(system, on)) * box.spread[on]
    start = u.copy()
    bound, _ = shifted_bound(box.P, box.diagonal, box.linear, shift, start, np.empty(system.n), 0 if convex else SWEEPS)
    return _outwards(system, bound)


def _outwards(system: BoxSystem, bound: float) -> float:
    return system.base + system.unit * (bound - ROUNDING * float(system.box.reach.sum()))


def _least_eigenvalue(system: BoxSystem, on: NDArray[np.int64]) -> float:
    """A lower bound of the least eigenvalue of S^-1/2 P S^-1/2, on the coupled variables."""
    s = 1 / np.sqrt(system.box.spread[on])
    R = system.R if on.size == system.n else system.R[on][:, on]
    n = on.size
    if n <= DENSE:
        scaled = R.toarray() * s[:, None] * s
        values = la.eigvalsh(scaled, check_finite=False, overwrite_a=True)
        return float(values[0] - ROUNDING * n * max(abs(values[0]), abs(values[-1])))
    ritz = _lanczos(lambda v: s * (R @ (s * v)), n, STEPS)
    spread = (ritz[-1] - ritz[0]) / (1 - 2 * MARGIN)
    return float(ritz[0] - MARGIN * spread - ROUNDING * n * np.abs(ritz).max())


def indefinite(system: BoxSystem) -> bool:
    """Whether a direction of negative curvature is easily found: a negative diagonal entry, or some steps of Lanczos' method."""
    flat = -FLAT * system.box.size
    if (system.box.diagonal < flat).any():
        return True
    return system.n > DENSE and float(_lanczos(lambda v: system.R @ v, system.n, FEW)[0]) < flat


def _lanczos(times: Callable[[Vector], Vector], n: int, steps: int) -> Vector:
    """Ritz values, ascending, from a random start; all of them lie between the least and the largest eigenvalue."""
    v = np.random.Generator(np.random.Philox(n)).standard_normal(n)
    v /= np.linalg.norm(v)
    before, beta = np.zeros(n), 0.0
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    for k in range(steps):
        w = times(v) - beta * before
        diagonal[k] = v @ w
        w -= diagonal[k] * v
        beside[k] = beta = float(np.linalg.norm(w))
        if beta <= 1e-12 * float(np.abs(diagonal).max()):
            diagonal, beside = diagonal[: k + 1], beside[: k + 1]
            break
        before, v = v, w / beta
    return np.asarray(la.eigvalsh_tridiagonal(diagonal, beside[: diagonal.size - 1]), np.float64)
