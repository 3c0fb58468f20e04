"""Convex programs as they arise in finance, statistics, learning and control: the families of OSQP's benchmark.

Source: B. Stellato, G. Banjac, P. Goulart, A. Bemporad, S. Boyd, OSQP: an operator splitting solver for quadratic programs, Math. Program.
Comput. 12, 637 (2020), appendix A. Sparse factors are there with 15 % (portfolio: 50 %) of their entries; here the density can be chosen, which with the
sizes decides the number of entries: ``lasso(816)`` and ``portfolio(44700)`` have 1e7.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from ...checks import integer, positive, real
from ...errors import InputError
from ..expressions import check_seed
from .drawing import below, beside, check_entries, draw
from .program import QP

MAX_N = 10**7


def _data(name: str, n: int, m: int | None, density: float) -> tuple[int, int, float]:
    """Features, data points (100 a feature by default) and density, checked."""
    n = integer(n, f"{name}: n", 1, MAX_N)
    m = integer(100 * n if m is None else m, f"{name}: m", 1, MAX_N)
    density = real(density, f"{name}: density", 0, 1)
    check_entries(density * m * n + 3 * m, name)
    return n, m, density


def portfolio(
    n: int, factors: int | None = None, density: float = 0.5, risk_aversion: float = 1.0, seed: int = 0
) -> QP:
    """Portfolio optimisation with a factor model of the risk.

        minimise x'Dx + y'y - mu'x/gamma   subject to   y = F'x, 1'x = 1, x >= 0      (halved)

    D_ii ~ U[0, sqrt(k)], F_ij ~ N(0, 1), mu ~ N(0, 1). Variables: x (n), y (k).

    Parameters
    ----------
    n
        Assets.
    factors
        k; by default one for every 100 assets.
    density
        Of F.
    risk_aversion
        gamma.
    seed
        0 to 2**32 - 1.

    Raises
    ------
    InputError
        For other arguments; so does every family.
    """
    n = integer(n, "portfolio: n", 1, MAX_N)
    k = integer(max(n // 100, 1) if factors is None else factors, "portfolio: factors", 1, MAX_N)
    density = real(density, "portfolio: density", 0, 1)
    gamma = positive(risk_aversion, "portfolio: risk_aversion")
    check_entries(density * n * k + 2 * n + k, "portfolio")
    stream = np.random.RandomState(check_seed(seed))
    risk = np.concatenate([stream.random_sample(n) * np.sqrt(k), np.ones(k)])
    mu = stream.standard_normal(n)
    model = beside(draw(k, n, density, stream), (-1.0,))
    budget = np.concatenate([np.ones(n), np.zeros(k)])
    return QP.of(
        sp.diags_array(risk, format="csr"),
        np.concatenate([-mu / (2 * gamma), np.zeros(k)]),
        A=below(model, budget),
        b=np.concatenate([np.zeros(k), np.ones(1)]),
        lb=np.concatenate([np.zeros(n), np.full(k, -np.inf)]),
        name="portfolio",
    )


def lasso(n: int, m: int | None = None, density: float = 0.15, seed: int = 0) -> QP:
    """Least squares with an l1 penalty, lambda a fifth of the one that makes x = 0 optimal.

        minimise 1/2 y'y + lambda 1't   subject to   y = Dx - b, -t <= x <= t

    D_ij ~ N(0, 1), b = Dv + N(0, 1) where half of v is 0 and half N(0, 1/n). Variables: x (n), y (m), t (n).

    Parameters
    ----------
    n
        Features.
    m
        Data points; by default 100 n.
    density
        Of D.
    seed
        0 to 2**32 - 1.
    """
    n, m, density = _data("lasso", n, m, density)
    stream = np.random.RandomState(check_seed(seed))
    v = stream.standard_normal(n) / np.sqrt(n) * (stream.random_sample(n) > 0.5)
    D = draw(m, n, density, stream)
    b = D @ v + stream.standard_normal(m)
    weight = float(np.abs(D.T @ b).max()) / 5
    A = beside(D, (-1.0,), cols=n + m + n)
    del D
    one, zero = sp.eye_array(n, format="csr"), sp.csr_array((n, m))
    return QP.of(
        _diagonal(np.concatenate([np.zeros(n), np.ones(m), np.zeros(n)])),
        np.concatenate([np.zeros(n + m), np.full(n, weight)]),
        G=sp.vstack([sp.hstack([one, zero, -one]), sp.hstack([-one, zero, -one])], format="csr"),
        h=np.zeros(2 * n),
        A=A,
        b=b,
        name="lasso",
    )


def svm(n: int, m: int | None = None, density: float = 0.15, penalty: float = 1.0, seed: int = 0) -> QP:
    """A linear support vector machine on two overlapping clouds.

        minimise 1/2 x'x + penalty/2 1't   subject to   t >= diag(c) D x + 1, t >= 0

    c_i = 1 and D_ij ~ N(1/n, 1/n) in the first half of the points, c_i = -1 and D_ij ~ N(-1/n, 1/n) in the second. Variables: x (n), t (m).

    Parameters
    ----------
    n
        Features.
    m
        Data points; by default 100 n.
    density
        Of D.
    penalty
        Of a point on the wrong side.
    seed
        0 to 2**32 - 1.
    """
    n, m, density = _data("svm", n, m, density)
    penalty = positive(penalty, "svm: penalty")
    stream = np.random.RandomState(check_seed(seed))
    # With the label multiplied in, both clouds have mean 1/n.
    D = draw(m, n, density, stream)
    D.data *= 1 / np.sqrt(n)
    D.data += 1 / n
    return QP.of(
        _diagonal(np.concatenate([np.ones(n), np.zeros(m)])),
        np.concatenate([np.zeros(n), np.full(m, penalty / 2)]),
        G=beside(D, (-1.0,)),
        h=-np.ones(m),
        lb=np.concatenate([np.full(n, -np.inf), np.zeros(m)]),
        name="svm",
    )


def huber(n: int, m: int | None = None, density: float = 0.15, threshold: float = 1.0, seed: int = 0) -> QP:
    """Regression with Huber's loss: quadratic up to the threshold M, linear beyond it.

        minimise u'u + 2M 1'(r + s)   subject to   Dx - b - u = r - s, r >= 0, s >= 0      (halved)

    D_ij ~ N(0, 1), b = Dv + e, v ~ N(0, 1/n), e ~ N(0, 1/4), but U[0, 10] with probability 5 %. Variables: x (n), u (m), r (m), s (m).

    Parameters
    ----------
    n
        Features.
    m
        Data points; by default 100 n.
    density
        Of D.
    threshold
        M.
    seed
        0 to 2**32 - 1.
    """
    n, m, density = _data("huber", n, m, density)
    threshold = positive(threshold, "huber: threshold")
    stream = np.random.RandomState(check_seed(seed))
    v = stream.standard_normal(n) / np.sqrt(n)
    outlier = stream.random_sample(m) < 0.05
    noise = np.where(outlier, 10 * stream.random_sample(m), 0.5 * stream.standard_normal(m))
    D = draw(m, n, density, stream)
    b = D @ v + noise
    return QP.of(
        _diagonal(np.concatenate([np.zeros(n), np.ones(m), np.zeros(2 * m)])),
        np.concatenate([np.zeros(n + m), np.full(2 * m, threshold)]),
        A=beside(D, (-1.0, -1.0, 1.0)),
        b=b,
        lb=np.concatenate([np.full(n + m, -np.inf), np.zeros(2 * m)]),
        name="huber",
    )


def mpc(states: int, inputs: int | None = None, horizon: int = 10, seed: int = 0) -> QP:
    """Model predictive control: bring a random stable linear system to rest.

        minimise x_T'Q_T x_T + sum_{t<T} (x_t'Q x_t + u_t'R u_t)      (halved, as P has it)
        subject to x_{t+1} = A x_t + B u_t, x_0 given, |x_t| <= X, |u_t| <= U

    A = I + N(0, 0.01) with its eigenvalues brought inside the unit circle, B ~ N(0, 1), Q diagonal with 70 % of its entries U(0, 10), R = I/10, Q_T from the
    discrete Riccati equation, X ~ U(1, 2), U ~ U(0, 0.1), x_0 ~ U(-X/2, X/2), made smaller where needed for u = 0 to stay inside 0.9 X: so it is feasible.
    Variables: x_0 .. x_T, u_0 .. u_{T-1}.

    Parameters
    ----------
    states, inputs
        Of the system; by default half as many inputs, at least one.
    horizon
        T.
    seed
        0 to 2**32 - 1.
    """
    nx = integer(states, "mpc: states", 1, 2000)
    nu = integer(max(nx // 2, 1) if inputs is None else inputs, "mpc: inputs", 1, 2000)
    T = integer(horizon, "mpc: horizon", 1, 10**5)
    check_entries(T * nx * (nx + nu + 2.0) + nx**2, "mpc")
    stream = np.random.RandomState(check_seed(seed))
    values, vectors = np.linalg.eig(np.eye(nx) + 0.1 * stream.standard_normal((nx, nx)))
    size = np.abs(values)
    values = np.where(size < 0.99, values, values / (size + 0.01))
    A = np.real(vectors @ np.diag(values) @ np.linalg.inv(vectors))
    B = stream.standard_normal((nx, nu))
    Q = np.where(stream.random_sample(nx) < 0.7, 10 * stream.random_sample(nx), 0.0)
    R = np.full(nu, 0.1)
    try:
        last = scipy.linalg.solve_discrete_are(A, B, np.diag(Q), np.diag(R))
    except (np.linalg.LinAlgError, ValueError) as e:
        raise InputError(f"mpc: no terminal cost for this system: {e}; try another seed") from None
    low, high = np.linalg.eigh((last + last.T) / 2)
    last = (high * np.maximum(low, 0)) @ high.T
    X, U = 1 + stream.random_sample(nx), 0.1 * stream.random_sample(nu)
    start = (stream.random_sample(nx) - 0.5) * X
    state, worst = start, 0.0
    for _ in range(T + 1):
        worst = max(worst, float(np.max(np.abs(state) / X)))
        state = A @ state
    start = start * min(1.0, 0.9 / worst) if worst else start
    shift = sp.eye_array(T + 1, k=-1, format="csr")
    moves = sp.vstack([sp.csr_array((1, T)), sp.eye_array(T, format="csr")])
    dynamics = sp.hstack(
        [sp.kron(shift, sp.csr_array(A)) - sp.eye_array((T + 1) * nx), sp.kron(moves, sp.csr_array(B))]
    )
    P = sp.block_diag([_diagonal(np.tile(Q, T)), sp.csr_array((last + last.T) / 2), _diagonal(np.tile(R, T))])
    bounds = np.concatenate([np.tile(X, T + 1), np.tile(U, T)])
    return QP.of(
        2 * P,
        np.zeros(bounds.size),
        A=dynamics,
        b=np.concatenate([-start, np.zeros(T * nx)]),
        lb=-bounds,
        ub=bounds,
        name="mpc",
    )


def _diagonal(values: np.ndarray) -> sp.csr_array:
    """Diagonal, without its zeros."""
    at = np.flatnonzero(values)
    return sp.csr_array((values[at], (at, at)), shape=(values.size, values.size))
