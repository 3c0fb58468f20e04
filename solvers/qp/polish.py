"""Active sets: which sides bear, guessed from a point, and the exact solution under that guess.

The clips of the splitting methods leave variables exactly on their bounds and multipliers exactly at 0, and an interior point shows by the larger of slack and
multiplier. With bearing sides as equalities what is left is a linear system

    [ P_FF + rho   A_RF'  ] [ dx_F  ]
    [ A_RF        -delta  ] [ -dy_R ] = minus the residuals        F: free variables, R: bearing rows,

refined towards rho = delta = 0 about the point that was given, so that dependent rows do no harm. Sides that its solution violates begin to bear, multipliers
of a wrong sign let go (the primal-dual active-set strategy, a semismooth Newton method: Hintermueller, Ito, Kunisch, SIAM J. Optim. 13 (2002)), a few times over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .form import Form, PrimalDual
from .kkt import KKT, cost_of

Vector = NDArray[np.float64]

ROUNDS = 8
REGULARISATIONS = 1e-8, 1e-7, 1e-6, 1e-5
STEPS = 12


class Guess:
    """Bearing sides: of the variables, then of the rows."""

    def __init__(self, form: Form, point: PrimalDual) -> None:
        f, x, y, z = form, point.x, point.y, point.z
        values = np.concatenate([x, f.A @ x])
        weights = np.concatenate([z, y])
        scale = (1e-6 + np.abs(x).max(initial=0)) / (1e-6 + np.abs(weights).max(initial=0))
        low, high = np.concatenate([f.l, f.AL]), np.concatenate([f.u, f.AU])
        self.low = (weights > 0) & (values - low <= scale * weights)
        self.high = (weights < 0) & (high - values <= -scale * weights)
        both = low == high
        self.low |= both
        self.high &= ~both
        self.equal = both

    def key(self) -> bytes:
        return np.packbits(self.low).tobytes() + np.packbits(self.high).tobytes()


class Polish:
    """Attempts on one form (scaled)."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.low, self.high = np.concatenate([form.l, form.AL]), np.concatenate([form.u, form.AU])
        self.factorisations = self.products = 0
        self.tried: set[bytes] = set()
        self.centre: PrimalDual | None = None

    def cost(self, guess: Guess) -> float:
        """Seconds that one round will take, roughly."""
        f, n = self.form, self.form.n
        bearing = guess.low | guess.high
        free, rows = np.flatnonzero(~bearing[:n]), np.flatnonzero(bearing[n:])
        return cost_of(f.P[free][:, free], f.A[rows][:, free])

    def round(self, guess: Guess, point: PrimalDual) -> PrimalDual | None:
        """The solution under a guess, near a point; None where it cannot be had, or this guess was tried before.

        `guess` becomes the next one.
        """
        with np.errstate(all="ignore"):
            return self._round(guess, point)

    def _round(self, guess: Guess, point: PrimalDual) -> PrimalDual | None:
        key = guess.key()
        if key in self.tried:
            return None
        self.tried.add(key)
        f, n = self.form, self.form.n
        bearing = guess.low | guess.high
        free, rows = np.flatnonzero(~bearing[:n]), np.flatnonzero(bearing[n:])
        side = np.where(guess.low, self.low, self.high)
        x, y = point.x.copy(), np.where(bearing[n:], point.y, 0.0)
        x[bearing[:n]] = side[:n][bearing[:n]]
        if free.size or rows.size:
            K = KKT(f.P[free][:, free], f.A[rows][:, free])
            for regularisation in REGULARISATIONS:
                self.factorisations += 1
                if K.factorise(np.full(free.size, regularisation), np.full(rows.size, regularisation)):
                    break
            else:
                return None
            target = side[n:][rows]
            zero, none = np.zeros(free.size), np.zeros(rows.size)
            last = np.inf
            for k in range(STEPS):
                rd = (f.P @ x + f.c - f.A.T @ y)[free]
                rp = target - (f.A @ x)[rows]
                size = max(float(np.abs(rd).max(initial=0)), float(np.abs(rp).max(initial=0)))
                if not size < 0.9 * last:
                    break
                kept = x.copy(), y.copy()
                last = size
                dx, dv = K.solve(-rd, rp) if k == 0 else K.solve(-rd, rp, zero, none)
                x[free] += dx
                y[rows] -= dv
                if k == 0:
                    self._next(guess, self._whole(bearing, x.copy(), y.copy()))
            self.products += K.products
            if not (np.isfinite(x).all() and np.isfinite(y).all()):
                x, y = kept
        else:
            self._next(guess, self._whole(bearing, x, y))
        return self._whole(bearing, x, y)

    def _whole(self, bearing: NDArray[np.bool_], x: Vector, y: Vector) -> PrimalDual:
        """With the multipliers of the bounds that bear."""
        f = self.form
        return PrimalDual(x, y, np.where(bearing[: f.n], f.P @ x + f.c - f.A.T @ y, 0.0))

    def _next(self, guess: Guess, point: PrimalDual) -> None:
        """The sides that bear next; and where the next round starts."""
        f, self.centre = self.form, point
        values = np.concatenate([point.x, f.A @ point.x])
        weights = np.concatenate([point.z, point.y])
        tiny = 1e-12 * (1 + np.abs(weights).max(initial=0))
        room = 1e-12 * (1 + np.abs(values))
        low = np.where(guess.low, weights > -tiny, values < self.low - room)
        high = np.where(guess.high, weights < tiny, values > self.high + room)
        guess.low, guess.high = low & ~high | guess.equal, high & ~guess.equal
