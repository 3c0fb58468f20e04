"""Who wins where, by how much."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..records import Record
from .bootstrap import mean_interval
from .gaps import Reference, known_or_found, median_gaps, winners
from .groups import by_problem, by_solver
from .intervals import Interval
from .paired import Pair, compare_pairs
from .survival import Observations, observe
from .tts import Ratio, tts_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """The first solver against another.

    Attributes
    ----------
    pair
        By median gaps.
    ratios
        By problem: TTS99 of the other over that of the first; above 1 the first is faster.
    ratio
        Their geometric mean over the problems where both have one; None without such.
    interval
        Of the mean, BCa over problems; None of fewer than two.
    only_first, only_second, neither
        Problems on which only the one, only the other, neither hit the target.
    """

    pair: Pair
    ratios: Mapping[str, Ratio]
    ratio: float | None
    interval: Interval | None
    only_first: int
    only_second: int
    neither: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Who wins.

    Attributes
    ----------
    winners
        By problem: the solvers with the best median gap, ties included; () where every run failed.
    records
        Problems on which a best known value was beaten.
    duels
        Of the first solver with every other, p-values corrected over them.
    """

    winners: Mapping[str, tuple[str, ...]]
    records: tuple[str, ...]
    duels: tuple[Duel, ...]

    @property
    def wins(self) -> Mapping[str, int]:
        """Problems that each solver wins or shares."""
        found: dict[str, int] = {}
        for solvers in self.winners.values():
            for s in solvers:
                found[s] = found.get(s, 0) + 1
        return found


def headline(
    records: Sequence[Record],
    theta: float = 0.0,
    known: Mapping[str, Reference] | None = None,
    *,
    first: str | None = None,
) -> Headline:
    """Of records of spins under one budget. `first`: whose duels; by default the solver of the first record."""
    problems = by_problem(records)
    refs = known_or_found(problems, known)
    medians = median_gaps(records, refs)
    if not records:
        return Headline(winners={}, records=(), duels=())
    first = records[0].solver if first is None else first
    pairs = compare_pairs(records, refs, baseline=first)
    seen = {
        s: {name: o for name, ref in refs.items() if (o := observe(runs[name], ref, theta)) is not None}
        for s, runs in _by_both(problems).items()
    }
    return Headline(
        winners=winners(medians, refs),
        records=tuple(name for name, ref in refs.items() if ref.beaten),
        duels=tuple(_duel(pair, seen[pair.first], seen[pair.second]) for pair in pairs),
    )


def _by_both(problems: Mapping[str, Sequence[Record]]) -> dict[str, defaultdict[str, list[Record]]]:
    found: dict[str, defaultdict[str, list[Record]]] = {}
    for name, group in problems.items():
        for solver, runs in by_solver(group).items():
            found.setdefault(solver, defaultdict(list))[name] = runs
    return found


def _duel(pair: Pair, mine: Mapping[str, Observations], others: Mapping[str, Observations]) -> Duel:
    both = [name for name in mine if name in others]
    ratios = {name: tts_ratio(mine[name], others[name]) for name in both}
    values = [r.value for r in ratios.values() if r.value is not None]
    logs = [math.log(v) for v in values if 0 < v < math.inf]
    ends = mean_interval(logs)
    return Duel(
        pair=pair,
        ratios=ratios,
        ratio=math.exp(math.fsum(logs) / len(logs)) if logs else None,
        interval=None if ends is None else Interval(low=math.exp(ends.low), high=math.exp(ends.high), level=ends.level),
        only_first=sum(_hit(mine[name]) and not _hit(others[name]) for name in both),
        only_second=sum(_hit(others[name]) and not _hit(mine[name]) for name in both),
        neither=sum(not _hit(mine[name]) and not _hit(others[name]) for name in both),
    )


def _hit(observations: Observations) -> bool:
    return any(observations.hits)
