"""The 180 maximum-independent-set workloads of the NeuroBench QUBO benchmark, with the sizes that others found."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from ..result import BestKnown
from .models import QUBO

SOURCE = "NeuroBench QUBO baseline (D-Wave Tabu, 100 reads)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One graph. `tabu`: the benchmark's own best known size; `neurosa`: NeuroSA's best of five runs of 1e8 steps."""

    n: int
    density: float
    seed: int
    tabu: int
    neurosa: int

    @property
    def expression(self) -> str:
        """As `load` takes it."""
        return f"gen:mis({self.n},{self.density:g},{self.seed})"


@cache
def workloads() -> tuple[Workload, ...]:
    """All of them, small graphs first."""
    text = (files(__package__) / "data" / "neurobench_mis.csv").read_text(encoding="utf-8")
    return tuple(
        Workload(
            n=int(row["n"]),
            density=float(row["density"]),
            seed=int(row["seed"]),
            tabu=int(row["tabu"]),
            neurosa=int(row["neurosa"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


def mis(n: int, density: float, seed: int = 0) -> QUBO:
    """A NeuroBench workload: independent sets of a random graph, as a QUBO whose energy is minus the size.

    An edge inside the set costs 8, so that a state of energy -k always holds an independent set of k vertices. Those of the benchmark come with its best known size.

    Raises
    ------
    InputError
        As `fnanneal.problems.combinatorial.neurobench_mis`.
    """
    from .combinatorial import neurobench_mis

    qubo = neurobench_mis(n, density, seed).qubo
    known = {(w.n, w.density, w.seed): w.tabu for w in workloads()}.get((n, density, seed))
    return qubo if known is None else replace(qubo, known=BestKnown(value=-known, source=SOURCE))
