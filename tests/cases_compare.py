"""Invented records of comparisons: plausible ones, and ones with names that try to break out of a report."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnanneal.compare.cells import Budget, Cell, SolverSpec
from fnanneal.compare.records import Record

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b",
    "=cmd()",
    "</script>",
    "`b`\n# c",
    "@SUM(A1)",
)
SOLVERS = ("ensemble", "sa", "neurosa", "dwave-sa:num_reads=2", "dwave-tabu", "openjij-sa")
HOST = {
    "name": "host-a",
    "cpu": "EPYC",
    "cores": 2,
    "affinity": [0],
    "memory_gib": 8.0,
    "system": "Linux 6.1",
    "load": 0.1,
}
VERSIONS = {"fnanneal": "0.1.0", "python": "3.11.2", "numpy": "2.4.0"}


def plan(
    problems: tuple[str, ...], solvers: tuple[str, ...], seeds: int, budget: Budget, **more: Any
) -> dict[str, Any]:
    """What a store says of its plan."""
    return {
        "title": "invented",
        "problems": list(problems),
        "solvers": list(solvers),
        "seeds": list(range(seeds)),
        "budgets": [{"seconds": budget.seconds, "spin_tests": budget.spin_tests, "label": budget.label}],
        "thresholds": [0.0, 0.001],
        **more,
    }


def cell(problem: str, solver: str, seed: int, budget: Budget, kind: str = "spins") -> Cell:
    """A planned cell."""
    return Cell(kind=kind, problem=problem, identity=problem, solver=SolverSpec.parse(solver), seed=seed, budget=budget)


def record(
    problem: str,
    solver: str,
    seed: int,
    *,
    best: int = 11624,
    strength: float = 1.0,
    budget: Budget | None = None,
    counted: bool = True,
    **more: Any,
) -> Record:
    """A finished run whose cut comes closer and closer to `best`: the stronger the solver, the faster."""
    budget = budget or Budget(seconds=5.0)
    rng = np.random.default_rng([seed, *problem.encode(), *solver.encode()])
    limit = budget.seconds or 5.0
    times = np.sort(limit * 10 ** rng.uniform(-4, 0, 24))
    gaps = (
        best
        * 0.3
        * 10 ** (-strength * rng.uniform(0.85, 1.15) * (4 + np.log10(times / limit)))
        * rng.uniform(0.5, 1, 24)
    )
    cuts = np.maximum.accumulate(best - np.floor(gaps).astype(int))
    keep = np.flatnonzero(np.diff(cuts, prepend=cuts[0] - 1))
    trace = tuple((round(float(times[k]), 6), int(cuts[k])) for k in keep)
    this = cell(problem, solver, seed, budget)
    events = (
        {"spin_tests": 10**8, "spikes": 10**7, "synaptic_events": 10**8, "threshold_draws": 10**8} if counted else None
    )
    about: dict[str, Any] = {
        "cell": this.key,
        "kind": "spins",
        "problem": problem,
        "sha256": f"{abs(best):064x}",
        "size": {"kind": "maxcut", "n": 800, "m": 19176},
        "sense": "max",
        "best_known": best,
        "best_known_source": "Gset table",
        "solver": solver,
        "settings": dict(this.solver.settings),
        "seed": seed,
        "budget": budget,
        "threads": 1,
        "outcome": "done",
        "status": "time_limit",
        "command": this.command,
        "objective": trace[-1][1],
        "trace": trace,
        "solve_s": limit,
        "to_best_s": trace[-1][0],
        "load_s": 0.01,
        "compile_s": 0.5,
        "build_s": 0.002,
        "wall_s": limit + 0.6,
        "spin_tests": 10**8 if counted else None,
        "events": events,
        "events_to_best": None if events is None else {k: v // 3 for k, v in events.items()},
        "started": f"2026-11-23T11:{seed % 60:02d}:00+00:00",
        "versions": VERSIONS,
        "host": HOST,
        "revision": "e243bfa",
    }
    return Record(**{**about, **more})


def comparison(
    problems: tuple[str, ...] = ("G1", "G14", "G22", "G32", "G39", "G70"),
    solvers: tuple[str, ...] = SOLVERS,
    seeds: int = 5,
    **more: Any,
) -> list[Record]:
    """All cells of a comparison; the first solver is the strongest, and only our own count their events."""
    return [
        record(
            p, s, seed, best=11624 - 997 * i, strength=1.25 - 0.13 * k + 0.08 * (i % 3),
            counted=k < 3, measured_j=12.5 + k if k < 2 else None, **more,
        )
        for i, p in enumerate(problems)
        for k, s in enumerate(solvers)
        for seed in range(seeds)
    ]  # fmt: skip


def unfinished(records: list[Record]) -> list[Record]:
    """The same with one run failed, one unfit, and one before it was loaded."""
    lost = {
        "objective": None,
        "trace": (),
        "to_best_s": None,
        "events": None,
        "events_to_best": None,
        "spin_tests": None,
    }
    ends: list[dict[str, Any]] = [
        {"outcome": "failed", "status": "died", "error": "the worker died: signal 9", **lost},
        {"outcome": "unfit", "status": "unfit", "error": "takes 512 spins at most", **lost},
        {"outcome": "failed", "status": "no problem", "error": "no such file", "sha256": None, "size": {}, **lost},
    ]
    from dataclasses import replace

    out = list(records)
    for k, end in enumerate(ends):
        out[-1 - k] = replace(out[-1 - k], **end)
    return out


def program(problem: str, solver: str, seed: int = 0, *, solved: bool = True, **more: Any) -> Record:
    """A run on a quadratic program."""
    this = cell(problem, solver, seed, Budget(seconds=10.0), "qp")
    rng = np.random.default_rng([seed, *problem.encode(), *solver.encode()])
    took = float(np.round(10 ** rng.uniform(-3, 0), 5)) if solved else 10.0
    tiny = 1e-8 if solved else 1e-2
    about: dict[str, Any] = {
        "cell": this.key,
        "kind": "qp",
        "problem": problem,
        "sha256": "ab" * 32,
        "size": {"kind": "qp", "n": 40, "m": 25},
        "sense": "min",
        "best_known": None,
        "best_known_source": None,
        "solver": solver,
        "settings": {},
        "seed": seed,
        "budget": this.budget,
        "threads": 1,
        "outcome": "done",
        "status": "solved" if solved else "time_limit",
        "command": this.command,
        "objective": -1.5,
        "trace": ((took, -1.5),),
        "solve_s": took,
        "to_best_s": took,
        "residuals": {"primal": tiny, "dual": tiny / 3, "gap": tiny / 7, "sign": 0.0},
        "solved": solved,
        "versions": VERSIONS,
        "host": HOST,
        "started": "2026-11-23T12:00:00+00:00",
        "revision": "e243bfa",
    }
    return Record(**{**about, **more})


def programs(
    problems: tuple[str, ...] = ("HS21", "HS35", "AFIRO"), solvers: tuple[str, ...] = ("splitting", "osqp")
) -> list[Record]:
    """All cells of a comparison on programs; one is not solved."""
    return [program(p, s, solved=(p, s) != (problems[-1], solvers[-1])) for p in problems for s in solvers]
