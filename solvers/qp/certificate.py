"""Certificates of infeasibility, checked on the caller's own data.

    primal:  A'y + G'z + z_box = 0, z >= 0, z_box >= 0 where only ub is finite, <= 0 where only lb is, and  b'y + h'z + lb'[z_box]- + ub'[z_box]+ = -1
    dual:    P x = 0, A x = 0, G x <= 0 where h is finite, x >= 0 where lb is, x <= 0 where ub is, and  q'x = -1

A ray is made exact as far as signs and bounds allow, scaled to that -1, and accepted if what is left of each equation is below `EPS`, or below `ROUNDING` times the sum of its
terms' sizes. A residual r of the first kind still proves that no feasible point has |x|_1 < 1/r.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...problems.quadratic.program import QP
from .method import Point

Vector = NDArray[np.float64]

EPS = 1e-8
ROUNDING = 1e-12


def primal_certificate(problem: QP, ray: Point, eps: float = EPS) -> Point | None:
    """The ray, cleaned and scaled, if it proves that no point is feasible; else None."""
    p = problem
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        size = max(float(np.abs(v).max(initial=0)) for v in (ray.y, ray.z, ray.z_box))
        if not (np.isfinite(size) and size > 0):
            return None
        y = ray.y / size
        z = np.where(np.isfinite(p.h), np.maximum(ray.z / size, 0), 0.0)
        z[z < 1e-14] = 0.0
        left = -(p.A.T @ y + p.G.T @ z)
        # The bounds' multipliers take all that they may.
        box = np.where(np.isfinite(p.lb), np.minimum(left, 0), 0.0) + np.where(
            np.isfinite(p.ub), np.maximum(left, 0), 0.0
        )
        terms = np.concatenate(
            [
                p.b * y,
                np.where(z > 0, p.h, 0) * z,
                np.where(box < 0, p.lb, 0) * np.minimum(box, 0),
                np.where(box > 0, p.ub, 0) * np.maximum(box, 0),
            ]
        )
        value = float(terms.sum())
        if not (np.isfinite(value) and value < 0 and -value > ROUNDING * float(np.abs(terms).sum())):
            return None
        wrong = np.abs(left - box) / -value
        if not wrong.max() <= eps:
            reach = (_largest(p.A) * np.abs(y).sum() + _largest(p.G) * z.sum()) / -value
            if not wrong.max() <= eps + ROUNDING * reach:
                return None
            if not (wrong <= eps + ROUNDING * (abs(p.A).T @ np.abs(y) + abs(p.G).T @ z) / -value).all():
                return None
        return Point(x=np.zeros(p.n), y=y / -value, z=z / -value, z_box=box / -value)


def dual_certificate(problem: QP, ray: Vector, eps: float = EPS) -> Vector | None:
    """The direction, cleaned and scaled, if the objective falls along it without bound; else None."""
    p = problem
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        size = float(np.abs(ray).max(initial=0))
        if not (np.isfinite(size) and size > 0):
            return None
        x = ray / size
        x = np.where(np.isfinite(p.lb), np.maximum(x, 0), x)
        x = np.where(np.isfinite(p.ub), np.minimum(x, 0), x)
        terms = p.q * x
        value = float(terms.sum())
        if not (np.isfinite(value) and value < 0 and -value > ROUNDING * float(np.abs(terms).sum())):
            return None
        x = x / -value
        for M, counts in ((p.P, None), (p.A, None), (p.G, np.isfinite(p.h))):
            wrong = np.abs(M @ x) if counts is None else np.maximum(M @ x, 0) * counts
            if not wrong.max(initial=0) <= eps:
                if not wrong.max() <= eps + ROUNDING * _largest(M) * np.abs(x).sum():
                    return None
                if not (wrong <= eps + ROUNDING * (abs(M) @ np.abs(x))).all():
                    return None
        return x


def _largest(M: Any) -> float:
    """The largest entry in size, without a copy of all."""
    return max(float(M.data.max(initial=0)), -float(M.data.min(initial=0)))
