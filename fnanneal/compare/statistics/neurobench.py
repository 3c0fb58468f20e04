"""The NeuroBench QUBO benchmark's own figures: latency and energy to its thresholds, averaged over the graphs of a size and density.

Source: NeuroBench, system benchmarks, QUBO.md: the score of a solution is |(c - target)/target|; of each threshold the mean over the problem seeds is reported
with its standard error, if all of them reach it; energy is the average power since the start, times the latency.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...energy import Technology, account, technology
from ...errors import InputError
from ...problems.expressions import parse_call
from ..records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A solver on the graphs of one size and density, at one threshold.

    Attributes
    ----------
    graphs, reached
        How many runs there are, and how many got there.
    seconds, seconds_error
        Mean latency and its standard error [s]; None where a run did not get there.
    joules, joules_error
        Modelled, likewise [J]; None too where the solver does not count its events, or the technology covers none of them.
    """

    solver: str
    n: int
    density: float
    threshold: float
    graphs: int
    reached: int
    seconds: float | None
    seconds_error: float | None
    joules: float | None
    joules_error: float | None


def workload(record: Record) -> tuple[int, float] | None:
    """Vertices and density of a record's workload; None for any other problem."""
    if not record.problem.startswith("gen:mis("):
        return None
    try:
        _, arguments, _ = parse_call(record.problem[4:])
    except InputError:
        return None
    return (int(arguments[0]), float(arguments[1])) if len(arguments) >= 2 else None


def latencies(records: Iterable[Record], thresholds: Sequence[float], priced: str | None = None) -> list[Latency]:
    """One row for each solver, size, density and threshold, in this order; the solvers in the order met.

    Parameters
    ----------
    thresholds
        Such as 0.1, 0.05 and 0.01.
    priced
        The technology of the joules; the default one if None.
    """
    groups: dict[tuple[str, int, float], list[Record]] = {}
    solvers: dict[str, int] = {}
    for r in records:
        if (size := workload(r)) is not None and r.best_known and r.outcome != "unfit":
            solvers.setdefault(r.solver, len(solvers))
            groups.setdefault((r.solver, *size), []).append(r)
    chosen = technology(priced)
    found = []
    for (solver, n, density), runs in sorted(groups.items(), key=lambda g: (solvers[g[0][0]], *g[0][1:])):
        for threshold in thresholds:
            times = [_latency(r, threshold) for r in runs]
            there = [(r, t) for r, t in zip(runs, times, strict=True) if t is not None]
            all_there = len(there) == len(runs)
            joules = [_joules(r, t, chosen) for r, t in there]
            counted = [j for j in joules if j is not None]
            seconds = _mean([t for _, t in there]) if all_there else (None, None)
            energy = _mean(counted) if all_there and len(counted) == len(runs) else (None, None)
            found.append(
                Latency(
                    solver=solver,
                    n=n,
                    density=density,
                    threshold=threshold,
                    graphs=len(runs),
                    reached=len(there),
                    seconds=seconds[0],
                    seconds_error=seconds[1],
                    joules=energy[0],
                    joules_error=energy[1],
                )
            )
    return found


def _latency(record: Record, threshold: float) -> float | None:
    assert record.best_known is not None
    # Energies are minus the sizes.
    return record.seconds_to(record.best_known * (1 - threshold))


def _joules(record: Record, seconds: float, chosen: Technology) -> float | None:
    if record.events is None or record.solve_s <= 0:
        return None
    joules = account(record.events, chosen, real_numbers=record.real_numbers).joules
    return None if joules is None else joules * min(seconds / record.solve_s, 1.0)


def _mean(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean and its standard error, which a single value does not have."""
    if not values:
        return None, None
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return statistics.fmean(values), error
