"""Quadratic programs: how many a solver solves, and how fast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..records import Record
from .groups import by_problem, by_solver, ran
from .intervals import Share, jeffreys
from .profiles import median_times, program_time

SHIFT_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSummary:
    """One solver on all programs.

    Attributes
    ----------
    solver, problems
        And how many problems all solvers have.
    solved
        Of the runs, in time; None without runs.
    failed, unfit, missing
        Runs that failed; problems that it cannot take, and that it has not run yet.
    mean_s
        Shifted geometric mean over problems, exp(mean ln(t + s)) - s with s = 10 ms, of the median time over seeds; problems that it did not solve or
        cannot take count with the time limit.
    bound
        Whether there are such, so that the mean is only a lower bound.
    relative
        To the least mean of all solvers.
    worst
        The largest of each residual among solved runs.
    """

    solver: str
    problems: int
    solved: Share | None
    failed: int
    unfit: int
    missing: int
    mean_s: float
    bound: bool
    relative: float
    worst: Mapping[str, float]


def programs(records: Sequence[Record]) -> list[ProgramSummary]:
    """One a solver, of records of programs under one budget."""
    problems = by_problem(records)
    times = median_times(records)
    # Without a limit in seconds the longest run of all stands for it.
    longest = max((r.solve_s for r in ran(records)), default=0.0)
    limit = max((r.budget.seconds for r in records if r.budget.seconds is not None), default=longest)
    means = {s: _shifted_mean([min(x, limit) for x in t.values()]) for s, t in times.items()}
    least = min(means.values(), default=0.0)
    found = []
    for s, group in by_solver(records).items():
        runs = ran(group)
        had = by_problem(group)
        solved = [r for r in runs if program_time(r) < math.inf]
        worst: dict[str, float] = {}
        for r in solved:
            for name, value in (r.residuals or {}).items():
                worst[name] = max(worst.get(name, 0.0), abs(value))
        found.append(
            ProgramSummary(
                solver=s,
                problems=len(problems),
                solved=jeffreys(len(solved), len(runs)) if runs else None,
                failed=sum(r.outcome == "failed" for r in runs),
                unfit=sum(not ran(g) for g in had.values()),
                missing=len(problems) - len(had),
                mean_s=means[s],
                bound=math.inf in times[s].values(),
                relative=means[s] / least if least > 0 else 1.0,
                worst=worst,
            )
        )
    return found


def _shifted_mean(times: Sequence[float]) -> float:
    return math.expm1(math.fsum(math.log1p(t / SHIFT_S) for t in times) / len(times)) * SHIFT_S
