"""Restarted accelerated PDHG: an independent second splitting method.

Inner steps k = 1, ..., N on a scaled `Form`, with means (xm, ym) and beta = (k + 1) / 2, theta = (k - 1) / k:

    y  <- y - k tau (A h - clip(A h - y / (k tau), AL, AU)),    h = x + theta (x - x_before)
    x  <- clip(x - k eta (P md + c - A'y), l, u),               md = (1 - 1/beta) xm + x / beta
    xm <- (1 - 1/beta) xm + x / beta,   ym likewise

with eta = 1 / (2 |P| + N |A| w) and tau = w / (N |A|), for which 2 |P| eta + (N |A|)^2 tau eta = 1. The method starts again from its means when they have become better by
enough, or after N steps; N doubles where N steps did not suffice, and the weight w follows the distances gone, as in PDLP.

Source: Lu and Yang, A practical and optimal first-order method for large-scale convex quadratic programming, arXiv 2311.07710; Chen, Lan and Ouyang, SIAM J. Optim. 24 (2014);
the restarts: Applegate et al., NeurIPS 2021.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...energy.events import Events
from ..kernels.pdhg import pdhg_steps
from .form import Form, PrimalDual
from .norms import Norms

Vector = NDArray[np.float64]

SHORTEST = 64
ENOUGH, SOME = 0.2, 0.8
SMOOTHING = 0.5


class Accelerated:
    """One run on a scaled form."""

    def __init__(self, form: Form, norms: Norms, start: PrimalDual | None = None, check: int = 100) -> None:
        f = self.form = form
        self.check = check
        self.lam_P, self.norm_A = norms.lam_P, max(math.sqrt(norms.lam_A), 1e-12)
        self.x = np.clip(np.zeros(f.n) if start is None else start.x, f.l, f.u)
        self.y = np.zeros(f.m) if start is None else start.y.copy()
        self.room = np.zeros(f.n), np.zeros(f.n), np.zeros(f.n)
        self.iterations = 0
        self.length = SHORTEST
        sides = np.maximum(*(np.where(np.isfinite(v), np.abs(v), 0.0) for v in (f.AL, f.AU))) if f.m else np.zeros(1)
        b, c = float(np.linalg.norm(sides)), float(np.linalg.norm(f.c))
        self.weight = c / b if b > 0 and c > 0 else 1.0
        self.last = self.previous = math.inf
        self._restart()

    def _restart(self) -> None:
        self.before, self.x_mean, self.y_mean = self.x.copy(), self.x.copy(), self.y.copy()
        self.anchor = self.x.copy(), self.y.copy()
        self.inner = 0
        self.previous = math.inf

    def advance(self) -> PrimalDual:
        """To the next check, or the end of the inner loop."""
        f = self.form
        left = self.check
        while left > 0:
            steps = min(left, self.length - self.inner)
            reach = self.length * self.norm_A
            eta, tau = 1 / (2 * self.lam_P + reach * self.weight), self.weight / reach
            pdhg_steps(
                steps, self.inner + 1, tau, eta, f.P.indptr, f.P.indices, f.P.data, f.A.indptr, f.A.indices, f.A.data,
                f.c, f.AL, f.AU, f.l, f.u, self.x, self.y, self.before, self.x_mean, self.y_mean, *self.room,
            )  # fmt: skip
            self.inner += steps
            self.iterations += steps
            left -= steps
            if self.inner >= self.length:
                break
        point = self.point()
        self._judge(point)
        return point

    def point(self) -> PrimalDual:
        """The means, with the multipliers of the bounds that stationarity asks for and signs allow."""
        f = self.form
        g = f.P @ self.x_mean + f.c - f.A.T @ self.y_mean
        z = np.where(np.isfinite(f.l), np.maximum(g, 0), 0.0) + np.where(np.isfinite(f.u), np.minimum(g, 0), 0.0)
        return PrimalDual(self.x_mean.copy(), self.y_mean.copy(), z)

    def difference(self) -> PrimalDual:
        """Means minus their start: where a ray shows in an infeasible problem."""
        dy = self.y_mean - self.anchor[1]
        return PrimalDual(self.x_mean - self.anchor[0], dy, -(self.form.A.T @ dy))

    def events(self) -> Events:
        """A step multiplies each entry of A twice and of P once; the bytes are those of the entries, read once, and of some twenty vectors."""
        f = self.form
        stored = f.A.nnz + f.P.nnz
        return Events(
            multiply_adds=self.iterations * (2 * f.A.nnz + f.P.nnz),
            bytes_moved=self.iterations * (12 * stored + 8 * (20 * f.n + 7 * f.m)),
        )

    def _judge(self, point: PrimalDual) -> None:
        """Whether to start again, and how."""
        error = self._error(point)
        if not math.isfinite(self.last):
            self.last = error
        over = self.inner >= self.length
        better = error <= ENOUGH * self.last or (error <= SOME * self.last and error > self.previous)
        self.previous = error
        if not (over or better):
            return
        if over and error > SOME * self.last:
            self.length *= 2
        dx, dy = (
            float(np.linalg.norm(self.x_mean - self.anchor[0])),
            float(np.linalg.norm(self.y_mean - self.anchor[1])),
        )
        if dx > 1e-12 and dy > 1e-12:
            self.weight = math.exp(SMOOTHING * math.log(dy / dx) + (1 - SMOOTHING) * math.log(self.weight))
        self.x, self.y = self.x_mean.copy(), self.y_mean.copy()
        self.last = min(error, self.last)
        self._restart()

    def _error(self, point: PrimalDual) -> float:
        """The weighted residuals of the scaled form."""
        f = self.form
        activity = f.A @ point.x
        Px = f.P @ point.x
        primal = float(np.linalg.norm(activity - np.clip(activity, f.AL, f.AU)))
        dual = float(np.linalg.norm(Px + f.c - f.A.T @ point.y - point.z))
        lower = np.where(np.isfinite(f.AL), f.AL, 0.0) @ np.maximum(point.y, 0) + np.where(
            np.isfinite(f.l), f.l, 0.0
        ) @ np.maximum(point.z, 0)
        upper = np.where(np.isfinite(f.AU), f.AU, 0.0) @ np.minimum(point.y, 0) + np.where(
            np.isfinite(f.u), f.u, 0.0
        ) @ np.minimum(point.z, 0)
        gap = abs(float(point.x @ Px + f.c @ point.x) - float(lower + upper))
        found = math.sqrt(self.weight * primal**2 + dual**2 / self.weight + gap**2)
        return found if math.isfinite(found) else math.inf
