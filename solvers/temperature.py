"""The range of temperatures that an instance calls for, from the gains at some of its local optima."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..result import Spins
from .system import SpinSystem

GREEDY = 16
COLDEST = 1e-30
HOT, COLD = 0.5, 0.25
FEWEST, MOST, PLENTY = 4, 16, 200_000
SATURATED, REACH, ACCIDENT, MOBILE = 0.75, 3.0, 3.5, 2
STEPS, TINY = 64, 1e-300
SOFT_HOT, SOFT_COLD = 0.55, 0.14
_ROOTS = (1.0, 0.8408964152537145, 0.7071067811865476, 0.5946035575013605)


def optima_wanted(n: int) -> int:
    """How many local optima of n spins `temperature_range` is best given."""
    return min(max(PLENTY // n, FEWEST), MOST)


def temperature_range(
    system: SpinSystem, optima: Spins, span: float, fields: NDArray[Any] | None = None
) -> tuple[float, float]:
    """Hot and cold temperature, in units of the gain.

    At a local optimum, such as `GREEDY` greedy sweeps from a random state give, every spin has a loss, -gain >= 0. T_hot is half the
    mean of the first optimum's positive losses, T_cold the smaller of T_hot/span and a quarter of their 10 % quantile; but where there
    are penalties, T_hot is 0.55 and T_cold 0.14 of the temperature at which the other losses saturate (`soft_temperature`).

    Parameters
    ----------
    optima
        (k, n), k >= 1, from independent random states.
    fields
        (k, n): their local fields, if they are at hand.
    """
    if fields is None:
        fields = np.array([system.local_fields(s) for s in optima])
    losses = -(optima.astype(np.float64) * fields)
    positive = losses[0][losses[0] > 0]
    if not positive.size:
        return 1.0, 0.1
    hot = HOT * float(positive.mean())
    soft = soft_temperature(losses[:, :: max(1, FEWEST * system.n // PLENTY)], hot)
    if soft is not None:
        return SOFT_HOT * soft, SOFT_COLD * soft
    return hot, min(COLD * float(np.quantile(positive, 0.1)), hot / span)


def soft_temperature(losses: NDArray[np.float64], hot: float) -> float | None:
    """The lowest temperature where a soft kind of flip is saturated, while penalties are out of reach: None where there is none below hot.

        activity a(T) = sum exp(-loss/T)        its slope d ln a/d ln T = (mean loss of what is active)/T

    The slope of losses of one scale is at least 1, and above hot/2 or so in every Gset graph; at `SATURATED` or less, what can be flipped is
    flipped all the time, and more heat only breaks penalties. Spins that are soft in every optimum, as those on weak edges are, say nothing of the
    others: in the union of the optima `MOBILE` times as many spins must be soft (loss up to `REACH` T) as in one of them. And of d such spins
    the slope, 1 at least, is estimated with a standard deviation of about 0.9/sqrt(d): four of these, somewhere above, are no accident. In the
    independent sets of a dense graph, one vertex in a hundred is chosen and soft, another one in each optimum, while to add any other costs a multiple of the penalty.

    Parameters
    ----------
    losses
        (k, n), of k optima.
    """
    found, counts = np.unique(losses[losses > 0], return_counts=True)
    begun = None
    for k in range(STEPS - 1, 0, -1):
        t = float(np.ldexp(hot * _ROOTS[k % 4], -(k // 4)))
        active = counts * np.exp(-found / t)
        slope = float((found * active).sum()) / (t * max(float(active.sum()), TINY))
        if slope > SATURATED:
            begun = None
            continue
        begun = t if begun is None else begun
        soft = (losses > 0) & (losses <= REACH * t)
        distinct = max(int(soft.any(axis=0).sum()), 1)
        if distinct * losses.shape[0] >= MOBILE * soft.sum() and slope <= 1 - ACCIDENT / math.sqrt(distinct):
            return begun
    return None
