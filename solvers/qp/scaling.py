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

from ..kernels.sparse_rows import maxima, scaled, sums
from .form import Form, PrimalDual

Vector = NDArray[np.float64]

RUIZ_PASSES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """The factors D (n,) and E (m,)."""

    D: Vector
    E: Vector

    @classmethod
    def of(cls, form: Form, *, pock_chambolle: bool = True) -> Scaling:
        """Factors for a form."""
        D, E = np.ones(form.n), np.ones(form.m)
        for _ in range(RUIZ_PASSES):
            row, column = _measured(maxima, form, D, E)
            D, E = D / np.sqrt(column), E / np.sqrt(row)
        if pock_chambolle:
            row, column = _measured(sums, form, D, E)
            D, E = D / np.sqrt(column), E / np.sqrt(row)
        return cls(D, E)

    def apply(self, form: Form, *, in_place: bool = False) -> Form:
        """The scaled form; it shares the places of entries with the other one, and with `in_place` the entries of A, which are then the scaled ones for both."""
        D, E = self.D, self.E
        return Form(
            P=_both(form.P, D, D),
            c=D * form.c,
            A=_both(form.A, E, D, form.A.data if in_place else None),
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


def _measured(measure: Any, form: Form, D: Vector, E: Vector) -> tuple[Vector, Vector]:
    """What a kernel finds of the scaled rows of A, and of the columns of A and P together; 1 for what is empty."""
    row, column, other = np.zeros(form.m), np.zeros(form.n), np.zeros(form.n)
    measure(form.A.indptr, form.A.indices, form.A.data, E, D, row, column)
    measure(form.P.indptr, form.P.indices, form.P.data, D, D, other, column)
    return np.where(row > 0, row, 1.0), np.where(column > 0, column, 1.0)


def _both(M: Any, left: Vector, right: Vector, out: Vector | None = None) -> Any:
    data = np.empty_like(M.data) if out is None else out
    scaled(M.indptr, M.indices, M.data, left, right, data)
    return sp.csr_array((data, M.indices, M.indptr), shape=M.shape)
