"""The certificate of a local optimum of a box QP: the projected gradient, driven to rounding.

    g = Px + q;   z_box_i = -g_i where x_i is at lb and g_i > 0, or at ub and g_i < 0;   else 0, and |g_i| is the residual

Coordinate moves and conjugate gradients get there where the Hessian of the variables between their bounds, P_FF, is well conditioned. Where it is not, and factorising is
allowed, Newton's step -P_FF^-1 g_F finishes, cut short where a variable meets its bound; the kernel then looks for other moves, and so on until neither finds any.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
from numpy.typing import NDArray

from ...problems.quadratic.program import Vector
from ...qpresult import Residuals
from ..kernels.boxqp import FINE_SLOPE, Search, new_search, settle
from .box_system import BoxSystem
from .kkt import KKT, cost_of
from .method import Point

ROUNDS = 30
# Sweeps and steps after one of Newton's.
SETTLE = 20
DENSE, AFFORDABLE_S = 600, 0.3
# Of the largest entry, on the diagonal: where P_FF is singular, the step then goes far along a direction without curvature.
REGULAR = 1e-12
SHRINKS = 0.5


UNKNOWN = Residuals(
    primal=math.inf, dual=math.inf, gap=math.inf, sign=math.inf, primal_scale=1.0, dual_scale=1.0, gap_scale=1.0
)


@dataclass(slots=True, kw_only=True, eq=False)
class Certified:
    """A point with its multipliers and residuals, and the objective without its constant; what Newton's steps took."""

    u: Vector
    point: Point = field(init=False)
    residuals: Residuals = field(init=False)
    value: float = math.inf
    factorisations: int = 0
    products: int = 0


def certify(system: BoxSystem, u: Vector, *, polish: bool, judge: bool = True) -> Certified:
    """Give u its multipliers, residuals and value; with `polish`, after Newton's steps where those are allowed. Without `judge` nothing is computed."""
    found = Certified(u=u.copy())
    if not judge:
        nothing = np.zeros(0)
        found.point = Point(x=system.outwards(u), y=nothing, z=nothing, z_box=np.zeros(system.problem.n))
        found.residuals = UNKNOWN
        return found
    if polish and system.polish:
        _newton(system, found)
    p = system.problem
    x = system.outwards(found.u)
    g = p.P @ x + p.q
    at_low, at_high = x <= p.lb, x >= p.ub
    held = (at_low & (g > 0)) | (at_high & (g < 0)) | (at_low & at_high)
    if p.binary is not None:
        held |= p.binary
    found.point = Point(x=x, y=np.zeros(p.b.size), z=np.zeros(p.h.size), z_box=np.where(held, -g, 0.0))
    found.residuals = p.residuals(x, found.point.y, found.point.z, found.point.z_box)
    found.value = float(0.5 * (x @ (g + p.q)))
    return found


def _newton(system: BoxSystem, found: Certified) -> None:
    box, R = system.box, system.R
    scratch: Search | None = None
    for _ in range(ROUNDS):
        u = found.u
        between = _between(system, u)
        if not between.size:
            return
        g = R @ u + box.linear
        slope = _slope(system, between, g)
        if slope <= FINE_SLOPE:
            return
        step = _step(R[between][:, between], -g[between], found)
        if step is None:
            return
        room = np.where(step > 0, 1 - u[between], u[between])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(step != 0, room / np.abs(step), np.inf)
        share = min(1.0, float(ratios.min()))
        new = u.copy()
        moved = np.clip(u[between] + share * step, 0.0, 1.0)
        if share < 1:
            met = ratios <= share
            moved[met] = np.where(step[met] > 0, 1.0, 0.0)
        new[between] = moved
        scratch = new_search(system.n, 0, 0.0) if scratch is None else scratch
        scratch.u[:] = new
        found.products += int(settle(box, scratch, SETTLE))
        new = scratch.u.copy()
        after = R @ new + box.linear
        left = _slope(system, _between(system, new), after)
        lower = float((new - u) @ (g + after)) < 0
        if not (left < SHRINKS * slope or lower):
            return
        found.u = new


def _between(system: BoxSystem, u: Vector) -> NDArray[np.int64]:
    return np.flatnonzero((u > 0) & (u < 1) & (system.box.bend > 0))


def _slope(system: BoxSystem, where: NDArray[np.int64], g: Vector) -> float:
    return float((np.abs(g[where]) / system.box.reach[where]).max(initial=0.0))


def _step(H: sp.csr_array, right: Vector, found: Certified) -> Vector | None:
    """H^-1 right where H is positive semidefinite and affordable."""
    k = right.size
    tiny = REGULAR * float(np.abs(H.data).max(initial=0.0))
    if k <= DENSE:
        full = H.toarray()
        full[np.diag_indices(k)] += tiny
        try:
            factor = la.cho_factor(full, check_finite=False, overwrite_a=True)
        except la.LinAlgError:
            return None
        found.factorisations += 1
        found.products += k**3 // 6 + 2 * k * k
        x: Vector = la.cho_solve(factor, right, check_finite=False)
        better = x + la.cho_solve(factor, right - H @ x, check_finite=False)
        x = better if np.abs(right - H @ better).max() < np.abs(right - H @ x).max() else x
        return x if np.isfinite(x).all() else None
    none = sp.csr_array((0, k))
    if cost_of(H, none) > AFFORDABLE_S:
        return None
    system = KKT(H, none)
    done = system.factorise(np.full(k, tiny), np.zeros(0))
    found.factorisations += 1
    if not done or system.negative_pivots():
        found.products += system.products
        return None
    x = system.solve(right, np.zeros(0), np.zeros(k))[0]
    found.products += system.products
    return x if np.isfinite(x).all() else None
