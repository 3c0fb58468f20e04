"""Whether P is positive semidefinite, as cheaply as it can be known."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from .kkt import KKT, cost_of

SHIFT = 1e-9
DENSE = 400
AFFORDABLE_S = 0.3
LANCZOS = 40


_last: tuple[Any, bool | None] = (lambda: None, None)


def convex(P: Any) -> bool | None:
    """Whether P is positive semidefinite; the answer for the last matrix is remembered, since the driver and a method both ask."""
    global _last
    if _last[0]() is not P:
        _last = weakref.ref(P), _convex(P)
    return _last[1]


def _convex(P: Any) -> bool | None:
    """True, False, or None where only a full factorisation too dear to try could tell.

    Parameters
    ----------
    P : (n, n) CSR
        Symmetric. Eigenvalues above -1e-9 times the largest entry count as 0.
    """
    if P.nnz == 0:
        return True
    n = P.shape[0]
    diagonal = P.diagonal()
    largest = float(np.abs(P.data).max())
    tiny = SHIFT * largest
    if (diagonal < -tiny).any():
        return False
    rows = np.asarray(abs(P).sum(axis=1)).ravel()
    if (rows[diagonal <= 0] > n * tiny).any():
        return False
    if (2 * diagonal >= rows - tiny).all():
        return True  # Gershgorin.
    if n <= DENSE:
        try:
            la.cholesky(P.toarray() + tiny * np.eye(n), check_finite=False)
        except la.LinAlgError:
            return False
        return True
    if _by_lanczos(P, largest) is False:
        return False
    none = sp.csr_array((0, n))
    if cost_of(P, none) <= AFFORDABLE_S:
        system = KKT(P, none)
        if system.factorise(np.full(n, tiny), np.zeros(0)):
            negative = system.negative_pivots()
            if negative is not None:
                return negative == 0
    return None


def _by_lanczos(P: Any, largest: float) -> bool | None:
    """False if a direction of negative curvature shows in some steps of Lanczos; else None."""
    n = P.shape[0]
    v = np.random.default_rng(0).standard_normal(n)
    v /= np.linalg.norm(v)
    before, beta = np.zeros(n), 0.0
    alphas, betas = list[float](), list[float]()
    for _ in range(LANCZOS):
        u = P @ v - beta * before
        alphas.append(float(u @ v))
        u -= alphas[-1] * v
        beta = float(np.linalg.norm(u))
        if beta <= 1e-12 * largest:
            break
        betas.append(beta)
        before, v = v, u / beta
    least = float(la.eigvalsh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1])).min())
    return False if least < -1e-7 * largest else None
