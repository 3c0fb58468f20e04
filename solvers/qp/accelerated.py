"""Restarted accelerated PDHG: an independent second splitting method.

Inner steps k = 1, ..., N on a scaled `Form`, with means (xm, ym) and beta = (k + 1) / 2, theta = (k - 1) / k:

    y  <- y - k tau (A h - clip(A h - y / (k tau), AL, AU)),    h = x + theta (x - x_before)
    x  <- clip(x - k eta (P md + c - A'y), l, u),               md = (1 - 1/beta) xm + x / beta
    xm <- (1 - 1/beta) xm + x / beta,   ym likewise

with eta = 1 / (2 |P| + N |A| w) and tau = w / (N |A|), for which 2 |P| eta + (N |A|)^2 tau eta = 1. The method starts again from its means when they have become better by
enough, or after N steps; N doubles where N steps did not suffice, and the weight w follows the distances gone, as in PDLP.

On a GPU: `solvers.cuda.pdhg`.

Source: Lu and Yang, A practical and optimal first-order method for large-scale convex quadratic programming, arXiv 2311.07710; Chen, Lan and Ouyang, SIAM J. Optim. 24 (2014);
the restarts: Applegate et al., NeurIPS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

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


class Pace:
    """How long the steps and the inner loops are, and when to start again.

    Attributes
    ----------
    inner, iterations
        Steps since the start of the inner loop, and in all.
    """

    def __init__(self, form: Form, norms: Norms) -> None:
        f = form
        self.lam_P, self.norm_A = norms.lam_P, max(math.sqrt(norms.lam_A), 1e-12)
        self.inner = self.iterations = 0
        self.length = SHORTEST
        sides = np.maximum(*(np.where(np.isfinite(v), np.abs(v), 0.0) for v in (f.AL, f.AU))) if f.m else np.zeros(1)
        b, c = float(np.linalg.norm(sides)), float(np.linalg.norm(f.c))
        self.weight = c / b if b > 0 and c > 0 else 1.0
        self.last = self.previous = math.inf

    def pieces(self, check: int) -> Iterator[tuple[int, int, float, float]]:
        """Up to a check, or the end of the inner loop: steps, the number of the first, tau and eta."""
        left = check
        while left > 0 and self.inner < self.length:
            steps = min(left, self.length - self.inner)
            reach = self.length * self.norm_A
            eta, tau = 1 / (2 * self.lam_P + reach * self.weight), self.weight / reach
            yield steps, self.inner + 1, tau, eta
            self.inner += steps
            self.iterations += steps
            left -= steps

    def size(self, primal: float, dual: float, gap: float) -> float:
        """Weighted residuals in one number."""
        found = math.sqrt(self.weight * (primal * primal) + dual * dual / self.weight + gap * gap)
        return found if math.isfinite(found) else math.inf

    def ends(self, error: float, dx: float, dy: float) -> bool:
        """Whether to start again from the means, which have this error and have moved so far from their start."""
        if not math.isfinite(self.last):
            self.last = error
        over = self.inner >= self.length
        better = error <= ENOUGH * self.last or (error <= SOME * self.last and error > self.previous)
        self.previous = error
        if not (over or better):
            return False
        if over and error > SOME * self.last:
            self.length *= 2
        if dx > 1e-12 and dy > 1e-12:
            self.weight = math.exp(SMOOTHING * math.log(dy / dx) + (1 - SMOOTHING) * math.log(self.weight))
        self.last = min(error, self.last)
        self.inner = 0
        self.previous = math.inf
        return True


def events_of(form: Form, iterations: int, *, reads: int = 1) -> Events:
    """A step multiplies each entry of A twice and of P once; the bytes are those of the entries, A's read so many times, and of some twenty vectors."""
    f = form
    return Events(
        multiply_adds=iterations * (2 * f.A.nnz + f.P.nnz),
        bytes_moved=iterations * (12 * (reads * f.A.nnz + f.P.nnz) + 8 * (20 * f.n + 7 * f.m)),
    )


class Accelerated:
    """One run on a scaled form."""

    def __init__(self, form: Form, norms: Norms, start: PrimalDual | None = None, check: int = 100) -> None:
        f = self.form = form
        self.check = check
        self.pace = Pace(form, norms)
        self.x = np.clip(np.zeros(f.n) if start is None else start.x, f.l, f.u)
        self.y = np.zeros(f.m) if start is None else start.y.copy()
        self.room = np.zeros(f.n), np.zeros(f.n), np.zeros(f.n)
        self._anchor()

    @property
    def iterations(self) -> int:
        """Steps so far."""
        return self.pace.iterations

    def _anchor(self) -> None:
        self.before, self.x_mean, self.y_mean = self.x.copy(), self.x.copy(), self.y.copy()
        self.anchor = self.x.copy(), self.y.copy()

    def advance(self) -> PrimalDual:
        """To the next check, or the end of the inner loop."""
        f = self.form
        for steps, first, tau, eta in self.pace.pieces(self.check):
            pdhg_steps(
                steps, first, tau, eta, f.P.indptr, f.P.indices, f.P.data, f.A.indptr, f.A.indices, f.A.data,
                f.c, f.AL, f.AU, f.l, f.u, self.x, self.y, self.before, self.x_mean, self.y_mean, *self.room,
            )  # fmt: skip
        point = self.point()
        dx, dy = (float(np.linalg.norm(m - a)) for m, a in zip((self.x_mean, self.y_mean), self.anchor, strict=True))
        if self.pace.ends(self._error(point), dx, dy):
            self.x, self.y = self.x_mean.copy(), self.y_mean.copy()
            self._anchor()
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
        """`events_of` its steps."""
        return events_of(self.form, self.iterations)

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
        return self.pace.size(primal, dual, gap)
