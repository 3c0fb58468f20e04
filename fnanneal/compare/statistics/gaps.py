"""How good objectives are: reference values, gaps to them, targets, and the quantiles of gaps over runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...result import Number, Sense
from ..records import Record
from .groups import by_problem, by_solver, ran, with_digest
from .intervals import Quantiles, quantiles

# Objectives of real weights are sums in floating point: differences below this share of the reference mean nothing.
ROUNDING = 1e-9
FOUND_HERE = "best of these runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the objectives of one problem are measured by.

    Attributes
    ----------
    value
        The best known objective, or else the best that any of these runs found.
    source
        Who says so: the best known value's, or "best of these runs".
    known
        Whether it is a best known value.
    found, found_by
        The best of these runs, and the solvers that found it; None and () where every run failed.
    sense
    integral
        Whether all objectives are integers.
    """

    value: Number
    source: str
    known: bool
    found: Number | None
    found_by: tuple[str, ...]
    sense: Sense
    integral: bool

    @property
    def absolute(self) -> bool:
        """Whether the value is 0, so that gaps are differences, not shares."""
        return self.value == 0

    @property
    def beaten(self) -> bool:
        """Whether a run is better than the best known value: a record, where the best known value was the last word."""
        return self.known and self.found is not None and self.gap(self.found) < 0

    def gap(self, objective: Number | None) -> float:
        """Positive is worse, negative a record; a share of |value|, or a difference where it is 0 (`absolute`). Infinite without an objective."""
        if objective is None or math.isnan(objective):
            return math.inf
        worse = self.value - objective if self.sense == "max" else objective - self.value
        if not self.integral and abs(worse) <= ROUNDING * abs(self.value):
            return 0.0
        return float(worse) if self.absolute else worse / abs(self.value)

    def target(self, theta: float) -> Number:
        """The least good objective within the gap theta: of integer objectives an integer, exactly; of others with 1e-9 of the value for rounding."""
        share = Fraction(repr(float(theta)))
        sign = -1 if self.sense == "max" else 1
        if self.integral:
            exact = Fraction(self.value) + sign * share * (1 if self.absolute else abs(Fraction(self.value)))
            return math.ceil(exact) if self.sense == "max" else math.floor(exact)
        return self.value + sign * (
            float(share) * (1 if self.absolute else abs(self.value)) + ROUNDING * abs(self.value)
        )


def reference(records: Sequence[Record]) -> Reference | None:
    """The reference of one problem's records, of all solvers, seeds and budgets; None where none is known and no run found anything."""
    if not records:
        return None
    sense = records[0].sense
    sign = -1 if sense == "max" else 1
    done = [(r.objective, r.solver) for r in records if r.outcome == "done" and r.objective is not None]
    values = [v for v, _ in done if not math.isnan(v)]
    # Stores that were filled over a longer time may know of several best known values.
    told = {r.best_known: r.best_known_source or "best known" for r in records if r.best_known is not None}
    if not values and not told:
        return None
    found = min(values, key=lambda v: sign * v, default=None)
    value = min(told or values, key=lambda v: sign * v)
    return Reference(
        value=value,
        source=told.get(value, FOUND_HERE),
        known=bool(told),
        found=found,
        found_by=tuple(dict.fromkeys(s for v, s in done if v == found)),
        sense=sense,
        integral=all(isinstance(v, int) for v in (value, *values)),
    )


def references(records: Sequence[Record]) -> dict[str, Reference]:
    """By the names of `by_problem`; problems without any value are left out."""
    return known_or_found(by_problem(records), {})


def known_or_found(
    problems: Mapping[str, Sequence[Record]], known: Mapping[str, Reference] | None
) -> dict[str, Reference]:
    """The references of groups of `by_problem`: those given, else their own.

    A name may be longer in the references of all records, where it had several contents, than among some of them.
    """
    found = {}
    for name, group in problems.items():
        digest = next((r.sha256 for r in group if r.sha256 is not None), "")
        ref = None
        if known:
            ref = known.get(name) or known.get(with_digest(name, digest))
        ref = ref or reference(group)
        if ref is not None:
            found[name] = ref
    return found


def gaps(records: Sequence[Record], ref: Reference) -> list[float]:
    """One a run; infinite for runs that failed. Runs of solvers that cannot take the problem have none."""
    return [ref.gap(r.objective if r.outcome == "done" else None) for r in ran(records)]


def median_objective(records: Sequence[Record], sense: Sense) -> float | None:
    """Over the runs, failed ones worse than all; None where that is the median, or without runs."""
    sign = -1 if sense == "max" else 1
    found = [r.objective if r.outcome == "done" and r.objective is not None else math.nan for r in ran(records)]
    costs = [math.inf if math.isnan(v) else sign * v for v in found]
    summary = quantiles(costs)
    return None if summary is None or math.isinf(summary.median) else sign * summary.median


def median_gaps(records: Sequence[Record], known: Mapping[str, Reference] | None = None) -> dict[str, dict[str, float]]:
    """Median gap over the runs, by solver and problem; infinite where most runs failed, absent where there were none."""
    problems = by_problem(records)
    refs = known_or_found(problems, known)
    found: dict[str, dict[str, float]] = {s: {} for s in by_solver(records)}
    for name, ref in refs.items():
        for s, runs in by_solver(problems[name]).items():
            if ran(runs):
                found[s][name] = ref.gap(median_objective(runs, ref.sense))
    return found


def winners(medians: Mapping[str, Mapping[str, float]], problems: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Who has the least of the `median_gaps` of each problem, ties included; nobody where all failed."""
    found = {}
    for name in problems:
        best = min((each[name] for each in medians.values() if name in each), default=math.inf)
        found[name] = tuple(s for s, each in medians.items() if best < math.inf and each.get(name) == best)
    return found


def overall_gaps(
    records: Sequence[Record], known: Mapping[str, Reference] | None = None
) -> dict[str, Quantiles | None]:
    """By solver: quantiles over problems of the median gap. Problems whose reference is 0 are left out: their differences are on no common scale."""
    refs = known_or_found(by_problem(records), known)
    return {
        s: quantiles([g for name, g in each.items() if not refs[name].absolute])
        for s, each in median_gaps(records, refs).items()
    }
