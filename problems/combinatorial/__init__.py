"""Combinatorial problems in the user's terms: each becomes a QUBO, and its spins become an answer again.

problem = MaximumIndependentSet(graph)
result = fnanneal.solve(problem.qubo)
answer = problem.decode(result.spins)          # .vertices, .value, .feasible, .violations
"""

from .base import Combinatorial, Solution, Violation
from .clique import MaximumClique
from .colouring import Colouring, GraphColouring
from .graph_partitioning import Bisection, GraphPartitioning
from .graphs import GraphProblem
from .independent_set import MaximumIndependentSet, VertexSet, neurobench_mis
from .max2sat import MaxTwoSat, TruthAssignment
from .number_partitioning import NumberPartition, NumberPartitioning
from .vertex_cover import MinimumVertexCover

__all__ = [
    "Bisection",
    "Colouring",
    "Combinatorial",
    "GraphColouring",
    "GraphPartitioning",
    "GraphProblem",
    "MaxTwoSat",
    "MaximumClique",
    "MaximumIndependentSet",
    "MinimumVertexCover",
    "NumberPartition",
    "NumberPartitioning",
    "Solution",
    "TruthAssignment",
    "VertexSet",
    "Violation",
    "neurobench_mis",
]
