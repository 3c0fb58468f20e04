"""The NeuroBench workloads: maximum independent sets of 180 random graphs, with the sizes that D-Wave's tabu search and NeuroSA found."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fnanneal
from fnanneal.problems.combinatorial import neurobench_mis

if TYPE_CHECKING:
    from maxcut import Cell
    from store import Row

TABLE = Path(__file__).parents[2] / "shared" / "data" / "neurobench_mis.csv"
SHORT_N, SHORT_S = 250, 1.0
PROVABLE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One graph; `tabu` is the benchmark's target, `neurosa` the best of five runs of 1e8 steps."""

    n: int
    density: float
    graph_seed: int
    tabu: int
    neurosa: int

    @property
    def name(self) -> str:
        return f"mis {self.n} {self.density:g} {self.graph_seed}"

    def run(self, cell: Cell) -> Row:
        """The size of the set that the best spins stand for, as they are: a set with an edge inside counts 0. Up to `PROVABLE` vertices the run stops
        at the optimum, which `exact` proves; else it uses its time."""
        problem = neurobench_mis(self.n, self.density, self.graph_seed)
        target = fnanneal.solve(problem.qubo, "exact").objective if self.n <= PROVABLE else None
        r = fnanneal.solve(
            problem.qubo, cell.solver, time_limit=cell.seconds, target=target, seed=cell.seed, threads=cell.threads
        )
        assert r.verify()
        chosen = problem.decode(r.spins).vertices
        feasible = not any(u in chosen and v in chosen for u, v in problem.graph.edges)
        return {
            "cut": len(chosen) if feasible else 0, "feasible": feasible, "best_known": None, "n": self.n, "density": self.density,
            "tabu": self.tabu, "neurosa": self.neurosa, "to_best_s": round(r.time.to_best_s, 4), "solve_s": round(r.time.solve_s, 4),
            "sweeps": r.num_sweeps, "versions": dict(r.versions),
        }  # fmt: skip


def workloads(names: Sequence[str]) -> list[Workload]:
    """Those of these names, or for none of them all, small graphs first."""
    with TABLE.open(newline="", encoding="utf-8") as f:
        every = [
            Workload(
                n=int(row["num_vertices"]),
                density=float(row["density"]),
                graph_seed=int(row["seed"]),
                tabu=int(row["target_size"]),
                neurosa=int(row["neurosa_best_of_5"]),
            )
            for row in csv.DictReader(f)
        ]
    return [w for w in every if not names or w.name in names]
