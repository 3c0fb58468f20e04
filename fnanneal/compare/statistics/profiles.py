"""Profiles over a set of problems: how often a solver is near the best, and how much it solves in a given time."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..records import Record
from .gaps import Reference, known_or_found, median_gaps
from .groups import by_problem, by_solver, ran
from .survival import SLACK, kaplan_meier, observe

CLOCK_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A step function over `n` problems: `share[k]` of them from `x[k]` on; 0 before the first x.

    Attributes
    ----------
    x, share
    n
        All problems; those that a solver did not solve, could not take or has not run yet count as unsolved in `share`.
    """

    x: tuple[float, ...]
    share: tuple[float, ...]
    n: int


def median_times(
    records: Sequence[Record],
    theta: float = 0.0,
    known: Mapping[str, Reference] | None = None,
    *,
    unit: Literal["seconds", "spin_tests"] = "seconds",
) -> dict[str, dict[str, float]]:
    """Median time to the gap theta, by solver and problem: every solver on every problem.

    Infinite where fewer than half of the runs hit, and where there were none. Solvers that do not count the unit are left out. Programs must be solved,
    whatever theta is.
    """
    problems = by_problem(records)
    refs = known_or_found(problems, known)
    found: dict[str, dict[str, float]] = {s: dict.fromkeys(problems, math.inf) for s in by_solver(records)}
    for name, group in problems.items():
        for s, runs in by_solver(group).items():
            if not ran(runs) or s not in found:
                continue
            if runs[0].kind == "qp":
                found[s][name] = _lower_median([program_time(r) for r in ran(runs)])
            elif name in refs:
                seen = observe(runs, refs[name], theta, unit)
                if seen is None:
                    del found[s]
                else:
                    median = kaplan_meier(seen).median
                    found[s][name] = math.inf if median is None else median
    return found


def performance_profiles(times: Mapping[str, Mapping[str, float]]) -> dict[str, Profile]:
    """By solver: share of problems on which its time is at most x times the best solver's (Dolan and Moré 2002).

    `times` are by solver and problem, as `median_times` gives them. Times below a microsecond count as one.
    """
    problems = _problems(times)
    best = {p: max(min(t.get(p, math.inf) for t in times.values()), CLOCK_S) for p in problems}
    return {
        s: _profile([max(t.get(p, math.inf), CLOCK_S) / best[p] if best[p] < math.inf else math.inf for p in problems])
        for s, t in times.items()
    }


def data_profiles(times: Mapping[str, Mapping[str, float]]) -> dict[str, Profile]:
    """By solver: share of problems solved within x, in the unit of the times (after Moré and Wild 2009)."""
    problems = _problems(times)
    return {s: _profile([t.get(p, math.inf) for p in problems]) for s, t in times.items()}


def gap_profiles(records: Sequence[Record], known: Mapping[str, Reference] | None = None) -> dict[str, Profile]:
    """By solver: share of problems whose median gap is at most x. Problems whose reference is 0 are left out."""
    refs = known_or_found(by_problem(records), known)
    problems = [p for p, ref in refs.items() if not ref.absolute]
    return {s: _profile([each.get(p, math.inf) for p in problems]) for s, each in median_gaps(records, refs).items()}


def program_time(record: Record) -> float:
    """Seconds until a program was solved; infinite where it was not, or came over a tenth too late."""
    limit = (1 + SLACK) * record.budget.seconds if record.budget.seconds is not None else math.inf
    return record.solve_s if record.outcome == "done" and record.solved and record.solve_s <= limit else math.inf


def _problems(times: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(p for t in times.values() for p in t))


def _profile(values: Sequence[float]) -> Profile:
    finite = sorted(v for v in values if v < math.inf)
    x = sorted(set(finite))
    return Profile(x=tuple(x), share=tuple(bisect_right(finite, v) / len(values) for v in x), n=len(values))


def _lower_median(values: Sequence[float]) -> float:
    """As the median of a Kaplan-Meier curve: when half of the runs had solved it."""
    return sorted(values)[(len(values) - 1) // 2]
