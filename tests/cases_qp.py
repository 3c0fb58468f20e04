"""Random quadratic programs for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from fnanneal.problems.quadratic.program import QP

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COLLECTION = DATA / "maros_meszaros"


def feasible_qp(rng, n, k, m, rank=None, sparse=True, bounds=True):
    """A convex program with k inequalities and m equalities around a point that satisfies them all; P has this rank."""
    rank = n if rank is None else rank
    F = rng.normal(size=(rank, n)) * (rng.random((rank, n)) < 0.5)
    P = F.T @ F
    G = rng.normal(size=(k, n)) * (rng.random((k, n)) < 0.6)
    A = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.6)
    x = rng.normal(size=n)
    h = G @ x + np.abs(rng.normal(size=k)) * (rng.random(k) < 0.7)
    lb = np.where(rng.random(n) < 0.6, x - np.abs(rng.normal(size=n)), -np.inf) if bounds else None
    ub = np.where(rng.random(n) < 0.6, x + np.abs(rng.normal(size=n)), np.inf) if bounds else None
    # A cost in the range of P and of the rows' multipliers, so that the program is bounded.
    q = P @ rng.normal(size=n) + G.T @ np.abs(rng.normal(size=k)) * -1.0 + A.T @ rng.normal(size=m)
    wrap = sp.csr_array if sparse else np.asarray
    return QP.of(wrap(P), q, wrap(G), h, wrap(A), A @ x, lb, ub)
