"""Upper estimates of |AA'| and |P|, by power iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.hpr import DIAGONAL, GENERAL, ZERO
from .form import Form

Vector = NDArray[np.float64]

SAFETY = 1.05
TOLERANCE, MOST, LEAST_STEPS = 1e-3, 300, 10
LEAST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Norms:
    """lam_A >= |AA'| and lam_P >= |P|, with the vectors that showed them."""

    lam_A: float
    lam_P: float
    v_A: Vector
    v_P: Vector


def kind_of(form: Form) -> tuple[int, Vector]:
    """Which kind of P, and its diagonal."""
    p = form.P.diagonal()
    if form.P.nnz == 0:
        return ZERO, p
    return (DIAGONAL if form.P.nnz == np.count_nonzero(p) else GENERAL), p


def norm_bounds(form: Form, before: Norms | None = None) -> Norms:
    """The norms of a form; `before`: those of one like it, to start from."""
    kind, p = kind_of(form)
    start = np.random.default_rng(1).standard_normal(form.n)
    lam_A, v_A = (1.0, start) if form.m == 0 else _power(form.A, start if before is None else before.v_A, form.At)
    if kind == GENERAL:
        lam_P, v_P = _power(form.P, start if before is None else before.v_P)
        lam_P *= SAFETY
    else:
        lam_P, v_P = (float(p.max()) if kind == DIAGONAL else 0.0), start
    return Norms(max(SAFETY * lam_A, LEAST), lam_P, v_A, v_P)


def _power(M: Any, v: Vector, Mt: Any = None) -> tuple[float, Vector]:
    """The largest eigenvalue of M, or of M'M, and its vector."""
    value = 0.0
    for k in range(MOST):
        v = v / max(float(np.linalg.norm(v)), 1e-300)
        u = M @ v
        if Mt is not None:
            u = Mt @ u
        before, value = value, float(v @ u)
        v = u
        if k > LEAST_STEPS and abs(value - before) <= TOLERANCE * abs(value):
            break
    return value, v
