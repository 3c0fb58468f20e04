"""A proximal interior-point method.

Newton steps on the optimality conditions of a `Form`, with slacks s >= 0 at every finite side, multipliers t >= 0 and s t = mu, and with proximal terms
rho |x - x_k|^2 / 2 and delta |y - y_k|^2 / 2 about the last iterate, which make every system quasi-definite and so factorisable in any order without pivots, whether
or not the rows are independent:

    [ P + rho + W_x   A'          ] [ dx  ]
    [ A              -delta, 1/W_r ] [ -dy ] = right      W = 1 / (s/t + delta), added up over a variable's or a row's sides

with Mehrotra's predictor and corrector.

Source: Pougkakiotis and Gondzio, An interior point-proximal method of multipliers for convex quadratic programming, Comput. Optim. Appl. 78 (2021);
Mehrotra, SIAM J. Optim. 2 (1992).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .form import Form, PrimalDual
from .kkt import KKT

Vector = NDArray[np.float64]

CORRECTORS = 2
# Multipliers begin large: a problem with hardly an interior point has large ones, and they grow slowly but fall fast (LISWET: 100 iterations otherwise, 25 so).
LEAST_SLACK, LEAST_MULTIPLIER = 1e-3, 1e4
RATIO = (1e-6, 1e6)
REGULARISATION = (1e-6, 1e-10)


class Interior:
    """One solve; `step` does one iteration."""

    def __init__(self, form: Form) -> None:
        f = form
        self.form = f
        self.kkt = KKT(f.P, f.A)
        self.equal = f.AL == f.AU
        self.At = self.kkt.At
        n, m = f.n, f.m
        low = np.concatenate([f.l, np.where(self.equal, -np.inf, f.AL)])
        high = np.concatenate([f.u, np.where(self.equal, np.inf, f.AU)])
        self.lo, self.hi = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
        self.low, self.high = low[self.lo], high[self.hi]
        self.sides = self.lo.size + self.hi.size
        self.size = n + m
        self.iterations = 0
        self.mu, self.alpha, self.error = np.nan, (0.0, 0.0), 0.0
        self.regularisation = REGULARISATION[0]
        self._start()

    def _start(self) -> None:
        """Mehrotra's starting point: least squares, then slacks and multipliers pushed to be positive and of equal size."""
        f, n = self.form, self.form.n
        one = np.where(self.equal, 1e-8, 1.0)
        both = np.zeros(self.size)
        both[self.lo] += 1
        both[self.hi] += 1
        self.ok = self.kkt.factorise(1e-8 + both[:n], np.maximum(one, 1e-8))
        target = np.zeros(f.m)
        target[self.equal] = f.AL[self.equal]
        middle = np.zeros(self.size)
        middle[self.lo] += self.low
        middle[self.hi] += self.high
        middle /= np.maximum(both, 1)
        target[~self.equal] = middle[n:][~self.equal]
        if self.ok:
            x, v = self.kkt.solve(-f.c + both[:n] * middle[:n], target)
            y = -v
        else:
            x, y = middle[:n], np.zeros(f.m)
        self.x, self.y = x, np.where(self.equal, y, 0.0)
        activity = np.concatenate([x, f.A @ x])
        sl, su = activity[self.lo] - self.low, self.high - activity[self.hi]
        t = np.concatenate([f.P @ x + f.c - self.At @ self.y, y])
        tl, tu = t[self.lo], -t[self.hi]
        s, t = np.concatenate([sl, su]), np.concatenate([tl, tu])
        if s.size:
            s = s + max(-1.5 * s.min(), 0.0)
            t = t + max(-1.5 * t.min(), 0.0)
            product = max(float(s @ t), 1e-12)
            s = s + max(0.5 * product / max(t.sum(), 1e-12), 1e-4)
            t = t + max(0.5 * product / max(s.sum(), 1e-12), 1e-4)
            s, t = np.maximum(s, LEAST_SLACK), np.maximum(t, LEAST_MULTIPLIER)
        k = self.lo.size
        self.sl, self.su, self.tl, self.tu = s[:k].copy(), s[k:].copy(), t[:k].copy(), t[k:].copy()

    def point(self) -> PrimalDual:
        """x with multipliers in the form's signs."""
        n = self.form.n
        t = np.zeros(self.size)
        t[self.lo] += self.tl
        t[self.hi] -= self.tu
        y = np.where(self.equal, self.y, t[n:])
        return PrimalDual(self.x.copy(), y, t[:n])

    def step(self) -> bool:
        """One predictor and corrector; False where no step could be found."""
        with np.errstate(all="ignore"):
            return self._step()

    def _step(self) -> bool:
        f, n, lo, hi = self.form, self.form.n, self.lo, self.hi
        reg = self.regularisation
        activity = np.concatenate([self.x, f.A @ self.x])
        multipliers = np.zeros(self.size)
        multipliers[lo] += self.tl
        multipliers[hi] -= self.tu
        y = np.where(self.equal, self.y, multipliers[n:])
        rd = f.P @ self.x + f.c - self.At @ y - multipliers[:n]
        re = np.where(self.equal, activity[n:] - np.where(self.equal, f.AL, 0), 0.0)
        rl, ru = activity[lo] - self.low - self.sl, self.high - activity[hi] - self.su
        gap = float(self.sl @ self.tl + self.su @ self.tu)
        mu = max(gap / max(self.sides, 1), 1e-200)
        Wl, Wu = self.tl / self.sl, self.tu / self.su
        W, Wlow, Whigh = np.zeros(self.size), np.zeros(self.size), np.zeros(self.size)
        Wlow[lo], Whigh[hi] = Wl, Wu
        W = Wlow + Whigh
        Wr = W[n:]
        ratio = float(np.clip((1e-3 + np.abs(self.x).max(initial=0)) / (1e-3 + np.abs(y).max(initial=0)), *RATIO))
        rho, delta = reg / ratio, reg * ratio
        e = np.where(self.equal, delta, delta + 1 / np.maximum(Wr, 1e-12))
        d = rho + W[:n]
        # The side of each variable and row whose multiplier weighs more, where that side is active: it is had from stationarity, which loses no digits.
        bearing_low = (Wlow >= Whigh) & (Wlow > 1)
        bearing_high = (Whigh > Wlow) & (Whigh > 1)
        bl, bh = bearing_low[lo], bearing_high[hi]
        if not self.kkt.factorise(d, e):
            self.regularisation *= 100
            return self.regularisation < 1

        def direction(cl: Vector, cu: Vector) -> tuple[Vector, ...]:
            bracket = np.zeros(self.size)
            bracket[lo] += cl / self.sl - Wl * rl
            bracket[hi] -= cu / self.su - Wu * ru
            dx, v = self.kkt.solve(-rd + bracket[:n], np.where(self.equal, -re, bracket[n:] / np.maximum(Wr, 1e-12)))
            dy = -v
            dv = np.concatenate([dx, f.A @ dx])
            dsl, dsu = dv[lo] + rl, ru - dv[hi]
            dtl, dtu = (cl - self.tl * dsl) / self.sl, (cu - self.tu * dsu) / self.su
            total = np.concatenate([f.P @ dx + rho * dx + rd - self.At @ dy, dy])
            other = np.zeros(self.size)
            other[hi] = dtu
            dtl = np.where(bl, (total + other)[lo], dtl)
            other = np.zeros(self.size)
            other[lo] = dtl
            dtu = np.where(bh, (other - total)[hi], dtu)
            dsl = np.where(bl, (cl - self.sl * dtl) / self.tl, dsl)
            dsu = np.where(bh, (cu - self.su * dtu) / self.tu, dsu)
            return dx, dy, dsl, dsu, dtl, dtu

        def longest(ds: Vector, s: Vector) -> float:
            down = ds < 0
            return float(min(1.0, (-s[down] / ds[down]).min())) if down.any() else 1.0

        def lengths(step: tuple[Vector, ...]) -> tuple[float, float]:
            _, _, dsl, dsu, dtl, dtu = step
            return min(longest(dsl, self.sl), longest(dsu, self.su)), min(longest(dtl, self.tl), longest(dtu, self.tu))

        def toward(product: Vector, target: float) -> Vector:
            return np.clip(np.clip(product, 0.1 * target, 10 * target) - product, -10 * target, None)

        if self.sides:
            dx, dy, dsl, dsu, dtl, dtu = direction(-self.sl * self.tl, -self.su * self.tu)
            if self.kkt.error > 1e-4 and reg < 1e-3:
                self.regularisation = reg * 10
                return True
            p = min(longest(dsl, self.sl), longest(dsu, self.su))
            q = min(longest(dtl, self.tl), longest(dtu, self.tu))
            after = float((self.sl + p * dsl) @ (self.tl + q * dtl) + (self.su + p * dsu) @ (self.tu + q * dtu)) / self.sides
            sigma = min(max(after / mu, 0.0), 1.0) ** 3
            target = sigma * mu
            cl, cu = target - self.sl * self.tl - dsl * dtl, target - self.su * self.tu - dsu * dtu
            step = direction(cl, cu)
            p, q = lengths(step)
            for _ in range(CORRECTORS):
                if min(p, q) > 0.95:
                    break
                pt, qt = min(1.0, 1.08 * p + 0.1), min(1.0, 1.08 * q + 0.1)
                _, _, dsl, dsu, dtl, dtu = step
                ml = toward((self.sl + pt * dsl) * (self.tl + qt * dtl), target)
                mh = toward((self.su + pt * dsu) * (self.tu + qt * dtu), target)
                trial = direction(cl + ml, cu + mh)
                pn, qn = lengths(trial)
                if min(pn, qn) < 1.01 * min(p, q):
                    break
                step, p, q, cl, cu = trial, pn, qn, cl + ml, cu + mh
            dx, dy, dsl, dsu, dtl, dtu = step
        else:
            dx, dy, dsl, dsu, dtl, dtu = direction(self.sl, self.su)
        if not (np.isfinite(dx).all() and np.isfinite(dy).all()):
            return False
        p = min(longest(dsl, self.sl), longest(dsu, self.su))
        q = min(longest(dtl, self.tl), longest(dtu, self.tu))
        back = max(0.995, 1 - mu) if mu < 1 else 0.995
        p, q = (1.0 if a == 1.0 else back * a for a in (p, q))
        if not self.form.P.nnz == 0:
            p = q = min(p, q)
        self.x = self.x + p * dx
        self.y = self.y + q * np.where(self.equal, dy, 0.0)
        self.sl, self.su = self.sl + p * dsl, self.su + p * dsu
        self.tl, self.tu = self.tl + q * dtl, self.tu + q * dtu
        self.iterations += 1
        self.alpha = (p, q)
        self.mu = mu
        self.error = self.kkt.error
        if self.error < 1e-8:
            self.regularisation = max(self.regularisation * 0.2, REGULARISATION[1])
        elif self.error > 1e-6:
            self.regularisation = min(self.regularisation * 4, 1e-4)
        return max(p, q) > 1e-10
