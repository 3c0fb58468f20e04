"""Intervals and quantiles of small samples, in which a failed run counts as infinitely bad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval. Ends may be infinite.

    Attributes
    ----------
    low, high
    level
        Its confidence: 0.95, or less where the sample is too small for that.
    """

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """k of n, with Jeffreys' interval: quantiles of Beta(k + 1/2, n - k + 1/2), but 0 where k = 0 and 1 where k = n."""

    k: int
    n: int
    interval: Interval

    @property
    def value(self) -> float:
        return self.k / self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Of values of which smaller is better; infinite where runs failed.

    Attributes
    ----------
    n, infinite
        How many values, and how many of them are infinite.
    best, q1, median, q3, worst
    interval
        Of the median, by order statistics; None of a single value.
    """

    n: int
    infinite: int
    best: float
    q1: float
    median: float
    q3: float
    worst: float
    interval: Interval | None


def jeffreys(k: int, n: int, level: float = LEVEL) -> Share:
    """The share k/n of n >= 1 trials."""
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} of {n} is no share")
    beta = stats.beta(k + 0.5, n - k + 0.5)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail))
    high = 1.0 if k == n else float(beta.isf(tail))
    return Share(k=k, n=n, interval=Interval(low=low, high=high, level=level))


def quantile(ordered: Sequence[float], q: float) -> float:
    """Linear between order statistics (Hyndman and Fan's 7th), infinite as soon as it leans on an infinite one. `ordered` ascends."""
    place = q * (len(ordered) - 1)
    k = math.floor(place)
    part = place - k
    if not part or ordered[k] == ordered[k + 1]:
        return float(ordered[k])
    if math.isinf(ordered[k]) or math.isinf(ordered[k + 1]):
        return ordered[k + 1] if ordered[k + 1] == math.inf else -math.inf
    return float(ordered[k] + part * (ordered[k + 1] - ordered[k]))


def median_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Distribution-free interval of the median: the r-th smallest to the r-th largest, r as large as the level allows.

    The median is below x_(r) with the probability P(Bin(n, 1/2) < r), whatever the distribution. Below 6 values even the whole range does not reach 0.95; it
    is returned with the level that it has. None of a single value.
    """
    n = len(values)
    if n < 2:
        return None
    ordered = sorted(values)
    # The least count whose probability or less exceeds the tail: one count fewer does not.
    r = max(1, int(stats.binom.ppf((1 - level) / 2, n, 0.5)))
    has = 1 - 2 * float(stats.binom.cdf(r - 1, n, 0.5))
    return Interval(low=ordered[r - 1], high=ordered[n - r], level=min(has, level))


def quantiles(values: Sequence[float]) -> Quantiles | None:
    """None of no values."""
    if not values:
        return None
    x = sorted(float(v) for v in values)
    return Quantiles(
        n=len(x),
        infinite=sum(map(math.isinf, x)),
        best=x[0],
        q1=quantile(x, 0.25),
        median=quantile(x, 0.5),
        q3=quantile(x, 0.75),
        worst=x[-1],
        interval=median_interval(x),
    )
