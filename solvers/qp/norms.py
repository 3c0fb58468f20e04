"""Upper estimates of |AA'| and |P|: by Lanczos, and by a bound that needs no iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
from numpy.typing import NDArray

from ..kernels.sparse_rows import sums
from .form import Form

Vector = NDArray[np.float64]

SAFETY = 1.05
TOLERANCE, MOST, BETWEEN = 1e-3, 100, 5
LEAST = 1e-12
GENERAL, DIAGONAL, ZERO = range(3)


@dataclass(frozen=True, slots=True)
class Norms:
    """lam_A >= |AA'| and lam_P >= |P|."""

    lam_A: float
    lam_P: float


def kind_of(form: Form) -> tuple[int, Vector]:
    """Which kind of P, and its diagonal."""
    p = form.P.diagonal()
    if form.P.nnz == 0:
        return ZERO, p
    return (DIAGONAL if form.P.nnz == np.count_nonzero(p) else GENERAL), p


def norm_bounds(form: Form, *, quickly: bool = False) -> Norms:
    """The norms of a form.

    Parameters
    ----------
    quickly
        No iterations: |AA'| <= |A|_1 |A|_inf and |P| <= |P|_inf, which scaling brings near the norms.
    """
    kind, p = kind_of(form)
    row, column = _sums(form.A)
    lam_A = float(row.max(initial=0) * column.max(initial=0))
    lam_P = float(p.max()) if kind == DIAGONAL else float(_sums(form.P)[0].max()) if kind == GENERAL else 0.0
    if not quickly:
        if form.m:
            lam_A = min(lam_A, SAFETY * _largest(form.A, form.n, form.A.T))
        if kind == GENERAL:
            lam_P = min(lam_P, SAFETY * _largest(form.P, form.n))
    return Norms(max(lam_A, LEAST), lam_P)


def _sums(M: Any) -> tuple[Vector, Vector]:
    row, column = np.zeros(M.shape[0]), np.zeros(M.shape[1])
    sums(M.indptr, M.indices, M.data, np.ones(M.shape[0]), np.ones(M.shape[1]), row, column)
    return row, column


def _largest(M: Any, n: int, Mt: Any = None) -> float:
    """The largest eigenvalue of M, or of M'M, by Lanczos (without reorthogonalisation, whose lack only repeats values)."""
    v = np.random.default_rng(1).standard_normal(n)
    v /= np.linalg.norm(v)
    before, alphas, betas = np.zeros(n), list[float](), list[float]()
    value = 0.0
    for k in range(1, min(n, MOST) + 1):
        u = M @ v
        if Mt is not None:
            u = Mt @ u
        alphas.append(float(u @ v))
        u -= alphas[-1] * v
        if betas:
            u -= betas[-1] * before
        beta = float(np.linalg.norm(u))
        last = k == min(n, MOST) or beta <= 1e-12 * abs(alphas[0])
        if last or k % BETWEEN == 0:
            found = float(la.eigvalsh_tridiagonal(np.array(alphas), np.array(betas)).max())
            if last or found - value <= TOLERANCE * found:
                return found
            value = found
        betas.append(beta)
        before, v = v, u / beta
    return value
