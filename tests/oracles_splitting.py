"""Slow, obvious versions of the splitting methods' steps, in dense NumPy, from the documentation alone."""

from __future__ import annotations

import numpy as np


class HPROracle:
    """HPR-QP's step with matrices and all products taken anew; P is symmetric (or a diagonal, with a factor for each variable)."""

    def __init__(self, P, c, A, AL, AU, l, u, sigma, lam_A, lam_P, x, w, y, diagonal=False):
        self.P, self.c, self.A, self.AL, self.AU, self.l, self.u = P, c, A, AL, AU, l, u
        self.sigma, self.lam_A = sigma, lam_A
        self.f = 1 / (1 + sigma * (np.diag(P) if diagonal else np.full(len(c), lam_P)))
        self.x, self.w, self.y = x, w, y
        self.x0, self.w0, self.y0 = x, w, y
        self.k = 0

    def step(self):
        s, f = self.sigma, self.f
        h1 = 1 / (self.k + 2)
        h2 = 1 - h1
        zr = self.x + s * (self.A.T @ self.y - self.P @ self.w - self.c)
        self.xb = np.clip(zr, self.l, self.u)
        hat = 2 * self.xb - self.x
        wb = (1 - f) * self.w + f * hat
        a = self.A @ (hat + s * (self.P @ self.w - self.P @ wb))
        r = a - self.lam_A * s * self.y
        self.yb = (np.clip(r, self.AL, self.AU) - r) / (self.lam_A * s)
        self.wb = wb + s * f * (self.A.T @ (self.yb - self.y))
        self.zb = (self.xb - zr) / s
        self.x = h2 * hat + h1 * self.x0
        self.y = h2 * (2 * self.yb - self.y) + h1 * self.y0
        self.w = h2 * (2 * self.wb - self.w) + h1 * self.w0
        self.k += 1


def pdhg(P, c, A, AL, AU, l, u, tau, eta, steps, x, y):
    """Accelerated PDHG from (x, y): the means after so many steps."""
    before, x_mean, y_mean = x, x, y
    for k in range(1, steps + 1):
        beta, theta = (k + 1) / 2, (k - 1) / k
        ahead = A @ (x + theta * (x - before))
        middle = (1 - 1 / beta) * x_mean + x / beta
        t, e = k * tau, k * eta
        y = y - t * (ahead - np.clip(ahead - y / t, AL, AU))
        before, x = x, np.clip(x - e * (P @ middle + c - A.T @ y), l, u)
        x_mean = (1 - 1 / beta) * x_mean + x / beta
        y_mean = (1 - 1 / beta) * y_mean + y / beta
    return x_mean, y_mean
