"""HPR-QP: the Peaceman-Rachford splitting of the dual, with Halpern's anchor, restarts and an adaptive penalty sigma.

One inner step k = 0, 1, ..., for h1 = 1/(k + 2), h2 = 1 - h1 and anchors (x0, w0, y0), on a scaled `Form`:

    zr = x + sigma (A'y - P w - c),   xb = clip(zr, l, u),   x <- h2 (2 xb - x) + h1 x0
    wb = (1 - f) w + f (2 xb - x),    f = 1 / (1 + sigma lamP)
    r  = A (2 xb - x + sigma (P w - P wb)) - lamA sigma y,   yb = (clip(r, AL, AU) - r) / (lamA sigma),   y <- h2 (2 yb - y) + h1 y0
    wb <- wb + sigma f (A'yb - A'y),  w <- h2 (2 wb - w) + h1 w0

with lamA >= |AA'| and lamP >= |P|; a diagonal P has its own f for each variable. Every 100 steps the distance M between the state and the bar point, in the method's
own metric, decides on a restart, and a restart chooses the sigma that balances the distances gone since the anchor.

On a GPU: `solvers.cuda.hpr`, with the same steps, restarts and sigma.

Source: Chen, Sun, Yuan, Zhang, Zhao, HPR-QP: A dual Halpern Peaceman-Rachford method for solving large-scale convex composite quadratic programming, arXiv 2507.02470.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...energy.events import Events
from ..kernels.hpr import hpr_diagonal, hpr_general, hpr_linear
from .form import Form, PrimalDual
from .norms import DIAGONAL, GENERAL, ZERO, Norms, kind_of, norm_bounds

Vector = NDArray[np.float64]

CHECK = 100
LEAST = 1e-12
KERNELS = {GENERAL: hpr_general, DIAGONAL: hpr_diagonal, ZERO: hpr_linear}


def first_sigma(c: Vector, AL: Vector, AU: Vector, lam_A: float, start: tuple[Vector, Vector] | None) -> float:
    """The first penalty: |x| / |y| of a start (x, y), else of the sides and the cost."""
    if start is not None:
        x, y = float(np.linalg.norm(start[0])), float(np.linalg.norm(start[1])) * math.sqrt(lam_A)
        if x > 0 and y > 0:
            return x / y
    sides = np.maximum(*(np.where(np.isfinite(v), np.abs(v), 0.0) for v in (AL, AU))) if AL.size else np.zeros(1)
    b, d = float(np.linalg.norm(sides)), float(np.linalg.norm(c))
    return b / d if b > 0 and d > 0 else 1.0


def events_of(n: int, m: int, P: int, A: int, kind: int, iterations: int, *, reads: int = 1) -> Events:
    """A step multiplies each of the P and A entries twice; the bytes are those of the entries, read so many times, and of some thirty vectors."""
    vectors = {ZERO: 18, DIAGONAL: 30, GENERAL: 34}[kind] * n + 5 * m
    stored = A + (P if kind == GENERAL else 0)
    return Events(
        multiply_adds=2 * iterations * (A + P),
        bytes_moved=iterations * (12 * reads * stored + 8 * vectors),
    )


class Halpern:
    """One run on a scaled form.

    Attributes
    ----------
    iterations
        Steps so far.
    bar
        The point to be tested (`point` copies it).
    """

    def __init__(
        self,
        form: Form,
        norms: Norms | None = None,
        start: PrimalDual | None = None,
        check: int = CHECK,
    ) -> None:
        f = self.form = form
        n, m = f.n, f.m
        self.check = check
        self.kind, self.p = kind_of(f)
        norms = norm_bounds(f) if norms is None else norms
        self.lam_A, self.lam_P = norms.lam_A, norms.lam_P
        self.x, self.w, self.y = np.zeros(n), np.zeros(n), np.zeros(m)
        if start is not None:
            self.x, self.y = np.clip(start.x, f.l, f.u), start.y.copy()
            self.w = self.x.copy()
        self.Aty = f.A.T @ self.y
        self._anchor()
        self.xb, self.wb, self.yb, self.Atyb, self.zr = (np.zeros(k) for k in (n, n, m, n, n))
        self.before = tuple(np.zeros(k) for k in (n, n, m, n))
        self.room = np.zeros(n), np.zeros(n)
        self.sigma = first_sigma(f.c, f.AL, f.AU, self.lam_A, None if start is None else (self.x, self.y))
        self.iterations = self.inner = 0
        self.checked = False
        self.last = self.previous = self.best = math.inf
        self.best_sigma = self.sigma

    def _anchor(self) -> None:
        self.anchors = self.x.copy(), self.w.copy(), self.y.copy(), self.Aty.copy()

    def _run(self, steps: int) -> None:
        f = self.form
        KERNELS[self.kind](
            steps, self.inner, self.sigma, self.lam_A, self.lam_P,
            f.P.indptr, f.P.indices, f.P.data, self.p, f.A.indptr, f.A.indices, f.A.data, f.c, f.AL, f.AU, f.l, f.u,
            self.x, self.w, self.y, self.Aty, *self.anchors,
            self.xb, self.wb, self.yb, self.Atyb, self.zr, *self.before, *self.room,
        )  # fmt: skip
        self.inner += steps
        self.iterations += steps

    def advance(self) -> PrimalDual:
        """To the next check, restarting first if the last one called for it."""
        steps = self.check
        if self.checked and self._restart_due():
            self._restart()
            self._run(1)
            self.last = self._merit()
            self.previous = math.inf
            steps -= 1
        self._run(steps)
        merit = self._merit()
        self.merit = merit
        if merit < self.best:
            self.best, self.best_sigma = merit, self.sigma
        return self.point()

    def point(self) -> PrimalDual:
        """The bar point."""
        return PrimalDual(self.xb.copy(), self.yb.copy(), (self.xb - self.zr) / self.sigma)

    def difference(self) -> PrimalDual:
        """Bar point minus anchor: where a ray shows in an infeasible problem."""
        x0, _, y0, Aty0 = self.anchors
        dy = self.yb - y0
        return PrimalDual(self.xb - x0, dy, -(self.Atyb - Aty0))

    def events(self) -> Events:
        """`events_of` its steps."""
        f = self.form
        return events_of(f.n, f.m, f.P.nnz, f.A.nnz, self.kind, self.iterations)

    def _restart_due(self) -> bool:
        merit = self.merit
        if self.iterations <= self.check:
            return True
        if merit <= 0.2 * self.last:
            return True
        if merit <= 0.8 * self.last and merit > self.previous:
            return True
        self.previous = merit
        return self.inner >= 0.2 * self.iterations

    def _merit(self) -> float:
        px, pw, py, pAty = self.before
        dx, dw, dy, dA = self.xb - px, self.wb - pw, self.yb - py, self.Atyb - pAty
        s = self.sigma
        value = float(dx @ dx) / s + 2 * float(dA @ dx)
        if self.kind == ZERO:
            value = max(value + s * self.lam_A * float(dy @ dy), 0.0)
        else:
            Pdw = self.form.P @ dw
            value -= 2 * float(Pdw @ dx)
            inner = s * self.lam_A * float(dy @ dy) - 2 * s * float(Pdw @ dA)
            inner += s * (float(Pdw @ Pdw) if self.kind == DIAGONAL else self.lam_P * float(dw @ Pdw))
            value = max(value + max(inner, 0.0), 0.0) + self._curved(dA, s)
        self.checked = True
        return math.sqrt(value) if math.isfinite(value) else math.inf

    def _curved(self, dA: Vector, s: float) -> float:
        if self.kind == DIAGONAL:
            return float(np.sum(s * s * self.p / (1 + s * self.p) * dA * dA))
        return s * s / (1 + s * self.lam_P) * float(dA @ (self.form.P @ dA))

    def _restart(self) -> None:
        x0, w0, y0, Aty0 = self.anchors
        dx, dw, dy, dA = self.xb - x0, self.wb - w0, self.yb - y0, self.Atyb - Aty0
        b = max(float(dx @ dx), LEAST)
        a = self.lam_A * float(dy @ dy)
        if self.kind != ZERO:
            Pdw = self.form.P @ dw
            a += -2 * float(Pdw @ dA) + (float(Pdw @ Pdw) if self.kind == DIAGONAL else self.lam_P * float(dw @ Pdw))
        a = max(a, LEAST)
        grid = np.logspace(-12, 12, 481)
        cost = a * grid + b / grid
        if self.kind == GENERAL:
            cost += float(dA @ (self.form.P @ dA)) * grid**2 / (1 + self.lam_P * grid)
        elif self.kind == DIAGONAL:
            cost += (
                np.array([self._curved(dA, s) for s in grid])
                if dA.size * grid.size < 2e5
                else self._curved_on(dA, grid)
            )
        estimate = float(grid[int(np.argmin(cost))]) if np.isfinite(cost).any() else self.sigma
        ratio = self.merit / self.best if self.best > 0 and math.isfinite(self.merit) else 1.0
        share = math.exp(-0.05 * ratio)
        self.sigma = math.exp(share * math.log(estimate) + (1 - share) * math.log(self.best_sigma))
        self.x[:], self.w[:], self.y[:] = self.xb, self.wb, self.yb
        self.Aty[:] = self.form.A.T @ self.y
        self._anchor()
        self.inner = 0

    def _curved_on(self, dA: Vector, grid: Vector) -> Vector:
        """The curved term over a grid, from a histogram of log p: exact to the width of its bins."""
        positive = self.p > 0
        if not positive.any():
            return np.zeros(grid.size)
        logs = np.log(self.p[positive])
        weights = dA[positive] ** 2
        total, edges = np.histogram(logs, bins=64, weights=weights)
        centre = np.exp(0.5 * (edges[1:] + edges[:-1]))
        return np.asarray((total * grid[:, None] ** 2 * centre / (1 + grid[:, None] * centre)).sum(axis=1))
