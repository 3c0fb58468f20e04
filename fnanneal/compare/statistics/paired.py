"""Two solvers on the same problems: Wilcoxon's signed-rank test and the sign test, paired by problem, with Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...errors import InputError
from ..records import Record
from .gaps import ROUNDING, Reference, known_or_found, median_gaps
from .groups import by_problem
from .intervals import LEVEL, Interval, quantile

ALPHA = 0.05
EXACT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The first solver against the second, by median gaps over seeds; failed runs are worse than all.

    Attributes
    ----------
    first, second
    problems
        On which both were run; `left_out` are those where one was not.
    wins, ties, losses
        Of the first.
    sign_p, wilcoxon_p
        Two-sided and exact; Wilcoxon's with zeros by Pratt, over the problems whose reference is not 0. None without problems.
    sign_holm, wilcoxon_holm
        The same, corrected for all pairs that were compared at once.
    difference
        Hodges-Lehmann estimate of the second's gap less the first's: positive where the first is better. None without problems.
    interval
        Of the difference, by inverting Wilcoxon's test.
    enough
        Whether a clean sweep over these problems could have been significant at 5 % after correction.
    """

    first: str
    second: str
    problems: int
    left_out: int
    wins: int
    ties: int
    losses: int
    sign_p: float | None
    wilcoxon_p: float | None
    sign_holm: float | None
    wilcoxon_holm: float | None
    difference: float | None
    interval: Interval | None
    enough: bool

    @property
    def significant(self) -> bool:
        """By Wilcoxon's test, corrected, at 5 %."""
        return self.wilcoxon_holm is not None and self.wilcoxon_holm <= ALPHA


def compare_pairs(
    records: Sequence[Record], known: Mapping[str, Reference] | None = None, *, baseline: str | None = None
) -> list[Pair]:
    """The baseline against every other solver; without one, all pairs.

    Raises
    ------
    InputError
        For a baseline that is not among the solvers.
    """
    refs = known_or_found(by_problem(records), known)
    medians = median_gaps(records, refs)
    solvers = list(medians)
    if baseline is None:
        chosen = list(combinations(solvers, 2))
    elif baseline in medians:
        chosen = [(baseline, s) for s in solvers if s != baseline]
    else:
        raise InputError(f"there is no solver {baseline!r:.60} to compare with; there are: {', '.join(solvers)}")
    pairs = [_pair(a, b, medians[a], medians[b], refs, len(chosen)) for a, b in chosen]
    sign = holm([p.sign_p for p in pairs])
    wilcoxon = holm([p.wilcoxon_p for p in pairs])
    return [replace(p, sign_holm=s, wilcoxon_holm=w) for p, s, w in zip(pairs, sign, wilcoxon, strict=True)]


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Corrected p-values (Holm 1979), in the given order; None stays None and is not counted."""
    order = sorted((x, k) for k, x in enumerate(p) if x is not None)
    corrected: list[float | None] = [None] * len(p)
    so_far = 0.0
    for rank, (x, k) in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - rank) * x))
        corrected[k] = so_far
    return corrected


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test, exact with ties and zeros.

    Zeros take part in the ranking and then drop out (Pratt 1959). Given the ranks, each sign is a fair coin: the distribution of the sum of positive ranks is
    built up rank by rank. Above 500 differences: the normal approximation.
    """
    d = np.asarray(differences, dtype=np.float64)
    # Twice the midranks are integers.
    ranks = np.rint(2 * stats.rankdata(np.abs(d))).astype(np.int64)
    positive, ranks = int(ranks[d > 0].sum()), ranks[d != 0]
    total = int(ranks.sum())
    if not len(ranks):
        return 1.0
    if len(ranks) > EXACT:
        z = (abs(2 * positive - total) - 1) / math.sqrt(float((ranks.astype(np.float64) ** 2).sum()))
        return min(1.0, 2 * float(stats.norm.sf(z)))
    chances = _sums(ranks.tolist())
    return min(1.0, 2 * min(float(chances[: positive + 1].sum()), float(chances[positive:].sum())))


def hodges_lehmann(differences: Sequence[float], level: float = LEVEL) -> tuple[float, Interval | None]:
    """Median of the means of all pairs of differences, each with itself too; and the interval by inverting the signed-rank test.

    Below 6 differences the interval is the whole range, with the level that this has; None of a single one.
    """
    d = np.sort(np.asarray(differences, dtype=np.float64))
    n = len(d)
    i, j = np.triu_indices(n)
    with np.errstate(invalid="ignore"):
        walsh = np.sort(np.nan_to_num((d[i] + d[j]) / 2, nan=0.0, posinf=math.inf, neginf=-math.inf))
    middle = quantile(walsh.tolist(), 0.5)
    if n < 2:
        return middle, None
    if n > EXACT:
        m, sd = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        c, has = max(1, math.floor(m - float(stats.norm.isf((1 - level) / 2)) * sd)), level
    else:
        below = np.cumsum(_sums(range(1, n + 1)))
        c = max(1, int(np.searchsorted(below, (1 - level) / 2, side="right")))
        has = 1 - 2 * float(below[c - 1])
    return middle, Interval(low=float(walsh[c - 1]), high=float(walsh[len(walsh) - c]), level=min(has, level))


def _sums(ranks: Iterable[int]) -> NDArray[np.float64]:
    """Chances of the sums of those ranks whose coin shows heads."""
    chances = np.ones(1)
    for rank in ranks:
        longer = np.zeros(len(chances) + rank)
        longer[: len(chances)] = chances / 2
        longer[rank:] += chances / 2
        chances = longer
    return chances


def _pair(
    first: str,
    second: str,
    mine: Mapping[str, float],
    others: Mapping[str, float],
    refs: Mapping[str, Reference],
    pairs: int,
) -> Pair:
    both = [name for name in refs if name in mine and name in others]
    differences = {name: _difference(mine[name], others[name], refs[name]) for name in both}
    wins = sum(x > 0 for x in differences.values())
    losses = sum(x < 0 for x in differences.values())
    # Differences of gaps that are equal as fractions may differ in their last digit, which would break ties between ranks.
    relative = [round(x, 12) for name, x in differences.items() if not refs[name].absolute]
    effect = hodges_lehmann(relative) if relative else (None, None)
    return Pair(
        first=first,
        second=second,
        problems=len(both),
        left_out=len(refs) - len(both),
        wins=wins,
        ties=len(both) - wins - losses,
        losses=losses,
        sign_p=float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0 if both else None,
        wilcoxon_p=signed_rank(relative) if relative else None,
        sign_holm=None,
        wilcoxon_holm=None,
        difference=effect[0],
        interval=effect[1],
        enough=bool(relative) and pairs * 2.0 ** (1 - len(relative)) <= ALPHA,
    )


def _difference(mine: float, other: float, ref: Reference) -> float:
    if mine == other:
        # Two failures are a tie; infinity less infinity would be no number.
        return 0.0
    difference = other - mine
    return 0.0 if not ref.integral and abs(difference) <= ROUNDING else difference
