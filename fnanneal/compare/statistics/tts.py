"""Time to solution: how long restarts take to hit a target with 99 % confidence, at the best run length.

    TTS(t) = t max(1, ln(1 - 0.99) / ln(1 - p(t)))        TTS = min over hit times t of TTS(t)

p(t) is the Kaplan-Meier share of runs that have hit by t: a run that was cut off before t is no failure at t. (Ronnow et al. 2014.) Of few runs the bare share
misleads, in two ways, against which there are two measures:

    The share k/n is measured at the very moment of a hit, and 1 if all hit. The chance of a run to hit by the k-th of n hits is k/(n + 1) in the mean: one more
    run is imagined, which never hits.
    The minimum picks, of many noisy estimates, the luckiest: that of the first hits. Only run lengths within which at least K^(2/3) of all K hits fall are considered; with
    more runs that share goes to 0, and the noise too.

Without them the interval holds the true value of exponential times in 2 of 100 cases for five runs; with them in about 95 (docs/statistics.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .bootstrap import Floats, bca, leave_one_out, resamples
from .intervals import Interval, jeffreys
from .survival import Observations

# ln(1 - 0.99)
LOG_MISS = math.log(0.01)
# Of K hits, how many must fall within a run length: K to this power.
SETTLED = 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeToSolution:
    """TTS99, in the unit of the observations.

    Attributes
    ----------
    value
        None where no run hit: then only `bound` is known.
    run_length
        The run length at which it is least.
    interval
        95 %, BCa bootstrap over the runs and the imagined one, widened to `plug_in`; its upper end may be infinite. None where no run hit, and of a single run.
    plug_in
        The same with the bare share of runs, and so t itself where all hit by t: biased low. None where no run hit.
    bound
        Where no run hit: it is above this with 97.5 % confidence, for restarts after the mean run's length.
    exponential
        ln(100) x total time / hits: what it is if hitting times are exponential; None where no run hit.
    hits, n
    """

    value: float | None
    run_length: float | None
    interval: Interval | None
    plug_in: float | None
    bound: float | None
    exponential: float | None
    hits: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """TTS of the second solver over that of the first: above 1 the first is faster.

    Attributes
    ----------
    value
        Infinite where only the first hit, 0 where only the second did; None where neither.
    interval
        None where there is none to be had.
    """

    value: float | None
    interval: Interval | None


def time_to_solution(observations: Observations) -> TimeToSolution:
    """TTS99 of one solver on one problem."""
    n, hits = len(observations.times), sum(observations.hits)
    total = math.fsum(observations.spent)
    if not hits:
        upper = jeffreys(0, n).interval.high
        return TimeToSolution(
            value=None,
            run_length=None,
            interval=None,
            plug_in=None,
            bound=total / n * max(1.0, LOG_MISS / math.log1p(-upper)),
            exponential=None,
            hits=0,
            n=n,
        )
    values, lengths = _least(np.ones((1, n)), observations)
    value = float(values[0])
    plug_in = _plug_in(observations)
    interval = None
    if n > 1:
        jackknife = _bounded(_least(leave_one_out(n), observations)[0] / (value or 1.0))
        ends = bca(value, _replicates(observations), [jackknife])
        interval = replace(ends, low=min(ends.low, plug_in))
    return TimeToSolution(
        value=value,
        run_length=float(lengths[0]),
        interval=interval,
        plug_in=plug_in,
        bound=None,
        exponential=-LOG_MISS * total / hits,
        hits=hits,
        n=n,
    )


def tts_ratio(first: Observations, second: Observations) -> Ratio:
    """The second's TTS99 over the first's, with a BCa interval that resamples the runs of both."""
    n, m = len(first.times), len(second.times)
    a, b = (_least(np.ones((1, len(o.times))), o)[0] for o in (first, second))
    if np.isinf(a[0]) and np.isinf(b[0]):
        return Ratio(value=None, interval=None)
    share = _second_share(a, b)
    interval = None
    if n > 1 and m > 1:
        replicates = _second_share(_replicates(first), _replicates(second, stream=1))
        # Where neither hits the ratio may be anything: half of these resamples count for each end.
        unknown = np.flatnonzero(np.isnan(replicates))
        replicates[unknown[::2]], replicates[unknown[1::2]] = 0.0, 1.0
        jackknife = [
            np.nan_to_num(_second_share(_least(leave_one_out(n), first)[0], b), nan=0.5),
            np.nan_to_num(_second_share(a, _least(leave_one_out(m), second)[0]), nan=0.5),
        ]
        ends = bca(float(share[0]), replicates, jackknife)
        bare = _second_share(np.array([_plug_in(first)]), np.array([_plug_in(second)]))[0]
        low, high = min(ends.low, bare), max(ends.high, bare)
        interval = Interval(low=_odds(low), high=_odds(high), level=ends.level)
    return Ratio(value=_odds(float(share[0])), interval=interval)


def _least(weights: Floats, observations: Observations, imagined: int = 1) -> tuple[Floats, Floats]:
    """min over t of TTS(t), and that t, of each row of weights of the runs; infinite where no run of weight hit."""
    times, hits = np.array(observations.times), np.array(observations.hits)
    t = np.unique(times[hits])
    if not len(t):
        return np.full(len(weights), np.inf), np.full(len(weights), np.inf)
    hit_now = weights @ (hits[:, None] & (times[:, None] == t)).astype(np.float64)
    at_risk = weights @ (times[:, None] >= t).astype(np.float64) + imagined
    missing = np.cumprod(1 - hit_now / np.maximum(at_risk, 1), axis=1)
    with np.errstate(divide="ignore"):
        tts = t * np.maximum(1.0, LOG_MISS / np.log(np.minimum(missing, 1 - 1e-15)))
    so_far = np.cumsum(hit_now, axis=1)
    tts[(so_far < so_far[:, -1:] ** SETTLED - 1e-9) | (so_far == 0)] = np.inf
    k = np.argmin(tts, axis=1)
    return tts[np.arange(len(tts)), k], t[k]


def _replicates(observations: Observations, stream: int = 0) -> Floats:
    """TTS of resamples, into which the imagined run may be drawn too: if all runs hit, chance alone may have had it so."""
    n = len(observations.times)
    more = replace(observations, times=(*observations.times, math.inf), hits=(*observations.hits, False))
    return _least(resamples(n + 1, n, stream), more)[0]


def _plug_in(observations: Observations) -> float:
    return float(_least(np.ones((1, len(observations.times))), observations, imagined=0)[0][0])


def _bounded(x: Floats) -> Floats:
    """x/(1 + x), which is 1 for infinity."""
    return 1 - 1 / (1 + x)


def _second_share(first: Floats, second: Floats) -> Floats:
    """r/(1 + r) of the ratio r of the second to the first; NaN where both are infinite, and 1/2 where both are 0."""
    first, second = np.broadcast_arrays(first, second)
    with np.errstate(invalid="ignore"):
        share = second / (first + second)
    share[np.isinf(second) & np.isfinite(first)] = 1.0
    share[(first == 0) & (second == 0)] = 0.5
    return np.asarray(share, dtype=np.float64)


def _odds(share: float) -> float:
    return share / (1 - share) if share < 1 else math.inf
