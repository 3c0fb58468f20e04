"""Rays of infeasibility as solutions of least-squares programs, which always have one.

    primal:  min |r|^2 / 2   over x, r     with AL <= Ax + r <= AU, l <= x <= u:        y = r,  z = -A'r
    dual:    min |d|^2 / 2   over v, y, z  with d = Pv + c - A'y - z, y and z of the signs that their sides allow:   x = -d

Where the least is not 0, optimality makes (y, z) a ray with A'y + z = 0 that separates, and x one with Px = 0, c'x = -|d|^2 that keeps to all sides.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...problems.quadratic.program import canonical
from .form import Form, PrimalDual
from .interior import Interior
from .polish import Guess, Polish

Vector = NDArray[np.float64]

MOST = 80
GOOD = 1e-11
ROUNDS = 4
NOTHING = 1e-13


def primal_phase(form: Form) -> Form:
    """The program of the primal ray: variables x, r."""
    f = form
    one = sp.eye_array(f.m, format="csr")
    free = np.full(f.m, np.inf)
    return Form(
        P=canonical(sp.block_diag([sp.csr_array((f.n, f.n)), one], format="csr")),
        c=np.zeros(f.n + f.m),
        A=canonical(sp.hstack([f.A, one], format="csr")),
        AL=f.AL,
        AU=f.AU,
        l=np.concatenate([f.l, -free]),
        u=np.concatenate([f.u, free]),
    )


def dual_phase(form: Form) -> Form:
    """The program of the dual ray: variables v, y, z, d."""
    f = form
    one = sp.eye_array(f.n, format="csr")
    empty = sp.csr_array((2 * f.n + f.m, 2 * f.n + f.m))
    free = np.full(f.n, np.inf)
    low = np.where(np.isfinite(np.concatenate([f.AU, f.u])), -np.inf, 0.0)
    high = np.where(np.isfinite(np.concatenate([f.AL, f.l])), np.inf, 0.0)
    return Form(
        P=canonical(sp.block_diag([empty, one], format="csr")),
        c=np.zeros(3 * f.n + f.m),
        A=canonical(sp.hstack([f.P, -f.A.T, -one, -one], format="csr")),
        AL=-f.c,
        AU=-f.c,
        l=np.concatenate([-free, low, -free]),
        u=np.concatenate([free, high, free]),
    )


class Phase:
    """One of the two programs on a scaled form; `step` goes on with it until `done`."""

    def __init__(self, form: Form, *, primal: bool) -> None:
        self.form, self.primal = form, primal
        self.program = primal_phase(form) if primal else dual_phase(form)
        self.interior = Interior(self.program)
        self.polish = Polish(self.program)
        self.done = False
        self.best, self.at = np.inf, self.interior.point()

    @property
    def factorisations(self) -> int:
        return self.interior.kkt.count + self.polish.factorisations

    @property
    def products(self) -> int:
        return self.interior.kkt.products + self.polish.products

    def step(self) -> None:
        """One iteration; at the end the polish."""
        going = self.interior.step()
        self._keep(self.interior.point())
        # The least may be tiny where rows contradict each other by little: its ray needs as many digits as any.
        if going and self.best > GOOD * max(self._size(), NOTHING) and self.interior.iterations < MOST:
            return
        guess, point = Guess(self.program, self.at), self.at
        for _ in range(ROUNDS):
            found = self.polish.round(guess, point)
            if found is None:
                break
            self._keep(found)
        self.done = True

    def _size(self) -> float:
        least = self.at.x[self.form.n :] if self.primal else self.at.x[2 * self.form.n + self.form.m :]
        return float(np.abs(least).max(initial=0))

    def _keep(self, point: PrimalDual) -> None:
        f = self.program
        with np.errstate(over="ignore", invalid="ignore"):
            activity = f.A @ point.x
            wrong = max(
                float(np.abs(f.P @ point.x + f.c - f.A.T @ point.y - point.z).max()),
                float(np.maximum(np.maximum(f.AL - activity, activity - f.AU), 0).max(initial=0)),
                float(np.maximum(np.maximum(f.l - point.x, point.x - f.u), 0).max()),
                float(
                    np.abs(
                        np.where(point.z > 0, point.x - f.l, np.where(point.z < 0, f.u - point.x, 0)) * point.z
                    ).max()
                ),
            )
        if wrong < self.best:
            self.best, self.at = wrong, point

    def ray(self) -> PrimalDual | None:
        """(y, z), or x: the ray in the form's terms; None where the least is 0."""
        f = self.form
        x, y, z = np.zeros(f.n), np.zeros(f.m), np.zeros(f.n)
        if self.primal:
            y = self.at.x[f.n :]
            z = -(f.A.T @ y)
            size = float(np.abs(y).max(initial=0))
        else:
            x = -self.at.x[2 * f.n + f.m :]
            size = float(np.abs(x).max(initial=0))
        return PrimalDual(x, y, z) if size > NOTHING else None
