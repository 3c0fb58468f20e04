"""Symmetric quasi-definite systems

    [ P + diag(d)   A'       ] [ u ]   [ f ]
    [ A            -diag(e)  ] [ v ] = [ g ]        d, e > 0

factorised as L D L' in an order found once: by qdldl where it is installed, else by SciPy's SuperLU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from numpy.typing import NDArray

from ..kernels.elimination import elimination_cost

qdldl: Any
try:
    import qdldl  # type: ignore[import-not-found,import-untyped,unused-ignore,no-redef]
except ImportError:
    qdldl = None

Vector = NDArray[np.float64]

REFINEMENTS = 6
# Seconds a multiplication and an entry of the factor, by qdldl and, where columns are long (multiplications an entry) and many, by SuperLU; measured on the CONT and CVXQP problems.
FLOP_S, LONG_FLOP_S, ENTRY_S = 0.4e-9, 0.3e-9, 2e-8
LONG, MANY = 500, 2e5
MOST_FLOPS, MOST_ENTRIES = 1e12, 2e8
ENOUGH = 1e-13


def cost_of(P: Any, A: Any) -> float:
    """Seconds that a factorisation of such a system takes, roughly; infinite where it would not fit the memory or a day."""
    flops, entries = effort(P, A)
    return float((LONG_FLOP_S if _long(flops, entries) else FLOP_S) * flops + ENTRY_S * entries)


def _long(flops: float, entries: float) -> bool:
    """Whether SuperLU, which works on blocks of columns, is the faster one: four times on the CVXQP problems. Where columns are short it is five times slower."""
    return np.isfinite(flops) and flops > LONG * entries and entries > MANY


def effort(P: Any, A: Any) -> tuple[float, float]:
    """Multiplications that a factorisation takes (of both triangles), and entries of its factor."""
    pattern = _upper(P, A)
    full = (pattern + sp.triu(pattern, 1).T).tocsr()
    limit = min(MOST_ENTRIES, 50 * full.nnz + 1e7)
    flops, entries = elimination_cost(full.indptr, full.indices, MOST_FLOPS, limit)
    return float(flops), float(entries)


def _upper(P: Any, A: Any) -> Any:
    """The upper triangle of the pattern, with whole diagonals, as CSC."""
    n, m = P.shape[0], A.shape[0]
    upper = sp.triu(P, 1, format="csr") + sp.diags_array(np.ones(n), format="csr")
    K = sp.block_array([[upper, A.T], [None, sp.eye_array(m)]], format="csc") if m else sp.csc_array(upper)
    K.sort_indices()
    return K


class KKT:
    """The matrix with its pattern; `factorise` for given diagonals, then `solve`.

    Parameters
    ----------
    P : (n, n) CSR
        Symmetric.
    A : (m, n) CSR
    """

    def __init__(self, P: Any, A: Any) -> None:
        flops, entries = effort(P, A)
        self.long = _long(flops, entries)
        self.flops, self.entries = (int(v) if np.isfinite(v) else 0 for v in (0.5 * flops, entries))
        n, m = P.shape[0], A.shape[0]
        self.n, self.m = n, m
        # Both diagonals are stored whatever they hold, and come last in their columns.
        self.matrix = K = _upper(P, A)
        self.diagonal = K.indptr[1:] - 1
        self.P_diagonal = P.diagonal()
        self.P, self.A, self.At = P, A, A.T
        self.d, self.e = np.zeros(n), np.zeros(m)
        self.count = 0
        self.products = 0
        self.error = 0.0
        self._factor: Any = None

    def factorise(self, d: Vector, e: Vector) -> bool:
        """Factors for these diagonals, both positive; False where the factorisation broke down."""
        self.d, self.e = d, e
        self.matrix.data[self.diagonal] = np.concatenate([self.P_diagonal + d, -e])
        self.count += 1
        self.products += self.flops
        try:
            if qdldl is None or self.long:
                full = self.matrix + sp.triu(self.matrix, 1).T
                self._factor = spl.splu(
                    full.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
                )
            elif self._factor is None:
                self._factor = qdldl.Solver(self.matrix, upper=True)
            else:
                self._factor.update(self.matrix, upper=True)
        except (RuntimeError, ValueError):
            self._factor = None
            return False
        return True

    def negative_pivots(self) -> int | None:
        """How many of the factor's pivots are negative; None where the library does not say."""
        if qdldl is None or self.long or self._factor is None:
            return None
        return int((self._factor.factors()[1] < 0).sum())

    def solve(
        self, f: Vector, g: Vector, d: Vector | None = None, e: Vector | None = None, enough: float = ENOUGH
    ) -> tuple[Vector, Vector]:
        """Solves with refinement; with other diagonals than the factorised ones, the factors are the preconditioner. `enough` is relative."""
        d = self.d if d is None else d
        e = self.e if e is None else e
        n = self.n
        right = np.concatenate([f, g])
        x = self._factor.solve(right)
        self.products += 2 * self.entries
        size = max(float(np.abs(right).max()), 1e-300)
        best, least = x, np.inf
        for _ in range(REFINEMENTS):
            r = right.copy()
            r[:n] -= self.P @ x[:n] + d * x[:n] + self.At @ x[n:]
            r[n:] -= self.A @ x[:n] - e * x[n:]
            error = float(np.abs(r).max())
            if not error < 0.5 * least:
                if error < least:
                    best = x
                break
            best, least = x, error
            if error <= enough * size:
                break
            x = x + self._factor.solve(r)
            self.products += 2 * self.entries
        self.error = least / size
        return best[:n], best[n:]
