"""Time to a target of runs that may end before: the Kaplan-Meier estimate.

    S(t) = product over hit times t_j <= t of (1 - d_j/n_j)      d_j hits at t_j, n_j runs not hit and not ended before t_j

and 1 - S(t) is the share of runs that have hit by t. (Kaplan and Meier 1958.) Its band is the log-log one: with Greenwood's
V = sum d_j/(n_j (n_j - d_j)), S^exp(+-z sqrt(V)/ln S), which stays in [0, 1] (Kalbfleisch and Prentice 1980).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri

from ...result import Number, Status
from ..records import Record
from .gaps import Reference
from .groups import ran
from .intervals import LEVEL, jeffreys

# How far the length of a run may be off its budget.
SLACK = 0.1

# What a run had used by a time: seconds, spin tests, joules; None where nobody counted.
Clock = Callable[[Record, float], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """When runs hit a target, in seconds or another unit; in ascending order.

    Attributes
    ----------
    times
        Until the hit, or until observation ended without one; infinite for runs that ended for good without one.
    hits
        Whether the run hit.
    spent
        What each run used until its hit or its end; failed ones are charged a whole run.
    """

    times: tuple[float, ...]
    hits: tuple[bool, ...]
    spent: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Share of runs that have hit by a time: a step function, 0 before the first of `times`.

    Attributes
    ----------
    times, share, low, high
        `share[k]` holds from `times[k]` to the next; its pointwise band, empty where there is none.
    end
        Until when runs were observed; the curve ends there.
    at_risk
        Runs still observed and not hit just before `times[k]`.
    n, hits
    """

    times: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    end: float
    at_risk: tuple[int, ...]
    n: int
    hits: int

    @property
    def median(self) -> float | None:
        """When half of the runs have hit; None where that was not reached."""
        return next((t for t, s in zip(self.times, self.share, strict=True) if s >= 0.5 - 1e-12), None)

    def at(self, time: float) -> float:
        """The share by a time."""
        k = bisect_right(self.times, time)
        return self.share[k - 1] if k else 0.0


def observe(
    records: Sequence[Record], ref: Reference, theta: float, clock: Clock | Literal["seconds", "spin_tests"] = "seconds"
) -> Observations | None:
    """When the runs of one solver on one problem came within the gap `theta`.

    A run that failed never hits, however long one waits; nor does one that ended well before its budget. A run that used its budget is censored at its end.
    Budgets do not cut all runs at quite the same time: what others hit within a tenth of a run's length after its end, that run counts as not having hit.
    A hit more than a tenth after a time limit is none.

    Parameters
    ----------
    clock
        The unit: seconds, or spin tests, which are taken to be spread evenly over a run; or what a run had used by a time.

    Returns
    -------
    Observations | None
        None without runs, or where the clock does not know a run that did not fail.
    """
    if not callable(clock):
        clock = _seconds if clock == "seconds" else _spin_tests
    target = ref.target(theta)
    hit: list[float] = []
    cut: list[float] = []
    never: list[float | None] = []
    for r in ran(records):
        limit = (1 + SLACK) * r.budget.seconds if r.budget.seconds is not None else math.inf
        if r.outcome == "failed" or r.objective is None:
            never.append(None)
            continue
        at = _seconds_to(r, target)
        met = at is not None and at <= limit
        used = clock(r, at if met and at is not None else min(r.solve_s, limit))
        if used is None:
            return None
        if met:
            hit.append(used)
        elif _ended_early(r):
            never.append(used)
        else:
            cut.append(used)
    if not hit and not cut and not never:
        return None
    # Failed runs may not look cheap: each is charged a whole run, the longest there was, or its time limit.
    spent = [x for x in (*hit, *cut, *never) if x is not None]
    if clock is _seconds:
        spent += [r.budget.seconds for r in records if r.budget.seconds is not None]
    charge = max(spent, default=0.0)
    rows = [(x, True, x) for x in hit]
    rows += [(max([x, *(h for h in hit if h <= (1 + SLACK) * x)]), False, x) for x in cut]
    rows += [(math.inf, False, charge if x is None else x) for x in never]
    rows.sort()
    times, hits, used_up = zip(*rows, strict=True)
    return Observations(times=times, hits=hits, spent=used_up)


def kaplan_meier(observations: Observations, level: float = LEVEL) -> Curve:
    """The curve of one solver on one problem."""
    z = float(ndtri((1 + level) / 2))
    survival, variance = 1.0, 0.0
    times, share = list[float](), list[float]()
    low, high, at_risk = list[float](), list[float](), list[int]()
    for t in sorted({x for x, h in zip(observations.times, observations.hits, strict=True) if h}):
        n = sum(x >= t for x in observations.times)
        d = sum(h and x == t for x, h in zip(observations.times, observations.hits, strict=True))
        survival *= 1 - d / n
        if d < n:
            variance += d / (n * (n - d))
            spread = math.exp(z * math.sqrt(variance) / abs(math.log(survival)))
            band = (1 - survival ** (1 / spread), 1 - survival**spread)
        else:
            # Greenwood's variance has no value where nobody is left. Those who were all hit: Jeffreys' end of n of n, on top of the band so far.
            band = (1 - (1 - (low[-1] if low else 0.0)) * (1 - jeffreys(n, n, level).interval.low), 1.0)
        times.append(t)
        share.append(1 - survival)
        low.append(band[0])
        high.append(band[1])
        at_risk.append(n)
    finite = [x for x in observations.times if x < math.inf]
    return Curve(
        times=tuple(times),
        share=tuple(share),
        low=tuple(low),
        high=tuple(high),
        end=max(finite or observations.spent),
        at_risk=tuple(at_risk),
        n=len(observations.times),
        hits=sum(observations.hits),
    )


def mean_curve(curves: Sequence[Curve]) -> Curve | None:
    """The mean over problems, each weighing the same; without a band, since runs on one problem are no independent draws of problems.

    A curve counts beyond its end with its last value. None of no curves.
    """
    if not curves:
        return None
    times = sorted({t for c in curves for t in c.times})
    share = [math.fsum(c.at(t) for c in curves) / len(curves) for t in times]
    return Curve(
        times=tuple(times),
        share=tuple(share),
        low=(),
        high=(),
        end=max(c.end for c in curves),
        at_risk=(),
        n=sum(c.n for c in curves),
        hits=sum(c.hits for c in curves),
    )


def _seconds(record: Record, seconds: float) -> float:
    return seconds


def _spin_tests(record: Record, seconds: float) -> float | None:
    if record.spin_tests is None:
        return None
    return record.spin_tests * (min(seconds / record.solve_s, 1.0) if record.solve_s > 0 else 1.0)


def _seconds_to(record: Record, target: Number) -> float | None:
    """Until the target, if what we recomputed meets it; solvers that keep no trace, or round in it, hit when they had their best."""
    met = record.objective is not None and (
        record.objective >= target if record.sense == "max" else record.objective <= target
    )
    if not met:
        return None
    at = record.seconds_to(target)
    if at is None:
        at = record.to_best_s if record.to_best_s is not None else record.solve_s
    return max(at, 0.0)


def _ended_early(record: Record) -> bool:
    if record.status in (Status.INTERRUPTED, Status.TARGET):
        # Not by itself: it was stopped, maybe at what was the best known value then.
        return False
    if record.budget.seconds is not None:
        return record.solve_s < (1 - SLACK) * record.budget.seconds
    return record.spin_tests is not None and record.spin_tests < (1 - SLACK) * (record.budget.spin_tests or 0)
