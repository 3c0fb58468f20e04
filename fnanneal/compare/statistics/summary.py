"""One solver on one problem under one budget: a row of the report's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...result import Number
from ..records import Record
from .energy import EnergyToSolution, energies
from .gaps import Reference, gaps, known_or_found, median_objective
from .groups import by_problem, by_solver, ran
from .intervals import Quantiles, Share, jeffreys, quantiles
from .survival import SLACK, Curve, kaplan_meier, observe
from .tts import TimeToSolution, time_to_solution


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the runs of one solver on one problem came to.

    Attributes
    ----------
    problem
        As `by_problem` names it.
    solver, theta
    reference, target
        None where nothing is known of the problem.
    runs, failed, unfit, overran
        Runs, failed ones among them; cells that the solver cannot take; and runs that took over a tenth longer than their time limit.
    best, median, worst
        Objectives; the median and worst are None where they are a failed run's.
    gap
        Quantiles; infinite for failed runs; differences where `reference.absolute`.
    hits
        Runs within the target by the end of the budget.
    curve
        Time to the target; `curve.median` is its median.
    tts
        TTS99 in seconds.
    energy
        Energy to solution.
    cells
        Keys of the runs' cells, unfit ones too.
    """

    problem: str
    solver: str
    theta: float
    reference: Reference | None
    target: Number | None
    runs: int
    failed: int
    unfit: int
    overran: int
    best: Number | None
    median: float | None
    worst: Number | None
    gap: Quantiles | None
    hits: Share | None
    curve: Curve | None
    tts: TimeToSolution | None
    energy: tuple[EnergyToSolution, ...]
    cells: tuple[str, ...]


def summarise(
    records: Sequence[Record], theta: float = 0.0, known: Mapping[str, Reference] | None = None
) -> list[Summary]:
    """A row for each problem and solver in the records, which are of spins and under one budget; problems in order, solvers in order within.

    Parameters
    ----------
    theta
        The gap that counts as solved.
    known
        `references` of all records, where these are not all.
    """
    problems = by_problem(records)
    refs = known_or_found(problems, known)
    return [
        _summary(name, solver, theta, refs.get(name), group)
        for name, all_runs in problems.items()
        for solver, group in by_solver(all_runs).items()
    ]


def _summary(problem: str, solver: str, theta: float, ref: Reference | None, records: Sequence[Record]) -> Summary:
    runs = ran(records)
    done = [r for r in runs if r.outcome == "done" and r.objective is not None]
    values = sorted((r.objective for r in done if r.objective is not None), reverse=records[0].sense == "max")
    seen = observe(runs, ref, theta) if ref is not None else None
    return Summary(
        problem=problem,
        solver=solver,
        theta=theta,
        reference=ref,
        target=ref.target(theta) if ref is not None else None,
        runs=len(runs),
        failed=sum(r.outcome == "failed" for r in runs),
        unfit=len(records) - len(runs),
        overran=sum(r.budget.seconds is not None and r.solve_s > (1 + SLACK) * r.budget.seconds for r in runs),
        best=values[0] if values else None,
        median=median_objective(runs, records[0].sense),
        worst=values[-1] if values and len(values) == len(runs) else None,
        gap=quantiles(gaps(runs, ref)) if ref is not None else None,
        hits=jeffreys(sum(seen.hits), len(runs)) if seen is not None else None,
        curve=kaplan_meier(seen) if seen is not None else None,
        tts=time_to_solution(seen) if seen is not None else None,
        energy=energies(runs, ref, theta) if ref is not None else (),
        cells=tuple(r.cell for r in records),
    )
