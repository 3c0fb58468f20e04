"""The NeuroBench workloads: maximum independent sets of 180 random graphs, with the sizes that D-Wave's tabu search and NeuroSA found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import fnanneal
from fnanneal.problems.combinatorial import neurobench_mis
from fnanneal.problems.workloads import Workload, workloads

if TYPE_CHECKING:
    from maxcut import Cell
    from store import Row

SHORT_N, SHORT_S = 250, 1.0
PROVABLE = 25


def name(w: Workload) -> str:
    """Of its graph in the store."""
    return f"mis {w.n} {w.density:g} {w.seed}"


def named(names: Sequence[str]) -> list[Workload]:
    """Those of these names, or for none of them all, small graphs first."""
    return [w for w in workloads() if not names or name(w) in names]


def run(w: Workload, cell: Cell) -> Row:
    """The size of the set that the best spins stand for, as they are: a set with an edge inside counts 0. Up to `PROVABLE` vertices the run stops
    at the optimum, which `exact` proves; else it uses its time."""
    problem = neurobench_mis(w.n, w.density, w.seed)
    target = fnanneal.solve(problem.qubo, "exact").objective if w.n <= PROVABLE else None
    r = fnanneal.solve(
        problem.qubo, cell.solver, time_limit=cell.seconds, target=target, seed=cell.seed, threads=cell.threads
    )
    assert r.verify()
    chosen = problem.decode(r.spins).vertices
    feasible = not any(u in chosen and v in chosen for u, v in problem.graph.edges)
    return {
        "cut": len(chosen) if feasible else 0, "feasible": feasible, "best_known": None, "n": w.n, "density": w.density,
        "tabu": w.tabu, "neurosa": w.neurosa, "to_best_s": round(r.time.to_best_s, 4), "solve_s": round(r.time.solve_s, 4),
        "sweeps": r.num_sweeps, "versions": dict(r.versions),
    }  # fmt: skip
