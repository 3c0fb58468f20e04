"""A proximal interior-point method.

Newton steps on the optimality conditions of a `Form`, with a slack s >= 0 and a multiplier t >= 0 at every finite side of a variable or a row, s t = mu, and proximal terms
rho |x - x_k|^2 / 2 and delta |y - y_k|^2 / 2 about the last iterate. They make every system quasi-definite, and so factorisable in any order without pivots, whether or not
the rows are independent:

    [ P + rho + W   A'                  ] [ dx  ]
    [ A             -delta  or  -1/W - delta ] [ -dy ] = right        W: t/s, added up over a variable's or a row's sides; equalities have delta alone

with Mehrotra's predictor and corrector, and Gondzio's further correctors. rho : delta is |y| : |x|, lest either grows faster than its residual falls. Where a side bears
(t > s), dt is taken from stationarity and ds from s t = mu; elsewhere ds from the constraint and dt from s t = mu: so neither loses its digits to W.

Source: Pougkakiotis and Gondzio, An interior point-proximal method of multipliers for convex quadratic programming, Comput. Optim. Appl. 78 (2021);
Mehrotra, SIAM J. Optim. 2 (1992); Gondzio, Comput. Optim. Appl. 6 (1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .form import Form, PrimalDual
from .kkt import ENOUGH, KKT

Vector = NDArray[np.float64]

CORRECTORS = 2
BACK = 0.995
# Multipliers begin large: a problem with hardly an interior point has large ones, and they grow slowly but fall fast (LISWET: 100 iterations otherwise, 25 so).
LEAST_SLACK, LEAST_MULTIPLIER = 1e-3, 1e4
RATIO = 1e-6, 1e6
REGULARISATION, LEAST_REGULARISATION, MOST_REGULARISATION = 1e-6, 1e-10, 1e-3
# Relative errors of the linear systems: beyond the first the step is not taken, between the others the regularisation stays.
USELESS, POOR, GOOD = 1e-4, 1e-6, 1e-8
FLOOR = 1e-12
# The predictor only shows how far to aim.
PREDICTED = 1e-8


@dataclass(slots=True, eq=False)
class _Step:
    dx: Vector
    dy: Vector
    ds: Vector
    dt: Vector


class Interior:
    """One solve; `step` does one iteration.

    Attributes
    ----------
    x : (n,), y : (m,), s, t
        y counts for equalities alone; s and t are of the sides, lower ones first.
    """

    def __init__(self, form: Form) -> None:
        f = self.form = form
        self.kkt = KKT(f.P, f.A)
        self.equal = f.AL == f.AU
        low = np.concatenate([f.l, np.where(self.equal, -np.inf, f.AL)])
        high = np.concatenate([f.u, np.where(self.equal, np.inf, f.AU)])
        lower, upper = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
        self.of = np.concatenate([lower, upper])
        self.sign = np.concatenate([np.ones(lower.size), -np.ones(upper.size)])
        self.bound = np.concatenate([low[lower], high[upper]])
        self.size = f.n + f.m
        self.iterations = 0
        self.regularisation = REGULARISATION
        with np.errstate(all="ignore"):
            self._start()

    def _spread(self, sides: Vector) -> Vector:
        """Numbers of the sides, added up over each variable and row."""
        return np.bincount(self.of, sides, self.size).astype(np.float64, copy=False)  # Of no sides, integers.

    def _activity(self, x: Vector) -> Vector:
        return np.concatenate([x, self.form.A @ x])

    def _start(self) -> None:
        """Mehrotra's start: least squares with every side half bearing, then slacks and multipliers pushed to be positive."""
        f, n = self.form, self.form.n
        count = self._spread(np.ones(self.of.size))
        middle = self._spread(self.bound) / np.maximum(count, 1)
        self.x, self.y = middle[:n], np.zeros(f.m)
        if self.kkt.factorise(1e-8 + count[:n], np.where(self.equal, 1e-8, 1.0)):
            self.x, v = self.kkt.solve(count[:n] * middle[:n] - f.c, np.where(self.equal, f.AL, middle[n:]))
            self.y = np.where(self.equal, -v, 0.0)
            weights = np.concatenate([f.P @ self.x + f.c - f.A.T @ self.y, -v])
        else:
            weights = np.concatenate([f.P @ self.x + f.c, self.y])
        s = self.sign * (self._activity(self.x)[self.of] - self.bound)
        t = self.sign * weights[self.of]
        if s.size:
            s, t = s + max(-1.5 * s.min(), 0.0), t + max(-1.5 * t.min(), 0.0)
            product = max(float(s @ t), FLOOR)
            s = s + max(0.5 * product / max(t.sum(), FLOOR), 1e-4)
            t = t + max(0.5 * product / max(s.sum(), FLOOR), 1e-4)
        self.s, self.t = np.maximum(s, LEAST_SLACK), np.maximum(t, LEAST_MULTIPLIER)

    def _multipliers(self) -> Vector:
        """z, then y."""
        found = self._spread(self.sign * self.t)
        found[self.form.n :][self.equal] = self.y[self.equal]
        return found

    def point(self) -> PrimalDual:
        """x with multipliers in the form's signs."""
        n, weights = self.form.n, self._multipliers()
        return PrimalDual(self.x.copy(), weights[n:], weights[:n])

    def step(self) -> bool:
        """One iteration; False where no step could be found."""
        with np.errstate(all="ignore"):
            return self._step()

    def _step(self) -> bool:
        f, n, s, t = self.form, self.form.n, self.s, self.t
        activity, weights = self._activity(self.x), self._multipliers()
        dual = f.P @ self.x + f.c - f.A.T @ weights[n:] - weights[:n]
        equality = np.where(self.equal, activity[n:] - np.where(self.equal, f.AL, 0.0), 0.0)
        slack = self.sign * (activity[self.of] - self.bound) - s
        mu = max(float(s @ t) / max(s.size, 1), 1e-200)
        ratio = float(np.clip((1e-3 + np.abs(self.x).max()) / (1e-3 + np.abs(weights[n:]).max(initial=0)), *RATIO))
        rho, delta = self.regularisation / ratio, self.regularisation * ratio
        w = t / s
        W = self._spread(w)
        rows = np.maximum(W[n:], FLOOR)
        if not self.kkt.factorise(rho + W[:n], delta + np.where(self.equal, 0.0, 1 / rows)):
            self.regularisation *= 100
            return self.regularisation < 1
        # A variable or row has at most one side that bears more than the other.
        bearing = (w > 1) & ((2 * w > W[self.of]) | ((2 * w == W[self.of]) & (self.sign > 0)))

        def direction(c: Vector, enough: float = ENOUGH) -> _Step:
            """For s dt + t ds = c."""
            known = self._spread(self.sign * (c / s - w * slack))
            right = np.where(self.equal, -equality, known[n:] / rows)
            dx, v = self.kkt.solve(known[:n] - dual, right, enough=enough)
            ds = self.sign * self._activity(dx)[self.of] + slack
            dt = (c - t * ds) / s
            wanted = np.concatenate([f.P @ dx + rho * dx + dual + f.A.T @ v, -v])
            others = self._spread(self.sign * dt)[self.of] - self.sign * dt
            dt = np.where(bearing, self.sign * (wanted[self.of] - others), dt)
            return _Step(dx, -v, np.where(bearing, (c - s * dt) / t, ds), dt)

        if s.size:
            found = direction(-s * t, PREDICTED)
            if self.kkt.error > USELESS and self.regularisation < MOST_REGULARISATION:
                self.regularisation *= 10
                return True
            p, q = _longest(found.ds, s), _longest(found.dt, t)
            after = float((s + p * found.ds) @ (t + q * found.dt)) / s.size
            target = min(max(after / mu, 0.0), 1.0) ** 3 * mu
            c = target - s * t - found.ds * found.dt
            found = direction(c)
            p, q = _longest(found.ds, s), _longest(found.dt, t)
            for _ in range(CORRECTORS):
                if min(p, q) > 0.95:
                    break
                further_p, further_q = min(1.0, 1.08 * p + 0.1), min(1.0, 1.08 * q + 0.1)
                product = (s + further_p * found.ds) * (t + further_q * found.dt)
                corrected = c + np.maximum(np.clip(product, 0.1 * target, 10 * target) - product, -10 * target)
                trial = direction(corrected)
                tp, tq = _longest(trial.ds, s), _longest(trial.dt, t)
                if min(tp, tq) < 1.01 * min(p, q):
                    break
                found, p, q, c = trial, tp, tq, corrected
        else:
            found, p, q = direction(s), 1.0, 1.0
        if not (np.isfinite(found.dx).all() and np.isfinite(found.dy).all()):
            return False
        back = max(BACK, 1 - mu)
        p, q = (1.0 if a == 1.0 else back * a for a in (p, q))
        if f.P.nnz:
            p = q = min(p, q)
        self.x = self.x + p * found.dx
        self.y = self.y + q * np.where(self.equal, found.dy, 0.0)
        self.s, self.t = s + p * found.ds, t + q * found.dt
        self.iterations += 1
        if self.kkt.error < GOOD:
            self.regularisation = max(0.2 * self.regularisation, LEAST_REGULARISATION)
        elif self.kkt.error > POOR:
            self.regularisation = min(4 * self.regularisation, MOST_REGULARISATION)
        return max(p, q) > 1e-10


def _longest(change: Vector, of: Vector) -> float:
    """The longest step in [0, 1] that leaves everything at least 0."""
    down = change < 0
    return float(min(1.0, (-of[down] / change[down]).min())) if down.any() else 1.0
