"""Maximum clique: an independent set of the complement.

    minimise  -sum_v w_v x_v + P sum_{uv not in E, u != v} x_u x_v          x_v = 1: v is chosen

with the bound of `independent_set`, over the pairs that are not joined: P > max min(w_u, w_v). A clique has minus its
weight for energy. The QUBO has a coupling for every pair that is not an edge, so it is dense where the graph is sparse
(at most 5e7 of them). Source: A. Lucas, "Ising formulations of many NP problems", Front. Phys. 2 (2014) 5, section 4.2,
by complement (section 2.3 has another form, with a variable more for every possible size).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...result import Number
from ..couplings import Couplings, Weights
from ..models import QUBO
from .base import Bits, Label, all_pairs, check_pairs, choose_penalty, distinct_couplings, total
from .graphs import GraphProblem, maximal_independent, node_weights, pair_places, read_graph
from .independent_set import VertexSet, lighter_ends


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaximumClique(GraphProblem[Iterable[Label], VertexSet]):
    """The heaviest set of vertices every two of which are joined by an edge.

    ``decode(..., repair=True)`` drops vertices of missing edges and then adds vertices until none of positive weight
    fits.

    Parameters
    ----------
    graph
        An undirected networkx graph. Self-loops are refused: they mean nothing here.
    weights
        Vertex weights, as a mapping from label to number or the name of a node attribute; None: all 1.
    penalty
        P; None for the smallest integer above the bound (module docstring), or twice the bound where a weight is no
        integer.
    name
        For people.

    Raises
    ------
    InputError
        For graphs that are empty, directed or have self-loops, for missing or non-finite weights, for a penalty that is
        not positive, and for more than 5e7 pairs without an edge.
    """

    weights: Mapping[Label, Number] | str | None = None
    _w: Weights = field(init=False, repr=False)
    _apart: Couplings = field(init=False, repr=False)

    def __post_init__(self) -> None:
        data = read_graph(self.graph, loops="remove it, it means nothing to a clique")
        w = node_weights(self.graph, data, self.weights)
        n = data.n
        check_pairs(n * (n - 1) // 2)
        rows, cols = all_pairs(n)
        missing = np.ones(rows.size, bool)
        missing[pair_places(n, data.edges)] = False
        rows, cols = rows[missing], cols[missing]
        apart = distinct_couplings(n, rows, cols, np.ones(rows.size, np.int64))
        strength = choose_penalty(self.penalty, lighter_ends(w, rows, cols), integral=w.dtype == np.int64)
        self._set(_data=data, _w=w, _apart=apart, _strength=strength)

    def _build(self) -> QUBO:
        pairs = self._apart.replace_weights(np.full(self._apart.m, self._strength))
        return QUBO(couplings=pairs, linear=-self._w, variables=self._data.labels, name=self.name)

    def _solution(self, x: Bits) -> VertexSet:
        apart = self._apart
        both = x[apart.rows] & x[apart.cols]
        return VertexSet(
            vertices=self._data.pick(x),
            value=total(self._w[x]),
            violations=self._data.violations("no edge joins these two", apart, both),
        )

    def _bits(self, answer: Iterable[Label]) -> Bits:
        return self._data.members(answer)

    def _repaired(self, x: Bits) -> Bits:
        return maximal_independent(self._apart, x, self._w)
