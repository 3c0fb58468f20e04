"""BCa: the bias-corrected and accelerated bootstrap interval (Efron 1987).

    z0 = Phi^-1(share of replicates below the estimate, ties half)      a = skewness of the jackknife / 6
    ends: the quantiles Phi(z0 + (z0 + z)/(1 - a(z0 + z))) of the replicates, z = -+1.96

Statistics may be infinite here (a resample in which no run hit), and samples as small as two, where `scipy.stats.bootstrap` gives NaN: so quantiles are order
statistics, never interpolated, the jackknife is taken of bounded values, and where nothing varies z0 or a is 0. Resamples are the same in every call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from .intervals import LEVEL, Interval

RESAMPLES = 2000
SEED = 20240607

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def resamples(n: int, draws: int | None = None, stream: int = 0) -> Floats:
    """How often each of n values is drawn in so many draws (default: n), (RESAMPLES, n). Streams are independent."""
    rng = np.random.default_rng((SEED, stream))
    counts = rng.multinomial(draws or n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    counts.flags.writeable = False
    return counts


def leave_one_out(n: int) -> Floats:
    """The jackknife's counts, (n, n)."""
    return 1.0 - np.eye(n)


def bca(value: float, replicates: Floats, jackknife: Sequence[Floats], level: float = LEVEL) -> Interval:
    """The interval of a statistic.

    Parameters
    ----------
    value
        The estimate. An interval that excludes it is widened to it.
    replicates
        Of resamples. Infinite ones are allowed.
    jackknife
        Finite values of the statistic (or of a monotone function of it) without each value of each sample in turn.
    """
    ordered = np.sort(replicates)
    b = len(ordered)
    below = (np.count_nonzero(ordered < value) + np.count_nonzero(ordered == value) / 2) / b
    z0 = float(ndtri(min(max(below, 0.5 / b), 1 - 0.5 / b)))
    a = _acceleration(jackknife)
    ends = []
    for z in (float(ndtri((1 - level) / 2)), float(ndtri((1 + level) / 2))):
        share = float(ndtr(z0 + (z0 + z) / max(1 - a * (z0 + z), 1e-12)))
        ends.append(float(ordered[min(max(math.ceil(share * b) - 1, 0), b - 1)]))
    return Interval(low=min(ends[0], value), high=max(ends[1], value), level=level)


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Of the mean of values, in any order; None of fewer than two."""
    n = len(values)
    if n < 2:
        return None
    x = np.sort(np.asarray(values, dtype=np.float64))
    # An estimate that adds up in another order than the replicates would not tie with them.
    return bca(float((np.ones((1, n)) @ x)[0] / n), resamples(n) @ x / n, [leave_one_out(n) @ x / (n - 1)])


def _acceleration(jackknife: Sequence[Floats]) -> float:
    cubes = squares = 0.0
    for sample in jackknife:
        n = len(sample)
        pull = (n - 1) * (sample.mean() - sample)
        cubes += float((pull**3).sum()) / n**3
        squares += float((pull**2).sum()) / n**2
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0
