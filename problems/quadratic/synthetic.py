"""Random quadratic programs without an application behind them: with rows, with equalities alone, in a box, convex or not.

Sources: Stellato et al., OSQP, Math. Program. Comput. 12, 637 (2020), appendix A (``random``, ``equality``); D. Vandenbussche and G. L. Nemhauser, A
branch-and-cut algorithm for nonconvex quadratic programs with box constraints, Math. Program. 102, 559 (2005) (``box``, their ``spar`` instances).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...checks import integer, real
from ...errors import InputError
from ..expressions import check_seed
from .drawing import MAX_ENTRIES, check_entries, draw, draw_upper, gram
from .program import QP

Vector = NDArray[np.float64]
MAX_N = 10**7
RIDGE = 0.01


def _check_gram(n: int, density: float, what: str) -> None:
    """M M' of sparse M has about n^2 (1 - exp(-n d^2)) entries."""
    entries = n * n * -np.expm1(-n * density**2)
    if entries > MAX_ENTRIES:
        raise InputError(
            f"{what}: P = MM' would have {entries:.3g} entries, at most 1e8 are made; choose a smaller n or density"
        )


def random_qp(n: int, m: int | None = None, density: float = 0.15, seed: int = 0) -> QP:
    """Random P and rows with two sides.

        minimise 1/2 x'(MM' + 0.01 I)x + q'x   subject to   -l <= Ax <= u

    M (n, n), A (m, n), q ~ N(0, 1), l, u ~ U(0, 1): x = 0 is feasible.

    Parameters
    ----------
    n
        Variables.
    m
        Rows; by default 10 n.
    density
        Of M and A.
    seed
        0 to 2**32 - 1.
    """
    n = integer(n, "random: n", 1, MAX_N)
    m = integer(10 * n if m is None else m, "random: m", 0, MAX_N)
    density = real(density, "random: density", 0, 1)
    _check_gram(n, density, "random")
    check_entries(density * m * n, "random")
    stream = np.random.RandomState(check_seed(seed))
    P = gram(draw(n, n, density, stream), RIDGE)
    q = stream.standard_normal(n)
    A = draw(m, n, density, stream)
    return QP.of_ranges(P, q, A, -stream.random_sample(m), stream.random_sample(m), name="random")


def equality(n: int, m: int | None = None, density: float = 0.15, seed: int = 0) -> QP:
    """Random P and equalities alone: one linear system.

        minimise 1/2 x'(MM' + 0.01 I)x + q'x   subject to   Ax = Av

    M (n, n), A (m, n), q, v ~ N(0, 1).

    Parameters
    ----------
    n
        Variables.
    m
        Rows; by default n/2.
    density
        Of M and A.
    seed
        0 to 2**32 - 1.
    """
    n = integer(n, "equality: n", 1, MAX_N)
    m = integer(n // 2 if m is None else m, "equality: m", 0, n)
    density = real(density, "equality: density", 0, 1)
    _check_gram(n, density, "equality")
    check_entries(density * m * n, "equality")
    stream = np.random.RandomState(check_seed(seed))
    P = gram(draw(n, n, density, stream), RIDGE)
    q = stream.standard_normal(n)
    A = draw(m, n, density, stream)
    return QP.of(P, q, A=A, b=A @ stream.standard_normal(n), name="equality")


def box(n: int, density: float = 0.5, seed: int = 0) -> QP:
    """Non-convex, in the unit box, maximised (sense "max"), as the ``spar`` instances are.

        maximise 1/2 x'Qx + c'x   subject to   0 <= x <= 1

    Q symmetric; each entry on or above the diagonal is there with the probability `density`; those and all of c are integers, uniform from -50 to 50.

    Parameters
    ----------
    n
        Variables.
    density
        Of Q, 0 to 1.
    seed
        0 to 2**32 - 1.
    """
    n = integer(n, "box: n", 1, MAX_N)
    density = real(density, "box: density", 0, 1)
    check_entries(density * n * n, "box")
    stream = np.random.RandomState(check_seed(seed))
    Q = draw_upper(n, density, stream, lambda count: stream.randint(-50, 51, size=count))
    c = stream.randint(-50, 51, size=n).astype(np.float64)
    return QP.of(-Q, -c, lb=np.zeros(n), ub=np.ones(n), sense="max", name="box")


def convex_box(n: int, density: float | None = None, condition: float = 1e4, seed: int = 0) -> QP:
    """Convex, in a box, with a planted solution: a third of the variables at each bound, a third between.

        minimise 1/2 x'Px + q'x   subject to   -1 <= x <= 1,      P = S (MM' + 0.01 I) S

    M_ij ~ N(0, 1); S diagonal, log-uniform, spreads P's diagonal over `condition`.

    Parameters
    ----------
    n
        Variables.
    density
        Of M; by default 5 entries a row.
    condition
        At least 1.
    seed
        0 to 2**32 - 1.
    """
    return planted_box(n, density, condition, seed)[0]


def planted_box(
    n: int, density: float | None = None, condition: float = 1e4, seed: int = 0
) -> tuple[QP, Vector, Vector]:
    """The problem of `convex_box`, its solution x (n,) and the multipliers z_box (n,) of its bounds."""
    n = integer(n, "convex_box: n", 1, MAX_N)
    density = real(min(1.0, 5 / n) if density is None else density, "convex_box: density", 0, 1)
    condition = real(condition, "convex_box: condition", 1, 1e16)
    _check_gram(n, density, "convex_box")
    stream = np.random.RandomState(check_seed(seed))
    P = gram(draw(n, n, density, stream), RIDGE)
    scale = condition ** (-0.5 * stream.random_sample(n))
    P.data *= np.repeat(scale, np.diff(P.indptr)) * scale[P.indices]
    where = stream.randint(-1, 2, size=n)
    x = np.where(where == 0, 1.8 * stream.random_sample(n) - 0.9, where)
    # Px + q + z_box = 0 with z_box <= 0 at the lower bound, >= 0 at the upper.
    z_box = where * (0.1 + stream.random_sample(n)) * scale
    return QP.of(P, -(P @ x + z_box), lb=-np.ones(n), ub=np.ones(n), name="convex_box"), x, z_box
