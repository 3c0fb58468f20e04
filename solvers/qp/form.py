"""`Form`: a convex program as the methods see it.

    minimise 1/2 x'Px + c'x   subject to   AL <= Ax <= AU, l <= x <= u

with multipliers of Px + c = A'y + z: y, z > 0 at lower sides, < 0 at upper ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...problems.quadratic.program import QP

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """Rows of the caller's A first, then those of G. `P` and `A` are canonical CSR, P with both triangles."""

    P: Any
    c: Vector
    A: Any
    AL: Vector
    AU: Vector
    l: Vector
    u: Vector

    def __post_init__(self) -> None:
        # The kernels are compiled for these types alone.
        for what in ("P", "A"):
            M = getattr(self, what)
            M.indices, M.indptr = M.indices.astype(np.int32, copy=False), M.indptr.astype(np.int32, copy=False)

    @classmethod
    def of(cls, problem: QP) -> Form:
        m = problem.b.size
        return cls(
            P=problem.P,
            c=problem.q,
            A=_stacked(problem.A, problem.G),
            AL=np.concatenate([problem.b, np.full(problem.h.size, -np.inf)]),
            AU=np.concatenate([problem.b, problem.h]) if m else problem.h,
            l=problem.lb,
            u=problem.ub,
        )

    @property
    def n(self) -> int:
        return self.c.size

    @property
    def m(self) -> int:
        return self.AL.size


@dataclass(slots=True, eq=False)
class PrimalDual:
    """x, y, z of a `Form`."""

    x: Vector
    y: Vector
    z: Vector


def _stacked(above: Any, below: Any) -> Any:
    """One matrix on the other, sharing their memory where one is empty."""
    if not below.shape[0]:
        return above
    return sp.vstack([above, below], format="csr") if above.shape[0] else below
