"""Minimum vertex cover.

    minimise  sum_v w_v x_v + P sum_{uv in E} (1 - x_u)(1 - x_v)          x_v = 1: v is in the cover

Of an edge with neither end in the cover, taking in the lighter end gains at least P - min(w_u, w_v). So every minimiser
is a cover if

    P > max over the edges of min(w_u, w_v)          (P > 1 without weights; P > 0 in any case)

and a cover has its weight for energy. Source: A. Lucas, "Ising formulations of many NP problems", Front. Phys. 2 (2014)
5, section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...result import Number
from ..couplings import Weights
from ..models import QUBO
from .base import Bits, Label, choose_penalty, total
from .graphs import GraphProblem, maximal_independent, node_weights, read_graph
from .independent_set import VertexSet, lighter_ends


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MinimumVertexCover(GraphProblem[Iterable[Label], VertexSet]):
    """The lightest set of vertices that holds an end of every edge.

    ``decode(..., repair=True)`` adds ends of uncovered edges and then removes vertices of positive weight that cover
    nothing alone.

    Parameters
    ----------
    graph
        An undirected networkx graph. Self-loops are refused: such a vertex is in every cover.
    weights
        Vertex weights, as a mapping from label to number or the name of a node attribute; None: all 1. A vertex of
        negative weight is in every optimum.
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
        data = read_graph(
            self.graph, loops="it is in every cover, so remove it from the graph and add it to the answer"
        )
        w = node_weights(self.graph, data, self.weights)
        bound = lighter_ends(w, data.edges.rows, data.edges.cols)
        strength = choose_penalty(self.penalty, bound, integral=w.dtype == np.int64)
        self._set(_data=data, _w=w, _strength=strength)

    def _build(self) -> QUBO:
        edges, p = self._data.edges, self._strength
        # Checked first: with P m in range, P times a degree cannot overflow.
        pairs = edges.replace_weights(np.full(edges.m, p))
        degrees = np.bincount(np.concatenate([edges.rows, edges.cols]), minlength=edges.n)
        return QUBO(
            couplings=pairs,
            linear=self._w - p * degrees,
            offset=p * edges.m,
            variables=self._data.labels,
            name=self.name,
        )

    def _solution(self, x: Bits) -> VertexSet:
        edges = self._data.edges
        neither = ~(x[edges.rows] | x[edges.cols])
        return VertexSet(
            vertices=self._data.pick(x),
            value=total(self._w[x]),
            violations=self._data.violations("an edge is not covered", edges, neither),
        )

    def _bits(self, answer: Iterable[Label]) -> Bits:
        return self._data.members(answer)

    def _repaired(self, x: Bits) -> Bits:
        # What a cover leaves out is an independent set.
        return ~maximal_independent(self._data.edges, ~x, self._w)
