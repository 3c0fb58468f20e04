"""Seven combinatorial problems, posed in their own terms, solved as QUBO and read back.

Each is small enough for the solver `exact`, so that what is printed is a true optimum.

    python examples/combinatorial.py
"""

from __future__ import annotations

import networkx as nx
import numpy as np
from numpy.typing import NDArray

import fnanneal
from fnanneal.problems.combinatorial import (
    GraphColouring,
    GraphPartitioning,
    MaximumClique,
    MaximumIndependentSet,
    MaxTwoSat,
    MinimumVertexCover,
    NumberPartitioning,
)


def optimum(qubo: fnanneal.QUBO) -> NDArray[np.int8]:
    """The spins of a proved optimum."""
    return fnanneal.solve(qubo, "exact").spins


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
    print("No two friends:     ", sorted(problem.decode(optimum(problem.qubo)).vertices))

    pay = {"Ada": 5, "Bo": 2, "Cy": 3, "Di": 4, "Ed": 1, "Flo": 6, "Gus": 2}
    cover = MinimumVertexCover(friends, weights=pay)
    solution = cover.decode(optimum(cover.qubo))
    print("Every friendship:   ", sorted(solution.vertices), "for", solution.value)

    clique = MaximumClique(friends)
    print("All friends:        ", sorted(clique.decode(optimum(clique.qubo)).vertices))

    halves = GraphPartitioning(friends).decode(optimum(GraphPartitioning(friends).qubo))
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
    print("Three colours:      ", colouring.decode(optimum(colouring.qubo)).colours)

    numbers = NumberPartitioning([31, 10, 7, 29, 18, 22, 5, 12])
    parts = numbers.decode(optimum(numbers.qubo))
    print("Equal sums:         ", parts.left, "|", parts.right, "difference", parts.difference)

    clauses = [("tea", "coffee"), ("-tea", "-coffee"), ("milk", "-coffee"), ("-milk", "-tea"), ("-milk",), ("coffee",)]
    sat = MaxTwoSat(clauses, weights=[3, 3, 2, 2, 1, 2])
    truth = sat.decode(optimum(sat.qubo))
    broken = [clauses[i] for i in truth.unsatisfied]
    print("Most clauses:       ", truth.values, "of weight", truth.value, "broken:", broken)

    # A poor assignment is reported in the user's terms, and can be mended.
    poor = problem.encode({"Ada", "Bo", "Gus"})
    print("Everything wrong:   ", *problem.decode(poor).violations)
    print("Mended:             ", sorted(problem.decode(poor, repair=True).vertices))


if __name__ == "__main__":
    main()
