"""Two solvers on the same quadratic programs, by the time to solve them; and what solving them costs in joules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from scipy import stats

from ...energy import account, technologies
from ..records import Record
from .groups import by_problem, by_solver
from .intervals import Interval, quantile
from .paired import ALPHA, hodges_lehmann, holm, signed_rank
from .profiles import CLOCK_S, median_times


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramPair:
    """The first solver against the second, by median times over seeds; an unsolved program is slower than any solved one, and two unsolved ones are a tie.

    Attributes
    ----------
    programs
        That both were run on.
    faster, ties, slower
        Of the first.
    only_first, only_second
        Programs that one of the two solved alone.
    sign_p, wilcoxon_p, sign_holm, wilcoxon_holm
        Two-sided and exact, of the logarithms of the ratios of times; then corrected for all pairs compared at once (`paired.holm`).
    ratio, interval
        How many times as fast the first is on the programs that both solved: Hodges-Lehmann estimate, with the interval by inverting Wilcoxon's test. None without such programs.
    enough
        Whether a clean sweep could have been significant at 5 % after correction.
    """

    first: str
    second: str
    programs: int
    faster: int
    ties: int
    slower: int
    only_first: int
    only_second: int
    sign_p: float | None
    wilcoxon_p: float | None
    ratio: float | None
    interval: Interval | None
    enough: bool
    sign_holm: float | None = None
    wilcoxon_holm: float | None = None

    @property
    def significant(self) -> bool:
        """By Wilcoxon's test, corrected, at 5 %."""
        return self.wilcoxon_holm is not None and self.wilcoxon_holm <= ALPHA


def program_pairs(records: Sequence[Record], *, baseline: str | None = None) -> list[ProgramPair]:
    """The baseline against every other solver; without one, all pairs."""
    times = median_times(records)
    ran = {s: {p for p, runs in by_problem(group).items() if any(r.outcome != "unfit" for r in runs)} for s, group in by_solver(records).items()}  # fmt: skip
    chosen = [(a, b) for a, b in combinations(times, 2) if baseline is None]
    chosen += [(baseline, s) for s in times if baseline in times and s != baseline]
    pairs = [_pair(a, b, times[a], times[b], sorted(ran[a] & ran[b]), len(chosen)) for a, b in chosen]
    sign, wilcoxon = holm([p.sign_p for p in pairs]), holm([p.wilcoxon_p for p in pairs])
    return [replace(p, sign_holm=s, wilcoxon_holm=w) for p, s, w in zip(pairs, sign, wilcoxon, strict=True)]


def _pair(a: str, b: str, mine: Mapping[str, float], others: Mapping[str, float], both: Sequence[str], pairs: int) -> ProgramPair:  # fmt: skip
    gains = [_gain(mine[p], others[p]) for p in both]
    faster, slower = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
    finite = [g for g, p in zip(gains, both, strict=True) if mine[p] < math.inf and others[p] < math.inf]
    middle, around = hodges_lehmann(finite) if finite else (None, None)
    return ProgramPair(
        first=a,
        second=b,
        programs=len(both),
        faster=faster,
        ties=len(both) - faster - slower,
        slower=slower,
        only_first=gains.count(math.inf),
        only_second=gains.count(-math.inf),
        sign_p=float(stats.binomtest(faster, faster + slower).pvalue) if faster + slower else 1.0 if both else None,
        wilcoxon_p=signed_rank(gains) if both else None,
        ratio=None if middle is None else math.exp(middle),
        interval=None if around is None else replace(around, low=math.exp(around.low), high=math.exp(around.high)),
        enough=bool(both) and pairs * 2.0 ** (1 - len(both)) <= ALPHA,
    )


def _gain(mine: float, other: float) -> float:
    """ln(other/mine); two unsolved ones are equal."""
    if mine == other:
        return 0.0
    if math.inf in (mine, other):
        return math.inf if other == math.inf else -math.inf
    # Ratios that are equal as fractions may differ in their last digit, which would break ties between ranks.
    return round(math.log(max(other, CLOCK_S) / max(mine, CLOCK_S)), 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEnergy:
    """Modelled joules that a solver needed for a program: the median over its solved runs, by technology, None where no event has a figure there; `partial`: technologies that do not cover all."""

    problem: str
    solver: str
    joules: Mapping[str, float | None]
    partial: frozenset[str]


def program_energies(records: Sequence[Record]) -> list[ProgramEnergy]:
    """Of each program and solver that counts its events and has solved it."""
    found = []
    for problem, group in by_problem(records).items():
        for solver, runs in by_solver(group).items():
            solved = [r for r in runs if r.solved and r.events is not None]
            if not solved:
                continue
            joules: dict[str, float | None] = {}
            partial = set()
            for name, tech in technologies().items():
                accounts = [account(r.events or {}, tech, real_numbers=r.real_numbers) for r in solved]
                known = sorted(a.joules for a in accounts if a.joules is not None)
                joules[name] = quantile(known, 0.5) if len(known) == len(accounts) else None
                if any(a.status == "partial" for a in accounts):
                    partial.add(name)
            found.append(ProgramEnergy(problem=problem, solver=solver, joules=joules, partial=frozenset(partial)))
    return found
