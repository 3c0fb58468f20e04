"""Natural logarithms from sums, products, divisions and bits alone, so that no library's rounding enters: each within 1e-15 of the true value, relative.

x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2);  ln x = k ln 2 + ln(1 + f);  ln(1 + f) = f - f^2/2 + s (f^2/2 + R),
s = f/(2 + f),  R = 2 (s^2/3 + s^4/5 + ... + s^20/21), the series of atanh
"""

from __future__ import annotations

import numpy as np

from .jit import helper

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROOT = np.int64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
_SMALLEST, _LARGEST = 2.0**-1022, 1.7976931348623157e308


@helper
def _sum(k, f, rest):
    """k ln 2 + ln(1 + f) + rest, for a rest that is tiny."""
    s = f / (2.0 + f)
    z = s * s
    p = 2.0 / 21
    p = p * z + 2.0 / 19
    p = p * z + 2.0 / 17
    p = p * z + 2.0 / 15
    p = p * z + 2.0 / 13
    p = p * z + 2.0 / 11
    p = p * z + 2.0 / 9
    p = p * z + 2.0 / 7
    p = p * z + 2.0 / 5
    p = p * z + 2.0 / 3
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + p * z) + (k * _LN2_LOW + rest))) - f)


@helper
def _exponent(x):
    """k of a normal x > 0."""
    return (np.float64(x).view(np.int64) - _ROOT) >> 52


@helper
def _scaled(x, k):
    """x 2^-k, in [sqrt(1/2), sqrt(2)), for its own k."""
    return np.int64(np.float64(x).view(np.int64) - (k << 52)).view(np.float64)


@helper
def ln(x):
    """ln(x) for 0 < x < inf; x itself where it is inf or NaN, -inf at 0."""
    if not x <= _LARGEST:
        return x
    shift = 0.0
    if x < _SMALLEST:
        if x == 0.0:
            return -np.inf
        x = x * 2.0**54
        shift = 54.0
    k = _exponent(x)
    return _sum(k - shift, _scaled(x, k) - 1.0, 0.0)


@helper
def ln_plus_one(x):
    """ln(1 + x) for x > -1, with all digits where x is tiny; x itself where it is inf or NaN."""
    if not x <= _LARGEST:
        return x
    if -0.25 < x < 0.375:
        return _sum(0.0, x, 0.0)
    y = 1.0 + x
    k = _exponent(y)
    # What rounding took from 1 + x.
    lost = (x - (y - 1.0)) if x < 1.0 else (1.0 - (y - x))
    return _sum(k + 0.0, _scaled(y, k) - 1.0, lost / y)
