"""`QP`: a quadratic program as its caller gave it, checked and brought into one form, and the judge of every answer to it.

    minimise 1/2 x'Px + q'x + constant   subject to   Gx <= h, Ax = b, lb <= x <= ub

Whatever solves it, an answer is judged here, by residuals on this data.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...qpresult import Residuals

Vector = NDArray[np.float64]
# Bounds beyond this count as infinite: files write 1e20, some of them 1e20 less a right-hand side.
INFINITE = 1e19
ASYMMETRY = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QP:
    """A quadratic program in canonical form; build one with `QP.of`.

    Attributes
    ----------
    P : (n, n) CSR
        Symmetric, both triangles stored, duplicates summed, indices sorted, no stored zeros; as `G` and `A`.
    q : (n,)
    G : (k, n) CSR
    h : (k,)
        Above 1e19: infinite.
    A : (m, n) CSR
    b : (m,)
    lb, ub : (n,)
        -inf or inf where there is none; beyond 1e19 in size they are infinite.
    constant
        Added to the objective.
    binary : (n,) bool, or None
        Variables that must be at one of their two bounds.
    sense
        "max" where the file maximised: everything here is negated then, and `objective` negates it back.
    name
    """

    P: Any
    q: Vector
    G: Any
    h: Vector
    A: Any
    b: Vector
    lb: Vector
    ub: Vector
    constant: float = 0.0
    binary: NDArray[np.bool_] | None = None
    sense: Literal["min", "max"] = "min"
    name: str = ""

    @classmethod
    def of(
        cls,
        P: Any,
        q: ArrayLike,
        G: Any = None,
        h: ArrayLike | None = None,
        A: Any = None,
        b: ArrayLike | None = None,
        lb: ArrayLike | None = None,
        ub: ArrayLike | None = None,
        *,
        constant: float = 0.0,
        binary: ArrayLike | None = None,
        sense: Literal["min", "max"] = "min",
        name: str = "",
    ) -> Self:
        """Check and canonicalise.

        Parameters
        ----------
        P : (n, n)
            Dense or any SciPy sparse; full symmetric, or its upper triangle alone; None: a linear program.
        q : (n,)
        G, A : (k, n), (m, n)
            Dense or sparse; one row may be a vector (n,).
        h, b : (k,), (m,)
        lb, ub : (n,)
            Or one number for all.

        Raises
        ------
        InputError
            For wrong shapes, NaN, an infinite coefficient, an asymmetric P, lb > ub, no variables.
        """
        cost = _vector(q, "q")
        n = cost.size
        if n == 0:
            raise InputError("an empty problem: q has no entries")
        _finite(cost, "q")
        quadratic = sp.csr_array((n, n)) if P is None else _symmetric(_matrix(P, "P", n), n)
        inequalities, upper = _rows(G, h, "G", "h", n)
        equalities, right = _rows(A, b, "A", "b", n)
        _finite(right, "b")
        if np.isnan(upper).any():
            raise InputError(f"h[{int(np.argmax(np.isnan(upper)))}] is not a number")
        upper = np.where(upper >= INFINITE, np.inf, upper)
        if (upper <= -INFINITE).any():
            raise InputError(f"h[{int(np.argmin(upper))}] is -infinity: no point satisfies that row")
        low = _bound(lb, "lb", n, -np.inf)
        high = _bound(ub, "ub", n, np.inf)
        for wrong, what in ((low == np.inf, "lb"), (high == -np.inf, "ub")):
            if wrong.any():
                i = int(np.argmax(wrong))
                raise InputError(f"{what}[{i}] is {'infinity' if what == 'lb' else '-infinity'}: no value is left")
        if (low > high).any():
            i = int(np.argmax(low > high))
            raise InputError(f"lb[{i}] = {low[i]:g} exceeds ub[{i}] = {high[i]:g}")
        marks = None
        if binary is not None:
            marks = np.asarray(binary)
            if marks.shape != (n,) or marks.dtype != bool:
                raise InputError(f"binary must be {n} booleans")
            if not (np.isfinite(low[marks]).all() and np.isfinite(high[marks]).all()):
                raise InputError("a binary variable needs two finite bounds")
            marks = marks if marks.any() else None
        return cls(
            P=quadratic,
            q=cost,
            G=inequalities,
            h=upper,
            A=equalities,
            b=right,
            lb=low,
            ub=high,
            constant=float(constant),
            binary=marks,
            sense=sense,
            name=name,
        )

    @classmethod
    def of_ranges(
        cls,
        P: Any,
        q: ArrayLike,
        rows: Any,
        low: ArrayLike,
        high: ArrayLike,
        lb: ArrayLike | None = None,
        ub: ArrayLike | None = None,
        **others: Any,
    ) -> Self:
        """From rows with two sides, low <= rows x <= high, as files have them: equal sides become `A`, each finite side else a row of `G`."""
        matrix = _matrix(rows, "rows", np.asarray(q).size)
        down = _bound(low, "low", matrix.shape[0], -np.inf)
        up = _bound(high, "high", matrix.shape[0], np.inf)
        if (down > up).any():
            i = int(np.argmax(down > up))
            raise InputError(f"row {i}: its lower side {down[i]:g} exceeds its upper side {up[i]:g}")
        equal = down == up
        above, below = ~equal & np.isfinite(up), ~equal & np.isfinite(down)
        G = sp.vstack([matrix[above], -matrix[below]], format="csr")
        h = np.concatenate([up[above], -down[below]])
        return cls.of(P, q, G, h, matrix[equal], up[equal], lb, ub, **others)

    @property
    def n(self) -> int:
        """Variables."""
        return self.q.size

    @property
    def rows(self) -> int:
        """Constraints other than bounds."""
        return self.h.size + self.b.size

    @property
    def boxed(self) -> bool:
        """Whether bounds are the only constraints, and each variable has two finite ones."""
        return self.rows == 0 and bool(np.isfinite(self.lb).all() and np.isfinite(self.ub).all())

    def objective(self, x: ArrayLike) -> float:
        """1/2 x'Px + q'x + constant; for sense "max" its negative."""
        v = np.asarray(x, np.float64)
        value = float(0.5 * (v @ (self.P @ v)) + self.q @ v + self.constant)
        return -value if self.sense == "max" else value

    def residuals(self, x: ArrayLike, y: ArrayLike, z: ArrayLike, z_box: ArrayLike) -> Residuals:
        """How far (x, y, z, z_box) is from a solution.

        Parameters
        ----------
        x, z_box : (n,)
        y : (m,)
        z : (k,)

        Notes
        -----
        NaN or infinity in the point makes every residual infinite. A binary variable counts as fixed at the nearer of its bounds.
        """
        x, y, z, s = (np.asarray(v, np.float64) for v in (x, y, z, z_box))
        if not all(np.isfinite(v).all() for v in (x, y, z, s)):
            i = np.inf
            return Residuals(primal=i, dual=i, gap=i, sign=i, primal_scale=1.0, dual_scale=1.0, gap_scale=1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._residuals(x, y, z, s)

    def _residuals(self, x: Vector, y: Vector, z: Vector, s: Vector) -> Residuals:
        Px, Ax, Gx = self.P @ x, self.A @ x, self.G @ x
        Aty, Gtz = self.A.T @ y, self.G.T @ z
        bounded = np.isfinite(self.h)
        lb, ub = self.lb, self.ub
        if self.binary is not None:
            # A binary variable belongs at the nearer of its bounds, held there by a multiplier of either sign.
            near = np.where(np.abs(x - lb) <= np.abs(x - ub), lb, ub)
            lb, ub = np.where(self.binary, near, lb), np.where(self.binary, near, ub)
        lower, upper = np.isfinite(lb), np.isfinite(ub)
        down, up = np.minimum(s, 0), np.maximum(s, 0)
        primal = _largest(
            Ax - self.b,
            np.maximum(Gx - self.h, 0)[bounded],
            np.maximum(lb - x, 0)[lower],
            np.maximum(x - ub, 0)[upper],
        )
        xPx, qx = float(x @ Px), float(self.q @ x)
        by, hz = float(self.b @ y), float(self.h[bounded] @ z[bounded])
        box = float(lb[lower] @ down[lower] + ub[upper] @ up[upper])
        sign = _largest(np.maximum(-z, 0), z[~bounded], down[~lower], up[~upper])
        found = Residuals(
            primal=primal,
            dual=_largest(Px + self.q + Aty + Gtz + s),
            gap=abs(xPx + qx + by + hz + box),
            sign=sign,
            primal_scale=_largest(Ax, self.b, Gx[bounded], self.h[bounded], np.ones(0)),
            dual_scale=_largest(Px, self.q, Aty, Gtz),
            gap_scale=max(abs(xPx), abs(qx), abs(by), abs(hz), abs(box)),
        )
        if np.isfinite([found.primal, found.dual, found.gap, found.sign]).all():
            return found
        i = np.inf
        return Residuals(primal=i, dual=i, gap=i, sign=i, primal_scale=1.0, dual_scale=1.0, gap_scale=1.0)

    def sha256(self) -> str:
        """Digest of the numbers, whatever the name."""
        h = hashlib.sha256(f"qp {self.n} {self.sense} {self.constant!r}".encode())
        for M in (self.P, self.G, self.A):
            h.update(f"{M.shape}".encode())
            for v, kind in ((M.indptr, "<i8"), (M.indices, "<i8"), (M.data, "<f8")):
                _feed(h, v, kind)
        for v in (self.q, self.h, self.b, self.lb, self.ub):
            _feed(h, v, "<f8")
        if self.binary is not None:
            h.update(self.binary.tobytes())
        return h.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Name, sizes and digest."""
        return {
            "name": self.name,
            "kind": "qp",
            "n": self.n,
            "inequalities": self.h.size,
            "equalities": self.b.size,
            "nnz": {"P": int(self.P.nnz), "G": int(self.G.nnz), "A": int(self.A.nnz)},
            "sha256": self.sha256(),
        }


def _feed(digest: Any, values: NDArray[Any], kind: str) -> None:
    """Piece by piece: a whole copy could be as large as the problem."""
    for k in range(0, values.size, 1 << 20):
        digest.update(values[k : k + (1 << 20)].astype(kind).tobytes())


def canonical(matrix: Any) -> Any:
    """CSR of float64 with 32-bit indices where they do, duplicates summed, sorted, without stored zeros; a copy."""
    m = sp.csr_array(matrix, dtype=np.float64, copy=True)
    m.sum_duplicates()
    m.eliminate_zeros()
    m.sort_indices()
    return m


def _largest(*vectors: Vector) -> float:
    return max((float(np.abs(v).max()) for v in vectors if v.size), default=0.0)


def _vector(value: ArrayLike, what: str) -> Vector:
    try:
        v = np.array(value, np.float64)
    except (TypeError, ValueError) as e:
        raise InputError(f"{what} must be a vector of numbers") from e
    if v.ndim == 2 and 1 in v.shape:
        v = v.ravel()
    if v.ndim != 1:
        raise InputError(f"{what} must be a vector, not of shape {v.shape}")
    return v


def _finite(v: Vector, what: str) -> None:
    if not np.isfinite(v).all():
        i = int(np.argmin(np.isfinite(v)))
        raise InputError(f"{what}[{i}] is {v[i]}: it must be finite")


def _matrix(value: Any, what: str, n: int) -> Any:
    try:
        if not sp.issparse(value):
            value = np.array(value, np.float64)
            if value.ndim == 1 and what != "P":
                value = value.reshape(1, -1) if value.size else value.reshape(0, n)
            if value.ndim != 2:
                raise InputError(f"{what} must be a matrix, not of shape {value.shape}")
        m = canonical(value)
    except (TypeError, ValueError) as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"{what} must be a matrix of numbers, dense or SciPy sparse") from e
    if m.shape[1] != n or (what == "P" and m.shape[0] != n):
        wanted = f"({n}, {n})" if what == "P" else f"(any, {n})"
        raise InputError(f"{what} has shape {m.shape}; q has {n} entries, so it must be {wanted}")
    if not np.isfinite(m.data).all():
        k = int(np.argmin(np.isfinite(m.data)))
        row = int(np.searchsorted(m.indptr, k, side="right")) - 1
        raise InputError(f"{what}[{row}, {m.indices[k]}] is {m.data[k]}: it must be finite")
    return m


def _symmetric(P: Any, n: int) -> Any:
    """Full symmetric, from full or upper triangular."""
    if P.nnz == 0:
        return P
    row = np.repeat(np.arange(n), np.diff(P.indptr))
    if (row <= P.indices).all():
        return P if (row == P.indices).all() else canonical(P + sp.triu(P, 1).T)
    difference = abs(P - P.T).tocoo()
    largest = float(np.abs(P.data).max())
    if difference.nnz and float(difference.data.max()) > ASYMMETRY * largest:
        k = int(np.argmax(difference.data))
        i, j = int(difference.row[k]), int(difference.col[k])
        raise InputError(
            f"P is not symmetric: P[{i}, {j}] = {P[i, j]:g}, P[{j}, {i}] = {P[j, i]:g}; give all of it, or its upper triangle alone"
        )
    return canonical((P + P.T) * 0.5) if difference.nnz else P


def _rows(matrix: Any, right: ArrayLike | None, what: str, which: str, n: int) -> tuple[Any, Vector]:
    if matrix is None and right is None:
        return sp.csr_array((0, n)), np.zeros(0)
    if matrix is None or right is None:
        missing = what if matrix is None else which
        raise InputError(f"{what} and {which} belong together: {missing} is missing")
    m = _matrix(matrix, what, n)
    v = _vector(np.atleast_1d(np.asarray(right)), which)
    if m.shape[0] != v.size:
        raise InputError(f"{what} has {m.shape[0]} rows, {which} has {v.size} entries")
    return m, v


def _bound(value: ArrayLike | None, what: str, n: int, none: float) -> Vector:
    if value is None:
        return np.full(n, none)
    v = _vector(np.atleast_1d(np.asarray(value)), what)
    if v.size == 1 and n != 1:
        v = np.full(n, v[0])
    if v.size != n:
        raise InputError(f"{what} has {v.size} entries, there are {n}")
    if np.isnan(v).any():
        raise InputError(f"{what}[{int(np.argmax(np.isnan(v)))}] is not a number")
    return np.where(np.abs(v) >= INFINITE, np.copysign(np.inf, v), v)
