"""Whether P is positive semidefinite, as cheaply as it can be known."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from .kkt import KKT, cost_of

SHIFT = 1e-9
DENSE = 400
AFFORDABLE_S = 0.3
LANCZOS = 60


def convex(P: Any) -> bool | None:
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
    rows = np.asarray(abs(P).sum(axis=1)).ravel()
    if (diagonal < -tiny).any() or (rows[diagonal <= 0] > n * tiny).any():
        return False
    if (2 * diagonal >= rows - tiny).all():
        return True  # Gershgorin.
    if n <= DENSE:
        try:
            la.cholesky(P.toarray() + tiny * np.eye(n), check_finite=False)
        except la.LinAlgError:
            return False
        return True
    none = sp.csr_array((0, n))
    if cost_of(P, none) <= AFFORDABLE_S:
        system = KKT(P, none)
        if system.factorise(np.full(n, tiny), np.zeros(0)):
            negative = system.negative_pivots()
            if negative is not None:
                return negative == 0
    return _by_lanczos(P, largest)


def _by_lanczos(P: Any, largest: float) -> bool | None:
    """False if a direction of negative curvature shows in some steps of Lanczos; else None."""
    try:
        v0 = np.random.default_rng(0).standard_normal(P.shape[0])
        value = float(spl.eigsh(P, k=1, which="SA", v0=v0, maxiter=LANCZOS, tol=1e-3, return_eigenvectors=False)[0])
    except spl.ArpackNoConvergence as e:
        if not len(e.eigenvalues):
            return None
        value = float(e.eigenvalues.min())
    return False if value < -1e-7 * largest else None
