"""The temperature of an anneal of `boxqp`: the Fowler-Nordheim timer's, by arithmetic that a GPU repeats bit for bit."""

from __future__ import annotations

import math

from .jit import helper

_LN2 = 0.6931471805599453


@helper
def log1p(x):
    """ln(1 + x) for x >= 0 to a unit or two in the last place, in sums, products and quotients alone: the same on a GPU."""
    if x > 1e308:
        return x
    halvings = 0
    if x < 0.4:
        s = x / (2.0 + x)
    else:
        m = 1.0 + x
        while m > 1.42:
            m *= 0.5
            halvings += 1
        s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = 1.0 / 23.0
    p = p * q + 1.0 / 21.0
    p = p * q + 1.0 / 19.0
    p = p * q + 1.0 / 17.0
    p = p * q + 1.0 / 15.0
    p = p * q + 1.0 / 13.0
    p = p * q + 1.0 / 11.0
    p = p * q + 1.0 / 9.0
    p = p * q + 1.0 / 7.0
    p = p * q + 1.0 / 5.0
    p = p * q + 1.0 / 3.0
    p = p * q + 1.0
    return halvings * _LN2 + 2.0 * s * p


@helper
def temperature(hot, cold, kappa, t):
    """Of the FN timer between hot and cold."""
    if not cold < hot:
        return cold
    k2 = kappa / (1.0 / cold - 1.0 / hot)
    return k2 / (k2 / hot + log1p(math.expm1(kappa) * t))
