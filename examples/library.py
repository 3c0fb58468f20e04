"""The library in a few lines: a graph of your own, a matrix, a QUBO, a checkpoint, and what a result holds.

python examples/library.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import networkx as nx
import numpy as np

import fnanneal


def main() -> None:
    # A networkx graph is a Max-Cut problem; labels come back.
    graph = nx.karate_club_graph()
    result = fnanneal.solve(graph, num_reads=8, num_sweeps=200, seed=1)
    side = fnanneal.load(graph).assignment(result.spins)
    print(f"karate club: cut {result.objective}, member 0 on side {side[0]}, verified: {result.verify()}")

    # A symmetric matrix as an Ising problem, solved to proved optimality.
    random = np.random.default_rng(0)
    j = np.triu(random.normal(size=(16, 16)), 1)
    result = fnanneal.solve(fnanneal.load(j + j.T, "ising"), "exact")
    print(f"Gaussian glass: energy {result.objective:.6f}, {result.status.message}")

    # A QUBO as a dictionary; spins +1 are ones.
    result = fnanneal.solve({("a", "a"): -1, ("b", "b"): -2, ("a", "b"): 3}, "exact")
    print(
        f"QUBO: energy {result.objective}, {fnanneal.load({('a', 'a'): -1, ('b', 'b'): -2, ('a', 'b'): 3}).assignment(result.spins)}"
    )

    # A run that is stopped half-way, and goes on from its checkpoint to the spins it would have had.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "run.npz")
        budget = {"num_sweeps": 3000, "num_reads": 4, "seed": 7}
        stopped = fnanneal.solve("G22", callback=lambda p: (p.fraction or 0) > 0.5, checkpoint=file, **budget)
        resumed = fnanneal.solve("G22", resume=file)
        whole = fnanneal.solve("G22", **budget)
        same = np.array_equal(resumed.spins, whole.spins)
        print(
            f"G22: stopped at {stopped.objective}, resumed to {resumed.objective}, the same spins as in one go: {same}"
        )

    print(
        f"that solve cost {resumed.events.spin_tests} spin tests and {resumed.events.spikes} spikes in {resumed.time.solve_s:.2f} s"
    )


if __name__ == "__main__":
    main()
