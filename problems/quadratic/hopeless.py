"""Programs without an optimum, each with the ray that proves it: infeasible ones and unbounded ones.

Infeasible (Farkas): y, z >= 0, z_box with A'y + G'z + z_box = 0 and b'y + h'z + lb'[z_box]- + ub'[z_box]+ < 0.
Unbounded: a feasible point, and x with Px = 0, q'x < 0, Ax = 0, Gx <= 0 and no step towards a finite bound.

Everything is made of small integers and scaled by powers of two, so that the rays hold exactly in floating point, whatever the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...checks import integer, real
from ...errors import InputError
from ..expressions import check_seed
from .drawing import Stream, draw
from .program import QP

Vector = NDArray[np.float64]
Ray = dict[str, Vector]
INFEASIBLE = ("equalities", "farkas", "bounds", "parallel", "mixed")
UNBOUNDED = ("linear", "null", "cone")
MAX_N = 10**6
TILT = 2.0**-10


def infeasible(n: int, kind: str = "farkas", spread: float = 0.0, seed: int = 0) -> QP:
    """No point satisfies the constraints.

    Parameters
    ----------
    n
        Variables, at least 2.
    kind
        ``equalities``: one row contradicts a combination of the others; ``farkas``: so does an inequality; ``bounds``: a row asks for more than the bounds
        allow; ``parallel``: two inequalities that are nearly parallel (one is tilted by 2^-10, and so small is the contradiction); ``mixed``: equalities,
        inequalities and bounds together, each indispensable.
    spread
        Decades: rows are scaled by up to 10^spread and down to 10^-spread, columns by half as many decades.
    seed
        0 to 2**32 - 1.

    Raises
    ------
    InputError
        For other arguments.
    """
    return infeasible_with_ray(n, kind, spread, seed)[0]


def unbounded(n: int, kind: str = "null", spread: float = 0.0, seed: int = 0) -> QP:
    """Feasible, and the objective falls for ever.

    Parameters
    ----------
    n
        Variables, at least 2.
    kind
        ``linear``: P = 0, inequalities and bounds on one side; ``null``: no constraints, a direction in the null space of P; ``cone``: such a direction along
        which equalities, inequalities and bounds stay satisfied.
    spread
        Decades: rows are scaled by up to 10^spread and down to 10^-spread, columns by half as many decades.
    seed
        0 to 2**32 - 1.

    Raises
    ------
    InputError
        For other arguments.
    """
    return unbounded_with_ray(n, kind, spread, seed)[0]


@dataclass(slots=True, kw_only=True)
class _Parts:
    """A program under construction, feasible at x0 until it is spoilt."""

    x0: Vector
    P: Any
    q: Vector
    G: Any
    h: Vector
    A: Any
    b: Vector
    lb: Vector
    ub: Vector

    def scaled(self, ray: Ray, spread: float, stream: Stream, name: str) -> tuple[QP, Ray]:
        """x = C x~, rows times R; C and R powers of two."""
        decades = spread * np.log2(10.0)
        top = int(np.round(decades))

        def powers(count: int, most: int) -> Vector:
            exponents = stream.randint(-most, most + 1, size=count)
            return np.ldexp(np.ones(count), exponents)

        C = powers(self.q.size, top // 2)
        RG, RA = powers(self.h.size, top), powers(self.b.size, top)
        columns = sp.diags_array(C)
        problem = QP.of(
            columns @ self.P @ columns,
            C * self.q,
            sp.diags_array(RG) @ self.G @ columns,
            RG * self.h,
            sp.diags_array(RA) @ self.A @ columns,
            RA * self.b,
            self.lb / C,
            self.ub / C,
            name=name,
        )
        if "x" in ray:
            return problem, {"x": ray["x"] / C}
        return problem, {"y": ray["y"] / RA, "z": ray["z"] / RG, "z_box": ray["z_box"] * C}


def _arguments(
    what: str, n: Any, kind: Any, kinds: tuple[str, ...], spread: Any, seed: Any
) -> tuple[int, float, Stream]:
    n = integer(n, f"{what}: n", 2, MAX_N)
    if kind not in kinds:
        raise InputError(f"{what}: kind must be {', '.join(kinds)}, not {kind!r:.40}")
    return n, real(spread, f"{what}: spread", 0, 12), np.random.RandomState(check_seed(seed))


def _integers(stream: Stream, count: int, size: int = 5) -> Vector:
    """Uniform from -size to size, without 0."""
    return (stream.randint(1, size + 1, size=count) * (2 * stream.randint(0, 2, size=count) - 1)).astype(np.float64)


def _rows(stream: Stream, m: int, n: int) -> Any:
    """m sparse rows of integers, about five entries each, none empty."""
    drawn = draw(m, n, min(1.0, 4 / n), stream, lambda count: _integers(stream, count))
    own = sp.csr_array((_integers(stream, m), (np.arange(m), stream.randint(0, n, size=m))), shape=(m, n))
    # Where the two meet, 11 keeps their sum from vanishing.
    return sp.csr_array(drawn + 11 * own)


def _free(stream: Stream, n: int) -> _Parts:
    """Strictly convex, separable, without constraints: what is infeasible with it is not unbounded too."""
    none = sp.csr_array((0, n))
    return _Parts(
        x0=_integers(stream, n, 3), P=sp.diags_array(stream.randint(1, 5, size=n).astype(float)), q=_integers(stream, n),
        G=none, h=np.zeros(0), A=none, b=np.zeros(0), lb=np.full(n, -np.inf), ub=np.full(n, np.inf),
    )  # fmt: skip


def _slack(stream: Stream, count: int) -> Vector:
    return stream.randint(0, 6, size=count).astype(np.float64)


def infeasible_with_ray(n: int, kind: str = "farkas", spread: float = 0.0, seed: int = 0) -> tuple[QP, Ray]:
    """The problem of `infeasible`, and its ray {y, z, z_box}."""
    n, spread, stream = _arguments("infeasible", n, kind, INFEASIBLE, spread, seed)
    p = _free(stream, n)
    m = max(n // 4, 1)
    z_box = np.zeros(n)
    rows, others = _rows(stream, m, n), _rows(stream, m, n)
    weights = _integers(stream, m, 3)
    slack = _slack(stream, m)
    if kind == "equalities":
        p.A = sp.vstack([rows, sp.csr_array((weights @ rows).reshape(1, n))], format="csr")
        p.b = p.A @ p.x0
        p.b[-1] += 1
        p.G, p.h = others, others @ p.x0 + slack
        y, z = np.append(weights, -1.0), np.zeros(m)
    elif kind == "farkas":
        weights = np.abs(weights)
        p.G = sp.vstack([rows, sp.csr_array(-(weights @ rows).reshape(1, n))], format="csr")
        h = rows @ p.x0 + slack
        p.h = np.append(h, -(weights @ h) - 1)
        y, z = np.zeros(0), np.append(weights, 1.0)
    elif kind == "bounds":
        p.lb, p.ub = p.x0 - _slack(stream, n), p.x0 + _slack(stream, n)
        z_box = rows[[0]].toarray().ravel()
        most = p.ub @ np.maximum(z_box, 0) + p.lb @ np.minimum(z_box, 0)
        p.G, p.h = sp.vstack([-rows[[0]], others], format="csr"), np.append(-(most + 1), others @ p.x0 + slack)
        y, z = np.zeros(0), np.append(1.0, np.zeros(m))
    elif kind == "parallel":
        j = int(stream.randint(0, n))
        p.ub[j] = p.x0[j] + 2
        z_box[j] = TILT
        row = rows[[0]]
        tilted = row + sp.csr_array(([TILT], ([0], [j])), shape=(1, n))
        side = float((row @ p.x0)[0])
        p.G = sp.vstack([row, -tilted, others], format="csr")
        p.h = np.concatenate([[side, -(side + TILT * p.ub[j] + TILT)], others @ p.x0 + slack])
        y, z = np.zeros(0), np.concatenate([np.ones(2), np.zeros(m)])
    else:
        y, z = weights, np.abs(_integers(stream, m, 3))
        z[-1] = 1.0
        p.A, p.b, p.G, p.h = rows, rows @ p.x0, others, others @ p.x0 + slack
        z_box = -(rows.T @ y + others.T @ z)
        p.ub = np.where(z_box > 0, p.x0 + _slack(stream, n), np.inf)
        p.lb = np.where(z_box < 0, p.x0 - _slack(stream, n), -np.inf)
        up, down = z_box > 0, z_box < 0
        value = p.b @ y + p.h @ z + p.ub[up] @ z_box[up] + p.lb[down] @ z_box[down]
        p.h[-1] -= value + 1
    return p.scaled({"y": y, "z": z, "z_box": z_box}, spread, stream, "infeasible")


def unbounded_with_ray(n: int, kind: str = "null", spread: float = 0.0, seed: int = 0) -> tuple[QP, Ray]:
    """The problem of `unbounded`, and its ray {x}."""
    n, spread, stream = _arguments("unbounded", n, kind, UNBOUNDED, spread, seed)
    p = _free(stream, n)
    m = max(n // 4, 1)
    d = _integers(stream, n, 1) * (stream.random_sample(n) < 0.3)
    k = int(stream.randint(0, n))
    d[k] = 1.0

    def across(rows: Any) -> Any:
        """Rows with one entry changed, so that they are orthogonal to d."""
        off = -(rows @ d)
        return sp.csr_array(rows + sp.csr_array((off, (np.arange(off.size), np.full(off.size, k))), shape=rows.shape))

    p.P = sp.csr_array((n, n))
    if kind != "linear":
        M = across(_rows(stream, max(n // 2, 1), n))
        p.P = sp.csr_array(M.T @ M)
    if kind == "cone":
        p.A = across(_rows(stream, m, n))
        p.b = p.A @ p.x0
    if kind != "null":
        rows = _rows(stream, m, n)
        p.G = sp.csr_array(sp.diags_array(np.where(rows @ d > 0, -1.0, 1.0)) @ rows)
        p.h = p.G @ p.x0 + _slack(stream, m)
        p.lb = np.where(d >= 0, p.x0 - _slack(stream, n), -np.inf)
        p.ub = np.where(d <= 0, p.x0 + _slack(stream, n), np.inf)
    p.q[k] -= p.q @ d + 1
    return p.scaled({"x": d}, spread, stream, "unbounded")
