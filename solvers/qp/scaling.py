"""Scaling of a `Form`: ten passes of Ruiz, then one of Pock and Chambolle.

With x = D x~, y = E y~, z = z~ / D:  P <- D P D, A <- E A D, c <- D c, [AL, AU] <- E [AL, AU], [l, u] <- [l, u] / D.

Source: Ruiz, RAL-TR-2001-034; Pock and Chambolle, ICCV 2011; as arXiv 2507.02470 has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .form import Form, PrimalDual

Vector = NDArray[np.float64]

RUIZ_PASSES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """The factors D (n,) and E (m,)."""

    D: Vector
    E: Vector

    @classmethod
    def of(cls, form: Form, passes: int = RUIZ_PASSES, pock_chambolle: bool = True) -> Scaling:
        """Factors for a form."""
        D, E = np.ones(form.n), np.ones(form.m)
        P, A = abs(form.P), abs(form.A)
        At = A.T.tocsr()
        for _ in range(passes):
            column = np.sqrt(np.maximum(_row_max(At, E) * D, _row_max(P, D) * D))
            row = np.sqrt(_row_max(A, D) * E)
            D = D / np.where(column > 0, column, 1.0)
            E = E / np.where(row > 0, row, 1.0)
        if pock_chambolle:
            column = np.sqrt(D * (At @ E) + D * (P @ D))
            row = np.sqrt(E * (A @ D))
            D = D / np.where(column > 0, column, 1.0)
            E = E / np.where(row > 0, row, 1.0)
        return cls(D, E)

    def apply(self, form: Form) -> Form:
        """The scaled form."""
        D, E = self.D, self.E
        return Form(
            P=_both(form.P, D, D),
            c=D * form.c,
            A=_both(form.A, E, D),
            AL=E * form.AL,
            AU=E * form.AU,
            l=form.l / D,
            u=form.u / D,
        )

    def scale(self, point: PrimalDual) -> PrimalDual:
        """A point of the form, for the scaled form."""
        return PrimalDual(point.x / self.D, point.y / self.E, point.z * self.D)

    def unscale(self, point: PrimalDual) -> PrimalDual:
        """A point of the scaled form, for the form."""
        return PrimalDual(self.D * point.x, self.E * point.y, point.z / self.D)


def _row_max(M: Any, weights: Vector) -> Vector:
    """max_j M_ij weights_j, for M >= 0."""
    found = np.zeros(M.shape[0])
    filled = np.diff(M.indptr) > 0
    if M.nnz:
        found[filled] = np.maximum.reduceat(M.data * weights[M.indices], M.indptr[:-1][filled])
    return found


def _both(M: Any, left: Vector, right: Vector) -> Any:
    rows = np.repeat(left, np.diff(M.indptr))
    return sp.csr_array((rows * M.data * right[M.indices], M.indices, M.indptr), shape=M.shape)
