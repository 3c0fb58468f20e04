"""Maximum independent set, and the NeuroBench workloads made of it.

    minimise  -sum_v w_v x_v + P sum_{uv in E} x_u x_v          x_v = 1: v is chosen

Of an edge with both ends chosen, leaving out the lighter end gains at least P - min(w_u, w_v). So every minimiser is
independent if

    P > max over the edges of min(w_u, w_v)          (P > 1 without weights; P > 0 in any case)

and an independent set has minus its weight for energy. Source: A. Lucas, "Ising formulations of many NP problems",
Front. Phys. 2 (2014) 5, section 4.2 (there as set packing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...result import Number
from ..couplings import Weights
from ..models import QUBO
from .base import Bits, Label, Solution, check_pairs, choose_penalty, total
from .graphs import GraphProblem, maximal_independent, node_weights, read_graph


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexSet(Solution[Iterable[Label]]):
    """A set of vertices.

    Attributes
    ----------
    vertices
        Their labels.
    value
        Their weight; without weights, their number.
    """

    vertices: frozenset[Label]

    @property
    def answer(self) -> frozenset[Label]:
        return self.vertices


def lighter_ends(weights: Weights, rows: NDArray[np.int32], cols: NDArray[np.int32]) -> Number:
    """The largest of min(w_u, w_v) over the pairs, and at least 0."""
    lightest = np.minimum(weights[rows], weights[cols])
    return max(0, lightest.max().item()) if lightest.size else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaximumIndependentSet(GraphProblem[Iterable[Label], VertexSet]):
    """The heaviest set of vertices no two of which are joined by an edge.

    ``decode(..., repair=True)`` drops ends of violated edges and then adds vertices until none of positive weight is
    free.

    Parameters
    ----------
    graph
        An undirected networkx graph. Self-loops are refused: such a vertex could never be chosen.
    weights
        Vertex weights, as a mapping from label to number or the name of a node attribute; None: all 1. A vertex of
        negative weight is in no optimum.
    penalty
        P; None for the smallest integer above the bound (module docstring), or twice the bound where a weight is no
        integer.
    name
        For people.

    Raises
    ------
    InputError
        For graphs that are empty, directed or have self-loops, for missing or non-finite weights, and for a penalty
        that is not positive.
    """

    weights: Mapping[Label, Number] | str | None = None
    _w: Weights = field(init=False, repr=False)

    def __post_init__(self) -> None:
        data = read_graph(self.graph, loops="it could never be in an independent set, so remove it from the graph")
        w = node_weights(self.graph, data, self.weights)
        bound = lighter_ends(w, data.edges.rows, data.edges.cols)
        strength = choose_penalty(self.penalty, bound, integral=w.dtype == np.int64)
        self._set(_data=data, _w=w, _strength=strength)

    def _build(self) -> QUBO:
        edges = self._data.edges
        pairs = edges.replace_weights(np.full(edges.m, self._strength))
        return QUBO(couplings=pairs, linear=-self._w, variables=self._data.labels, name=self.name)

    def _solution(self, x: Bits) -> VertexSet:
        edges = self._data.edges
        both = x[edges.rows] & x[edges.cols]
        return VertexSet(
            vertices=self._data.pick(x),
            value=total(self._w[x]),
            violations=self._data.violations("both ends of an edge are chosen", edges, both),
        )

    def _bits(self, answer: Iterable[Label]) -> Bits:
        return self._data.members(answer)

    def _repaired(self, x: Bits) -> Bits:
        return maximal_independent(self._data.edges, x, self._w)


def neurobench_mis(n: int, density: float, seed: int) -> MaximumIndependentSet:
    """A workload of the NeuroBench QUBO benchmark.

    The graph is networkx's ``gnm_random_graph(n, int(0.5 density n^2), seed)``; the symmetric matrix has -1 on the
    diagonal and 4 at each ordered pair of neighbours, so that an edge costs 8 here, where each unordered pair counts
    once.

    Parameters
    ----------
    n
        Vertices; the benchmark has 10, 25, 50, 100, 250, 500, 1000, 2500 and 5000.
    density
        Edge density as a fraction; the benchmark has 0.01, 0.05, 0.1 and 0.25.
    seed
        Of the graph; the benchmark has 0 to 4.

    Raises
    ------
    InputError
        For n outside 1 to 10**6, a density outside 0 to 1, a seed outside 0 to 2**32 - 1, and more than 5e7 edges.

    References
    ----------
    J. Yik et al., "The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems", Nat.
    Commun. 16 (2025) 1545.
    """
    import networkx as nx

    for what, value, least, most in (("n", n, 1, 10**6), ("the seed", seed, 0, 2**32 - 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
            raise InputError(f"{what} must be an integer from {least} to {most}, not {value!r}")
    if isinstance(density, bool) or not isinstance(density, int | float) or not 0 <= density <= 1:
        raise InputError(f"the density must be a fraction between 0 and 1, not {density!r}")
    n = int(n)
    m = int(0.5 * density * n * n)
    check_pairs(m)
    graph = nx.gnm_random_graph(n, m, seed=int(seed))
    return MaximumIndependentSet(graph, penalty=8, name=f"neurobench_mis(n={n}, density={density}, seed={seed})")
