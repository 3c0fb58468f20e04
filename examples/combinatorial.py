"""Seven combinatorial problems, posed in their own terms, solved as QUBO and read back.

Each is small enough to try every assignment, so that what is printed is a true optimum. Run: python
examples/combinatorial.py
"""

from __future__ import annotations

import networkx as nx
import numpy as np

from fnanneal.problems.combinatorial import (
    GraphColouring,
    GraphPartitioning,
    MaximumClique,
    MaximumIndependentSet,
    MaxTwoSat,
    MinimumVertexCover,
    NumberPartitioning,
)
from fnanneal.problems.models import QUBO


def brute_force(qubo: QUBO) -> np.ndarray:
    """The best of all 2^n assignments, 0/1."""
    x = (np.arange(2**qubo.n)[:, None] >> np.arange(qubo.n)) & 1
    c = qubo.couplings
    energy = x @ qubo.linear + (x[:, c.rows] * x[:, c.cols]) @ c.weights
    best: np.ndarray = x[np.argmin(energy)]
    return best


def main() -> None:
    friends = nx.Graph(
        [
            ("Ada", "Bo"),
            ("Ada", "Cy"),
            ("Bo", "Cy"),
            ("Cy", "Di"),
            ("Di", "Ed"),
            ("Ed", "Flo"),
            ("Di", "Flo"),
            ("Flo", "Gus"),
        ]
    )

    problem = MaximumIndependentSet(friends)
    print("No two friends:     ", sorted(problem.decode(brute_force(problem.qubo)).vertices))

    pay = {"Ada": 5, "Bo": 2, "Cy": 3, "Di": 4, "Ed": 1, "Flo": 6, "Gus": 2}
    cover = MinimumVertexCover(friends, weights=pay)
    solution = cover.decode(brute_force(cover.qubo))
    print("Every friendship:   ", sorted(solution.vertices), "for", solution.value)

    clique = MaximumClique(friends)
    print("All friends:        ", sorted(clique.decode(brute_force(clique.qubo)).vertices))

    halves = GraphPartitioning(friends).decode(brute_force(GraphPartitioning(friends).qubo))
    print(
        "Two teams:          ",
        sorted(halves.left),
        "|",
        sorted(halves.right),
        "with",
        halves.cut,
        "friendships between",
    )

    colouring = GraphColouring(nx.cycle_graph(5), 3)
    print("Three colours:      ", colouring.decode(brute_force(colouring.qubo)).colours)

    numbers = NumberPartitioning([31, 10, 7, 29, 18, 22, 5, 12])
    parts = numbers.decode(brute_force(numbers.qubo))
    print("Equal sums:         ", parts.left, "|", parts.right, "difference", parts.difference)

    clauses = [("tea", "coffee"), ("-tea", "-coffee"), ("milk", "-coffee"), ("-milk", "-tea"), ("-milk",), ("coffee",)]
    sat = MaxTwoSat(clauses, weights=[3, 3, 2, 2, 1, 2])
    truth = sat.decode(brute_force(sat.qubo))
    broken = [clauses[i] for i in truth.unsatisfied]
    print("Most clauses:       ", truth.values, "of weight", truth.value, "broken:", broken)

    # A poor assignment is reported in the user's terms, and can be mended.
    poor = problem.encode({"Ada", "Bo", "Gus"})
    print("Everything wrong:   ", *problem.decode(poor).violations)
    print("Mended:             ", sorted(problem.decode(poor, repair=True).vertices))


if __name__ == "__main__":
    main()
