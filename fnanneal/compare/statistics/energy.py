"""Energy to solution: joules of restarts until a target is hit with 99 % confidence, modelled under a technology, or measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ...energy import Technology, account, technologies
from ..records import Record
from .gaps import Reference
from .groups import ran
from .intervals import quantiles
from .survival import Clock, observe
from .tts import TimeToSolution, time_to_solution


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyToSolution:
    """Of one solver on one problem, from one source of joules.

    Attributes
    ----------
    source
        "modelled" or "measured". The two are never comparable.
    technology
        Under which events are priced; None of measured joules.
    counted
        Runs whose events were counted, or joules measured; the others are "not counted".
    n
        All runs.
    run_j
        Median over counted runs of a whole run; None where none of their events has a figure.
    hit_j
        Median over the runs that hit, of the joules until then; None without any, and where `solution` is.
    solution
        Joules to solution at 99 %: as TTS99, with joules for seconds. None unless all runs that did not fail are counted and have a figure.
    partial
        Names of events that happened and have no figure: their joules are missing from the sums.
    """

    source: Literal["modelled", "measured"]
    technology: str | None
    counted: int
    n: int
    run_j: float | None
    hit_j: float | None
    solution: TimeToSolution | None
    partial: tuple[str, ...]


def energies(records: Sequence[Record], ref: Reference, theta: float = 0.0) -> tuple[EnergyToSolution, ...]:
    """Of one solver's records on one problem: under each of `fnanneal.energy.technologies()`, then measured. Empty where nothing was counted or measured.

    Events are known at the best and at the end of a run. They are taken to be spread evenly over the time in between: so joules until the target are exact
    where the run's best is what hit it. Measured joules are known of whole runs only, and spread evenly over them.
    """
    runs = ran(records)
    found = []
    events = [r for r in runs if r.events is not None]
    if events:
        for name, tech in technologies().items():
            missing = dict.fromkeys(
                m for r in events for m in account(r.events or {}, tech, real_numbers=r.real_numbers).not_covered
            )
            found.append(_of("modelled", name, tuple(missing), runs, len(events), ref, theta, _modelled(tech)))
    metered = sum(r.measured_j is not None for r in runs)
    if metered:
        found.append(_of("measured", None, (), runs, metered, ref, theta, _measured))
    return tuple(found)


def _of(
    source: Literal["modelled", "measured"],
    technology: str | None,
    partial: tuple[str, ...],
    runs: Sequence[Record],
    counted: int,
    ref: Reference,
    theta: float,
    clock: Clock,
) -> EnergyToSolution:
    seen = observe(runs, ref, theta, clock)
    whole = quantiles([j for r in runs if (j := clock(r, r.solve_s)) is not None])
    hit = quantiles([x for x, h in zip(seen.times, seen.hits, strict=True) if h]) if seen is not None else None
    return EnergyToSolution(
        source=source,
        technology=technology,
        counted=counted,
        n=len(runs),
        run_j=whole.median if whole is not None else None,
        hit_j=hit.median if hit is not None else None,
        solution=time_to_solution(seen) if seen is not None else None,
        partial=partial,
    )


def _modelled(tech: Technology) -> Clock:
    @cache
    def joules(events: tuple[tuple[str, int], ...], real_numbers: bool) -> float | None:
        return account(dict(events), tech, real_numbers=real_numbers).joules

    def clock(record: Record, seconds: float) -> float | None:
        if record.events is None:
            return None
        whole = joules(tuple(record.events.items()), record.real_numbers)
        if whole is None or seconds >= record.solve_s:
            return whole
        if record.events_to_best is None or record.to_best_s is None:
            return whole * seconds / record.solve_s
        best = joules(tuple(record.events_to_best.items()), record.real_numbers)
        if best is None:
            # None of the events so far has a price.
            best = 0.0
        if seconds <= record.to_best_s:
            return best * (seconds / record.to_best_s if record.to_best_s > 0 else 1.0)
        return best + (whole - best) * (seconds - record.to_best_s) / (record.solve_s - record.to_best_s)

    return clock


def _measured(record: Record, seconds: float) -> float | None:
    if record.measured_j is None:
        return None
    return record.measured_j * (min(seconds / record.solve_s, 1.0) if record.solve_s > 0 else 1.0)
