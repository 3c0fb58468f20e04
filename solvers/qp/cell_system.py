"""What `cells` computes with beside its cells: matrices by rows and columns, safe steps, ranges of values, and points from values.

    steps     1/tau_i = rho (P_ii + omega sum_j A_ji^2 s_j),   sigma_j = omega s_j,   s_j = 1/|A_j|^2
              rho at least the largest eigenvalue of T^(1/2) (P + A' sigma A) T^(1/2), 1/T = P_ii + omega sum_j A_ji^2 s_j

so that 1/tau - A' sigma A >= P: more than Condat's condition (J. Optim. Theory Appl. 158 (2013) 460) asks, which is P/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...problems.quadratic.program import QP, Vector, canonical
from .method import Point

# A matrix with at least one in so many entries is stored in full.
MOSTLY = 4
SAFETY, POWERS = 1.1, 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System:
    """A problem for cells: the n variables, then the m rows' multipliers (rows of G with finite sides, which `bounded` marks, then those of A).

    Attributes
    ----------
    A, b
        The rows and their sides.
    P_rows, At_rows, A_rows
        (CSR, dense or empty) of P, of A's transpose and of A, for the kernel.
    row_scale, column_scale
        s_j, and sum_j A_ji^2 s_j.
    lb, ub : (n + m,)
        A multiplier's are 0 and infinity for a row of G, none for a row of A.
    anchor : (n + m,)
        Where a range without two bounds begins: at the bound, or around 0.
    """

    problem: QP
    A: Any
    b: Vector
    bounded: NDArray[np.bool_]
    inequalities: int
    P_rows: Any
    At_rows: Any
    A_rows: Any
    row_scale: Vector
    column_scale: Vector
    lb: Vector
    ub: Vector
    anchor: Vector

    @classmethod
    def of(cls, problem: QP) -> Self:
        """From the caller's terms."""
        bounded = np.isfinite(problem.h)
        A = canonical(sp.vstack([problem.G[bounded], problem.A], format="csr"))
        squares = A.multiply(A)
        norms = np.asarray(squares.sum(axis=1)).ravel()
        row_scale = 1 / np.where(norms > 0, norms, 1.0)
        inequalities, rows = int(bounded.sum()), A.shape[0]
        lb = np.concatenate([problem.lb, np.where(np.arange(rows) < inequalities, 0.0, -np.inf)])
        ub = np.concatenate([problem.ub, np.full(rows, np.inf)])
        return cls(
            problem=problem,
            A=A,
            b=np.concatenate([problem.h[bounded], problem.b]),
            bounded=bounded,
            inequalities=inequalities,
            P_rows=_stored(problem.P),
            At_rows=_stored(canonical(A.T)),
            A_rows=_stored(A),
            row_scale=row_scale,
            column_scale=np.asarray(squares.T @ row_scale).ravel(),
            lb=lb,
            ub=ub,
            anchor=np.where(np.isfinite(lb), lb, np.where(np.isfinite(ub), ub, 0.0)),
        )

    def residuals(self, value: Vector) -> tuple[Vector, Vector]:
        """Px + q + A'y and Ax - b, value = (x, y)."""
        p = self.problem
        x, y = value[: p.n], value[p.n :]
        return p.P @ x + p.q + self.A.T @ y, self.A @ x - self.b

    def first_omega(self, gradient: Vector, above: Vector) -> float:
        """Multipliers' size beside the variables', from the first residuals; a tenth of it, since too large a one was found to be worse than too small a one."""
        used = self.column_scale > 0
        force = float((gradient[used] ** 2) @ (1 / self.column_scale[used]))
        away = float(above**2 @ self.row_scale)
        return 0.1 * float(np.sqrt(force / away)) if force > 0 and away > 0 else 1.0

    def steps(self, omega: float) -> Vector:
        """tau, then sigma; rho by power iterations, with a margin."""
        P, A = self.problem.P, self.A
        sigma = omega * self.row_scale
        diagonal = P.diagonal() + omega * self.column_scale
        root = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        v = np.random.Generator(np.random.Philox(1)).uniform(0.5, 1.0, root.size)
        rho = 0.0
        for _ in range(POWERS):
            u = root * (v / np.linalg.norm(v))
            v = root * (P @ u + A.T @ (sigma * (A @ u)))
            rho = float(np.linalg.norm(v))
            if rho == 0:
                break
        return np.concatenate([root**2 / max(SAFETY * rho, 1.0), sigma])

    def ranges(self, reach: Vector) -> tuple[Vector, Vector]:
        """Both ends: bounds, where there are, else so far from the bound on the other side, or from 0."""
        low, high = np.isfinite(self.lb), np.isfinite(self.ub)
        down = np.where(low, self.lb, np.where(high, self.ub - reach, -reach))
        up = np.where(high, self.ub, np.where(low, self.lb + reach, reach))
        return down, up

    def reach(self, length: Vector) -> Vector:
        """What `ranges` made ranges of these lengths from."""
        return np.where(np.isfinite(self.lb) | np.isfinite(self.ub), length, 0.5 * length)

    def point(self, value: Vector, slack: Vector) -> Point:
        """A point; what is left of the gradient is the bound's where x is within `slack` of one and pushed there, or has two: whichever leaves less."""
        p = self.problem
        value = np.clip(value, self.lb, self.ub)
        x, y = value[: p.n], value[p.n + self.inequalities :]
        z = np.zeros(p.h.size)
        z[self.bounded] = value[p.n : p.n + self.inequalities]
        force = p.A.T @ y + p.G.T @ z + p.q
        g = p.P @ x + force
        low, high = (x - p.lb <= slack[: p.n]) & (g > 0), (p.ub - x <= slack[: p.n]) & (g < 0)
        x = np.where(low, p.lb, np.where(high, p.ub, x))
        g = p.P @ x + force
        held = (low & (g > 0)) | (high & (g < 0))
        both = np.isfinite(p.lb) & np.isfinite(p.ub)
        points = [Point(x=x, y=y, z=z, z_box=np.where(which, -g, 0.0)) for which in (held, held | both)]
        return min(points, key=lambda a: p.residuals(a.x, a.y, a.z, a.z_box).worst)


def _stored(matrix: Any) -> tuple[Any, Any]:
    """CSR, and in full where few of its entries are 0."""
    full = matrix.nnz * MOSTLY >= matrix.shape[0] * matrix.shape[1]
    return (matrix.indptr, matrix.indices, matrix.data), matrix.toarray() if full else np.zeros((0, 0))
