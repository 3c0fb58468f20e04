"""A box QP in the unit box, as the kernels of `boxqp` take it.

    x_i = lb_i + r_i u_i,  r = ub - lb,      1/2 x'Px + q'x = base + unit (1/2 u'Ru + c'u)

with R_ij = r_i P_ij r_j/unit and c_i = r_i (P lb + q)_i/unit. Variables with lb = ub are no variables here. Where all r are equal and P is a multiple of small integers, unit makes
R those integers: a row in bytes is read four times as fast as in float64 where the matrix is beyond the cache, and sums are exact as long as u is at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...errors import InputError
from ...problems.quadratic.program import QP, Vector
from ..kernels.box_moves import Matrix
from ..kernels.box_rows import fill_rows, multiples, row_sums, sizes
from ..kernels.boxqp import Box

# Least share of entries that makes whole rows faster than lists of their entries: bytes, float64 within the caches, float64 beyond (measured: docs/boxqp.md).
BYTES, NEAR_REALS, FAR_REALS = 0.06, 0.2, 0.5
NEAR = 2**24
TINY, SPARSE = 100, 6
MOST_BYTES = 2**30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxSystem:
    """A problem and its unit box.

    Attributes
    ----------
    free
        Indices (k,) of the variables with lb < ub.
    box
        The unit box of these k.
    unit, base
        Objective = base + unit f(u), without the problem's constant.
    R
        (k, k) CSR; the problem's own P where that is the same.
    below
        Of each row of R, the sum of the negative entries off the diagonal.
    """

    problem: QP
    free: NDArray[np.int64]
    range: Vector
    box: Box
    unit: float
    base: float
    R: Any
    below: Vector
    polish: bool

    @property
    def n(self) -> int:
        """Variables that can move."""
        return self.free.size

    @property
    def product_bytes(self) -> int:
        """Of R and of the slopes, an entry: in rows of bytes or reals, or with an index."""
        width = self.box.P.rows.itemsize if self.box.P.rows.size else 12
        return width + 16

    def outwards(self, u: Vector) -> Vector:
        """x (n,) of the caller's, exactly at a bound where u is at its end."""
        p = self.problem
        low, high = p.lb[self.free], p.ub[self.free]
        x = p.lb.copy()
        x[self.free] = np.where(u >= 1, high, np.clip(low + self.range * u, low, high))
        return x

    def inwards(self, x: Vector) -> Vector:
        """u (k,) of a point that may be outside; binary variables go to their nearer end."""
        u = np.clip((x[self.free] - self.problem.lb[self.free]) / self.range, 0.0, 1.0)
        binary = self.problem.binary
        return u if binary is None else np.where(binary[self.free], np.rint(u), u)


def box_system(problem: QP, polish: bool) -> BoxSystem:
    """The unit box of a problem that has only bounds.

    Raises
    ------
    InputError
        Where the objective is too large for a number somewhere in the box.
    """
    p = problem
    whole = p.ub > p.lb
    free = np.flatnonzero(whole)
    span = p.ub[free] - p.lb[free]
    with np.errstate(over="ignore", invalid="ignore"):
        at_low = p.P @ p.lb
        base = float(p.lb @ (0.5 * at_low + p.q))
        slope = (at_low + p.q)[free]
        R = p.P if whole.all() else p.P[free][:, free]
        unit, bytes_do = _unit(R.data, span)
        even = span.size > 0 and bool((span == span[0]).all())
        if even:
            factor = span[0] * span[0] / unit
            data = R.data if factor == 1 else R.data * factor
        else:
            # r_i r_j first: R must be as symmetric as P is.
            data = R.data * (np.repeat(span, np.diff(R.indptr)) * span[R.indices] / unit)
        c = slope * (span / unit)
    if not (np.isfinite(base) and np.isfinite(data).all() and np.isfinite(c).all() and 0 < unit < np.inf):
        raise InputError("the objective is too large for a number somewhere in the box")
    if data is not R.data:
        R = sp.csr_array((np.rint(data) if bytes_do else data, R.indices, R.indptr), shape=R.shape)
    box, below = _box(R, c, bytes_do, None if p.binary is None else p.binary[free])
    return BoxSystem(
        problem=p,
        free=free,
        range=span,
        box=box,
        below=below,
        unit=unit,
        base=base,
        R=R,
        polish=polish,
    )


def _unit(data: Vector, span: Vector) -> tuple[float, bool]:
    """The objective's unit, and whether it makes R a matrix of bytes."""
    if not data.size:
        return 1.0, False
    least, largest = sizes(data)
    if (span == span[0]).all():
        for step in (1.0, float(least)):
            if largest <= 127 * step and multiples(data, step):
                return step * float(span[0]) ** 2, True
    return float(largest) * float(span.max()) ** 2, False


def _box(R: Any, c: Vector, bytes_do: bool, binary: NDArray[np.bool_] | None) -> tuple[Box, Vector]:
    """The kernels' box, and the sums of its rows' negative entries off the diagonal."""
    n = c.size
    diagonal, squares, sums, below = np.zeros(n), np.empty(n), np.empty(n), np.empty(n)
    row_sums(R.indptr, R.indices, R.data, diagonal, squares, sums, below)
    bend = np.maximum(diagonal, 0.0)
    if binary is not None:
        bend[binary] = 0.0
    if _in_rows(n, R.data.size, bytes_do):
        rows = np.zeros((n, n), np.int8 if bytes_do else np.float64)
        fill_rows(R.indptr, R.indices, R.data, rows)
        matrix = Matrix(rows, np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0))
    else:
        # Byte rows are a kind of kernel of their own; there are none without rows.
        matrix = Matrix(np.zeros((0, 0)), R.indptr.astype(np.int64), R.indices.astype(np.int32), R.data)
    sums += np.abs(c)
    size = float(sums.max(initial=0.0)) or 1.0
    return Box(matrix, c, diagonal, bend, np.sqrt(squares), np.where(sums > 0, sums, size), size), below


def _in_rows(n: int, entries: int, bytes_do: bool) -> bool:
    if n <= TINY and entries > SPARSE * n:
        return True
    width = 1 if bytes_do else 8
    if not n or width * n * n > MOST_BYTES:
        return False
    least = BYTES if bytes_do else NEAR_REALS if width * n * n <= NEAR else FAR_REALS
    return entries >= least * n * n
